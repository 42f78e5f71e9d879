//! What a command is handed: the services of the chosen cloud, inputs, and a
//! way to say things on stderr. Each part is made on first use, so that a
//! command which needs no cloud never looks for one.

use std::fs::File;
use std::io::{IsTerminal as _, Read, Write as _};
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::OnceCell;

use crate::cinder;
use crate::cloud::{self, Flags, Session, Surroundings};
use crate::error::{Error, Kind, Result};
use crate::glance;
use crate::http::{Http, Retries, Settings, Tls};
use crate::interrupt::{self, Interrupt};
use crate::local;
use crate::log::Log;
use crate::output::{Pages, Table};
use crate::service::{ImageService, Version, VolumeService};
use crate::terminal;
use crate::transfer::{Bar, Data, Meter, Show, Style};

/// A value of the configuration, and who set it.
pub struct Configured {
    /// Its name; what stands under `auth` begins with `auth.`.
    pub name: String,
    /// The value, secrets masked unless they were asked for.
    pub value: serde_json::Value,
    /// The flag, variable, file or profile that it came from.
    pub origin: String,
}

/// A version of the Images API, and where it is offered.
pub struct Offered {
    /// The region of the catalogue; none without a catalogue.
    pub region: Option<String>,
    /// `public`, `internal`, `admin`; none where there is one for all.
    pub interface: Option<String>,
    /// The version.
    pub version: Version,
}

/// How long a text may be that a command is given, in bytes.
const TEXT_LIMIT: u64 = 16 << 20;

/// One run of rimg.
pub struct Context {
    flags: Flags,
    log: Log,
    interrupt: Interrupt,
    attended: bool,
    /// Whether stdin is for the command: not where it has the commands themselves.
    has_stdin: bool,
    /// Where a list can go before all of it is known.
    pages: std::cell::RefCell<Option<Pages>>,
    session: OnceCell<Session>,
    images: OnceCell<Box<dyn ImageService>>,
    http: std::cell::OnceCell<Http>,
    /// The service of the cloud `local`; last, so that it outlives its clients.
    local: std::cell::OnceCell<local::Private>,
}

impl Context {
    /// A run on the cloud that these flags choose.
    pub fn new(flags: Flags, log: Log, interrupt: Interrupt) -> Self {
        Context {
            flags,
            log,
            interrupt,
            attended: true,
            has_stdin: true,
            pages: std::cell::RefCell::default(),
            session: OnceCell::new(),
            images: OnceCell::new(),
            http: std::cell::OnceCell::new(),
            local: std::cell::OnceCell::new(),
        }
    }

    /// A run that nobody watches: it never asks for a password.
    pub fn unattended(flags: Flags, log: Log, interrupt: Interrupt) -> Self {
        Context { attended: false, ..Context::new(flags, log, interrupt) }
    }

    /// A run of one line of interactive mode, whose stdin is the lines.
    pub fn of_a_line(flags: Flags, log: Log, interrupt: Interrupt, attended: bool) -> Self {
        Context { attended, has_stdin: false, ..Context::new(flags, log, interrupt) }
    }

    /// The image service of the chosen cloud; signs in when first asked.
    pub async fn images(&self) -> Result<&dyn ImageService> {
        let service = self.images.get_or_try_init(|| self.connect()).await?;
        Ok(&**service)
    }

    /// The image service, to be asked about its cache: each of its servers has
    /// one of its own, so it should be known which one answers.
    pub async fn image_cache(&self) -> Result<&dyn ImageService> {
        let service = self.images().await?;
        if self.session().await?.config().image_endpoint_override().is_none() {
            self.note("each server of the image service has a cache of its own; `image_endpoint_override` names one");
        }
        Ok(service)
    }

