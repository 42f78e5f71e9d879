//! What is written of clouds: in files, and in the variables of the environment.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::merge::Merge;
use super::{Entry, Source};
use crate::cloud::config::Origin;
use crate::cloud::files::{Search, search, with_underscores};
use crate::cloud::options::Place;
use crate::cloud::surroundings::Surroundings;
use crate::error::{Error, Result};

/// Variables that choose or find a cloud; any other `OS_*` describes one.
const SELECTORS: [&str; 5] =
    ["OS_CLOUD", "OS_REGION_NAME", "OS_CLIENT_CONFIG_FILE", "OS_CLIENT_SECURE_FILE", "OS_CLOUD_NAME"];

/// An entry to merge, and where it is from.
pub(super) struct Layer {
    pub(super) entry: Entry,
    /// The file, and the cloud in it; `None` is the environment.
    place: Option<(PathBuf, String)>,
}

impl Layer {
    pub(super) fn origin(&self, key: &str) -> Origin {
        match &self.place {
            Some((path, cloud)) => Origin::File { path: path.clone(), cloud: cloud.clone() },
            None => Origin::Variable(format!("OS_{}", key.to_ascii_uppercase())),
        }
    }
}

/// `clouds.yaml` and `secure.yaml`.
pub(super) struct Files {
    pub(super) clouds: Search,
    secure: Search,
    pub(super) warnings: Vec<String>,
}

impl Files {
    pub(super) fn read(surroundings: &Surroundings) -> Result<Self> {
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

    pub(super) fn path_of(&self, name: &str) -> Option<&Path> {
        self.entries(name).next().map(|(path, _)| path)
    }

    pub(super) fn layers(&self, name: &str) -> Result<Vec<Layer>> {
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
    pub(super) fn names(&self) -> Vec<String> {
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
    pub(super) fn client_section(&self, merge: &mut Merge) {
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
    pub(super) fn cache_section(&self, merge: &mut Merge) {
        for (path, content) in [&self.clouds, &self.secure].into_iter().flat_map(|search| &search.found) {
            if let Some(value @ Value::String(_)) = content.get("cache").and_then(|section| section.get("auth")) {
                let origin = Origin::File { path: path.clone(), cloud: "cache".to_owned() };
                merge.set(Place::Top, "token_cache", value.clone(), origin);
            }
        }
    }

    pub(super) fn unknown_cloud(&self, name: &str) -> Error {
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
    pub(super) fn no_auth_url(&self, source: &Source, described: Option<&str>, surroundings: &Surroundings) -> Error {
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
pub(super) fn public_cloud(
    vendor: &str,
    surroundings: &Surroundings,
    warnings: &mut Vec<String>,
) -> Result<Option<Entry>> {
    let mut public = search("clouds-public", None, surroundings)?;
    warnings.append(&mut public.warnings);
    let entry = public.found.as_ref().and_then(|(_, content)| content.get("public-clouds")?.get(vendor));
    Ok(entry.and_then(Value::as_object).map(with_underscores))
}

/// The first `OS_*` variable that describes a cloud, if there is one.
pub(super) fn described_by_environment(surroundings: &Surroundings) -> Option<String> {
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
pub(super) fn environment_layer(surroundings: &Surroundings) -> Layer {
    let entry = describing(surroundings)
        .filter(|(name, _)| !SELECTORS.contains(name) || *name == "OS_REGION_NAME")
        .map(|(name, value)| (name["OS_".len()..].to_ascii_lowercase(), Value::from(value)))
        .collect();
    Layer { entry, place: None }
}

fn quoted_each(names: &[String]) -> Vec<String> {
    names.iter().map(|name| format!("`{name}`")).collect()
}

pub(super) fn quoted(names: &[String]) -> String {
    quoted_each(names).join(", ")
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn spoken_list(items: &[String], and: &str) -> String {
    match items {
        [first @ .., last] if !first.is_empty() => format!("{} {and} {last}", first.join(", ")),
        _ => items.concat(),
    }
}
