//! The flags that say which cloud, and who one is there.
//!
//! One table ([`OPTIONS`]) holds them all: flag, variables, configuration key.
//! The clap arguments, the reading of the environment and the sorting of
//! file keys into `auth` all come from it. The flags are those of
//! `openstack`, letter for letter.

use std::collections::BTreeMap;
use std::fmt;

use clap::{Arg, ArgAction, ArgMatches};

use super::surroundings::Surroundings;

/// Where in a cloud's entry of `clouds.yaml` an option is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Directly in the entry.
    Top,
    /// Under its `auth:`.
    Auth,
}

/// How much help a flag is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// In `-h` and `--help`.
    Always,
    /// In `--help` only.
    Long,
    /// Nowhere: an old name.
    Never,
}

/// One option of the cloud configuration.
#[derive(Debug, Clone, Copy)]
pub struct CloudOption {
    /// The flag without its two dashes.
    pub flag: &'static str,
    /// The variables that stand in for the flag, the strongest first.
    pub variables: &'static [&'static str],
    /// Where its value belongs.
    pub place: Place,
    /// Its key there.
    pub key: &'static str,
    /// What the value is called in help; `None` for a flag without value.
    pub value: Option<&'static str>,
    /// What it is for.
    pub help: &'static str,
    /// Whether its value must never be shown.
    pub secret: bool,
    /// The values that the flag takes, if they are few.
    pub choices: &'static [&'static str],
    /// How much help it is worth.
    pub shown: Shown,
}

const fn top(
    flag: &'static str,
    variables: &'static [&'static str],
    key: &'static str,
    value: &'static str,
    help: &'static str,
) -> CloudOption {
    CloudOption {
        flag,
        variables,
        place: Place::Top,
        key,
        value: Some(value),
        help,
        secret: false,
        choices: &[],
        shown: Shown::Always,
    }
}

const fn auth(
    flag: &'static str,
    variables: &'static [&'static str],
    key: &'static str,
    value: &'static str,
    help: &'static str,
) -> CloudOption {
    CloudOption { place: Place::Auth, ..top(flag, variables, key, value, help) }
}

const fn switch(flag: &'static str, key: &'static str, help: &'static str) -> CloudOption {
    CloudOption { value: None, ..top(flag, &[], key, "", help) }
}

impl CloudOption {
    const fn secret(self) -> Self {
        CloudOption { secret: true, ..self }
    }

    const fn long(self) -> Self {
        CloudOption { shown: Shown::Long, ..self }
    }

    const fn hidden(self) -> Self {
        CloudOption { shown: Shown::Never, ..self }
    }

    const fn one_of(self, choices: &'static [&'static str]) -> Self {
        CloudOption { choices, ..self }
    }
}

