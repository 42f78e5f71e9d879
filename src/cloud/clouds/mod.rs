//! Merging: defaults, vendor profile, file entry, region, variables, flags.
//!
//! The order is that of `openstack`: a later layer wins, `auth` key by key, and
//! an `OS_*` variable that has a flag wins over files even when the cloud was
//! named. Where `openstack` trips over its own order (a default that hides
//! the user's value, an old name that beats a flag), the layer decides:
//! names are made canonical inside each layer, before layers meet.
//!
//! <https://docs.openstack.org/openstacksdk/latest/user/config/configuration.html#setting-precedence>

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::config::{CloudConfig, Origin, Setting};
use super::files::{Search, search, with_underscores};
use super::options::{self, Flags, Given, OPTIONS, Place, is_secret, sort_key};
use super::surroundings::Surroundings;
use super::vendors;
use crate::error::{Error, Result};

type Entry = Map<String, Value>;

/// Variables that choose or find a cloud; any other `OS_*` describes one.
const SELECTORS: [&str; 5] =
    ["OS_CLOUD", "OS_REGION_NAME", "OS_CLIENT_CONFIG_FILE", "OS_CLIENT_SECURE_FILE", "OS_CLOUD_NAME"];

/// The cloud that rimg brings along, unless a file has one of that name.
pub const LOCAL: &str = "local";

/// Plug-ins that work without a Keystone.
const WITHOUT_KEYSTONE: [&str; 3] = ["none", "admin_token", "http_basic"];

