//! What a configuration file says of the image service.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde_saphyr::Spanned;

use super::file::{File, LimitsEntry, ProtectedEntry, QuotaEntry, WebEntry, Wrong};
use crate::error::Result;
use crate::local::policy::Policy;
use crate::local::protection::{ProtectedProperty, Protection};
use crate::local::quota::Quota;
use crate::local::settings::{IMPORT_METHODS, Limits, Settings, StoreSettings};
use crate::local::web_download::WebFilter;

/// The settings of the image service; what the file does not say is as it is by default.
pub fn read_settings(file: &File, wrong: &Wrong) -> Result<Settings> {
    let mut settings = Settings { api_v1: file.api_v1, ..Settings::default() };
    read_policy(&mut settings, file, wrong)?;
    read_stores(&mut settings, file, wrong)?;
    if let Some(formats) = &file.disk_formats {
        settings.disk_formats.clone_from(formats);
    }
    if let Some(formats) = &file.container_formats {
        settings.container_formats.clone_from(formats);
    }
    if let Some(methods) = &file.import_methods {
        settings.import_methods = words("import_methods", methods, &IMPORT_METHODS, wrong)?;
    }
    read_web(&mut settings.web_download, &file.web_download, wrong)?;
    settings.protected_properties =
        file.protected_properties.iter().map(|entry| protected(entry, wrong)).collect::<Result<_>>()?;
    read_quota(&mut settings.quota, &file.quota);
    read_limits(&mut settings.limits, &file.limits, wrong)?;
    Ok(settings)
}

fn read_policy(settings: &mut Settings, file: &File, wrong: &Wrong) -> Result<()> {
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
    Ok(())
}

fn read_stores(settings: &mut Settings, file: &File, wrong: &Wrong) -> Result<()> {
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
    Ok(())
}

/// A list of words, all of which must be known.
fn words(key: &str, list: &[Spanned<String>], known: &[&str], wrong: &Wrong) -> Result<Vec<String>> {
    if let Some(other) = list.iter().find(|word| !known.contains(&word.value.as_str())) {
        let what = format!("`{key}` may hold {}, not `{}`", known.join(", "), other.value);
        return Err(wrong(other.defined, what));
    }
    Ok(list.iter().map(|word| word.value.clone()).collect())
}

fn read_web(web: &mut WebFilter, given: &WebEntry, wrong: &Wrong) -> Result<()> {
    if let Some(schemes) = &given.schemes {
        web.schemes = words("web_download.schemes", schemes, &["http", "https"], wrong)?;
    }
    if let Some(hosts) = &given.hosts {
        let host = |given: &Spanned<String>| {
            let what = || {
                format!(
                    "`web_download.hosts` holds names and addresses, without scheme and port, not `{}`",
                    given.value
                )
            };
            host(&given.value).ok_or_else(|| wrong(given.defined, what()))
        };
        web.hosts = hosts.iter().map(host).collect::<Result<_>>()?;
    }
    if let Some(ports) = &given.ports {
        if let Some(zero) = ports.iter().find(|port| port.value == 0) {
            return Err(wrong(zero.defined, "`web_download.ports` holds numbers from 1 to 65535".to_owned()));
        }
        web.ports = ports.iter().map(|port| port.value).collect();
    }
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

fn protected(entry: &ProtectedEntry, wrong: &Wrong) -> Result<ProtectedProperty> {
    let rule = ProtectedProperty {
        pattern: entry.pattern.value.clone(),
        create: entry.create.clone(),
        read: entry.read.clone(),
        update: entry.update.clone(),
        delete: entry.delete.clone(),
    };
    Protection::new(std::slice::from_ref(&rule)).map_err(|error| wrong(entry.pattern.defined, error.message))?;
    Ok(rule)
}

fn read_quota(quota: &mut Quota, given: &QuotaEntry) {
    quota.properties = given.properties.unwrap_or(quota.properties);
    quota.tags = given.tags.unwrap_or(quota.tags);
    quota.members = given.members.unwrap_or(quota.members);
    quota.locations = given.locations.unwrap_or(quota.locations);
    quota.image_size = given.image_size.unwrap_or(quota.image_size);
    quota.user_storage = given.user_storage.or(quota.user_storage);
}

fn read_limits(limits: &mut Limits, given: &LimitsEntry, wrong: &Wrong) -> Result<()> {
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
