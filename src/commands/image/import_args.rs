//! The options of an import, and whether the service can do what they say.

use clap::Args;
use url::Url;

use crate::error::{Error, Kind, Result};
use crate::image::{Import, ImportMethod, ImportTo};
use crate::service::ImageService;

/// The methods that Glance has; a cloud may offer fewer.
pub const METHODS: [&str; 4] = ["glance-direct", "web-download", "glance-download", "copy-image"];

/// The interfaces of an endpoint in the catalogue.
const INTERFACES: [&str; 3] = ["public", "internal", "admin"];

/// Where the service takes the data from.
#[derive(Debug, Default, Args)]
pub struct Source {
    /// URL to fetch the data from (web-download)
    #[arg(long, value_name = "URL")]
    uri: Option<String>,

    /// Region to fetch the data from (glance-download)
    #[arg(long, value_name = "REGION")]
    remote_region: Option<String>,

    /// ID of the image in that region (glance-download)
    #[arg(long, value_name = "ID")]
    remote_image: Option<String>,

    /// Interface of the image service in that region: public, internal, admin (glance-download)
    #[arg(long, value_name = "INTERFACE", add = crate::manager::words(&INTERFACES))]
    remote_service_interface: Option<String>,
}

/// The stores that the data goes to, besides `--store`.
#[derive(Debug, Default, Args)]
pub struct Target {
    /// Put the data into every store
    #[arg(long, conflicts_with = "store")]
    all_stores: bool,

    /// Keep what has arrived when a store fails [default]
    #[arg(long, conflicts_with = "disallow_failure")]
    allow_failure: bool,

    /// Undo everything when a store fails
    #[arg(long)]
    disallow_failure: bool,
}

impl Source {
    /// The method of this name, with all that it needs and nothing more.
    /// `option` is how it was chosen (`--method`).
    pub fn method(&self, option: &str, name: &str) -> Result<ImportMethod> {
        let needs = |what: &str| Error::config(format!("`{option} {name}` needs {what}"));
        let method = match name {
            "web-download" => {
                let uri = self.uri.clone().ok_or_else(|| needs("`--uri`"))?;
                let fetched = Url::parse(&uri).is_ok_and(|uri| matches!(uri.scheme(), "http" | "https"));
                if !fetched {
                    return Err(Error::config(format!("`{uri}` is not a URL that can be fetched"))
                        .next("it should look like `https://images.example.org/web.qcow2`"));
                }
                ImportMethod::WebDownload { uri }
            }
            "glance-download" => {
                let (Some(region), Some(image)) = (&self.remote_region, &self.remote_image) else {
                    return Err(needs("`--remote-region` and `--remote-image`"));
                };
                let interface = self.remote_service_interface.clone();
                ImportMethod::GlanceDownload { region: region.clone(), image: image.clone(), interface }
            }
            "copy-image" => ImportMethod::CopyImage,
            _ => ImportMethod::GlanceDirect,
        };
        let fetches = matches!(method, ImportMethod::GlanceDownload { .. });
        let idle = [
            ("--uri", self.uri.is_some() && !matches!(method, ImportMethod::WebDownload { .. }), "web-download"),
            ("--remote-region", self.remote_region.is_some() && !fetches, "glance-download"),
            ("--remote-image", self.remote_image.is_some() && !fetches, "glance-download"),
            ("--remote-service-interface", self.remote_service_interface.is_some() && !fetches, "glance-download"),
        ];
        match idle.iter().find(|(_, given, _)| *given) {
            Some((idle, _, theirs)) => Err(Error::config(format!("`{idle}` means nothing with `{option} {name}`"))
                .next(format!("leave it out, or use `{option} {theirs}`"))),
            None => Ok(method),
        }
    }

    /// Whether any of these options was given.
    pub fn is_given(&self) -> bool {
        [&self.uri, &self.remote_region, &self.remote_image, &self.remote_service_interface].iter().any(|o| o.is_some())
    }
}

impl Target {
    /// What `--store` (`names`) and these options say.
    pub fn stores(&self, names: Vec<String>) -> Result<ImportTo> {
        let all_must_succeed = self.disallow_failure;
        match (self.all_stores, names.is_empty()) {
            (true, _) => Ok(ImportTo::All { all_must_succeed }),
            (false, false) => Ok(ImportTo::Stores { names, all_must_succeed }),
            (false, true) => Ok(ImportTo::Default),
        }
    }

    /// Whether stores were asked for that only an import can fill.
    pub fn is_given(&self) -> bool {
        self.all_stores || self.allow_failure || self.disallow_failure
    }

    /// What these options cannot do where no stores are named.
    pub fn idle(&self) -> Option<&'static str> {
        match (self.disallow_failure, self.allow_failure) {
            (true, _) => Some("`--disallow-failure` has no effect without `--store` or `--all-stores`"),
            (_, true) => Some("`--allow-failure` has no effect without `--store` or `--all-stores`"),
            _ => None,
        }
    }
}

/// Refuses an import that the service does not offer, or into stores that it
/// does not have.
pub async fn check(service: &dyn ImageService, import: &Import) -> Result<()> {
    let offered = service.import_methods().await?;
    let name = import.method.name();
    if !offered.iter().any(|method| method == name) {
        return Err(Error::new(Kind::Unsupported, format!("this cloud does not import by `{name}`"))
            .next(format!("it offers: {}", offered.join(", "))));
    }
    match &import.to {
        ImportTo::Default => Ok(()),
        ImportTo::Stores { names, .. } => service.know_stores(names).await,
        ImportTo::All { .. } => service.know_stores(&[]).await,
    }
}