/// Every option. A later line with the same key wins over an earlier one.
// One line each, so that it reads as a table.
#[rustfmt::skip]
pub const OPTIONS: &[CloudOption] = &[
    top("os-cloud", &["OS_CLOUD"], "cloud", "NAME", "Use the cloud NAME of clouds.yaml"),
    top("os-region-name", &["OS_REGION_NAME"], "region_name", "REGION", "Use the services of REGION"),
    top("os-interface", &["OS_INTERFACE"], "interface", "INTERFACE", "Use the endpoints meant for INTERFACE [default: public]").one_of(&["admin", "public", "internal"]),
    top("os-cacert", &["OS_CACERT"], "cacert", "FILE", "Trust the certificate authorities in FILE (PEM)"),
    top("os-cert", &["OS_CERT"], "cert", "FILE", "Present the client certificate in FILE (PEM)").long(),
    top("os-key", &["OS_KEY"], "key", "FILE", "Use the private key in FILE for the client certificate").long(),
    switch("verify", "verify", "Check the server's certificate, whatever the configuration says").long(),
    switch("insecure", "insecure", "Do not check the server's certificate"),
    CloudOption { variables: &["RIMG_TOKEN_CACHE"], ..switch("no-token-cache", "token_cache", "Sign in anew, and keep no token for the next run") },
    top("os-auth-type", &["OS_AUTH_TYPE"], "auth_type", "TYPE", "Sign in with this plug-in [default: by what is given, else password]").long(),
    auth("os-auth-url", &["OS_AUTH_URL"], "auth_url", "URL", "Sign in at the Keystone at URL"),
    auth("os-username", &["OS_USERNAME"], "username", "NAME", "User name"),
    auth("os-user-id", &["OS_USER_ID"], "user_id", "ID", "User ID, instead of a name and a domain").long(),
    auth("os-user-domain-name", &["OS_USER_DOMAIN_NAME"], "user_domain_name", "NAME", "Name of the domain that the user belongs to"),
    auth("os-user-domain-id", &["OS_USER_DOMAIN_ID"], "user_domain_id", "ID", "ID of the domain that the user belongs to").long(),
    auth("os-password", &["OS_PASSWORD"], "password", "PASSWORD", "Password; asked for on a terminal when missing").secret(),
    auth("os-project-name", &["OS_PROJECT_NAME", "OS_TENANT_NAME"], "project_name", "NAME", "Work in this project"),
    auth("os-project-id", &["OS_PROJECT_ID", "OS_TENANT_ID"], "project_id", "ID", "Work in the project with this ID").long(),
    auth("os-project-domain-name", &["OS_PROJECT_DOMAIN_NAME"], "project_domain_name", "NAME", "Name of the domain that the project belongs to"),
    auth("os-project-domain-id", &["OS_PROJECT_DOMAIN_ID"], "project_domain_id", "ID", "ID of the domain that the project belongs to").long(),
    auth("os-tenant-name", &[], "project_name", "NAME", "Old name of --os-project-name").hidden(),
    auth("os-tenant-id", &[], "project_id", "ID", "Old name of --os-project-id").hidden(),
    auth("os-domain-name", &["OS_DOMAIN_NAME"], "domain_name", "NAME", "Work in this domain instead of a project").long(),
    auth("os-domain-id", &["OS_DOMAIN_ID"], "domain_id", "ID", "Work in the domain with this ID instead of a project").long(),
    auth("os-system-scope", &["OS_SYSTEM_SCOPE"], "system_scope", "SCOPE", "Work on the whole system: all").long(),
    auth("os-trust-id", &["OS_TRUST_ID"], "trust_id", "ID", "Act through this trust").long(),
    top("os-default-domain", &["OS_DEFAULT_DOMAIN"], "default_domain", "ID", "Domain ID to assume for a user or project without one [default: default]").long(),
    auth("os-default-domain-id", &["OS_DEFAULT_DOMAIN_ID"], "default_domain_id", "ID", "Domain ID of both user and project, for password and token").long(),
    auth("os-default-domain-name", &["OS_DEFAULT_DOMAIN_NAME"], "default_domain_name", "NAME", "Domain name of both user and project, for password and token").long(),
    auth("os-token", &["OS_TOKEN"], "token", "TOKEN", "Use this token instead of a password").secret().long(),
    auth("os-endpoint", &["OS_ENDPOINT"], "endpoint", "URL", "Use the service at URL without asking Keystone (admin_token, none, http_basic)").long(),
    auth("os-application-credential-id", &["OS_APPLICATION_CREDENTIAL_ID"], "application_credential_id", "ID", "Application credential ID (v3applicationcredential)").long(),
    auth("os-application-credential-name", &["OS_APPLICATION_CREDENTIAL_NAME"], "application_credential_name", "NAME", "Application credential name, with its user (v3applicationcredential)").long(),
    auth("os-application-credential-secret", &["OS_APPLICATION_CREDENTIAL_SECRET"], "application_credential_secret", "SECRET", "Application credential secret (v3applicationcredential)").secret().long(),
    auth("os-passcode", &["OS_PASSCODE"], "passcode", "CODE", "One-time code (v3totp)").secret().long(),
    auth("os-auth-methods", &["OS_AUTH_METHODS"], "auth_methods", "LIST", "Methods to combine, with commas between (v3multifactor)").long(),
    auth("os-identity-provider", &["OS_IDENTITY_PROVIDER"], "identity_provider", "NAME", "Identity provider as Keystone calls it (v3oidc*, v3websso)").long(),
    auth("os-protocol", &["OS_PROTOCOL"], "protocol", "NAME", "Federation protocol as Keystone calls it (v3oidc*, v3websso)").long(),
    auth("os-client-id", &["OS_CLIENT_ID"], "client_id", "ID", "OpenID Connect client ID (v3oidc*)").long(),
    auth("os-client-secret", &["OS_CLIENT_SECRET"], "client_secret", "SECRET", "OpenID Connect client secret (v3oidc*)").secret().long(),
    auth("os-openid-scope", &["OS_OPENID_SCOPE"], "scope", "SCOPE", "OpenID Connect scope (v3oidc*) [default: openid profile]").long(),
    auth("os-discovery-endpoint", &["OS_DISCOVERY_ENDPOINT"], "discovery_endpoint", "URL", "OpenID Connect discovery document (v3oidc*)").long(),
    auth("os-access-token-endpoint", &["OS_ACCESS_TOKEN_ENDPOINT"], "access_token_endpoint", "URL", "OpenID Connect token endpoint, instead of discovery (v3oidc*)").long(),
    auth("os-access-token-type", &["OS_ACCESS_TOKEN_TYPE"], "access_token_type", "TYPE", "Which OpenID Connect token to hand to Keystone (v3oidc*) [default: access_token]").long(),
    auth("os-access-token", &["OS_ACCESS_TOKEN"], "access_token", "TOKEN", "OpenID Connect access token (v3oidcaccesstoken)").secret().long(),
    auth("os-code", &["OS_CODE"], "code", "CODE", "OpenID Connect authorization code (v3oidcauthcode)").secret().long(),
    auth("os-redirect-uri", &["OS_REDIRECT_URI"], "redirect_uri", "URL", "OpenID Connect redirect address (v3oidcauthcode)").long(),
    auth("os-device-authorization-endpoint", &["OS_DEVICE_AUTHORIZATION_ENDPOINT"], "device_authorization_endpoint", "URL", "OAuth 2.0 device authorization endpoint (v3oidcdeviceauthz)").long(),
    auth("os-code-challenge-method", &["OS_CODE_CHALLENGE_METHOD"], "code_challenge_method", "METHOD", "PKCE challenge method (v3oidcdeviceauthz)").long(),
    auth("os-idp-otp-key", &["OS_IDP_OTP_KEY"], "idp_otp_key", "KEY", "Form field that takes a one-time code (v3oidcpassword)").long(),
    auth("os-redirect-host", &["OS_REDIRECT_HOST"], "redirect_host", "HOST", "Host that the browser comes back to (v3websso) [default: localhost]").long(),
    auth("os-redirect-port", &["OS_REDIRECT_PORT"], "redirect_port", "PORT", "Port that the browser comes back to (v3websso) [default: 9990]").long(),
    auth("os-login-timeout", &["OS_LOGIN_TIMEOUT"], "login_timeout", "SECONDS", "How long to wait for the browser (v3websso) [default: 60]").long(),
    auth("os-oauth2-endpoint", &["OS_OAUTH2_ENDPOINT"], "oauth2_endpoint", "URL", "OAuth 2.0 token endpoint (v3oauth2*)").long(),
    auth("os-oauth2-client-id", &["OS_OAUTH2_CLIENT_ID"], "oauth2_client_id", "ID", "OAuth 2.0 client ID (v3oauth2*)").long(),
    auth("os-oauth2-client-secret", &["OS_OAUTH2_CLIENT_SECRET"], "oauth2_client_secret", "SECRET", "OAuth 2.0 client secret (v3oauth2clientcredential)").secret().long(),
    top("os-service-provider", &["OS_SERVICE_PROVIDER"], "service_provider", "NAME", "Go on to this service provider (Keystone to Keystone)").long(),
    top("os-remote-project-name", &["OS_REMOTE_PROJECT_NAME"], "remote_project_name", "NAME", "Project at the service provider").long(),
    top("os-remote-project-id", &["OS_REMOTE_PROJECT_ID"], "remote_project_id", "ID", "ID of the project at the service provider").long(),
    top("os-remote-project-domain-name", &["OS_REMOTE_PROJECT_DOMAIN_NAME"], "remote_project_domain_name", "NAME", "Domain of the project at the service provider").long(),
    top("os-remote-project-domain-id", &["OS_REMOTE_PROJECT_DOMAIN_ID"], "remote_project_domain_id", "ID", "ID of the domain of the project at the service provider").long(),
    top("os-image-api-version", &["OS_IMAGE_API_VERSION"], "image_api_version", "VERSION", "Image API version, 1 or 2 [default: 2]").long(),
    top("os-identity-api-version", &["OS_IDENTITY_API_VERSION"], "identity_api_version", "VERSION", "Identity API version, 2 or 3 [default: 3]").long(),
    top("os-volume-api-version", &["OS_VOLUME_API_VERSION"], "volume_api_version", "VERSION", "Volume API version [default: 3]").long(),
    top("os-compute-api-version", &["OS_COMPUTE_API_VERSION"], "compute_api_version", "VERSION", "Compute API version; no image command uses it").long(),
    top("os-network-api-version", &["OS_NETWORK_API_VERSION"], "network_api_version", "VERSION", "Network API version; no image command uses it").long(),
    top("os-object-api-version", &["OS_OBJECT_API_VERSION"], "object_api_version", "VERSION", "Object store API version; no image command uses it").long(),
    top("os-accelerator-api-version", &["OS_ACCELERATOR_API_VERSION"], "accelerator_api_version", "VERSION", "Accelerator API version; no image command uses it").long(),
    top("os-share-api-version", &["OS_SHARE_API_VERSION"], "share_api_version", "VERSION", "Shared file system API version; no image command uses it").long(),
    // The shared file system plug-in's own option, in spite of its name.
    top("os-endpoint-override", &["OS_SHARED_FILE_SYSTEM_ENDPOINT_OVERRIDE"], "endpoint_override", "URL", "Shared file system endpoint; no image command uses it (see OS_IMAGE_ENDPOINT_OVERRIDE)").long(),
    switch("os-beta-command", "beta_command", "Allow beta commands; no image command needs it").long(),
];