/// The configuration that flags, environment and files add up to.
///
/// # Errors
/// No cloud is configured, or the one asked for is unknown; the region is not
/// one of the cloud's; a file or a value makes no sense.
pub fn load(flags: &Flags, surroundings: &Surroundings) -> Result<CloudConfig> {
    let mut files = Files::read(surroundings)?;
    let mut warnings = std::mem::take(&mut files.warnings);
    let described = described_by_environment(surroundings);
    let env_name = surroundings.variable("OS_CLOUD_NAME").unwrap_or("envvars");
    if let Some(path) = files.path_of(env_name) {
        return Err(Error::config(format!(
            "`{}` has a cloud named `{env_name}`, which is the name of the cloud made of OS_* variables",
            path.display()
        ))
        .next("rename it there, or set OS_CLOUD_NAME to another name"));
    }

    let asked = given(flags, surroundings, "os-cloud").map(|(name, _)| name);
    let source = match asked {
        Some(name) if name == env_name && described.is_some() => Source::Environment,
        Some(name) if files.path_of(name).is_some() => Source::File(name.to_owned()),
        // A file that cannot be read may be the one that has it.
        Some(LOCAL) if files.clouds.broken.is_none() => Source::BuiltIn,
        Some(name) => return Err(files.unknown_cloud(name)),
        None if described.is_some() => Source::Environment,
        None => match files.names().as_slice() {
            [only] => Source::File(only.clone()),
            _ => Source::Nothing,
        },
    };

    let mut merge = Merge::default();
    merge.defaults();
    files.client_section(&mut merge);
    files.cache_section(&mut merge);
    for (variable, key) in [("OS_FORCE_IPV4", "force_ipv4"), ("OS_PREFER_IPV6", "prefer_ipv6")] {
        if let Some(text) = surroundings.variable(variable) {
            merge.set(Place::Top, key, text.into(), Origin::Variable(variable.to_owned()));
        }
    }

    let (name, layers) = match &source {
        Source::Environment => (Some(env_name.to_owned()), vec![environment_layer(surroundings)]),
        Source::File(name) => (Some(name.clone()), files.layers(name)?),
        Source::BuiltIn => (Some(LOCAL.to_owned()), Vec::new()),
        Source::Nothing => (None, Vec::new()),
    };
    // What the entry says about profile and regions, in its last layer.
    let entry_says =
        |key: &str| layers.iter().rev().find_map(|layer| layer.entry.get(key).filter(|value| !value.is_null()));

    let mut profile = None;
    let cloud = name.as_deref().unwrap_or_default();
    let profile_name = entry_says("profile").or_else(|| entry_says("cloud")).and_then(Value::as_str);
    if let Some(vendor) = profile_name.filter(|vendor| !vendor.is_empty() && *vendor != env_name) {
        profile = match public_cloud(vendor, surroundings, &mut warnings)? {
            Some(entry) => Some(entry),
            None => vendors::profile(vendor, cloud, &mut warnings)?,
        };
        match &profile {
            Some(entry) => merge.layer(entry, |_| Origin::Profile(vendor.to_owned())),
            None => warnings.push(format!("cloud `{cloud}` has the profile `{vendor}`, which is not known")),
        }
    }
    for layer in &layers {
        merge.layer(&layer.entry, |key| layer.origin(key));
    }

    // A variable is part of the environment's own entry, not a list to choose from.
    let region_name = match source {
        Source::Environment => None,
        _ => entry_says("region_name"),
    };
    let profile_says = |key: &str| profile.as_ref().and_then(|entry| entry.get(key));
    let (list, of_entry) = match entry_says("regions").or(region_name) {
        Some(list) => (Some(list), true),
        None => (profile_says("regions").or_else(|| profile_says("region_name")), false),
    };
    let mut regions = regions(list, cloud)?;
    if region_name.and_then(Value::as_str).is_some_and(|text| text.contains(',')) {
        warnings.push(format!("cloud `{cloud}` has a `region_name` with commas: write a list under `regions`"));
    }
    let region_asked = given(flags, surroundings, "os-region-name");
    if let (Source::Environment, Some((asked, _))) = (&source, region_asked) {
        // Here a profile's list only helps, as in `openstack`.
        regions.retain(|region| region.name == asked);
    }
    if let Some(region) = choose_region(&regions, region_asked, cloud)? {
        let says = |layer: &&Layer| ["regions", "region_name"].iter().any(|key| layer.entry.contains_key(*key));
        let origin = match (profile_name, layers.iter().rev().find(says)) {
            (Some(vendor), _) if !of_entry => Origin::Profile(vendor.to_owned()),
            (_, Some(layer)) => layer.origin("region_name"),
            _ => Origin::Default,
        };
        merge.set(Place::Top, "region_name", region.name.as_str().into(), origin.clone());
        merge.layer(&region.values, |_| origin.clone());
    }

    let overridden = merge.given(flags, surroundings);
    if let (Source::File(name), [_, ..]) = (&source, overridden.as_slice()) {
        let path = files.path_of(name).unwrap_or(Path::new("clouds.yaml"));
        warnings.push(format!(
            "{} in the environment {} what `{}` says of cloud `{name}`: unset {} if that is not meant",
            spoken_list(&overridden, "and"),
            if overridden.len() == 1 { "overrides" } else { "override" },
            path.display(),
            if overridden.len() == 1 { "it" } else { "them" },
        ));
    }
    merge.bundle_of_environment(surroundings);
    merge.fix_up(&mut warnings)?;

    let built_in = matches!(source, Source::BuiltIn);
    if built_in {
        // Who and where is not for flags and variables to say: those of
        // another cloud may still be in the environment.
        merge.auth.clear();
        merge.top.retain(|key, _| !key.ends_with("endpoint") && !key.ends_with("endpoint_override"));
        merge.set(Place::Top, "auth_type", "admin_token".into(), Origin::Default);
    }
    if let Some(name) = &name {
        let origin = match given(flags, surroundings, "os-cloud") {
            Some((_, Given::Flag)) => Origin::Flag("os-cloud"),
            Some((_, Given::Variable(variable))) => Origin::Variable(variable.to_owned()),
            // The only one there is.
            None => Origin::Default,
        };
        merge.set(Place::Top, "cloud", name.as_str().into(), origin);
    }
    let config = CloudConfig {
        built_in,
        region: merge.top.get("region_name").and_then(Setting::text).map(str::to_owned),
        name,
        auth: merge.auth,
        settings: merge.top,
        warnings,
        home: surroundings.home.clone(),
    };
    if config.auth("auth_url").is_none() && !WITHOUT_KEYSTONE.contains(&config.auth_type()) {
        return Err(files.no_auth_url(&source, described.as_deref(), surroundings));
    }
    finish(config)
}

