//! The configuration file of `rimg serve`: who there is, and how the image
//! service is set up. YAML, because clouds.yaml is.
//!
//! Every word in it must be known: what is not is an error with its line.
//! Nothing else of the file gets into a message, for it holds passwords.

mod directory;
mod file;
mod settings;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use serde::Deserialize;
use serde_saphyr::Location;

use super::identity::Directory;
use super::settings::Settings;
use crate::error::{Error, Result};
use directory::read_directory;
use file::File;
use settings::read_settings;

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
    ///
    /// # Errors
    /// It cannot be read, is too large, or makes no sense: then the line is named.
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
    let settings = read_settings(&file, &wrong)?;
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

#[cfg(test)]
mod tests;