    /// The block storage service of the chosen cloud; signs in when first asked.
    pub async fn volumes(&self) -> Result<Box<dyn VolumeService>> {
        let session = self.session().await?;
        let url = session.endpoint_under(&cinder::NAMES)?;
        let wanted = session.config().for_service(cinder::NAMES[0])?;
        let microversion =
            cinder::Microversion::wanted(wanted.api_version.as_deref(), wanted.default_microversion.as_deref())?;
        let http = self.http.get().ok_or_else(Error::interrupted)?.clone();
        let cinder = cinder::Cinder::new(http, &url, session.project_id.as_deref(), microversion)?;
        Ok(Box::new(cinder.credential(session.credential.clone())))
    }

    /// The ID of a project, given by ID or name; `domain` says in which domain
    /// to look.
    pub async fn project_id(&self, project: &str, domain: Option<&str>) -> Result<String> {
        self.session().await?.find_project(project, domain).await
    }

    /// The ID of the project that we are signed in to.
    pub async fn own_project(&self) -> Result<String> {
        let session = self.session().await?;
        session.project_id.clone().ok_or_else(|| {
            Error::config("the sign-in is not for a project")
                .next("name one with `--project`, or with `--os-project-name`")
        })
    }

    /// The configuration of the chosen cloud, merged from everything that
    /// speaks of it; nobody is dialled.
    pub fn configuration(&self, unmasked: bool) -> Result<Vec<Configured>> {
        let config = cloud::load(&self.flags, &Surroundings::of_process())?;
        for warning in &config.warnings {
            self.log.warn(warning);
        }
        let values = config.values(unmasked).into_iter();
        Ok(values.map(|(name, value, origin)| Configured { name, value, origin: origin.to_string() }).collect())
    }

    /// The versions of the Images API that the cloud offers, at each of its
    /// endpoints that `wanted` (region, interface) likes.
    pub async fn image_versions(&self, wanted: impl Fn(Option<&str>, Option<&str>) -> bool) -> Result<Vec<Offered>> {
        let session = self.session().await?;
        let http = self.http.get().ok_or_else(Error::interrupted)?;
        let (mut offered, mut silent) = (Vec::new(), None);
        for place in session.endpoints("image")? {
            let cloud::Place { region, interface, url } = place;
            if !wanted(region.as_deref(), interface.as_deref()) {
                continue;
            }
            match glance::versions(http, url).await {
                Ok(versions) => offered.extend(versions.into_iter().map(|version| Offered {
                    region: region.clone(),
                    interface: interface.clone(),
                    version,
                })),
                Err(error) if error.kind == Kind::Interrupted => return Err(error),
                Err(error) => silent = Some(error),
            }
        }
        match silent {
            // One region that is away is no reason to say nothing of the others.
            Some(error) if offered.is_empty() => return Err(error),
            Some(error) => self.log.warn(&error.message),
            None => {}
        }
        Ok(offered)
    }

    /// The data that a command is given: of `file`, of stdin for `-`, of a
    /// stdin that holds data when no file is named. `if_empty` is the step to
    /// take where what is named holds none.
    pub fn input(&self, file: Option<&str>, if_empty: &str) -> Result<Option<Data>> {
        match file {
            Some("-") if !self.has_stdin => {
                Err(Error::usage("`-` cannot be image data here: stdin has the commands").next("name a file"))
            }
            None if !self.has_stdin => Ok(None),
            Some("-") => Data::stdin_required(if_empty).map(Some),
            Some(path) => Data::file(path, if_empty).map(Some),
            None => Data::stdin(),
        }
    }

    /// A text that a command is given: of `file`; of stdin for `-` and when no
    /// file is named.
    pub async fn text(&self, file: Option<&str>) -> Result<String> {
        match file {
            None | Some("-") if std::io::stdin().is_terminal() => {
                Err(Error::usage("the text is read from stdin, but stdin is a terminal")
                    .next("name a file with `--file`, or pipe the text in"))
            }
            None | Some("-") => self.aside(|| bounded_text("stdin", std::io::stdin())).await,
            Some(path) => {
                let file = File::open(path).map_err(|e| Error::io(format!("cannot read `{path}`"), &e))?;
                let path = path.to_owned();
                self.aside(move || bounded_text(&path, file)).await
            }
        }
    }