/// The clouds that can be named, for completion: sorted, silent on trouble.
pub fn cloud_names(surroundings: &Surroundings) -> Vec<String> {
    let mut names = Files::read(surroundings).map(|files| files.names()).unwrap_or_default();
    if let Err(at) = names.binary_search_by(|name| name.as_str().cmp(LOCAL)) {
        names.insert(at, LOCAL.to_owned());
    }
    names
}

/// Where the chosen cloud is described.
enum Source {
    Environment,
    File(String),
    /// [`LOCAL`]: nowhere.
    BuiltIn,
    /// Only by flags, if at all.
    Nothing,
}

/// An entry to merge, and where it is from.
struct Layer {
    entry: Entry,
    /// The file, and the cloud in it; `None` is the environment.
    place: Option<(PathBuf, String)>,
}

impl Layer {
    fn origin(&self, key: &str) -> Origin {
        match &self.place {
            Some((path, cloud)) => Origin::File { path: path.clone(), cloud: cloud.clone() },
            None => Origin::Variable(format!("OS_{}", key.to_ascii_uppercase())),
        }
    }
}

/// `clouds.yaml` and `secure.yaml`.
struct Files {
    clouds: Search,
    secure: Search,
    warnings: Vec<String>,
}

impl Files {
    fn read(surroundings: &Surroundings) -> Result<Self> {
        let named = |variable| surroundings.variable(variable).map(|path| (variable, path));
        let mut clouds = search("clouds", named("OS_CLIENT_CONFIG_FILE"), surroundings)?;
        let mut secure = search("secure", named("OS_CLIENT_SECURE_FILE"), surroundings)?;
        let mut warnings = std::mem::take(&mut clouds.warnings);
        warnings.append(&mut secure.warnings);
        for (path, content) in [&clouds, &secure].into_iter().flat_map(|search| &search.found) {
            match content.get("clouds") {
                Some(Value::Object(clouds)) => {
                    if let Some((name, _)) = clouds.iter().find(|(_, entry)| !entry.is_object() && !entry.is_null()) {
                        return Err(Error::config(format!("cloud `{name}` in `{}` is not a mapping", path.display()))
                            .next("indent its keys below its name"));
                    }
                }
                Some(Value::Null) => {}
                None if content.is_empty() => {}
                None => warnings.push(format!("`{}` has no `clouds` key", path.display())),
                Some(_) => {
                    return Err(Error::config(format!("`clouds` in `{}` is not a mapping", path.display()))
                        .next("write the clouds' names below it, indented"));
                }
            }
        }
        Ok(Files { clouds, secure, warnings })
    }

    /// The files with the entries that they have for `name`: first the one
    /// of `clouds.yaml`, then the one of `secure.yaml`.
    fn entries<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = (&'a Path, &'a Value)> + use<'a, 'n> {
        [&self.clouds, &self.secure].into_iter().filter_map(move |search| {
            let (path, content) = search.found.as_ref()?;
            Some((path.as_path(), content.get("clouds")?.get(name)?))
        })
    }

    fn path_of(&self, name: &str) -> Option<&Path> {
        self.entries(name).next().map(|(path, _)| path)
    }

    fn layers(&self, name: &str) -> Result<Vec<Layer>> {
        self.entries(name)
            .map(|(path, entry)| {
                let entry = entry.as_object().map(with_underscores).unwrap_or_default();
                if entry.get("auth").is_some_and(|auth| !auth.is_object() && !auth.is_null()) {
                    return Err(Error::config(format!(
                        "`auth` of cloud `{name}` in `{}` is not a mapping",
                        path.display()
                    ))
                    .next("indent auth_url and the others below it"));
                }
                Ok(Layer { entry, place: Some((path.to_owned(), name.to_owned())) })
            })
            .collect()
    }

