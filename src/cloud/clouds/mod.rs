//! Merging: defaults, vendor profile, file entry, region, variables, flags.
//!
//! The order is that of `openstack`: a later layer wins, `auth` key by key, and
//! an `OS_*` variable that has a flag wins over files even when the cloud was
//! named. Where `openstack` trips over its own order (a default that hides
//! the user's value, an old name that beats a flag), the layer decides:
//! names are made canonical inside each layer, before layers meet.
//!
//! <https://docs.openstack.org/openstacksdk/latest/user/config/configuration.html#setting-precedence>

mod merge;
mod regions;
#[cfg(test)]
mod tests;
mod written;

use std::path::Path;

use serde_json::{Map, Value};

use super::config::{CloudConfig, Origin, Setting};
use super::options::{self, Flags, Given, Place};
use super::surroundings::Surroundings;
use super::vendors;
use crate::error::{Error, Result};
use merge::Merge;
use regions::Region;
use written::{Files, Layer, described_by_environment, environment_layer, public_cloud, spoken_list};

type Entry = Map<String, Value>;

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
    let env_name = environments_name(&files, surroundings)?;
    let asked = given(flags, surroundings, "os-cloud");
    let source = choose(asked.map(|(name, _)| name), &files, env_name, described.is_some())?;
    let chosen = Chosen::read(source, &files, env_name, surroundings)?;

    let mut merge = Merge::default();
    merge.defaults();
    files.client_section(&mut merge);
    files.cache_section(&mut merge);
    merge.network(surroundings);
    let profile = chosen.profile(surroundings, &mut warnings)?;
    if let Some((vendor, entry)) = &profile {
        merge.layer(entry, |_| Origin::Profile((*vendor).to_owned()));
    }
    for layer in &chosen.layers {
        merge.layer(&layer.entry, |key| layer.origin(key));
    }
    let region = given(flags, surroundings, "os-region-name");
    if let Some((region, origin)) = chosen.region(profile.as_ref(), region, &mut warnings)? {
        merge.set(Place::Top, "region_name", region.name.as_str().into(), origin.clone());
        merge.layer(&region.values, |_| origin.clone());
    }
    let overridden = merge.given(flags, surroundings);
    warnings.extend(chosen.overridden(&files, &overridden));
    merge.bundle_of_environment(surroundings);
    merge.fix_up(&mut warnings)?;
    let built_in = matches!(chosen.source, Source::BuiltIn);
    if built_in {
        merge.settle_built_in();
    }
    if let Some(name) = &chosen.name {
        let origin = match asked {
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
        name: chosen.name,
        auth: merge.auth,
        settings: merge.top,
        warnings,
        home: surroundings.home.clone(),
    };
    if config.auth("auth_url").is_none() && !WITHOUT_KEYSTONE.contains(&config.auth_type()) {
        return Err(files.no_auth_url(&chosen.source, described.as_deref(), surroundings));
    }
    finish(config)
}

/// The name of the cloud that is made of variables; no file may have one of that name.
fn environments_name<'a>(files: &Files, surroundings: &'a Surroundings) -> Result<&'a str> {
    let name = surroundings.variable("OS_CLOUD_NAME").unwrap_or("envvars");
    match files.path_of(name) {
        None => Ok(name),
        Some(path) => Err(Error::config(format!(
            "`{}` has a cloud named `{name}`, which is the name of the cloud made of OS_* variables",
            path.display()
        ))
        .next("rename it there, or set OS_CLOUD_NAME to another name")),
    }
}

/// Where the cloud is described that is `asked` for, or else the one that is meant.
fn choose(asked: Option<&str>, files: &Files, env_name: &str, described: bool) -> Result<Source> {
    Ok(match asked {
        Some(name) if name == env_name && described => Source::Environment,
        Some(name) if files.path_of(name).is_some() => Source::File(name.to_owned()),
        // A file that cannot be read may be the one that has it.
        Some(LOCAL) if files.clouds.broken.is_none() => Source::BuiltIn,
        Some(name) => return Err(files.unknown_cloud(name)),
        None if described => Source::Environment,
        None => match files.names().as_slice() {
            [only] => Source::File(only.clone()),
            _ => Source::Nothing,
        },
    })
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

/// The chosen cloud, as it is written.
struct Chosen<'a> {
    source: Source,
    name: Option<String>,
    layers: Vec<Layer>,
    /// The name of the cloud that is made of variables.
    env_name: &'a str,
}

