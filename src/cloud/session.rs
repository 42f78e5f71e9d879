//! A cloud that we are signed in to: a credential, and the places where it is good.

use std::path::Path;
use std::rc::Rc;

use serde_json::Value;
use url::Url;

use super::auth::{self, Given, How};
use super::catalog::{Catalog, Place};
use super::sign_in::SignIn;
use super::{CloudConfig, Origin, Setting};
use crate::error::{Error, Kind, Result};
use crate::http::{Credential, Http, Request};
use crate::interrupt::Interrupt;

/// A cloud that we are signed in to.
pub struct Session {
    http: Http,
    config: Rc<CloudConfig>,
    /// What its services know us by; it is renewed when they refuse it.
    pub credential: Credential,
    /// The project that the credential is good for, if Keystone said one.
    pub project_id: Option<String>,
    catalog: Catalog,
    /// Keystone, ending in `/v3`; absent where there is none.
    identity: Option<Url>,
    /// How we signed in there.
    sign_in: Option<Rc<SignIn>>,
}

impl Session {
    /// Signs in as `config` says, or takes the sign-in of an earlier run that is
    /// kept in the directory `cache`. With `ask` a missing password is asked for
    /// on a terminal, until interrupted.
    ///
    /// # Errors
    /// Something needed is missing; Keystone cannot be reached or refuses.
    pub async fn sign_in(
        config: CloudConfig,
        http: Http,
        ask: Option<&Interrupt>,
        cache: Option<&Path>,
    ) -> Result<Self> {
        // Signing in here instead of there would be to the wrong cloud.
        if let Some(provider) = config.setting("service_provider") {
            let message = format!("rimg cannot sign in to the service provider `{provider}` yet");
            return Err(Error::new(Kind::Unsupported, message)
                .next("leave out `--os-service-provider` (OS_SERVICE_PROVIDER) to use the cloud itself"));
        }
        let plugin = auth::plugin(&config)?;
        let given = Given::collect(&config, plugin, ask).await?;
        let typed = given.was_typed();
        let methods = match plugin.how {
            How::Without(credential) => {
                let credential = credential(&given)?;
                return Ok(Session {
                    credential,
                    project_id: None,
                    catalog: Catalog::default(),
                    identity: None,
                    sign_in: None,
                    http,
                    config: Rc::new(config),
                });
            }
            How::Keystone(methods) => methods(&given)?,
        };
        let config = Rc::new(config);
        let only_once = auth::only_once(&methods);
        // Who types the password each time wants nothing of it left on the disk.
        let cache = cache.filter(|_| only_once.is_none() && !typed);
        let sign_in = Rc::new(SignIn::new(Rc::clone(&config), methods, cache, &http)?);
        let entry = sign_in.first(&http).await?;
        let identity = Url::parse(&entry.identity).ok();
        let token = entry.token();
        Ok(Session {
            credential: match only_once {
                Some(advice) => Credential::fixed(token, advice),
                None => Credential::renewable(token, Box::new(Rc::clone(&sign_in))),
            },
            project_id: entry.project_id,
            catalog: entry.catalog,
            identity,
            sign_in: Some(sign_in),
            http,
            config,
        })
    }

    /// A session with the one service at `endpoint`, which takes `token`.
    pub fn direct(
        mut config: CloudConfig,
        http: Http,
        endpoint: &str,
        token: &str,
        project_id: Option<String>,
    ) -> Self {
        let place = Setting { value: endpoint.into(), origin: Origin::Default, secret: false };
        config.auth.insert("endpoint".to_owned(), place);
        let credential = Credential::fixed(token.into(), "run the command again");
        let (config, catalog) = (Rc::new(config), Catalog::default());
        Session { http, config, credential, project_id, catalog, identity: None, sign_in: None }
    }

    /// Where a service is (`image`, `volumev3`, …).
    pub fn endpoint(&self, service: &str) -> Result<Url> {
        match self.identity {
            Some(_) => endpoint(&self.config, &self.catalog, service),
            None => self.only_endpoint(service),
        }
    }

    /// Without Keystone the one endpoint is that of every service.
    fn only_endpoint(&self, service: &str) -> Result<Url> {
        let by_hand = self.config.for_service(service)?.endpoint_override;
        match by_hand.as_deref().or(self.config.auth("endpoint")) {
            Some(text) => parse(text),
            None => Err(Error::config(format!(
                "auth type `{}` needs `endpoint`, the address of the service",
                self.config.auth_type()
            ))
            .next("set it under `auth` in clouds.yaml, as OS_ENDPOINT, or with `--os-endpoint`")),
        }
    }