    /// A secret that a command needs: the first line of `file`, else the
    /// environment's `variable`, else what is typed at `prompt`. `None` when
    /// none of these has it: nobody is asked where there is no terminal.
    pub async fn secret(&self, file: Option<&str>, variable: &str, prompt: String) -> Result<Option<SecretString>> {
        if let Some(path) = file {
            return first_line(path).map(Some);
        }
        if let Some(secret) = Surroundings::of_process().variable(variable) {
            return Ok(Some(SecretString::from(secret)));
        }
        match self.attended {
            true => Ok(terminal::ask_secret(prompt, &self.interrupt).await?.map(SecretString::from)),
            false => Ok(None),
        }
    }

    /// Does long work on a thread of its own, so that Ctrl-C is heard meanwhile.
    pub async fn aside<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        self.interrupt.or(interrupt::aside(work)).await
    }

    /// Shows how far `meter` is until the answer is dropped. `asked` is the
    /// command's `--progress`.
    pub fn progress(&self, meter: &Arc<Meter>, label: String, asked: Option<Show>) -> Bar {
        let quiet = !self.log.says(crate::log::Level::Warning);
        let bar = Bar::show(meter, Style::choose(quiet, asked), label);
        self.log.write_beside(bar.drawn.clone());
        bar
    }

    /// Lets the command's list be written while it comes in.
    pub fn stream_to(&self, pages: Option<Pages>) {
        *self.pages.borrow_mut() = pages;
    }

    /// Where the list has gone so far; the rest of it follows there.
    pub fn streamed_to(&self) -> Option<Pages> {
        self.pages.borrow_mut().take()
    }

    /// Whether [`stream`](Self::stream) may be used: the format chosen can be
    /// written row by row, in the order in which the rows come.
    pub fn streams(&self) -> bool {
        self.pages.borrow().is_some()
    }

    /// Writes a page of the command's list to stdout. What the command answers
    /// with in the end is the last page.
    pub fn stream(&self, page: Table) -> Result<()> {
        match self.pages.borrow_mut().as_mut() {
            Some(pages) => pages.write(page, &mut std::io::stdout().lock()),
            None => Ok(()),
        }
    }

    /// Ends when the user or the system wants rimg to stop.
    pub async fn stopped(&self) {
        self.interrupt.raised().await;
    }

    /// Writes to stdout at once what a command that goes on running has to tell.
    pub fn announce(&self, text: &str) -> Result<()> {
        let mut stdout = std::io::stdout().lock();
        let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
        written.map_err(|e| Error::io("cannot write to stdout", &e))
    }

    /// Removes the sign-ins that are kept for the next run; answers with their number.
    pub fn clear_token_cache(&self) -> Result<usize> {
        Surroundings::of_process().token_cache().map_or(Ok(0), |directory| cloud::token_cache::clear(&directory))
    }

    /// Where the local image service keeps its state if nobody says otherwise.
    pub fn local_dir(&self) -> Result<std::path::PathBuf> {
        Surroundings::of_process().local_dir()
    }

    /// Says a decision that rimg took.
    pub fn note(&self, text: &str) {
        self.log.note(text);
    }

    /// Says that something may not be what the user thinks.
    pub fn warn(&self, text: &str) {
        self.log.warn(text);
    }

    /// Says that one of several things failed.
    pub fn failed(&self, error: &Error) {
        self.log.failure(error);
    }

    /// What this run says on stderr.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Every request so far and the time it took.
    pub fn timings(&self) -> Vec<(String, Duration)> {
        self.http.get().map(Http::timings).unwrap_or_default()
    }

    async fn session(&self) -> Result<&Session> {
        self.session.get_or_try_init(|| self.sign_in()).await
    }

    async fn sign_in(&self) -> Result<Session> {
        let config = cloud::load(&self.flags, &Surroundings::of_process())?;
        if config.debug() {
            self.log.trace();
        }
        if let Some(path) = config.log_file() {
            self.log.file_at(&path)?;
        }
        for warning in &config.warnings {
            self.log.warn(warning);
        }
        let limits = config.api_timeout()?;
        let service = config.for_service("image")?;
        let defaults = Settings::default();
        let tls = match config.built_in {
            // There is none on the way to ourselves, and reading the authorities takes longer than the rest.
            true => Tls { verify: false, ..Tls::default() },
            false => config.tls()?,
        };
        let settings = Settings {
            tls,
            force_ipv4: config.force_ipv4()?,
            connect_limit: limits.unwrap_or(defaults.connect_limit),
            stall_limit: limits.unwrap_or(defaults.stall_limit),
            digest_limit: limits.unwrap_or(defaults.digest_limit),
            direct: config.built_in,
            retries: Retries {
                connect: service.connect_retries,
                connect_delay: service.connect_retry_delay,
                status: service.status_code_retries,
                status_delay: service.status_code_retry_delay,
                statuses: service.retriable_status_codes,
            },
        };
        let http = Http::new(settings, self.log.clone(), self.interrupt.clone());
        // Kept first: `--timing` also tells of a sign-in that failed.
        let http = self.http.get_or_init(|| http).clone();
        if config.built_in {
            let local = local::start(&Surroundings::of_process().local_dir()?)?;
            for line in &local.swept {
                self.log.note(&format!("swept up {line}"));
            }
            let local = self.local.get_or_init(|| local);
            let project_id = local.project_id.clone();
            return Ok(Session::direct(config, http, &local.running.url, &local.token, project_id));
        }
        let cache = if config.token_cache()? { Surroundings::of_process().token_cache() } else { None };
        Session::sign_in(config, http, self.attended.then_some(&self.interrupt), cache.as_deref()).await
    }

    async fn connect(&self) -> Result<Box<dyn ImageService>> {
        let session = self.session().await?;
        let url = session.endpoint("image")?;
        let (credential, version) = (session.credential.clone(), session.known_version(&url));
        let project = session.project_id.clone();
        let endpoint = glance::Endpoint { url: url.clone(), credential, version, project };
        let wanted = session.config().for_service("image")?.api_version;
        let http = self.http.get().ok_or_else(Error::interrupted)?.clone();
        let (service, found) = glance::connect(http.insisting(true), endpoint, wanted.as_deref()).await?;
        if let Some(version) = found {
            session.learn_version(&url, &version);
        }
        Ok(service)
    }
}

/// All that `from` holds, if it is text.
fn bounded_text(name: &str, from: impl Read) -> Result<String> {
    let mut bytes = Vec::new();
    from.take(TEXT_LIMIT + 1).read_to_end(&mut bytes).map_err(|e| Error::io(format!("cannot read `{name}`"), &e))?;
    if bytes.len() as u64 > TEXT_LIMIT {
        return Err(Error::new(Kind::Io, format!("`{name}` holds more than {} MiB", TEXT_LIMIT >> 20)));
    }
    String::from_utf8(bytes).map_err(|_| Error::new(Kind::Io, format!("`{name}` is not text in UTF-8")))
}

/// The first line of a file that holds a secret.
fn first_line(path: &str) -> Result<SecretString> {
    let cannot = |e: std::io::Error| Error::io(format!("cannot read `{path}`"), &e);
    let mut text = String::new();
    File::open(path).map_err(cannot)?.take(64 * 1024).read_to_string(&mut text).map_err(cannot)?;
    let secret = text.lines().next().unwrap_or_default();
    if secret.is_empty() {
        return Err(
            Error::new(Kind::Config, format!("the first line of `{path}` is empty")).next("write the passphrase there")
        );
    }
    Ok(SecretString::from(secret))
}