    /// The names in both files, sorted.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = [&self.clouds, &self.secure]
            .into_iter()
            .filter_map(|search| search.found.as_ref()?.1.get("clouds")?.as_object())
            .flat_map(|clouds| clouds.keys().cloned())
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// The `client` section, which holds for every cloud of the file.
    fn client_section(&self, merge: &mut Merge) {
        for (path, content) in [&self.clouds, &self.secure].into_iter().flat_map(|search| &search.found) {
            let Some(section) = content.get("client").and_then(Value::as_object) else {
                continue;
            };
            let section = with_underscores(section);
            for (name, key) in
                [("broken_ipv6", "force_ipv4"), ("force_ipv4", "force_ipv4"), ("prefer_ipv6", "prefer_ipv6")]
            {
                if let Some(value @ Value::String(_)) = section.get(name) {
                    let origin = Origin::File { path: path.clone(), cloud: "client".to_owned() };
                    merge.set(Place::Top, key, value.clone(), origin);
                }
            }
        }
    }

    /// The `cache` section, of which the tokens matter here
    /// (<https://docs.openstack.org/openstacksdk/latest/user/config/configuration.html#cache-settings>).
    fn cache_section(&self, merge: &mut Merge) {
        for (path, content) in [&self.clouds, &self.secure].into_iter().flat_map(|search| &search.found) {
            if let Some(value @ Value::String(_)) = content.get("cache").and_then(|section| section.get("auth")) {
                let origin = Origin::File { path: path.clone(), cloud: "cache".to_owned() };
                merge.set(Place::Top, "token_cache", value.clone(), origin);
            }
        }
    }

    fn unknown_cloud(&self, name: &str) -> Error {
        if let Some(broken) = &self.clouds.broken {
            return broken.clone();
        }
        let names = self.names();
        match &self.clouds.found {
            Some((path, _)) if !names.is_empty() => {
                Error::config(format!("there is no cloud `{name}` in `{}`", path.display()))
                    .next(format!("choose one of {} with --os-cloud or OS_CLOUD", quoted(&names)))
            }
            Some((path, _)) => Error::config(format!("there is no cloud `{name}`: `{}` has none", path.display()))
                .next(format!("write `{name}` there under `clouds`")),
            None => Error::config(format!("there is no cloud `{name}`: no clouds.yaml was found")).next(
                "write it to ~/.config/openstack/clouds.yaml, or set OS_CLIENT_CONFIG_FILE to the file that has it",
            ),
        }
    }

    /// Why there is no address to sign in at, and what to do about it.
    fn no_auth_url(&self, source: &Source, described: Option<&str>, surroundings: &Surroundings) -> Error {
        if let (Some(broken), None) = (&self.clouds.broken, &self.clouds.found) {
            return broken.clone();
        }
        let names = self.names();
        match (source, &self.clouds.found) {
            (Source::File(name), _) => {
                let path = self.path_of(name).unwrap_or(Path::new("clouds.yaml"));
                Error::config(format!("cloud `{name}` in `{}` has no `auth_url`", path.display()))
                    .next("add it there under `auth`, or give --os-auth-url or OS_AUTH_URL")
            }
            (Source::Environment, Some((path, _))) if !names.is_empty() => Error::config(format!(
                "the cloud is taken from the environment, because `{}` is set, and there is no OS_AUTH_URL",
                described.unwrap_or("OS_*")
            ))
            .next(format!("choose a cloud of `{}` with --os-cloud: {}", path.display(), quoted(&names))),
            (Source::Nothing, Some((path, _))) if !names.is_empty() => {
                Error::config(format!("no cloud is chosen: `{}` has {}", path.display(), quoted(&names)))
                    .next("choose one with --os-cloud or OS_CLOUD")
            }
            (_, found) => {
                let looked = match found {
                    Some((path, _)) => format!("`{}` has no clouds", path.display()),
                    None => {
                        let dirs: Vec<String> = std::iter::once(&surroundings.directory)
                            .chain(&surroundings.config_dirs)
                            .map(|dir| dir.display().to_string())
                            .collect();
                        format!("there is no clouds.yaml in {}", spoken_list(&quoted_each(&dirs), "or"))
                    }
                };
                Error::config(format!("no cloud is configured: {looked}, and OS_AUTH_URL is not set")).next(
                    "name a cloud of a clouds.yaml with --os-cloud or OS_CLOUD; or `source openrc`, \
                     which sets OS_AUTH_URL and other variables; or give --os-auth-url, --os-username and so on; \
                     or try rimg without a cloud, with --os-cloud local",
                )
            }
        }
    }
}

