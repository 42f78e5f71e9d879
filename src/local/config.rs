//! The configuration file of `rimg serve`: who there is, and how the image
//! service is set up. YAML, because clouds.yaml is.
//!
//! Every word in it must be known: what is not is an error with its line.
//! Nothing else of the file gets into a message, for it holds passwords.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use serde::Deserialize;
use serde_saphyr::{Location, Spanned};

use super::identity::directory::{
    ApplicationCredential, DEFAULT_DOMAIN, Directory, Domain, Grant, Project, ROLES, Scope, User, id_of,
};
use super::identity::password::Hash;
use super::policy::Policy;
use super::protection::{ProtectedProperty, Protection};
use super::settings::{IMPORT_METHODS, Settings, StoreSettings};
use crate::error::{Error, Result};

/// More than any honest configuration file.
const MOST_BYTES: u64 = 4 << 20;

/// How long a token is good if the file does not say: as in Keystone.
pub const TOKEN_LIFETIME: SignedDuration = SignedDuration::from_hours(1);

/// What a configuration file says.
pub struct Config {
    /// The image service.
    pub settings: Settings,
    /// Who there is; `None` if the file does not say.
    pub directory: Option<Directory>,
    /// The region that the endpoints are in, if the file says it.
    pub region: Option<String>,
    /// How long a token is good.
    pub token_lifetime: SignedDuration,
    /// The passwords that stand in the file in plain text, by the user's ID.
    pub plain: BTreeMap<String, String>,
    /// Metadata definitions to load: a document, or a directory of them.
    pub metadefs: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            settings: Settings::default(),
            directory: None,
            region: None,
            token_lifetime: TOKEN_LIFETIME,
            plain: BTreeMap::new(),
            metadefs: None,
        }
    }
}