/// Flags of which only one may be given, as in `openstack`.
const EXCLUSIVE: &[(&str, &str)] = &[
    ("verify", "insecure"),
    ("os-remote-project-name", "os-remote-project-id"),
    ("os-remote-project-domain-name", "os-remote-project-domain-id"),
];

/// The configuration key that `key` of an entry means, and its place; the
/// last is whether `key` is an old or second name.
///
/// Auth options written beside `auth:` instead of under it are moved there,
/// as openstacksdk does.
pub(super) fn sort_key(key: &str, place: Place) -> (Place, String, bool) {
    let renamed = match key {
        "tenant_id" => "project_id",
        "tenant_name" => "project_name",
        "auth_token" => "token",
        "user_name" => "username",
        "url" => "endpoint",
        "authorization_code" => "code",
        "openid_scope" => "scope",
        _ => key,
    };
    // `scope` alone is no option's name: it means something only under `auth:`.
    let known = key != "scope" && OPTIONS.iter().any(|option| option.place == Place::Auth && option.key == renamed);
    if place == Place::Auth || known {
        return (Place::Auth, renamed.to_owned(), renamed != key);
    }
    // The clients of old put their own name in front: `nova_timeout`.
    let renamed = match key {
        "auth_plugin" => Some("auth_type".to_owned()),
        "timeout" | "api_timeout" => None,
        _ if key.ends_with("timeout") => Some("api_timeout".to_owned()),
        _ => key.strip_suffix("endpoint_type").map(|prefix| format!("{prefix}interface")),
    };
    match renamed {
        Some(renamed) => (Place::Top, renamed, true),
        None => (Place::Top, key.to_owned(), false),
    }
}

