//! What is known of public clouds, so that `profile: NAME` is enough.
//!
//! `vendors.json` has one entry per vendor, written as in `clouds.yaml`; the
//! facts are those of openstacksdk's vendor files. `ovh` and `vexxhost` point
//! to their own web sites there; here is the address of their Keystone, and no
//! list of regions, which would forbid the regions they add.

use serde_json::{Map, Value};

use super::files::{entry_of_json, is_url};
use crate::error::{Error, Result};

const VENDORS: &str = include_str!("vendors.json");

/// The entry of the bundled vendor `name`, if there is one.
///
/// A vendor that has shut down is an error, a deprecated one adds to
/// `warnings`.
pub(super) fn profile(name: &str, cloud: &str, warnings: &mut Vec<String>) -> Result<Option<Map<String, Value>>> {
    let mut vendors: Map<String, Value> =
        serde_json::from_str(VENDORS).map_err(|_| Error::config("the bundled vendor profiles are damaged"))?;
    let Some(Value::Object(entry)) = vendors.remove(name) else {
        // A profile at `https://host` is a document to fetch. Reading the
        // configuration makes no connection: the answer would decide where the
        // password goes, before any of the TLS settings of the cloud apply.
        // https://docs.openstack.org/openstacksdk/latest/user/config/vendor-support.html
        if is_url(name) {
            return Err(Error::config(format!(
                "cloud `{cloud}` has the profile `{name}`, and profiles are not fetched from the network"
            ))
            .next(format!(
                "look up the `auth_url` in `{}/.well-known/openstack/api` and put it under `auth:` of the cloud",
                name.trim_end_matches('/')
            )));
        }
        return Ok(None);
    };
    let mut entry = entry_of_json(entry);
    let status = entry.remove("status");
    let message = match entry.remove("message") {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    match status.as_ref().and_then(Value::as_str) {
        Some("shutdown") => {
            return Err(Error::config(format!(
                "cloud `{cloud}` has the profile `{name}`, a cloud that no longer exists: {message}"
            ))
            .next("choose another cloud with --os-cloud, or take the profile out of the entry"));
        }
        Some("deprecated") => {
            warnings.push(format!("the vendor profile `{name}` is deprecated: {message}"));
        }
        _ => {}
    }
    Ok(Some(entry))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn all_25_vendors_are_there_and_each_live_one_has_an_address() {
        let vendors: Map<String, Value> = serde_json::from_str(VENDORS).unwrap();
        assert_eq!(vendors.len(), 25);
        for (name, entry) in &vendors {
            let shut = entry.get("status").is_some_and(|status| status == "shutdown");
            let address = entry.get("auth_url").and_then(Value::as_str);
            // bluebox has always been a profile for private clouds.
            if name != "bluebox" && !shut {
                assert!(address.is_some_and(|url| url.starts_with("https://")), "{name}");
            }
        }
    }

    #[test]
    fn a_vendor_that_shut_down_is_an_error() {
        let error = profile("internap", "mine", &mut Vec::new()).unwrap_err();
        assert_eq!(
            error.message,
            "cloud `mine` has the profile `internap`, a cloud that no longer exists: Internap is now HorizonIQ"
        );
    }

    #[test]
    fn a_deprecated_vendor_is_a_warning() {
        let mut warnings = Vec::new();
        assert!(profile("fuga", "mine", &mut warnings).unwrap().is_some());
        assert_eq!(warnings, ["the vendor profile `fuga` is deprecated: its API no longer answers"]);
    }

    #[test]
    fn a_profile_on_the_network_is_not_fetched() {
        let error = profile("https://cloud.example/", "mine", &mut Vec::new()).unwrap_err();
        assert_eq!(
            error.message,
            "cloud `mine` has the profile `https://cloud.example/`, and profiles are not fetched from the network"
        );
        assert_eq!(
            error.next.unwrap(),
            "look up the `auth_url` in `https://cloud.example/.well-known/openstack/api` and put it under `auth:` of the cloud"
        );
    }

    #[test]
    fn an_unknown_vendor_is_none() {
        assert_eq!(profile("nobody", "mine", &mut Vec::new()).unwrap(), None);
    }
}