impl<'a> Chosen<'a> {
    fn read(source: Source, files: &Files, env_name: &'a str, surroundings: &Surroundings) -> Result<Self> {
        let (name, layers) = match &source {
            Source::Environment => (Some(env_name.to_owned()), vec![environment_layer(surroundings)]),
            Source::File(name) => (Some(name.clone()), files.layers(name)?),
            Source::BuiltIn => (Some(LOCAL.to_owned()), Vec::new()),
            Source::Nothing => (None, Vec::new()),
        };
        Ok(Chosen { source, name, layers, env_name })
    }

    /// What the entry says about profile and regions, in its last layer.
    fn says(&self, key: &str) -> Option<&Value> {
        self.layers.iter().rev().find_map(|layer| layer.entry.get(key).filter(|value| !value.is_null()))
    }

    fn cloud(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    /// The vendor's profile that the entry names, and its name.
    fn profile(&self, surroundings: &Surroundings, warnings: &mut Vec<String>) -> Result<Option<(&str, Entry)>> {
        let named = self.says("profile").or_else(|| self.says("cloud")).and_then(Value::as_str);
        let Some(vendor) = named.filter(|vendor| !vendor.is_empty() && *vendor != self.env_name) else {
            return Ok(None);
        };
        let cloud = self.cloud();
        let profile = match public_cloud(vendor, surroundings, warnings)? {
            Some(entry) => Some(entry),
            None => vendors::profile(vendor, cloud, warnings)?,
        };
        if profile.is_none() {
            warnings.push(format!("cloud `{cloud}` has the profile `{vendor}`, which is not known"));
        }
        Ok(profile.map(|entry| (vendor, entry)))
    }

    /// The region of the cloud's list, or of its profile's, and where it was said.
    fn region(
        &self,
        profile: Option<&(&str, Entry)>,
        asked: Option<(&str, Given)>,
        warnings: &mut Vec<String>,
    ) -> Result<Option<(Region, Origin)>> {
        let cloud = self.cloud();
        // A variable is part of the environment's own entry, not a list to choose from.
        let of_environment = matches!(self.source, Source::Environment);
        let name = self.says("region_name").filter(|_| !of_environment);
        let of_entry = self.says("regions").or(name);
        let of_profile = |key: &str| profile.and_then(|(_, entry)| entry.get(key));
        let list = of_entry.or_else(|| of_profile("regions")).or_else(|| of_profile("region_name"));
        let mut listed = regions::listed(list, cloud)?;
        if name.and_then(Value::as_str).is_some_and(|text| text.contains(',')) {
            warnings.push(format!("cloud `{cloud}` has a `region_name` with commas: write a list under `regions`"));
        }
        if let (true, Some((asked, _))) = (of_environment, asked) {
            // Here a profile's list only helps, as in `openstack`.
            listed.retain(|region| region.name == asked);
        }
        let says = |layer: &&Layer| ["regions", "region_name"].iter().any(|key| layer.entry.contains_key(*key));
        let origin = match (profile, self.layers.iter().rev().find(says)) {
            (Some((vendor, _)), _) if of_entry.is_none() => Origin::Profile((*vendor).to_owned()),
            (_, Some(layer)) => layer.origin("region_name"),
            _ => Origin::Default,
        };
        Ok(regions::choose(listed, asked, cloud)?.map(|region| (region, origin)))
    }

    /// A warning about the variables that changed what the file says, if there are any.
    fn overridden(&self, files: &Files, variables: &[String]) -> Option<String> {
        let (Source::File(name), [_, ..]) = (&self.source, variables) else { return None };
        let path = files.path_of(name).unwrap_or(Path::new("clouds.yaml"));
        let (override_s, it) = if variables.len() == 1 { ("overrides", "it") } else { ("override", "them") };
        Some(format!(
            "{} in the environment {override_s} what `{}` says of cloud `{name}`: unset {it} if that is not meant",
            spoken_list(variables, "and"),
            path.display(),
        ))
    }
}

/// A value given by flag or variable, without the configuration.
fn given<'a>(flags: &'a Flags, surroundings: &'a Surroundings, flag: &str) -> Option<(&'a str, Given)> {
    options::option(flag).and_then(|option| option.given(flags, surroundings))
}

/// Checks what would otherwise be found out late, and says what is odd.
fn finish(mut config: CloudConfig) -> Result<CloudConfig> {
    let tls = config.tls()?;
    if !tls.verify && tls.ca.is_some() {
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
