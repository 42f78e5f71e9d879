//! `serve`: the one command that starts a service instead of asking one.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Parser;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use crate::cloud;
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::local::config::Config;
use crate::local::identity::directory::{Directory, Scope};
use crate::local::identity::made::Made;
use crate::local::identity::password::{self, Hash};
use crate::local::identity::{Keystone, ROOT};
use crate::local::{self, Logged, MetadefFiles, Service};
use crate::manager::Command;

/// Glance's own port.
const PORT: u16 = 9292;

/// Lines of the request log that may wait to be written.
const WAITING_LINES: usize = 4096;

/// Run an image service on this machine, for any OpenStack client
///
/// Identity v3 and Images v2 on one port, in plain HTTP. What it shows at the
/// start is the entry for clouds.yaml that clients need. Without --config there
/// is one user, `admin`, whose password is made up at the first start, shown
/// once and then kept only as a hash.
///
/// Without --data-dir the images are those of the cloud `local`
/// (RIMG_LOCAL_DIR, else a place among the user's data).
///
/// Each request is a line on stderr; -q turns that off. Ctrl-C or SIGTERM stops
/// the service: it takes no more connections, and transfers under way may end;
/// what takes longer than `grace`, or is cut short by a second signal, is undone.
#[derive(Debug, Parser)]
#[command(after_help = "The configuration file (YAML; everything in it may be left out):
  region: RegionOne
  token_lifetime: 3600            # seconds
  domains:
  - name: lab                     # besides `Default`
  projects:
  - name: demo                    # also: id, domain, description, enabled
  users:
  - name: demo                    # also: id, domain, enabled
    password: secret              # or $pbkdf2-sha512$ROUNDS$SALT$KEY: see --hash-password
    roles:
    - {project: demo, roles: [member]}      # or domain: NAME, or system: true
    application_credentials:      # besides those that users make themselves
    - {name: ci, secret: sesame, project: demo, roles: [reader]}
  policy: {publicize_image: 'role:member'}  # rules that differ from Glance's
  stores:
  - {name: fast, description: SSD, directory: /srv/fast}
  default_store: fast
  disk_formats: [raw, qcow2]                # also: container_formats, import_methods
  web_download: {hosts: [mirror], ports: [80]}  # from where to import; `ports: []` is any port
  metadefs: /srv/metadefs                   # documents of metadata definitions to load
  api_v1: true                              # Images API v1 beside v2, for the clients of before 2018
  protected_properties:           # the first pattern that fits a name counts
  - {pattern: ^billing_, create: [admin], read: [admin, member], update: [admin], delete: [admin]}
  - {pattern: ., create: [member], read: [member], update: [member], delete: [member]}
  quota: {properties: 128, tags: 128, members: 128, image_size: 1099511627776, user_storage: 5000000000}
  limits: {connections: 256, stall: 60, grace: 30, sweep: 60, page: 25, longest_page: 1000}

Examples:
  rimg serve
  rimg serve --write-clouds-yaml ~/.config/openstack/clouds.yaml
  rimg serve --write-openrc ./openrc              # then, in another shell: . ./openrc
  rimg serve --listen 127.0.0.1:0 --data-dir /tmp/images --config serve.yaml")]
pub struct Serve {
    /// Where to listen: an address, a port, or both; port 0 is any free one
    #[arg(long, value_name = "ADDRESS[:PORT]", default_value = "127.0.0.1:9292", value_parser = place)]
    listen: SocketAddr,

    /// The directory that keeps images and all that is known of them
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    data_dir: Option<PathBuf>,

    /// The configuration file: users, policy, stores, limits
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    config: Option<PathBuf>,

    /// Write the clouds' entries into this clouds.yaml instead of showing them
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    write_clouds_yaml: Option<PathBuf>,

    /// Write the first user's variables into this file, for a shell to source, instead of showing the entries
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    write_openrc: Option<PathBuf>,

    /// Make up a new password for `admin`
    #[arg(long)]
    reset_password: bool,