/// Whether the value of `key` must never be shown. Names that the table does
/// not know are judged by their look: a file can hold any key.
pub(super) fn is_secret(key: &str) -> bool {
    OPTIONS.iter().any(|option| option.secret && option.key == key)
        || ["password", "passwd", "secret", "token", "passphrase", "private_key"].iter().any(|word| key.contains(word))
            && !OPTIONS.iter().any(|option| option.key == key)
}

/// The clap arguments, all global: they may stand before or after the
/// command's words, as with `openstack`.
///
/// No argument has clap's `env`: its help would show the variables' values,
/// and an empty variable would count as set.
pub fn args() -> Vec<Arg> {
    OPTIONS
        .iter()
        .map(|option| {
            let mut arg = Arg::new(option.flag)
                .long(option.flag)
                .global(true)
                .help_heading("Cloud")
                .overrides_with(option.flag)
                .help(match option.variables {
                    [] => option.help.to_owned(),
                    [variable, ..] => format!("{} [env: {variable}]", option.help),
                })
                .hide(option.shown == Shown::Never)
                .hide_short_help(option.shown != Shown::Always);
            arg = match option.value {
                Some(name) => arg.action(ArgAction::Set).value_name(name),
                None => arg.action(ArgAction::SetTrue),
            };
            if !option.choices.is_empty() {
                arg = arg.value_parser(option.choices.to_vec());
            }
            for (one, other) in EXCLUSIVE {
                if option.flag == *one {
                    arg = arg.conflicts_with(other);
                }
            }
            arg
        })
        .collect()
}

