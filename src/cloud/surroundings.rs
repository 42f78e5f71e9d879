//! What the process was started with, as a value.
//!
//! `main` takes it once; everything below reads this value and never the
//! process, so that a test can be in any directory with any environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The environment variables and directories that decide the configuration.
///
/// There is no `Debug`: variables hold passwords.
#[derive(Clone, Default)]
pub struct Surroundings {
    /// The environment. Variables that are not Unicode are left out.
    pub variables: BTreeMap<String, String>,
    /// The current directory: the first place to look for `clouds.yaml`.
    pub directory: PathBuf,
    /// What `~` stands for.
    pub home: Option<PathBuf>,
    /// The directories to search after the current one, in order: the user's,
    /// then the machine's.
    pub config_dirs: Vec<PathBuf>,
    /// Where programs keep the user's data.
    pub data_dir: Option<PathBuf>,
    /// Where programs keep what they can do without.
    pub cache_dir: Option<PathBuf>,
}

impl Surroundings {
    /// The surroundings of this process.
    pub fn of_process() -> Self {
        let variables: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let home = dirs::home_dir();
        Surroundings {
            config_dirs: config_dirs(&variables, home.as_deref()),
            directory: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            data_dir: dirs::data_dir(),
            cache_dir: dirs::cache_dir(),
            home,
            variables,
        }
    }

    /// The variable `name`; one set to the empty string counts as not set.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Where the local image service keeps its state: `RIMG_LOCAL_DIR`, else
    /// a place among the user's data.
    pub fn local_dir(&self) -> Result<PathBuf> {
        if let Some(path) = self.variable("RIMG_LOCAL_DIR") {
            return Ok(self.directory.join(self.expand_home(path)));
        }
        let data = self.data_dir.as_deref().ok_or_else(|| {
            Error::config("there is no directory for the data of the local image service, because there is no home")
                .next("set RIMG_LOCAL_DIR to one")
        })?;
        Ok(data.join("rimg").join("local"))
    }

    /// Where the lines typed at the prompt are kept; `None` where there is no home.
    pub fn history(&self) -> Option<PathBuf> {
        Some(self.data_dir.as_deref()?.join("rimg").join("history"))
    }

    /// Where sign-ins are kept for the next run; `None` where there is no home.
    pub fn token_cache(&self) -> Option<PathBuf> {
        Some(self.cache_dir.as_deref()?.join("rimg"))
    }

    /// `path` with a leading `~` replaced by the home directory.
    pub fn expand_home(&self, path: &str) -> PathBuf {
        match (path.strip_prefix('~'), &self.home) {
            (Some(""), Some(home)) => home.clone(),
            (Some(rest), Some(home)) if rest.starts_with(std::path::is_separator) => {
                home.join(rest.trim_start_matches(std::path::is_separator))
            }
            _ => PathBuf::from(path),
        }
    }
}

/// The search path of openstacksdk behind the current directory: the
/// platform's user directory, `~/.config/openstack`, the platform's site
/// directories, `/etc/openstack`.
///
/// <https://docs.openstack.org/openstacksdk/latest/user/config/configuration.html#config-files>
fn config_dirs(variables: &BTreeMap<String, String>, home: Option<&Path>) -> Vec<PathBuf> {
    let set = |name: &str| variables.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
    let mut found = Vec::new();
    match set("XDG_CONFIG_HOME") {
        Some(dir) => found.push(Path::new(dir).join("openstack")),
        None if cfg!(windows) => {
            found.extend(dirs::data_local_dir().map(|dir| dir.join("OpenStack").join("openstack")));
        }
        None => found.extend(dirs::config_dir().map(|dir| dir.join("openstack"))),
    }
    // A snap is given a private HOME; clouds.yaml is in the real one:
    // https://snapcraft.io/docs/environment-variables
    let unix_home = set("SNAP_REAL_HOME").map(Path::new).or(home);
    found.extend(unix_home.map(|dir| dir.join(".config").join("openstack")));
    match set("XDG_CONFIG_DIRS") {
        Some(list) => found.extend(std::env::split_paths(list).map(|dir| dir.join("openstack"))),
        None if cfg!(target_os = "macos") => {
            found.push(PathBuf::from("/Library/Application Support/openstack"));
        }
        None if cfg!(windows) => {
            found.extend(set("ProgramData").map(|dir| Path::new(dir).join("OpenStack").join("openstack")))
        }
        None => found.push(PathBuf::from("/etc/xdg/openstack")),
    }
    found.push(PathBuf::from("/etc/openstack"));
    let mut seen = Vec::new();
    found.retain(|dir| {
        let new = !seen.contains(dir);
        if new {
            seen.push(dir.clone());
        }
        new
    });
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn empty_variable_counts_as_not_set() {
        let mut around = Surroundings::default();
        around.variables.insert("OS_CLOUD".into(), String::new());
        assert_eq!(around.variable("OS_CLOUD"), None);
    }

    #[test]
    fn tilde_is_the_home_directory_only_at_the_start_of_a_path() {
        let around = Surroundings { home: Some("/home/ada".into()), ..Default::default() };
        for (typed, meant) in [
            ("~/ca.pem", "/home/ada/ca.pem"),
            ("~", "/home/ada"),
            ("~bob/ca.pem", "~bob/ca.pem"),
            ("/etc/~/ca.pem", "/etc/~/ca.pem"),
        ] {
            assert_eq!(around.expand_home(typed), PathBuf::from(meant), "{typed}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn search_path_follows_xdg_and_snap() {
        let variables: BTreeMap<String, String> =
            [("XDG_CONFIG_HOME", "/x"), ("XDG_CONFIG_DIRS", "/site1:/site2"), ("SNAP_REAL_HOME", "/home/real")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into();
        let expected: Vec<PathBuf> =
            ["/x/openstack", "/home/real/.config/openstack", "/site1/openstack", "/site2/openstack", "/etc/openstack"]
                .map(PathBuf::from)
                .into();
        assert_eq!(config_dirs(&variables, Some(Path::new("/home/snap"))), expected);
    }
}
