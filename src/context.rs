//! What a command is handed: the services of the chosen cloud, inputs, and a
//! way to say things on stderr. Each part is made on first use, so that a
//! command which needs no cloud never looks for one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;

use crate::cloud::{self, Session, Surroundings};
use crate::error::{Error, Result};
use crate::glance;
use crate::http::{self, Http, Settings};
use crate::interrupt::Interrupt;
use crate::log::Log;
use crate::manager::Globals;
use crate::service::ImageService;
use crate::transfer::{Bar, Data, Meter, Style};

/// One run of rimg.
pub struct Context {
    globals: Globals,
    log: Log,
    interrupt: Interrupt,
    attended: bool,
    session: OnceCell<Session>,
    images: OnceCell<Box<dyn ImageService>>,
    http: std::cell::OnceCell<Http>,
}

impl Context {
    /// A run with these global options.
    pub fn new(globals: Globals, log: Log, interrupt: Interrupt) -> Self {
        Context {
            globals,
            log,
            interrupt,
            attended: true,
            session: OnceCell::new(),
            images: OnceCell::new(),
            http: std::cell::OnceCell::new(),
        }
    }

    /// A run that nobody watches: it never asks for a password.
    pub fn unattended(globals: Globals, log: Log, interrupt: Interrupt) -> Self {
        Context { attended: false, ..Context::new(globals, log, interrupt) }
    }

    /// The image service of the chosen cloud; signs in when first asked.
    pub async fn images(&self) -> Result<&dyn ImageService> {
        let service = self.images.get_or_try_init(|| self.connect()).await?;
        Ok(&**service)
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

    /// The data that a command is given: of `file`, of stdin for `-`, of a
    /// stdin that holds data when no file is named.
    pub fn input(&self, file: Option<&str>) -> Result<Option<Data>> {
        match file {
            Some("-") => Data::stdin_required().map(Some),
            Some(path) => Data::file(path).map(Some),
            None => Data::stdin(),
        }
    }

    /// Shows how far `meter` is until the answer is dropped. `asked` is the
    /// command's `--progress`.
    pub fn progress(&self, meter: &Arc<Meter>, label: String, asked: bool) -> Bar {
        let quiet = !self.log.says(crate::log::Level::Warning);
        Bar::show(meter, Style::choose(quiet, asked), label)
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
        let config = cloud::load(&self.globals.cloud, &Surroundings::of_process())?;
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
        let defaults = Settings::default();
        let cloud::Tls { verify, cacert, cert, key } = config.tls()?;
        let tls = http::Tls { verify, ca: cacert, cert, key };
        let settings = Settings {
            tls,
            force_ipv4: config.force_ipv4()?,
            connect_limit: limits.unwrap_or(defaults.connect_limit),
            stall_limit: limits.unwrap_or(defaults.stall_limit),
            digest_limit: limits.unwrap_or(defaults.digest_limit),
        };
        let http = Http::new(settings, self.log.clone(), self.interrupt.clone());
        // Kept first: `--timing` also tells of a sign-in that failed.
        let http = self.http.get_or_init(|| http).clone();
        Session::sign_in(config, http, self.attended.then_some(&self.interrupt)).await
    }

    async fn connect(&self) -> Result<Box<dyn ImageService>> {
        let session = self.session().await?;
        let endpoint = glance::Endpoint { url: session.endpoint("image")?, credential: session.credential.clone() };
        let version = session.config().for_service("image")?.api_version;
        let http = self.http.get().ok_or_else(Error::interrupted)?.clone();
        glance::connect(http, endpoint, version.as_deref()).await
    }
}
