//! The service catalogue that comes with a token: where each service is
//! (<https://docs.openstack.org/api-ref/identity/v3/#get-service-catalog>).

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::{CloudConfig, ServiceConfig};
use crate::error::{Error, Kind, Result};

/// The catalogue of one token.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Catalog(Vec<Service>);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Service {
    kind: String,
    name: String,
    endpoints: Vec<Endpoint>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Endpoint {
    interface: String,
    region: String,
    url: String,
}

/// Where a service is, and for whom; without a catalogue, for all.
#[derive(Debug, Clone)]
pub struct Place {
    /// The region that it is in.
    pub region: Option<String>,
    /// `public`, `internal`, `admin`
    pub interface: Option<String>,
    /// Its address.
    pub url: Url,
}

impl Catalog {
    /// Reads the `catalog` of a token; what is not of the expected form is left out.
    pub fn read(catalog: Option<&Value>) -> Self {
        let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let services = list(catalog).into_iter().map(|service| Service {
            kind: text(&service, "type"),
            name: text(&service, "name"),
            endpoints: list(service.get("endpoints"))
                .iter()
                .map(|endpoint| Endpoint {
                    interface: text(endpoint, "interface"),
                    region: match text(endpoint, "region_id") {
                        none if none.is_empty() => text(endpoint, "region"),
                        id => id,
                    },
                    url: text(endpoint, "url"),
                })
                .collect(),
        });
        Catalog(services.collect())
    }

    /// Whether there is a service of this type.
    pub fn has(&self, kind: &str) -> bool {
        self.0.iter().any(|service| service.kind == kind)
    }

    /// Every endpoint of the services of this type.
    pub fn all(&self, kind: &str) -> Vec<Place> {
        let endpoints = self.0.iter().filter(|service| service.kind == kind).flat_map(|service| &service.endpoints);
        let read = |endpoint: &Endpoint| {
            let interface = endpoint.interface.trim_end_matches("URL").to_owned();
            let url = Url::parse(&endpoint.url).ok()?;
            Some(Place { region: Some(endpoint.region.clone()), interface: Some(interface), url })
        };
        endpoints.filter_map(read).collect()
    }

    /// The endpoint of a service as `wanted` describes it.
    pub fn endpoint(&self, config: &CloudConfig, wanted: &ServiceConfig) -> Result<Url> {
        let kind = wanted.service_type.as_str();
        let named = |service: &&Service| wanted.service_name.as_ref().is_none_or(|name| service.name == *name);
        let endpoints: Vec<&Endpoint> =
            self.0.iter().filter(|s| s.kind == kind).filter(named).flat_map(|s| &s.endpoints).collect();
        if endpoints.is_empty() {
            let mut kinds: Vec<&str> = self.0.iter().map(|service| service.kind.as_str()).collect();
            kinds.sort_unstable();
            kinds.dedup();
            let error = Error::new(Kind::Config, format!("the cloud's catalogue has no `{kind}` service"));
            return Err(match kinds.as_slice() {
                [] => {
                    error.next("the token is good for no project: name one with `--os-project-name` (OS_PROJECT_NAME)")
                }
                kinds => error.next(format!(
                    "it has {}; `{}_endpoint_override` in clouds.yaml sets an address by hand",
                    kinds.join(", "),
                    kind.replace('-', "_")
                )),
            });
        }
        let mut regions: Vec<&str> = endpoints.iter().map(|endpoint| endpoint.region.as_str()).collect();
        regions.sort_unstable();
        regions.dedup();
        let region = wanted.region.as_deref().or(config.region.as_deref());
        let here: Vec<&&Endpoint> =
            endpoints.iter().filter(|endpoint| region.is_none_or(|region| endpoint.region == region)).collect();
        if let (true, Some(region)) = (here.is_empty(), region) {
            return Err(Error::config(format!("the cloud has no `{kind}` service in region `{region}`"))
                .next(format!("choose one of {} with `--os-region-name`", regions.join(", "))));
        }
        let found = wanted.interface.iter().find_map(|interface| {
            here.iter().find(|endpoint| endpoint.interface.trim_end_matches("URL") == interface.as_str())
        });
        let Some(found) = found else {
            let mut offered: Vec<&str> = here.iter().map(|endpoint| endpoint.interface.as_str()).collect();
            offered.sort_unstable();
            offered.dedup();
            let asked: Vec<&str> = wanted.interface.iter().map(|interface| interface.as_str()).collect();
            return Err(Error::config(format!("the `{kind}` service has no {} endpoint", asked.join(" or ")))
                .next(format!("choose one of {} with `--os-interface`", offered.join(", "))));
        };
        Url::parse(&found.url).map_err(|_| {
            Error::config(format!("the catalogue's address of the `{kind}` service is no URL: `{}`", found.url))
        })
    }
}