impl Config {
    /// Reads the file at `path`.
    pub fn read(path: &Path) -> Result<Self> {
        let cannot = |e: std::io::Error| Error::io(format!("cannot read `{}`", path.display()), &e);
        let mut text = String::new();
        std::fs::File::open(path).map_err(cannot)?.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(cannot)?;
        if text.len() as u64 > MOST_BYTES {
            return Err(Error::config(format!("`{}` is larger than {} MiB", path.display(), MOST_BYTES >> 20)));
        }
        parse(path, &text)
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct File {
    region: Option<String>,
    token_lifetime: Option<Spanned<u32>>,
    domains: Vec<DomainEntry>,
    projects: Vec<ProjectEntry>,
    users: Vec<UserEntry>,
    policy: BTreeMap<String, Spanned<String>>,
    stores: Vec<StoreEntry>,
    default_store: Option<Spanned<String>>,
    disk_formats: Option<Vec<String>>,
    container_formats: Option<Vec<String>>,
    import_methods: Option<Vec<Spanned<String>>>,
    web_download: WebEntry,
    protected_properties: Vec<ProtectedEntry>,
    metadefs: Option<PathBuf>,
    api_v1: bool,
    quota: QuotaEntry,
    limits: LimitsEntry,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DomainEntry {
    name: Spanned<String>,
    id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProjectEntry {
    name: Spanned<String>,
    id: Option<String>,
    domain: Option<Spanned<String>>,
    #[serde(default)]
    description: String,
    #[serde(default = "yes")]
    enabled: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserEntry {
    name: Spanned<String>,
    id: Option<String>,
    domain: Option<Spanned<String>>,
    #[serde(default = "yes")]
    enabled: bool,
    /// In plain text, or a hash.
    password: Option<Spanned<String>>,
    #[serde(default)]
    roles: Vec<GrantEntry>,
    #[serde(default)]
    application_credentials: Vec<CredentialEntry>,
}

/// Roles on a project, on a domain, or (with neither) on the system.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantEntry {
    project: Option<Spanned<String>>,
    domain: Option<Spanned<String>>,
    system: Option<Spanned<bool>>,
    roles: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialEntry {
    name: Spanned<String>,
    id: Option<String>,
    /// In plain text, or a hash.
    secret: Spanned<String>,
    project: Spanned<String>,
    #[serde(default)]
    roles: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoreEntry {
    name: Spanned<String>,
    #[serde(default)]
    description: String,
    directory: Option<PathBuf>,
}

/// From where the `web-download` import may read.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct WebEntry {
    schemes: Option<Vec<Spanned<String>>>,
    hosts: Option<Vec<Spanned<String>>>,
    ports: Option<Vec<Spanned<u16>>>,
}

/// The roles that may touch the properties whose names the pattern finds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProtectedEntry {
    pattern: Spanned<String>,
    #[serde(default)]
    create: Vec<String>,
    #[serde(default)]
    read: Vec<String>,
    #[serde(default)]
    update: Vec<String>,
    #[serde(default)]
    delete: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct QuotaEntry {
    properties: Option<i64>,
    tags: Option<i64>,
    members: Option<i64>,
    locations: Option<i64>,
    image_size: Option<u64>,
    user_storage: Option<u64>,
}

/// Sizes in bytes, times in seconds.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct LimitsEntry {
    connections: Option<Spanned<usize>>,
    header_bytes: Option<Spanned<usize>>,
    json_bytes: Option<Spanned<usize>>,
    stall: Option<Spanned<usize>>,
    grace: Option<u32>,
    sweep: Option<Spanned<usize>>,
    page: Option<Spanned<usize>>,
    longest_page: Option<Spanned<usize>>,
}

fn yes() -> bool {
    true
}

fn parse(path: &Path, text: &str) -> Result<Config> {
    let wrong = |at: Location, what: String| {
        Error::config(format!("`{}`, line {}: {what}", path.display(), at.line()))
            .next("correct the file; `rimg help serve` shows how it is written")
    };
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: 16, flow_nesting_limit: 16, max_documents: 1 },
        with_snippet: false,
    };
    let mut track = serde_path_to_error::Track::new();
    let mut place = String::new();
    let file = match text.trim().is_empty() {
        true => File::default(),
        false => serde_saphyr::with_deserializer_from_str_with_options(text, options, |deserializer| {
            let read = File::deserialize(serde_path_to_error::Deserializer::new(deserializer, &mut track));
            place = track.path().to_string();
            // One of `Spanned`, not of the file.
            place.truncate(place.strip_suffix(".value").map_or(place.len(), str::len));
            read
        })
        .map_err(|error| {
            let what = match error.without_snippet() {
                serde_saphyr::Error::SerdeUnknownField { field, expected, .. } => {
                    format!("there is no setting `{field}` here, but {}", expected.join(", "))
                }
                serde_saphyr::Error::SerdeMissingField { field, .. } => format!("`{field}` is missing"),
                serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } => format!("`{key}` is there twice"),
                _ if place == "." => "this is not what belongs here, or not YAML".to_owned(),
                _ => format!("`{place}` is not what belongs there, or not YAML"),
            };
            match error.location() {
                Some(at) => wrong(at, what),
                None => Error::config(format!("`{}`: {what}", path.display())),
            }
        })?,
    };
    let mut settings = Settings::default();
    read_settings(&mut settings, &file, &wrong)?;
    let token_lifetime = match &file.token_lifetime {
        Some(seconds) if seconds.value == 0 => {
            return Err(wrong(seconds.defined, "`token_lifetime` must be 1 at least".to_owned()));
        }
        Some(seconds) => SignedDuration::from_secs(i64::from(seconds.value)),
        None => TOKEN_LIFETIME,
    };
    if file.users.is_empty() {
        let named = file.projects.first().map(|project| &project.name).or(file.domains.first().map(|one| &one.name));
        return match named {
            Some(name) => Err(wrong(name.defined, format!("`{}` is of no use without `users`", name.value))),
            None => {
                let (region, metadefs) = (file.region, file.metadefs);
                Ok(Config { settings, directory: None, region, token_lifetime, plain: BTreeMap::new(), metadefs })
            }
        };
    }
    let mut plain = BTreeMap::new();
    let (region, metadefs) = (file.region.clone(), file.metadefs.clone());
    let directory = Some(read_directory(file, &mut plain, &wrong)?);
    Ok(Config { settings, directory, region, token_lifetime, plain, metadefs })
}

type Wrong<'a> = dyn Fn(Location, String) -> Error + 'a;

fn read_settings(settings: &mut Settings, file: &File, wrong: &Wrong) -> Result<()> {
    // One more at a time counts, so that the one at fault is the one named.
    let mut rules: BTreeMap<&str, &str> = file.policy.keys().map(|name| (name.as_str(), "")).collect();
    for (name, check) in &file.policy {
        rules.insert(name, &check.value);
        Policy::new(rules.clone()).map_err(|error| wrong(check.defined, error.message))?;
        settings.policy.push((name.clone(), check.value.clone()));
    }
    let policy = Policy::new(rules)?;
    if let Some((name, check)) = file.policy.iter().find(|(name, _)| !policy.is_used(name)) {
        // Most likely it was to be one that is.
        let what = format!("`{name}` is no rule of Glance's, and no other rule refers to it");
        return Err(wrong(check.defined, what));
    }
    if !file.stores.is_empty() {
        settings.stores.clear();
        for store in &file.stores {
            let name = &store.name.value;
            let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
            if name.is_empty() || !name.chars().all(plain) || name.starts_with("os_glance_") {
                let what = format!("`{name}` is no name for a store: letters, digits, `-` and `_`, not `os_glance_…`");
                return Err(wrong(store.name.defined, what));
            }
            if settings.stores.iter().any(|other| other.name == *name) {
                return Err(wrong(store.name.defined, format!("the store `{name}` is there twice")));
            }
            let (description, directory) = (store.description.clone(), store.directory.clone());
            settings.stores.push(StoreSettings { name: name.clone(), description, directory });
        }
        settings.default_store = settings.stores[0].name.clone();
    }
    if let Some(default) = &file.default_store {
        if !settings.stores.iter().any(|store| store.name == default.value) {
            return Err(wrong(default.defined, format!("there is no store `{}`", default.value)));
        }
        settings.default_store = default.value.clone();
    }
    let set = |to: &mut Vec<String>, from: &Option<Vec<String>>| {
        if let Some(list) = from {
            to.clone_from(list);
        }
    };
    set(&mut settings.disk_formats, &file.disk_formats);
    set(&mut settings.container_formats, &file.container_formats);
    for (key, to, from, known) in [
        ("import_methods", &mut settings.import_methods, &file.import_methods, &IMPORT_METHODS[..]),
        ("web_download.schemes", &mut settings.web_download.schemes, &file.web_download.schemes, &["http", "https"]),
    ] {
        let Some(list) = from else { continue };
        if let Some(other) = list.iter().find(|word| !known.contains(&word.value.as_str())) {
            let what = format!("`{key}` may hold {}, not `{}`", known.join(", "), other.value);
            return Err(wrong(other.defined, what));
        }
        *to = list.iter().map(|word| word.value.clone()).collect();
    }
    if let Some(hosts) = &file.web_download.hosts {
        let host = |given: &Spanned<String>| {
            let what = || {
                format!(
                    "`web_download.hosts` holds names and addresses, without scheme and port, not `{}`",
                    given.value
                )
            };
            host(&given.value).ok_or_else(|| wrong(given.defined, what()))
        };
        settings.web_download.hosts = hosts.iter().map(host).collect::<Result<_>>()?;
    }
    if let Some(ports) = &file.web_download.ports {
        if let Some(zero) = ports.iter().find(|port| port.value == 0) {
            return Err(wrong(zero.defined, "`web_download.ports` holds numbers from 1 to 65535".to_owned()));
        }
        settings.web_download.ports = ports.iter().map(|port| port.value).collect();
    }
    for entry in &file.protected_properties {
        let ProtectedEntry { pattern, create, read, update, delete } = entry;
        let roles = |list: &[String]| list.to_vec();
        let rule = ProtectedProperty {
            pattern: pattern.value.clone(),
            create: roles(create),
            read: roles(read),
            update: roles(update),
            delete: roles(delete),
        };
        Protection::new(std::slice::from_ref(&rule)).map_err(|error| wrong(pattern.defined, error.message))?;
        settings.protected_properties.push(rule);
    }
    settings.api_v1 = file.api_v1;
    let (quota, given) = (&mut settings.quota, &file.quota);
    quota.properties = given.properties.unwrap_or(quota.properties);
    quota.tags = given.tags.unwrap_or(quota.tags);
    quota.members = given.members.unwrap_or(quota.members);
    quota.locations = given.locations.unwrap_or(quota.locations);
    quota.image_size = given.image_size.unwrap_or(quota.image_size);
    quota.user_storage = given.user_storage.or(quota.user_storage);
    let (limits, given) = (&mut settings.limits, &file.limits);
    let at_least = |name: &str, to: &mut usize, from: &Option<Spanned<usize>>, least: usize| match from {
        Some(number) if number.value < least => {
            Err(wrong(number.defined, format!("`limits.{name}` must be {least} at least")))
        }
        Some(number) => {
            *to = number.value;
            Ok(())
        }
        None => Ok(()),
    };
    at_least("connections", &mut limits.connections, &given.connections, 1)?;
    // What hyper needs to work at all.
    at_least("header_bytes", &mut limits.header_bytes, &given.header_bytes, 8192)?;
    at_least("json_bytes", &mut limits.json_bytes, &given.json_bytes, 1024)?;
    at_least("page", &mut limits.page, &given.page, 1)?;
    at_least("longest_page", &mut limits.longest_page, &given.longest_page, 1)?;
    for (name, to, from) in [("stall", &mut limits.stall, &given.stall), ("sweep", &mut limits.sweep, &given.sweep)] {
        let mut seconds = usize::try_from(to.as_secs()).unwrap_or_default();
        at_least(name, &mut seconds, from, 1)?;
        *to = Duration::from_secs(seconds as u64);
    }
    limits.grace = given.grace.map_or(limits.grace, |seconds| Duration::from_secs(seconds.into()));
    Ok(())
}

/// A host as it stands in a URL, if it is one; IPv6 without brackets.
fn host(text: &str) -> Option<String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_string());
    }
    match url::Host::parse(text.trim_end_matches('.')).ok()? {
        url::Host::Domain(name) => Some(name),
        _ => None,
    }
}