/// The entry that `clouds-public.yaml` has for a vendor.
fn public_cloud(vendor: &str, surroundings: &Surroundings, warnings: &mut Vec<String>) -> Result<Option<Entry>> {
    let mut public = search("clouds-public", None, surroundings)?;
    warnings.append(&mut public.warnings);
    let entry = public.found.as_ref().and_then(|(_, content)| content.get("public-clouds")?.get(vendor));
    Ok(entry.and_then(Value::as_object).map(with_underscores))
}

/// A value given by flag or variable, without the configuration.
fn given<'a>(flags: &'a Flags, surroundings: &'a Surroundings, flag: &str) -> Option<(&'a str, Given)> {
    options::option(flag).and_then(|option| option.given(flags, surroundings))
}

/// The first `OS_*` variable that describes a cloud, if there is one.
fn described_by_environment(surroundings: &Surroundings) -> Option<String> {
    describing(surroundings).map(|(name, _)| name).find(|name| !SELECTORS.contains(name)).map(str::to_owned)
}

/// The variables that make up the environment's cloud. Those of test runs
/// and logging are not meant for us.
fn describing(surroundings: &Surroundings) -> impl Iterator<Item = (&str, &str)> {
    surroundings.variables.keys().filter_map(|name| {
        let strange = ["OS_TEST", "OS_STD", "OS_LOG"].iter().any(|prefix| name.starts_with(prefix));
        let value = surroundings.variable(name)?;
        (name.starts_with("OS_") && name.len() > 3 && !strange).then_some((name.as_str(), value))
    })
}

/// The environment as an entry: every `OS_FOO` is its key `foo`.
fn environment_layer(surroundings: &Surroundings) -> Layer {
    let entry = describing(surroundings)
        .filter(|(name, _)| !SELECTORS.contains(name) || *name == "OS_REGION_NAME")
        .map(|(name, value)| (name["OS_".len()..].to_ascii_lowercase(), Value::from(value)))
        .collect();
    Layer { entry, place: None }
}

/// A region that a cloud lists, and the settings special to it.
struct Region {
    name: String,
    values: Entry,
}

/// The regions of `list`: a list of names or of `{name, values}`, or text
/// with commas.
fn regions(list: Option<&Value>, cloud: &str) -> Result<Vec<Region>> {
    let plain = |name: &str| Region { name: name.to_owned(), values: Entry::new() };
    match list {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(text.split(',').filter(|name| !name.is_empty()).map(plain).collect()),
        Some(Value::Array(list)) => list
            .iter()
            .map(|item| match item {
                Value::String(name) => Some(plain(name)),
                Value::Object(map) if map.keys().all(|key| key == "name" || key == "values") => Some(Region {
                    name: map.get("name")?.as_str()?.to_owned(),
                    values: match map.get("values") {
                        Some(Value::Object(values)) => with_underscores(values),
                        None | Some(Value::Null) => Entry::new(),
                        Some(_) => return None,
                    },
                }),
                _ => None,
            })
            .collect::<Option<_>>()
            .ok_or_else(|| {
                Error::config(format!(
                    "a region of cloud `{cloud}` is neither a name nor a mapping with `name` and `values`"
                ))
                .next("correct the list `regions` of the cloud")
            }),
        Some(_) => Err(Error::config(format!("the regions of cloud `{cloud}` are not a list"))
            .next("write `regions:` and below it one name per line, each after `- `")),
    }
}