    /// Ask for a password (or take RIMG_PASSWORD), show its hash for the configuration file, and end
    #[arg(
        long,
        conflicts_with_all = ["listen", "data_dir", "config", "write_clouds_yaml", "write_openrc", "reset_password"]
    )]
    hash_password: bool,
}

impl Command for Serve {
    type Answer = ();

    async fn run(self, ctx: &Context) -> anyhow::Result<()> {
        if self.hash_password {
            let secret = ctx.secret(None, "RIMG_PASSWORD", "Password: ".to_owned()).await?;
            let secret = secret.ok_or_else(|| {
                Error::usage("there is no password and no terminal to ask at").next("set RIMG_PASSWORD to it")
            })?;
            let hash = Hash::of(secrecy::ExposeSecret::expose_secret(&secret))?;
            return Ok(ctx.announce(&format!("{hash}\n"))?);
        }
        let mut config = match &self.config {
            Some(path) => Config::read(path)?,
            None => Config::default(),
        };
        if self.reset_password && config.directory.is_some() {
            return Err(Error::usage("--reset-password has nothing to reset: the users are those of the file")
                .next("change the password there")
                .into());
        }
        let metadefs = config.metadefs.as_deref().map(MetadefFiles::read).transpose()?;
        // Before anything is made or swept: there may be another one running.
        let listener = TcpListener::bind(self.listen).map_err(|e| cannot_listen(self.listen, &e))?;
        let data_dir = match self.data_dir {
            Some(directory) => directory,
            None => ctx.local_dir()?,
        };
        let (lines, log) = mpsc::channel(WAITING_LINES);
        let lost = Arc::new(AtomicU64::new(0));
        let lost_here = Arc::clone(&lost);
        let write = Arc::new(move |line: String| {
            if lines.try_send(line).is_err() {
                lost_here.fetch_add(1, Ordering::Relaxed);
            }
        });
        let write_swept = Arc::clone(&write);
        config.settings.swept = Some(Arc::new(move |what| write_swept(format!("time={} note={}", now(), value(what)))));
        config.settings.log = Some(Arc::new(move |logged| write(line(logged))));
        let policy = config.settings.policy.clone();
        let (service, swept) = Service::open(&data_dir, config.settings)?;
        for swept in swept {
            ctx.note(&format!("swept up {swept}"));
        }
        if let (Some(path), Some(metadefs)) = (&config.metadefs, metadefs) {
            let loaded = service.load_metadefs(metadefs)?;
            let (new, old) = (loaded.added.len(), loaded.skipped.len());
            ctx.note(&format!("`{}`: loaded {new} namespaces, {old} were there already", path.display()));
        }
        let mut plain = config.plain;
        let directory = match config.directory {
            Some(directory) => directory,
            None => {
                let (hash, shown) = password::kept_in(&data_dir, self.reset_password)?;
                let mut directory = Directory::of_admin(Some(hash));
                directory.region = config.region.unwrap_or(directory.region);
                plain.extend(shown.map(|password| (directory.users[0].id.clone(), password)));
                directory
            }
        };
        let address = listener.local_addr().map_err(|e| cannot_listen(self.listen, &e))?;
        let mut entries = entries(&directory, &plain, address);
        let hashes = hashes(&directory);
        let identity = Keystone::new(directory, config.token_lifetime, &policy)?.with(Made::kept_in(&data_dir)?);
        let running = local::run(service, listener, Arc::new(identity))?;
        if !address.ip().is_loopback() {
            ctx.warn(&format!(
                "listening on {address} in plain HTTP: passwords, tokens and images can be read and changed by \
                 everybody between here and the clients; a proxy with TLS in front of 127.0.0.1 is safe"
            ));
        }
        let keep = |entry: &mut cloud::Entry, old: &Value| keep_password(entry, old, &hashes);
        if let Some(path) = &self.write_clouds_yaml {
            let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
            let otherwise =
                format!("start without --write-clouds-yaml, and add what is shown then ({}) by hand", names.join(", "));
            cloud::add(path, &mut entries, keep, &otherwise)?;
            let names: Vec<String> = entries.iter().map(|entry| format!("`{}`", entry.name)).collect();
            ctx.note(&format!("wrote {} to `{}`", names.join(", "), path.display()));
        }
        if let Some(path) = &self.write_openrc {
            let first = entries.first_mut().ok_or_else(|| {
                Error::config("--write-openrc has nothing to write: no user has a password")
                    .next("give one a password, or set OS_APPLICATION_CREDENTIAL_ID and its like by hand")
            })?;
            cloud::openrc::write(path, first, keep)?;
            ctx.note(&format!("wrote the variables of `{}` to `{}`", first.name, path.display()));
        }
        if self.write_clouds_yaml.is_none() && self.write_openrc.is_none() {
            ctx.announce(&shown(&entries))?;
        }
        ctx.note(&format!("serving {} at {}; Ctrl-C stops it", data_dir.display(), running.url));
        serve(ctx, running, log, &lost).await;
        Ok(())
    }
}