fn read_directory(file: File, plain: &mut BTreeMap<String, String>, wrong: &Wrong) -> Result<Directory> {
    let mut directory =
        Directory { region: file.region.unwrap_or_else(|| "RegionOne".to_owned()), ..Directory::default() };
    directory.roles.extend(ROLES.map(str::to_owned));
    directory.domains.push(Domain { id: DEFAULT_DOMAIN.to_owned(), name: "Default".to_owned() });
    for entry in file.domains {
        let name = entry.name.value;
        let id = entry.id.unwrap_or_else(|| id_of(&["domain", &name]));
        if directory.domains.iter().any(|other| other.id == id || other.name == name) {
            return Err(wrong(entry.name.defined, format!("the domain `{name}` or its ID is there already")));
        }
        directory.domains.push(Domain { id, name });
    }
    for entry in file.projects {
        let domain_id = domain(&directory, entry.domain.as_ref(), wrong)?;
        let name = entry.name.value;
        let id = entry.id.unwrap_or_else(|| id_of(&["project", &domain_id, &name]));
        let same = |other: &Project| other.id == id || other.name == name && other.domain_id == domain_id;
        if directory.projects.iter().any(same) {
            return Err(wrong(entry.name.defined, format!("the project `{name}` or its ID is there already")));
        }
        let (description, enabled) = (entry.description, entry.enabled);
        directory.projects.push(Project { id, name, domain_id, description, enabled });
    }
    for entry in file.users {
        let domain_id = domain(&directory, entry.domain.as_ref(), wrong)?;
        let name = entry.name.value;
        let id = entry.id.unwrap_or_else(|| id_of(&["user", &domain_id, &name]));
        let same = |other: &User| other.id == id || other.name == name && other.domain_id == domain_id;
        if directory.users.iter().any(same) {
            return Err(wrong(entry.name.defined, format!("the user `{name}` or its ID is there already")));
        }
        let password = match &entry.password {
            Some(given) => {
                let (hash, is_plain) = secret(given, wrong)?;
                if is_plain {
                    plain.insert(id.clone(), given.value.clone());
                }
                Some(hash)
            }
            None => None,
        };
        let mut grants = Vec::new();
        for grant in entry.roles {
            let scope = match (&grant.project, &grant.domain, &grant.system) {
                (Some(name), None, None) => Scope::Project(project(&directory, name, &domain_id, wrong)?),
                (None, Some(_), None) => Scope::Domain(domain(&directory, grant.domain.as_ref(), wrong)?),
                (None, None, Some(system)) if system.value => Scope::System,
                _ => {
                    let what = "roles are held on one `project`, one `domain`, or with `system: true`".to_owned();
                    return Err(wrong(entry.name.defined, what));
                }
            };
            let roles = roles(&mut directory, grant.roles);
            grants.push(Grant { scope, roles });
        }
        let mut application_credentials: Vec<ApplicationCredential> = Vec::new();
        for entry in entry.application_credentials {
            let project_id = project(&directory, &entry.project, &domain_id, wrong)?;
            let name = entry.name.value;
            let key_id = entry.id.unwrap_or_else(|| id_of(&["application credential", &id, &name]));
            let earlier = directory.users.iter().flat_map(|user| &user.application_credentials);
            let own = application_credentials.iter();
            if own.clone().any(|other| other.name == name) || earlier.chain(own).any(|other| other.id == key_id) {
                let what = format!("the application credential `{name}` or its ID is there already");
                return Err(wrong(entry.name.defined, what));
            }
            let roles = roles(&mut directory, entry.roles);
            let (secret, _) = secret(&entry.secret, wrong)?;
            application_credentials.push(ApplicationCredential {
                id: key_id,
                name,
                secret,
                project_id,
                roles,
                description: None,
                expires: None,
                unrestricted: None,
            });
        }
        let enabled = entry.enabled;
        directory.users.push(User { id, name, domain_id, enabled, password, grants, application_credentials });
    }
    Ok(directory)
}