/// The region asked for, else the first. A cloud that lists no region lets
/// every name pass.
fn choose_region<'a>(regions: &'a [Region], asked: Option<(&str, Given)>, cloud: &str) -> Result<Option<&'a Region>> {
    let (Some((name, given)), [_, ..]) = (asked, regions) else {
        return Ok(regions.first());
    };
    if let Some(region) = regions.iter().find(|region| region.name == name) {
        return Ok(Some(region));
    }
    let from = match given {
        Given::Flag => String::new(),
        Given::Variable(variable) => format!(" (from {variable})"),
    };
    let names: Vec<String> = regions.iter().map(|region| region.name.clone()).collect();
    Err(Error::config(format!("`{name}`{from} is not a region of cloud `{cloud}`")).next(match names.as_slice() {
        [only] => format!(
            "leave the region out, the cloud has only `{only}`; for a choice, list all under `regions` in place of `region_name`"
        ),
        _ => format!("choose one of {}; case matters", quoted(&names)),
    }))
}

/// The layers so far.
#[derive(Default)]
struct Merge {
    top: BTreeMap<String, Setting>,
    auth: BTreeMap<String, Setting>,
}

impl Merge {
    fn set(&mut self, place: Place, key: &str, value: Value, origin: Origin) {
        let map = match place {
            Place::Top => &mut self.top,
            Place::Auth => &mut self.auth,
        };
        let value = match (map.remove(key).map(|old| old.value), value) {
            (Some(Value::Object(mut old)), Value::Object(new)) => {
                old.extend(new);
                Value::Object(old)
            }
            (_, new) => new,
        };
        map.insert(key.to_owned(), Setting { value, origin, secret: is_secret(key) });
    }

    /// What holds when nobody says anything: openstacksdk's defaults that
    /// concern images.
    fn defaults(&mut self) {
        for (key, value) in [
            ("interface", "public"),
            ("verify", "true"),
            ("default_domain", "default"),
            ("image_status_code_retries", "5"),
            ("token_cache", "true"),
        ] {
            self.set(Place::Top, key, value.into(), Origin::Default);
        }
    }

    /// Lays `entry` over what is there. Under one roof the proper name of a
    /// key wins over its old ones, and a key beside `auth` over one in it.
    fn layer(&mut self, entry: &Entry, origin: impl Fn(&str) -> Origin) {
        let auth = entry.get("auth").and_then(Value::as_object);
        let written = auth
            .into_iter()
            .flatten()
            .map(|(key, value)| (Place::Auth, key, value))
            .chain(entry.iter().map(|(key, value)| (Place::Top, key, value)))
            .filter(|(place, key, _)| {
                *place == Place::Auth || !["auth", "profile", "cloud", "regions"].contains(&key.as_str())
            });
        let mut found: Vec<_> = written.map(|(place, key, value)| (sort_key(key, place), place, key, value)).collect();
        // Stable: in one place, old names first; then what stands beside `auth`.
        found.sort_by_key(|((_, _, old), place, ..)| (!old, *place == Place::Top));
        for ((place, name, _), _, key, value) in found {
            self.set(place, &name, value.clone(), origin(key));
        }
    }

    /// Lays the flags and their variables over everything. The answer names
    /// the variables that changed what a file says.
    fn given(&mut self, flags: &Flags, surroundings: &Surroundings) -> Vec<String> {
        let mut overridden = Vec::new();
        for option in OPTIONS.iter().filter(|option| option.key != "cloud") {
            let Some((text, given)) = option.given(flags, surroundings) else {
                continue;
            };
            let map = if option.place == Place::Top { &self.top } else { &self.auth };
            let origin = match given {
                Given::Flag => Origin::Flag(option.flag),
                Given::Variable(variable) => {
                    let changed = map.get(option.key).is_some_and(|old| {
                        matches!(old.origin, Origin::File { .. }) && !old.value.is_null() && old.text() != Some(text)
                    });
                    if changed {
                        overridden.push(variable.to_owned());
                    }
                    Origin::Variable(variable.to_owned())
                }
            };
            // An ID is stronger than a name, but not one that the user just typed.
            let id = match option.key {
                "username" => Some("user_id".to_owned()),
                key => key.strip_suffix("_name").map(|what| format!("{what}_id")),
            };
            if let (Given::Flag, Place::Auth, Some(id)) = (given, option.place, id)
                && self.auth.get(&id).is_some_and(|setting| !matches!(setting.origin, Origin::Flag(_)))
            {
                self.auth.remove(&id);
            }
            // Asking for the check means it, whatever a file says elsewhere.
            if option.flag == "verify" {
                self.top.remove("insecure");
            }
            self.set(option.place, option.key, text.into(), origin);
        }
        overridden
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.top.get(key).and_then(Setting::text)
    }