/// Writes the request log until we are to stop, then until the service has stopped.
async fn serve(ctx: &Context, running: local::Running, mut log: mpsc::Receiver<String>, lost: &AtomicU64) {
    let write = |text: &str| {
        ctx.log().line(text);
        match lost.swap(0, Ordering::Relaxed) {
            0 => {}
            lost => ctx.warn(&format!("{lost} lines of the request log were lost: stderr is too slow")),
        }
    };
    loop {
        tokio::select! {
            () = ctx.stopped() => break,
            Some(line) = log.recv() => write(&line),
        }
    }
    ctx.note("stopping, once transfers under way have ended; a second signal ends at once");
    let mut stopped = std::pin::pin!(running.stop());
    loop {
        tokio::select! {
            () = &mut stopped => break,
            Some(line) = log.recv() => write(&line),
        }
    }
    while let Ok(line) = log.try_recv() {
        write(&line);
    }
}

/// An address, a port, or both.
fn place(text: &str) -> Result<SocketAddr, &'static str> {
    let text = match text.strip_prefix("localhost") {
        Some(rest) if rest.is_empty() || rest.starts_with(':') => format!("127.0.0.1{rest}"),
        _ => text.to_owned(),
    };
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(&text);
    if let Ok(place) = text.parse() {
        return Ok(place);
    }
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, PORT));
    }
    let port = text.strip_prefix(':').unwrap_or(&text).parse::<u16>();
    port.map(|port| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port))
        .map_err(|_| "this is neither an IP address, nor one with a port, such as 127.0.0.1:9292")
}

fn cannot_listen(place: SocketAddr, error: &std::io::Error) -> Error {
    let next = match error.kind() {
        ErrorKind::AddrInUse => {
            "another program listens there; choose another port with --listen, or a free one with \
                                 `--listen 127.0.0.1:0`"
        }
        ErrorKind::AddrNotAvailable => "this machine does not have that address",
        ErrorKind::PermissionDenied => "ports below 1024 are for the system; choose a higher one",
        _ => "choose another place with --listen",
    };
    let error = Error::io(format!("cannot listen on {place}"), error);
    Error { kind: Kind::Io, ..error }.next(next)
}

/// What clients need to know, a cloud for each user with a project.
fn entries(directory: &Directory, plain: &BTreeMap<String, String>, address: SocketAddr) -> Vec<cloud::Entry> {
    // "Any address" is where one listens, not where one goes.
    let host = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let auth_url = format!("http://{}/{ROOT}/v3", SocketAddr::new(host, address.port()));
    let domain = |id: &str| directory.domain(id).map_or(id.to_owned(), |domain| domain.name.clone());
    let mut entries: Vec<cloud::Entry> = Vec::new();
    for user in directory.users.iter().filter(|user| user.enabled && user.password.is_some()) {
        let project = user.grants.iter().find_map(|grant| match &grant.scope {
            Scope::Project(id) => directory.project(id),
            _ => None,
        });
        let mut auth = Map::new();
        let mut say = |key: &str, value: &str| auth.insert(key.to_owned(), Value::from(value));
        say("auth_url", &auth_url);
        say("username", &user.name);
        if let Some(password) = plain.get(&user.id) {
            say("password", password);
        }
        say("user_domain_name", &domain(&user.domain_id));
        if let Some(project) = project {
            say("project_name", &project.name);
            say("project_domain_name", &domain(&project.domain_id));
        }
        let settings = json!({"region_name": directory.region, "identity_api_version": "3", "auth": auth});
        let mut name = format!("rimg-{}", user.name);
        if entries.iter().any(|entry| entry.name == name) {
            name = format!("{name}-{}", domain(&user.domain_id));
        }
        entries.push(cloud::Entry { name, settings: settings.as_object().cloned().unwrap_or_default() });
    }
    entries
}