/// The hash of a secret that is given in plain text (`true`) or as a hash.
fn secret(given: &Spanned<String>, wrong: &Wrong) -> Result<(Hash, bool)> {
    if let Some(hash) = Hash::parse(&given.value) {
        return Ok((hash, false));
    }
    if Hash::is_meant(&given.value) {
        let what = "this looks like a hash of a kind that is not known: use `$pbkdf2-sha512$ROUNDS$SALT$KEY`";
        return Err(wrong(given.defined, what.to_owned()));
    }
    if given.value.is_empty() {
        return Err(wrong(given.defined, "a secret must not be empty".to_owned()));
    }
    Ok((Hash::of(&given.value)?, true))
}

/// The ID of the domain that is named so, by name or ID; the default one if none is.
fn domain(directory: &Directory, named: Option<&Spanned<String>>, wrong: &Wrong) -> Result<String> {
    let Some(named) = named else { return Ok(DEFAULT_DOMAIN.to_owned()) };
    let found = directory.domains.iter().find(|domain| domain.name == named.value || domain.id == named.value);
    found
        .map(|domain| domain.id.clone())
        .ok_or_else(|| wrong(named.defined, format!("there is no domain `{}`", named.value)))
}

/// The ID of the project that is named so, by ID or name, first in the domain of the user.
fn project(directory: &Directory, named: &Spanned<String>, domain_id: &str, wrong: &Wrong) -> Result<String> {
    let of_name = || directory.projects.iter().filter(|project| project.name == named.value);
    let found = directory
        .project(&named.value)
        .or_else(|| of_name().find(|project| project.domain_id == domain_id))
        .or_else(|| of_name().next());
    found
        .map(|project| project.id.clone())
        .ok_or_else(|| wrong(named.defined, format!("there is no project `{}`: add it to `projects`", named.value)))
}