    /// Where nobody named authorities, and the check is on, the variables of the
    /// `requests` library do
    /// (<https://requests.readthedocs.io/en/latest/user/advanced/#ssl-cert-verification>).
    fn bundle_of_environment(&mut self, surroundings: &Surroundings) {
        let is = |key: &str, words: &[&str]| {
            self.text(key).is_some_and(|text| words.contains(&text.to_ascii_lowercase().as_str()))
        };
        let named = self.text("cacert").is_some_and(|path| !path.is_empty());
        let checked = is("verify", &["true", "yes", "on", "1"]) && !is("insecure", &["true", "yes", "on", "1"]);
        if named || !checked {
            return;
        }
        for variable in ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"] {
            if let Some(path) = surroundings.variable(variable) {
                return self.set(Place::Top, "cacert", path.into(), Origin::Variable(variable.to_owned()));
            }
        }
    }

    /// The last adjustments, in the order of `openstack`.
    fn fix_up(&mut self, warnings: &mut Vec<String>) -> Result<()> {
        // A null, or nothing between quotes, is how an entry unsets a profile's value.
        let empty = |setting: &Setting| setting.value.is_null() || setting.text() == Some("");
        self.auth.retain(|_, setting| !empty(setting));
        self.top.retain(|_, setting| !empty(setting));
        self.choose_auth_type();
        self.spread_domain();
        self.settle_identity_v2(warnings);
        self.assume_domain();
        if let Some(methods) = self.auth.get_mut("auth_methods")
            && let Some(text) = methods.text()
        {
            methods.value = text.split(',').map(str::trim).collect();
        }
        self.fill_placeholders()
    }

    /// Without an explicit type: an endpoint and a token need no Keystone, a
    /// token without a password is a token, else it is a password.
    fn choose_auth_type(&mut self) {
        let chosen = match self.text("auth_type") {
            Some("None") => "none",
            Some("token_endpoint") => "admin_token",
            Some(_) => return,
            None => {
                let has = |key: &str| self.auth.contains_key(key);
                let typed =
                    |key: &str| self.auth.get(key).is_some_and(|setting| matches!(setting.origin, Origin::Flag(_)));
                if has("endpoint") && has("token") {
                    "admin_token"
                } else if has("token") && (!has("password") || typed("token") && !typed("password")) {
                    "token"
                } else {
                    "password"
                }
            }
        };
        let origin = self.top.get("auth_type").map_or(Origin::Default, |setting| setting.origin.clone());
        self.set(Place::Top, "auth_type", chosen.into(), origin);
    }

    /// In a cloud scoped to a project, `domain_*` is short for the user's and
    /// the project's domain.
    fn spread_domain(&mut self) {
        let scoped = ["project_id", "project_name"].iter().any(|key| self.auth.contains_key(*key));
        if !scoped || self.text("auth_type") == Some("v2password") {
            return;
        }
        for what in ["id", "name"] {
            if let Some(domain) = self.auth.remove(&format!("domain_{what}")) {
                for whose in ["user", "project"] {
                    self.auth.entry(format!("{whose}_domain_{what}")).or_insert_with(|| domain.clone());
                }
            }
        }
    }

    /// Identity v2 has tenants for projects, and no domains.
    fn settle_identity_v2(&mut self, warnings: &mut Vec<String>) {
        let auth_type = self.text("auth_type").unwrap_or_default().to_owned();
        if auth_type.starts_with("v2") {
            for what in ["id", "name"] {
                if let Some(project) = self.auth.remove(&format!("project_{what}")) {
                    self.auth.insert(format!("tenant_{what}"), project);
                }
            }
        }
        let v2 = self.text("identity_api_version").is_some_and(|version| version.starts_with('2'));
        if v2 && auth_type.ends_with("password") {
            for key in DOMAINS {
                if self.auth.remove(key).is_some() {
                    warnings.push(format!("`{key}` is ignored: the identity API version is 2"));
                }
            }
        }
    }

    /// A user or project without a domain is in the default one.
    fn assume_domain(&mut self) {
        let v2 = self.text("identity_api_version").is_some_and(|version| version.starts_with('2'));
        let applies = ["password", "v3password", "v3totp"].contains(&self.text("auth_type").unwrap_or_default());
        let told = ["default_domain_id", "default_domain_name"].iter().any(|key| self.auth.contains_key(*key));
        let Some(domain) = self.top.get("default_domain").cloned() else {
            return;
        };
        if v2 || !applies || told {
            return;
        }
        for whose in ["user", "project"] {
            let [id, name] = ["id", "name"].map(|what| format!("{whose}_domain_{what}"));
            if !self.auth.contains_key(&id) && !self.auth.contains_key(&name) {
                self.auth.insert(id, domain.clone());
            }
        }
    }

    /// Replaces `{region_name}` and its like in addresses, and nowhere else: a
    /// brace in a password is a brace.
    fn fill_placeholders(&mut self) -> Result<()> {
        let known: BTreeMap<String, String> =
            self.top.iter().filter_map(|(key, setting)| Some((key.clone(), setting.text()?.to_owned()))).collect();
        if let Some(setting) = self.auth.get_mut("auth_url")
            && let Some(text) = setting.text()
        {
            setting.value = fill(text, &known)
                .map_err(|name| {
                    Error::config(format!("`auth_url` needs `{name}`, which is not set")).next(match name.as_str() {
                        "region_name" => "choose a region with --os-region-name".to_owned(),
                        _ => format!("set `{name}` in the entry of the cloud, or write the address out"),
                    })
                })?
                .into();
        }
        for (key, setting) in &mut self.top {
            if key.ends_with("endpoint_override")
                && let Some(filled) = setting.text().and_then(|text| fill(text, &known).ok())
            {
                setting.value = filled.into();
            }
        }
        Ok(())
    }
}