/// The hashes of all passwords by user and domain, as entries name them.
fn hashes(directory: &Directory) -> BTreeMap<(String, String), Hash> {
    let hash = |user: &crate::local::identity::directory::User| {
        let domain = directory.domain(&user.domain_id).map(|domain| domain.name.clone())?;
        Some(((user.name.clone(), domain), user.password.clone()?))
    };
    directory.users.iter().filter_map(hash).collect()
}

/// A password that is no longer known here stays in the file, if it is still right.
fn keep_password(entry: &mut cloud::Entry, old: &Value, hashes: &BTreeMap<(String, String), Hash>) {
    let Some(auth) = entry.settings.get_mut("auth").and_then(Value::as_object_mut) else { return };
    let text = |key: &str| auth.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let old = old.pointer("/auth/password").and_then(Value::as_str);
    if let (None, Some(old), Some(hash)) =
        (auth.get("password"), old, hashes.get(&(text("username"), text("user_domain_name"))))
        && hash.is_of(old)
    {
        auth.insert("password".to_owned(), Value::from(old));
    }
}

/// The entries as a clouds.yaml of their own.
fn shown(entries: &[cloud::Entry]) -> String {
    let mut text = "clouds:\n".to_owned();
    for entry in entries {
        text.push_str(&entry.yaml(2));
        if entry.settings.get("auth").is_some_and(|auth| auth.get("password").is_none()) {
            text.push_str("      # password: kept here only as a hash\n");
        }
    }
    text
}

fn now() -> impl std::fmt::Display {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
}

/// A line of the request log: keys and values.
fn line(logged: &Logged) -> String {
    let mut line = format!(
        "time={} remote={} method={} path={} status={} received={} sent={} seconds={:.3} request_id={}",
        now(),
        logged.remote,
        logged.method,
        value(logged.path),
        logged.status.as_u16(),
        logged.received,
        logged.sent,
        logged.took.as_secs_f64(),
        value(logged.request_id),
    );
    if let Some((user, project)) = logged.caller {
        let _ = write!(line, " user={} project={}", value(user), value(project.unwrap_or("-")));
    }
    if let Some(cause) = logged.cause {
        let _ = write!(line, " cause={}", value(cause));
    }
    line
}

/// A value as it is if it is one plain word, else in quotes.
fn value(text: &str) -> String {
    match !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\') {
        true => text.to_owned(),
        false => Value::from(text).to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_place_is_an_address_a_port_or_both() {
        for (text, wanted) in [
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("0.0.0.0", "0.0.0.0:9292"),
            ("::1", "[::1]:9292"),
            ("[::1]", "[::1]:9292"),
            ("[::]:80", "[::]:80"),
            ("8080", "127.0.0.1:8080"),
            (":8080", "127.0.0.1:8080"),
            ("localhost", "127.0.0.1:9292"),
            ("localhost:1", "127.0.0.1:1"),
        ] {
            assert_eq!(place(text).unwrap().to_string(), wanted, "{text}");
        }
        for text in ["", "example.org", "localhosts", "1.2.3.4:x", "70000"] {
            assert!(place(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_value_of_the_log_is_one_word() {
        assert_eq!(value("/v2/images?limit=1"), "/v2/images?limit=1");
        assert_eq!(value("a b\"\n"), r#""a b\"\n""#);
        assert_eq!(value(""), "\"\"");
    }
}