/// The names of roles; those that are new become known.
fn roles(directory: &mut Directory, named: Vec<Spanned<String>>) -> Vec<String> {
    let names: Vec<String> = named.into_iter().map(|role| role.value).collect();
    for name in &names {
        if !directory.roles.contains(name) {
            directory.roles.push(name.clone());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(text: &str) -> Result<Config> {
        parse(Path::new("serve.yaml"), text)
    }

    const PEOPLE: &str = "
projects:
- name: demo
users:
- name: demo
  password: 0123
  roles:
  - {project: demo, roles: [member, auditor]}
  application_credentials:
  - {name: ci, secret: sesame, project: demo, roles: [reader]}
";

    #[test]
    fn users_have_passwords_roles_and_keys() {
        let config = read(PEOPLE).unwrap();
        let directory = config.directory.unwrap();
        let user = &directory.users[0];
        assert!(user.password.as_ref().unwrap().is_of("0123"));
        assert_eq!(config.plain[&user.id], "0123");
        let scope = Scope::Project(directory.projects[0].id.clone());
        assert_eq!(directory.roles_of(user, &scope), ["member", "reader", "auditor"]);
        assert!(user.application_credentials[0].secret.is_of("sesame"));
    }

    #[test]
    fn the_image_service_is_set_up() {
        let text = "
policy: {publicize_image: 'role:member'}
stores: [{name: fast}, {name: slow, directory: /srv/slow}]
default_store: slow
quota: {tags: 3, user_storage: 5000}
limits: {stall: 5, grace: 0, sweep: 7, longest_page: 10}
token_lifetime: 60
";
        let config = read(text).unwrap();
        assert!(config.directory.is_none());
        assert_eq!(config.token_lifetime, SignedDuration::from_secs(60));
        let settings = config.settings;
        assert_eq!(settings.policy, [("publicize_image".to_owned(), "role:member".to_owned())]);
        assert_eq!((settings.stores.len(), settings.default_store.as_str()), (2, "slow"));
        assert_eq!((settings.quota.tags, settings.quota.user_storage), (3, Some(5000)));
        assert_eq!((settings.limits.stall, settings.limits.longest_page), (Duration::from_secs(5), 10));
        assert_eq!(settings.limits.sweep, Duration::from_secs(7));
        assert!(read("").is_ok() && read("# nothing\n").is_ok());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_no_secret() {
        for (text, message) in [
            ("users:\n- name: a\n  pasword: hunter2\n", "line 3: there is no setting `pasword` here, but name, id"),
            ("users:\n- password: hunter2\n", "line 2: `name` is missing"),
            ("users: hunter2\n", "line 1: `users` is not what belongs there, or not YAML"),
            ("quota:\n  tags: hunter2\n", "line 2: `quota.tags` is not what belongs there, or not YAML"),
            ("users:\n- name: a\n  password: $2b$12$hunter2\n", "line 3: this looks like a hash of a kind"),
            ("users:\n- name: a\n  roles:\n  - {project: p, roles: [x]}\n", "line 4: there is no project `p`"),
            ("users:\n- {name: a}\n- {name: a}\n", "line 3: the user `a` or its ID is there already"),
            ("policy:\n  add_image: role:x\n  get_image: rule:nope\n", "line 3: "),
            ("projects:\n- name: p\n", "line 2: `p` is of no use without `users`"),
            ("stores:\n- name: ../x\n", "line 2: `../x` is no name for a store"),
            ("default_store: x\n", "line 1: there is no store `x`"),
            ("limits:\n  sweep: 0\n", "line 2: `limits.sweep` must be 1 at least"),
            ("limits:\n  page: 0\n", "line 2: `limits.page` must be 1 at least"),
        ] {
            let error = read(text).err().unwrap();
            let wanted = format!("`serve.yaml`, {message}");
            assert!(error.message.starts_with(&wanted), "{}\n{wanted}", error.message);
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn every_key_of_the_image_service_is_taken_over() {
        let text = "
import_methods: [copy-image]
web_download: {schemes: [https], hosts: [Mirror.Example., '::1', bücher.example], ports: [8080]}
metadefs: /srv/metadefs
protected_properties:
- {pattern: ^billing_, create: [admin], read: ['@'], update: ['!']}
- {pattern: ., create: [member], read: [member], update: [member], delete: [member]}
quota: {properties: -1, tags: 2, members: 3, locations: 4, image_size: 5, user_storage: 6}
policy: {publicize_image: 'rule:mine', mine: 'role:member'}
";
        let config = read(text).unwrap();
        assert_eq!(config.metadefs.as_deref(), Some(Path::new("/srv/metadefs")));
        let settings = config.settings;
        assert_eq!(settings.import_methods, ["copy-image"]);
        let web = settings.web_download;
        assert_eq!((web.schemes, web.ports), (vec!["https".to_owned()], vec![8080]));
        assert_eq!(web.hosts, ["mirror.example", "::1", "xn--bcher-kva.example"]);
        let [billing, rest] = &settings.protected_properties[..] else { panic!("two rules") };
        assert_eq!((&*billing.pattern, &billing.create[..]), ("^billing_", &["admin".to_owned()][..]));
        assert_eq!((&*billing.read[0], &*billing.update[0], billing.delete.len()), ("@", "!", 0));
        assert_eq!((&*rest.pattern, &*rest.delete[0]), (".", "member"));
        let quota = settings.quota;
        assert_eq!((quota.properties, quota.tags, quota.members, quota.locations), (-1, 2, 3, 4));
        assert_eq!((quota.image_size, quota.user_storage), (5, Some(6)));
        assert_eq!(settings.policy.len(), 2);
        assert!(read("web_download: {ports: []}\n").unwrap().settings.web_download.ports.is_empty());
    }

    #[test]
    fn each_malformed_shape_names_its_line_and_key() {
        let kind = "is not what belongs there, or not YAML";
        for (text, line, message) in [
            ("protected_properties: {}\n", 1, format!("`protected_properties` {kind}")),
            ("protected_properties:\n- create: [a]\n", 2, "`pattern` is missing".into()),
            ("protected_properties:\n- {pattern: a, creat: [b]}\n", 2, "there is no setting `creat` here".into()),
            ("protected_properties:\n- {pattern: [a]}\n", 2, format!("`protected_properties[0].pattern` {kind}")),
            (
                "protected_properties:\n- {pattern: a,\n   read: b}\n",
                3,
                format!("`protected_properties[0].read` {kind}"),
            ),
            ("protected_properties:\n- {pattern: a}\n- {pattern: '('}\n", 3, "`(` is not a pattern".into()),
            ("protected_properties:\n- {pattern: a, read: ['@', '!']}\n", 2, "the protected properties `a` are".into()),
            ("web_download: http\n", 1, format!("`web_download` {kind}")),
            ("web_download:\n  host: [a]\n", 2, "there is no setting `host` here, but schemes, hosts, ports".into()),
            ("web_download:\n  schemes:\n  - http\n  - ftp\n", 4, "`web_download.schemes` may hold http, https".into()),
            ("web_download:\n  hosts: mirror\n", 2, format!("`web_download.hosts` {kind}")),
            ("web_download:\n  hosts: ['http://mirror']\n", 2, "`web_download.hosts` holds names and addresses".into()),
            ("web_download:\n  hosts: ['mirror:80']\n", 2, "`web_download.hosts` holds names and addresses".into()),
            ("web_download:\n  hosts: ['[::1]']\n", 2, "`web_download.hosts` holds names and addresses".into()),
            ("web_download:\n  ports: 80\n", 2, format!("`web_download.ports` {kind}")),
            ("web_download:\n  ports:\n  - 80\n  - 65536\n", 4, format!("`web_download.ports[1]` {kind}")),
            ("web_download:\n  ports: [0]\n", 2, "`web_download.ports` holds numbers from 1 to 65535".into()),
            ("import_methods: [glance-direkt]\n", 1, "`import_methods` may hold glance-direct, ".into()),
            ("metadefs: [a]\n", 1, format!("`metadefs` {kind}")),
            ("metadefs: a\nmetadefs: b\n", 2, "`metadefs` is there twice".into()),
            ("quota: 5\n", 1, format!("`quota` {kind}")),
            ("quota:\n  tag: 5\n", 2, "there is no setting `tag` here, but properties, tags".into()),
            ("quota:\n  members: many\n", 2, format!("`quota.members` {kind}")),
            ("quota:\n  tags: 1\n  image_size: -1\n", 3, format!("`quota.image_size` {kind}")),
            ("quota:\n  user_storage: 5 GB\n", 2, format!("`quota.user_storage` {kind}")),
            ("quota:\n  properties: 99999999999999999999\n", 2, format!("`quota.properties` {kind}")),
            ("policy: role:member\n", 1, format!("`policy` {kind}")),
            ("policy:\n  add_image: [role:member]\n", 2, format!("`policy.add_image` {kind}")),
            (
                "policy:\n  get_image: ''\n  add_image: role:a or\n",
                3,
                "the policy rule `add_image` cannot be read".into(),
            ),
            ("policy:\n  add_image: rule:nope\n", 2, "the policy rule `add_image` refers to `nope`".into()),
            ("policy:\n  a: rule:b\n  b: rule:a\n", 3, "the policy rule `".into()),
            ("policy:\n  a: rule:x\n  b: 'role:'\n", 2, "the policy rule `a` refers to `x`".into()),
            ("policy:\n  publicise_image: role:member\n", 2, "`publicise_image` is no rule of Glance's".into()),
        ] {
            let error = read(text).err().unwrap_or_else(|| panic!("taken: {text}"));
            let wanted = format!("`serve.yaml`, line {line}: {message}");
            assert!(error.message.starts_with(&wanted), "{text}\n{}\n{wanted}", error.message);
        }
    }
}