const DOMAINS: [&str; 4] = ["project_domain_id", "project_domain_name", "user_domain_id", "user_domain_name"];

/// `text` with every `{name}` replaced; the error is a name that is not known.
fn fill(text: &str, known: &BTreeMap<String, String>) -> std::result::Result<String, String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else {
            break;
        };
        filled.push_str(before);
        filled.push_str(known.get(name).ok_or_else(|| name.to_owned())?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Checks what would otherwise be found out late, and says what is odd.
fn finish(mut config: CloudConfig) -> Result<CloudConfig> {
    let tls = config.tls()?;
    if !tls.verify && tls.cacert.is_some() {
        config.warnings.push("the server's certificate is not checked, so `cacert` has no effect".to_owned());
    }
    let version = config.settings.get("image_api_version");
    if let Some(Setting { value, origin: Origin::Profile(vendor), .. }) = version
        && value.as_str() == Some("1")
    {
        config
            .warnings
            .push(format!("the vendor profile `{vendor}` asks for image API version 1: try --os-image-api-version 2"));
    }
    config.interface()?;
    config.api_timeout()?;
    config.force_ipv4()?;
    Ok(config)
}

fn quoted_each(names: &[String]) -> Vec<String> {
    names.iter().map(|name| format!("`{name}`")).collect()
}

fn quoted(names: &[String]) -> String {
    quoted_each(names).join(", ")
}

/// `a`, `a and b`, `a, b and c`.
fn spoken_list(items: &[String], and: &str) -> String {
    match items {
        [first @ .., last] if !first.is_empty() => format!("{} {and} {last}", first.join(", ")),
        _ => items.concat(),
    }
}

#[cfg(test)]
mod tests;