    /// The version that the image service at `url` speaks, if an earlier run found out.
    pub fn known_version(&self, url: &Url) -> Option<String> {
        self.sign_in.as_ref()?.versions.borrow().get(url.as_str()).cloned()
    }

    /// Keeps the version that the image service at `url` speaks for the next run.
    pub fn learn_version(&self, url: &Url, version: &str) {
        if let Some(sign_in) = &self.sign_in {
            sign_in.learn(&self.http, url, version);
        }
    }

    /// Every place of a service; without a catalogue there is one.
    pub fn endpoints(&self, service: &str) -> Result<Vec<Place>> {
        let wanted = self.config.for_service(service)?;
        match self.identity {
            None => Ok(vec![Place { region: None, interface: None, url: self.endpoint(service)? }]),
            Some(_) => Ok(self.catalog.all(&wanted.service_type)),
        }
    }

    /// Where a service is whose type has several names: under the first that
    /// the catalogue has.
    pub fn endpoint_under(&self, names: &[&str]) -> Result<Url> {
        for name in names {
            if self.catalog.has(&self.config.for_service(name)?.service_type) {
                return self.endpoint(name);
            }
        }
        self.endpoint(names.first().copied().unwrap_or_default())
    }

    /// The configuration that this session came from.
    pub fn config(&self) -> &CloudConfig {
        &self.config
    }

    /// The ID of the project of this ID or name, in the domain of this ID or
    /// name. Who may not look projects up gets what was typed back, and a
    /// warning: it may be an ID.
    pub async fn find_project(&self, name_or_id: &str, domain: Option<&str>) -> Result<String> {
        let domain = match domain {
            Some(domain) => Some(self.find("domains", domain, None).await?),
            None => None,
        };
        match self.find("projects", name_or_id, domain.as_deref()).await {
            Err(error) if error.kind == Kind::Forbidden => {
                // Keystone's own IDs need no words: 32 hexadecimal digits.
                let is_id = name_or_id.len() == 32 && name_or_id.bytes().all(|byte| byte.is_ascii_hexdigit());
                if !is_id {
                    let taken = format!("so `{name_or_id}` is taken for the ID of one");
                    self.http.log().warn(&format!("this user may not look projects up, {taken}"));
                }
                Ok(name_or_id.to_owned())
            }
            found => found,
        }
    }

    /// The ID of one of Keystone's `projects` or `domains`.
    async fn find(&self, what: &str, name_or_id: &str, domain: Option<&str>) -> Result<String> {
        let Some(identity) = &self.identity else { return Ok(name_or_id.to_owned()) };
        let mut url = identity.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(what);
        }
        url.query_pairs_mut().append_pair("name", name_or_id);
        if let Some(domain) = domain {
            url.query_pairs_mut().append_pair("domain_id", domain);
        }
        let one = &what[..what.len() - 1];
        let listed = self.http.send(Request::get(url).credential(&self.credential)).await?.ok().await?.json().await?;
        let found = listed.get(what).and_then(Value::as_array).cloned().unwrap_or_default();
        let ids: Vec<&str> = found.iter().filter_map(|item| item.get("id")?.as_str()).collect();
        match ids.as_slice() {
            [only] => Ok((*only).to_owned()),
            [] => self.by_id(identity, what, name_or_id).await?.ok_or_else(|| {
                Error::new(Kind::NotFound, format!("there is no {one} with the name or ID `{name_or_id}`"))
            }),
            several => {
                let error = Error::new(Kind::Ambiguous, format!("{} {what} are named `{name_or_id}`", several.len()))
                    .details(several.iter().map(|id| (*id).to_owned()));
                Err(if one == "project" {
                    error.next("say which with `--project-domain`, or use its ID")
                } else {
                    error
                })
            }
        }
    }

    async fn by_id(&self, identity: &Url, what: &str, id: &str) -> Result<Option<String>> {
        if matches!(id, "" | "." | "..") {
            return Ok(None);
        }
        let mut url = identity.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(what).push(id);
        }
        match self.http.send(Request::get(url).credential(&self.credential)).await?.ok().await {
            Ok(_) => Ok(Some(id.to_owned())),
            Err(error) if error.kind == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The address of a service that is set by hand or in the catalogue.
pub(super) fn endpoint(config: &CloudConfig, catalog: &Catalog, service: &str) -> Result<Url> {
    let wanted = config.for_service(service)?;
    match wanted.endpoint_override.as_deref() {
        Some(text) => parse(text),
        None => catalog.endpoint(config, &wanted),
    }
}

pub(super) fn parse(text: &str) -> Result<Url> {
    Url::parse(text).map_err(|_| {
        Error::config(format!("`{text}` is not a URL")).next("it should look like `https://image.example.org`")
    })
}