/// The cloud flags that were typed, and their values.
#[derive(Clone, Default)]
pub struct Flags(BTreeMap<&'static str, String>);

impl Flags {
    /// The flags in `matches` and in those of its subcommands; the innermost
    /// wins. A flag with an empty value counts as not given.
    pub fn from_matches(matches: &ArgMatches) -> Self {
        let mut flags = Flags::default();
        let mut level = Some(matches);
        while let Some(matches) = level {
            for option in OPTIONS {
                if matches.try_contains_id(option.flag).is_err()
                    || matches.value_source(option.flag) != Some(clap::parser::ValueSource::CommandLine)
                {
                    continue;
                }
                let text = match option.value {
                    Some(_) => matches.try_get_one::<String>(option.flag).ok().flatten().cloned(),
                    None => Some((!option.flag.starts_with("no-")).to_string()),
                };
                if let Some(text) = text.filter(|text| !text.is_empty()) {
                    flags.0.insert(option.flag, text);
                }
            }
            level = matches.subcommand().map(|(_, inner)| inner);
        }
        flags
    }

    /// The value of `--flag`; a flag without value has `true`, or `false` if it
    /// begins with `no-`.
    pub fn get(&self, flag: &str) -> Option<&str> {
        self.0.get(flag).map(String::as_str)
    }

    /// Whether none was typed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These flags and `more`, which win.
    pub fn and(mut self, more: Flags) -> Self {
        self.0.extend(more.0);
        self
    }

    /// The same flags and `--flag` with `value`.
    #[cfg(test)]
    pub(super) fn with(mut self, flag: &'static str, value: &str) -> Self {
        self.0.insert(flag, value.to_owned());
        self
    }
}

/// Names only: the values of some are secret.
impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Where an option's value was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Given {
    Flag,
    Variable(&'static str),
}

impl CloudOption {
    /// The value given by flag, else by variable.
    pub(super) fn given<'a>(&self, flags: &'a Flags, surroundings: &'a Surroundings) -> Option<(&'a str, Given)> {
        flags.get(self.flag).map(|text| (text, Given::Flag)).or_else(|| {
            self.variables.iter().find_map(|name| Some((surroundings.variable(name)?, Given::Variable(name))))
        })
    }
}

/// The option with this flag.
pub(super) fn option(flag: &str) -> Option<&'static CloudOption> {
    OPTIONS.iter().find(|option| option.flag == flag)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn command() -> clap::Command {
        clap::Command::new("rimg")
            .args(args())
            .subcommand(clap::Command::new("image").subcommand(clap::Command::new("list")))
    }

    fn parse(line: &str) -> Flags {
        Flags::from_matches(&command().try_get_matches_from(line.split(' ')).unwrap())
    }

    #[test]
    fn the_table_makes_valid_arguments() {
        command().debug_assert();
    }

    #[test]
    fn every_auth_option_is_also_understood_beside_auth() {
        for option in OPTIONS.iter().filter(|option| option.place == Place::Auth) {
            let beside = option.flag.trim_start_matches("os-").replace('-', "_");
            let (place, key, _) = sort_key(&beside, Place::Top);
            assert_eq!((place, key.as_str()), (Place::Auth, option.key), "{}", option.flag);
        }
    }

    #[test]
    fn flags_may_stand_before_and_after_the_words() {
        let flags = parse("rimg --os-cloud a image --os-region-name R1 list --os-username ada");
        assert_eq!(flags.get("os-cloud"), Some("a"));
        assert_eq!(flags.get("os-region-name"), Some("R1"));
        assert_eq!(flags.get("os-username"), Some("ada"));
    }

    #[test]
    fn the_last_of_a_repeated_flag_wins() {
        assert_eq!(parse("rimg --os-cloud a --os-cloud b image list").get("os-cloud"), Some("b"));
        assert_eq!(parse("rimg --os-cloud a image list --os-cloud b").get("os-cloud"), Some("b"));
    }

    #[test]
    fn a_flag_with_an_empty_value_counts_as_not_given() {
        assert_eq!(parse("rimg --os-cloud= image list").get("os-cloud"), None);
    }

    #[test]
    fn contradictions_are_usage_errors() {
        for line in [
            "rimg --verify --insecure image list",
            "rimg --os-remote-project-id 1 --os-remote-project-name n image list",
            "rimg --os-interface nowhere image list",
        ] {
            assert!(command().try_get_matches_from(line.split(' ')).is_err(), "{line}");
        }
    }

    #[test]
    fn help_names_variables_and_hides_old_flags() {
        let help = command().render_long_help().to_string();
        assert!(help.contains("[env: OS_AUTH_URL]"));
        assert!(!help.contains("--os-tenant-name"));
        assert!(!command().render_help().to_string().contains("--os-device-authorization-endpoint"));
    }

    #[test]
    fn debug_shows_no_values() {
        let flags = parse("rimg --os-password hunter2 image list");
        assert_eq!(format!("{flags:?}"), r#"{"os-password"}"#);
    }

    #[test]
    fn secrets_are_known_by_table_and_by_look() {
        for key in ["password", "token", "application_credential_secret", "my_secret", "code"] {
            assert!(is_secret(key), "{key}");
        }
        for key in ["username", "access_token_endpoint", "access_token_type", "auth_url"] {
            assert!(!is_secret(key), "{key}");
        }
    }
}
