//! Each step of the precedence, and each message, pinned.

#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use crate::cloud::config::Interface;

/// A current directory, a home, and an environment of its own.
struct World {
    dir: tempfile::TempDir,
    around: Surroundings,
    flags: Flags,
}

fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    for name in ["here", "home"] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
    }
    let around = Surroundings {
        directory: dir.path().join("here"),
        home: Some(dir.path().join("home")),
        config_dirs: vec![dir.path().join("home")],
        ..Default::default()
    };
    World { dir, around, flags: Flags::default() }
}

impl World {
    fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.dir.path().join(name), text).unwrap();
        self
    }

    fn clouds(self, text: &str) -> Self {
        self.file("here/clouds.yaml", text)
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.around.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    fn flag(mut self, name: &'static str, value: &str) -> Self {
        self.flags = self.flags.with(name, value);
        self
    }

    fn load(&self) -> CloudConfig {
        load(&self.flags, &self.around).unwrap()
    }

    /// The error's message and next step, without the temporary directory.
    fn error(&self) -> (String, String) {
        let error = load(&self.flags, &self.around).unwrap_err();
        (self.shorten(&error.message), self.shorten(&error.next.unwrap()))
    }

    fn warnings(&self) -> Vec<String> {
        self.load().warnings.iter().map(|text| self.shorten(text)).collect()
    }

    fn shorten(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.dir.path().display()), "")
    }
}

const TWO: &str = "clouds:
  a: {auth: {auth_url: http://a, username: ada, password: 0123, project_name: pa}}
  b: {auth: {auth_url: http://b}, region_name: R1}
";

#[test]
fn the_cloud_is_the_one_named_else_the_environment_else_the_only_one() {
    let name = |world: World| world.load().name;
    assert_eq!(name(world().clouds(TWO).flag("os-cloud", "a").env("OS_CLOUD", "b")).unwrap(), "a");
    assert_eq!(name(world().clouds(TWO).env("OS_CLOUD", "b")).unwrap(), "b");
    assert_eq!(name(world().clouds(TWO).env("OS_AUTH_URL", "http://e")).unwrap(), "envvars");
    let one = "clouds: {only: {auth: {auth_url: http://o}}}";
    assert_eq!(name(world().clouds(one)).unwrap(), "only");
    assert_eq!(name(world().clouds(one).env("OS_REGION_NAME", "R").env("OS_TEST_X", "1")).unwrap(), "only");
    assert_eq!(name(world().clouds(one).env("OS_USERNAME", "")).unwrap(), "only");
    assert_eq!(name(world().clouds(TWO).flag("os-auth-url", "http://f")), None);
    let mine = world().clouds(TWO).env("OS_CLOUD_NAME", "mine").env("OS_CLOUD", "mine");
    assert_eq!(name(mine.env("OS_AUTH_URL", "http://e")).unwrap(), "mine");
}

#[test]
fn each_layer_wins_over_the_one_before() {
    let clouds = "clouds:
  a:
    profile: pub
    auth: {username: file}
    regions: [{name: R1, values: {auth: {user_domain_name: region}}}]
";
    let public = "public-clouds:
  pub:
    auth: {auth_url: http://profile, username: profile, user_domain_name: profile, project_name: profile}
    interface: internal
";
    let world = world()
        .clouds(clouds)
        .file("home/clouds-public.yaml", public)
        .file("home/secure.yaml", "clouds: {a: {auth: {password: 0123, trust_id: secure}}}")
        .env("OS_CLOUD", "a")
        .env("OS_TRUST_ID", "variable")
        .env("OS_PASSWORD", "variable")
        .flag("os-password", "flag");
    let config = world.load();
    for (key, value, origin) in [
        ("auth_url", "http://profile", "vendor profile `pub`"),
        ("username", "file", "cloud `a` in `here/clouds.yaml`"),
        ("user_domain_name", "region", "cloud `a` in `here/clouds.yaml`"),
        ("trust_id", "variable", "OS_TRUST_ID"),
        ("password", "flag", "--os-password"),
        ("project_domain_id", "default", "default"),
    ] {
        let setting = &config.auth[key];
        assert_eq!(
            (setting.text().unwrap(), world.shorten(&setting.origin.to_string()).as_str()),
            (value, origin),
            "{key}"
        );
    }
    assert_eq!(config.interface().unwrap(), [Interface::Internal]);
    assert_eq!(config.region.as_deref(), Some("R1"));
}

#[test]
fn the_first_file_of_a_kind_is_the_only_one() {
    let world = world()
        .file("home/clouds.yaml", "clouds: {far: {auth: {auth_url: http://far}}}")
        .file("here/clouds.json", r#"{"clouds": {"near": {"auth": {"auth_url": "http://near"}}}}"#);
    assert_eq!(cloud_names(&world.around), ["local", "near"]);
    let path = world.dir.path().join("named");
    let world = world
        .file("named", "clouds: {named: {auth: {auth_url: http://named}}}")
        .env("OS_CLIENT_CONFIG_FILE", path.to_str().unwrap());
    assert_eq!(world.load().name.unwrap(), "named");
}

#[test]
fn text_under_auth_stays_what_was_typed() {
    assert_eq!(world().clouds(TWO).flag("os-cloud", "a").load().auth("password"), Some("0123"));
}

#[test]
fn a_variable_that_changes_a_named_cloud_is_told_without_its_value() {
    let told = world()
        .clouds(TWO)
        .env("OS_CLOUD", "a")
        .env("OS_PASSWORD", "hunter2")
        .env("OS_PROJECT_NAME", "other")
        .env("OS_USERNAME", "ada")
        .env("OS_TRUST_ID", "new");
    assert_eq!(
        told.warnings(),
        [
            "OS_PASSWORD and OS_PROJECT_NAME in the environment override what `here/clouds.yaml` says of cloud `a`: unset them if that is not meant"
        ]
    );
    assert_eq!(told.load().auth("password"), Some("hunter2"));
    assert!(world().clouds(TWO).flag("os-cloud", "a").flag("os-password", "x").warnings().is_empty());
}

#[test]
fn every_variable_is_a_key_of_the_environments_cloud() {
    let world = world()
        .env("OS_AUTH_URL", "http://e")
        .env("OS_IMAGE_ENDPOINT_OVERRIDE", "http://img")
        .env("OS_ENDPOINT_TYPE", "internalURL")
        .env("OS_TENANT_NAME", "t")
        .env("OS_API_TIMEOUT", "2.5")
        .env("OS_IMAGE_STATUS_CODE_RETRIES", "2")
        .env("OS_LOG_LEVEL", "x");
    let config = world.load();
    assert_eq!(config.image_endpoint_override(), Some("http://img"));
    assert_eq!(config.interface().unwrap(), [Interface::Internal]);
    assert_eq!(config.auth("project_name"), Some("t"));
    assert_eq!(config.api_timeout().unwrap(), Some(std::time::Duration::from_millis(2500)));
    assert_eq!(config.for_service("image").unwrap().status_code_retries, Some(2));
    assert_eq!(config.setting("log_level"), None);
    assert_eq!(
        config.settings["image_endpoint_override"].origin,
        Origin::Variable("OS_IMAGE_ENDPOINT_OVERRIDE".into())
    );
}

#[test]
fn the_way_to_sign_in_follows_from_what_is_given() {
    let chosen = |flags: &[(&'static str, &str)], entry: &str| {
        let mut world = world().clouds(&format!("clouds: {{a: {{auth: {{auth_url: http://a{entry}}}}}}}"));
        for (flag, value) in flags {
            world = world.flag(flag, value);
        }
        world.load().auth_type().to_owned()
    };
    assert_eq!(chosen(&[], ""), "password");
    assert_eq!(chosen(&[("os-token", "t")], ""), "token");
    assert_eq!(chosen(&[("os-token", "t")], ", password: p"), "token");
    assert_eq!(chosen(&[("os-token", "t"), ("os-password", "p")], ""), "password");
    assert_eq!(chosen(&[], ", token: t, password: p"), "password");
    assert_eq!(chosen(&[("os-token", "t"), ("os-endpoint", "http://e")], ""), "admin_token");
    assert_eq!(chosen(&[("os-token", "t"), ("os-auth-type", "v3token")], ""), "v3token");
    assert_eq!(chosen(&[("os-auth-type", "token_endpoint")], ""), "admin_token");
    assert_eq!(chosen(&[("os-auth-type", "anything")], ""), "anything");
}

#[test]
fn without_keystone_no_auth_url_is_needed() {
    for auth_type in ["none", "admin_token", "http_basic"] {
        world().flag("os-auth-type", auth_type).load();
    }
    let config = world().flag("os-auth-type", "none").flag("os-endpoint", "http://g").load();
    assert_eq!(config.image_endpoint_override(), Some("http://g"));
}

#[test]
fn domains_are_filled_in() {
    let auth = |entry: &str, flags: &[(&'static str, &str)]| {
        let mut world = world().clouds(&format!("clouds: {{a: {{{entry}}}}}"));
        for (flag, value) in flags {
            world = world.flag(flag, value);
        }
        let config = world.load();
        config
            .auth
            .iter()
            .filter(|(key, _)| key.contains("domain") || key.contains("tenant"))
            .map(|(key, setting)| format!("{key}={}", setting.text().unwrap()))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let url = "auth_url: http://a";
    assert_eq!(auth(&format!("auth: {{{url}}}"), &[]), "project_domain_id=default user_domain_id=default");
    assert_eq!(
        auth(&format!("auth: {{{url}, user_domain_name: U}}"), &[("os-default-domain", "d")]),
        "project_domain_id=d user_domain_name=U"
    );
    assert_eq!(
        auth(&format!("auth: {{{url}, project_name: p, domain_name: D}}"), &[]),
        "project_domain_name=D user_domain_name=D"
    );
    assert_eq!(
        auth(&format!("auth: {{{url}, domain_name: D, user_domain_id: u}}"), &[]),
        "domain_name=D project_domain_id=default user_domain_id=u"
    );
    assert_eq!(auth(&format!("auth: {{{url}, default_domain_id: d}}"), &[]), "default_domain_id=d");
    assert_eq!(auth(&format!("auth: {{{url}}}, auth_type: v3applicationcredential"), &[]), "");
    assert_eq!(auth(&format!("auth: {{{url}, user_domain_id: u}}, identity_api_version: 2"), &[]), "");
    assert_eq!(auth(&format!("auth: {{{url}, project_name: p}}, auth_type: v2password"), &[]), "tenant_name=p");
}

#[test]
fn old_names_give_way_to_new_ones_and_never_to_flags() {
    let config = world()
            .clouds("clouds:\n  a:\n    endpoint-type: adminURL\n    interface: internal\n    nova_timeout: 7\n    auth_plugin: v3totp\n    image-api-version: 2.10\n    user_name: beside\n    auth: {auth_url: http://a, username: inside, tenant-id: t}\n")
            .load();
    assert_eq!(config.interface().unwrap(), [Interface::Internal]);
    assert_eq!(config.setting("api_timeout"), Some("7"));
    assert_eq!(config.auth_type(), "v3totp");
    assert_eq!(config.setting("image_api_version"), Some("2.10"));
    assert_eq!(config.auth("project_id"), Some("t"));
    let flagged = world()
        .clouds("clouds: {a: {endpoint_type: admin, auth: {auth_url: http://a}}}")
        .flag("os-interface", "public")
        .flag("os-tenant-name", "old")
        .flag("os-project-name", "new")
        .flag("os-login-timeout", "5")
        .load();
    assert_eq!(flagged.interface().unwrap(), [Interface::Public]);
    assert_eq!(flagged.auth("project_name"), Some("old"), "as openstack: the hidden flag wins");
    assert_eq!((flagged.auth("login_timeout"), flagged.setting("api_timeout")), (Some("5"), None));
}

#[test]
fn braces_are_placeholders_in_addresses_only() {
    let config = world()
            .clouds("clouds: {a: {region_name: R1, auth: {auth_url: 'http://{region_name}/v3', password: '{x}'}, image_endpoint_override: 'http://i.{region_name}', note: '{y}'}}")
            .load();
    assert_eq!(config.auth("auth_url"), Some("http://R1/v3"));
    assert_eq!(config.auth("password"), Some("{x}"));
    assert_eq!(config.image_endpoint_override(), Some("http://i.R1"));
    assert_eq!(config.setting("note"), Some("{y}"));
    assert_eq!(
        world().flag("os-auth-url", "http://{region_name}").error(),
        ("`auth_url` needs `region_name`, which is not set".into(), "choose a region with --os-region-name".into())
    );
}

#[test]
fn tls_settings_understand_text() {
    let tls = |entry: &str, flags: &[(&'static str, &str)]| {
        let mut world = world().clouds(&format!("clouds: {{a: {{auth: {{auth_url: http://a}}, {entry}}}}}"));
        for (flag, value) in flags {
            world = world.flag(flag, value);
        }
        let config = world.load();
        (config.tls().unwrap().verify, config.warnings.len())
    };
    for off in ["verify: false", "verify: 'False'", "verify: '0'", "verify: no", "insecure: true", "insecure: 'yes'"] {
        assert_eq!(tls(off, &[]), (false, 0), "{off}");
        assert_eq!(tls(off, &[("verify", "true")]), (true, 0), "{off} --verify");
    }
    assert_eq!(tls("cacert: /c", &[]), (true, 0));
    assert_eq!(tls("cacert: /c", &[("insecure", "true")]), (false, 1));
    let world = world().env("OS_AUTH_URL", "http://e").env("OS_VERIFY", "False").env("OS_CERT", "~/c.pem");
    let tls = world.load().tls().unwrap();
    assert!(!tls.verify);
    assert_eq!(tls.cert.unwrap(), world.dir.path().join("home/c.pem"));
}

#[test]
fn values_that_make_no_sense_are_errors_that_name_their_origin() {
    let world = world().clouds("clouds: {a: {auth: {auth_url: http://a}, insecure: hunter2}}");
    assert_eq!(
        world.error(),
        (
            "`insecure` is neither true nor false (from cloud `a` in `here/clouds.yaml`)".into(),
            "correct `insecure` there".into()
        )
    );
    let message = |name: &str, value: &str| self::world().env("OS_AUTH_URL", "http://e").env(name, value).error().0;
    assert_eq!(message("OS_API_TIMEOUT", "soon"), "`api_timeout` is not a number of seconds (from OS_API_TIMEOUT)");
    assert_eq!(
        message("OS_INTERFACE", "nowhere"),
        "`interface` is none of admin, internal and public (from OS_INTERFACE)"
    );
}

#[test]
fn regions() {
    let clouds = "clouds:
  many: {auth: {auth_url: http://m}, regions: [R1, {name: R2, values: {interface: admin}}]}
  one: {auth: {auth_url: http://o}, region_name: R1}
  any: {auth: {auth_url: http://n}}
";
    let region = |cloud: &str, asked: &str| {
        world().clouds(clouds).flag("os-cloud", cloud).flag("os-region-name", asked).load().region.unwrap()
    };
    assert_eq!(world().clouds(clouds).flag("os-cloud", "many").load().region.unwrap(), "R1");
    assert_eq!(region("many", "R2"), "R2");
    assert_eq!(region("any", "R9"), "R9");
    let admin = world().clouds(clouds).flag("os-cloud", "many").env("OS_REGION_NAME", "R2").load();
    assert_eq!(admin.interface().unwrap(), [Interface::Admin]);
    assert_eq!(
        world().clouds(clouds).flag("os-cloud", "many").flag("os-region-name", "r1").error(),
        ("`r1` is not a region of cloud `many`".into(), "choose one of `R1`, `R2`; case matters".into())
    );
    assert_eq!(
            world().clouds(clouds).flag("os-cloud", "one").env("OS_REGION_NAME", "R2").error(),
            (
                "`R2` (from OS_REGION_NAME) is not a region of cloud `one`".into(),
                "leave the region out, the cloud has only `R1`; for a choice, list all under `regions` in place of `region_name`".into()
            )
        );
    let environment = world().env("OS_AUTH_URL", "http://e").env("OS_REGION_NAME", "R1").flag("os-region-name", "R2");
    assert_eq!(environment.load().region.unwrap(), "R2");
}

#[test]
fn vendor_profiles() {
    let config =
        world().clouds("clouds: {c: {profile: citycloud, auth: {username: u}}}").flag("os-region-name", "Kna1").load();
    assert_eq!(config.auth("auth_url"), Some("https://Kna1.citycloud.com:5000/v3/"));
    assert_eq!(
        world().clouds("clouds: {c: {profile: catalyst}}").warnings(),
        ["the vendor profile `catalyst` asks for image API version 1: try --os-image-api-version 2"]
    );
    assert_eq!(
        world().clouds("clouds: {c: {profile: nobody, auth: {auth_url: http://a}}}").warnings(),
        ["cloud `c` has the profile `nobody`, which is not known"]
    );
    assert!(world().clouds("clouds: {c: {profile: ultimum}}").error().0.contains("no longer exists"));
}

#[test]
fn nothing_configured_says_the_four_ways() {
    assert_eq!(
            world().error(),
            (
                "no cloud is configured: there is no clouds.yaml in `here` or `home`, and OS_AUTH_URL is not set".into(),
                "name a cloud of a clouds.yaml with --os-cloud or OS_CLOUD; or `source openrc`, which sets OS_AUTH_URL and other variables; or give --os-auth-url, --os-username and so on; or try rimg without a cloud, with --os-cloud local".into()
            )
        );
}

#[test]
fn the_cloud_local_is_there_unless_a_file_has_one() {
    let local = world().env("OS_CLOUD", "local").env("OS_USERNAME", "u").env("OS_ENDPOINT", "http://x/").load();
    assert!(local.built_in && local.auth.is_empty() && local.setting("endpoint").is_none());
    assert_eq!((local.name.as_deref(), local.auth_type()), (Some("local"), "admin_token"));
    assert!(world().clouds(TWO).flag("os-cloud", "local").load().built_in);
    let own = world().clouds("clouds: {local: {auth: {auth_url: 'http://x/'}}}").flag("os-cloud", "local").load();
    assert!(!own.built_in);
    assert_eq!(own.auth("auth_url"), Some("http://x/"));
    let broken = world().clouds("clouds: [hunter2").flag("os-cloud", "local").error();
    assert_eq!(broken.0, "`here/clouds.yaml` is not valid YAML (line 1)");
}

#[test]
fn what_is_missing_is_said() {
    let table = [
        (
            world().clouds(TWO),
            "no cloud is chosen: `here/clouds.yaml` has `a`, `b`",
            "choose one with --os-cloud or OS_CLOUD",
        ),
        (
            world().clouds(TWO).env("OS_IMAGE_API_VERSION", "2"),
            "the cloud is taken from the environment, because `OS_IMAGE_API_VERSION` is set, and there is no OS_AUTH_URL",
            "choose a cloud of `here/clouds.yaml` with --os-cloud: `a`, `b`",
        ),
        (
            world().clouds("clouds: {a: {auth: {username: u}}}"),
            "cloud `a` in `here/clouds.yaml` has no `auth_url`",
            "add it there under `auth`, or give --os-auth-url or OS_AUTH_URL",
        ),
        (
            world().clouds(TWO).flag("os-cloud", "zz"),
            "there is no cloud `zz` in `here/clouds.yaml`",
            "choose one of `a`, `b` with --os-cloud or OS_CLOUD",
        ),
        (
            world().env("OS_CLOUD", "zz"),
            "there is no cloud `zz`: no clouds.yaml was found",
            "write it to ~/.config/openstack/clouds.yaml, or set OS_CLIENT_CONFIG_FILE to the file that has it",
        ),
        (
            world().clouds("clouds: {envvars: {}}"),
            "`here/clouds.yaml` has a cloud named `envvars`, which is the name of the cloud made of OS_* variables",
            "rename it there, or set OS_CLOUD_NAME to another name",
        ),
        (
            world().clouds("clouds: [a]"),
            "`clouds` in `here/clouds.yaml` is not a mapping",
            "write the clouds' names below it, indented",
        ),
        (
            world().clouds("clouds: {a: {auth: hunter2}}"),
            "`auth` of cloud `a` in `here/clouds.yaml` is not a mapping",
            "indent auth_url and the others below it",
        ),
    ];
    for (world, message, next) in table {
        assert_eq!(world.error(), (message.to_owned(), next.to_owned()));
    }
}

#[test]
fn a_broken_file_is_a_warning_when_there_is_another_way_and_an_error_when_not() {
    let broken = "clouds: [hunter2";
    let message = "`here/clouds.yaml` is not valid YAML (line 1)";
    assert_eq!(world().clouds(broken).error().0, message);
    assert_eq!(world().clouds(broken).flag("os-cloud", "a").error().0, message);
    let other = world().clouds(broken).file("home/clouds.yaml", TWO).flag("os-cloud", "a");
    assert_eq!(other.warnings(), [format!("{message}; skipping it")]);
    let environment = world().clouds(broken).env("OS_AUTH_URL", "http://e");
    assert_eq!(environment.warnings(), [format!("{message}; skipping it")]);
    let named = world().file("named", broken).file("home/clouds.yaml", TWO).env("OS_CLIENT_CONFIG_FILE", "../named");
    assert!(named.error().0.contains("is not valid YAML (line 1)"));
    assert_eq!(cloud_names(&named.around), ["local"]);
}

#[test]
fn files_that_are_not_there_or_cannot_be_read_are_told() {
    let gone = world()
        .env("OS_CLIENT_CONFIG_FILE", "gone.yaml")
        .file("home/clouds.yaml", "clouds: {a: {auth: {auth_url: http://a}}}");
    assert_eq!(gone.warnings(), ["`here/gone.yaml`, named by OS_CLIENT_CONFIG_FILE, does not exist"]);
    let world = world().file("home/clouds.yaml", "clouds: {a: {auth: {auth_url: http://a}}}");
    std::fs::create_dir(world.dir.path().join("here/clouds.yaml")).unwrap();
    assert_eq!(world.warnings(), ["cannot read `here/clouds.yaml`: is a directory; skipping it"]);
}

#[test]
fn settings_of_a_service() {
    let service = world()
            .clouds("clouds: {a: {auth: {auth_url: http://a}, region_name: R1, interface: internal, connect_retries: 3, image_region_name: R2, image_service_name: g, image_interface: [admin, public], image_retriable_status_codes: [503, 504], volume_api_version: 3}}")
            .load();
    let image = service.for_service("image").unwrap();
    assert_eq!(image.region.as_deref(), Some("R2"));
    assert_eq!(image.service_name.as_deref(), Some("g"));
    assert_eq!(image.interface, [Interface::Admin, Interface::Public]);
    assert_eq!((image.connect_retries, image.status_code_retries), (Some(3), Some(5)));
    assert_eq!(image.retriable_status_codes, Some(vec![503, 504]));
    let identity = service.for_service("identity").unwrap();
    assert_eq!((identity.region.as_deref(), identity.interface), (Some("R1"), vec![Interface::Internal]));
    assert_eq!(service.for_service("block-storage").unwrap().api_version.as_deref(), Some("3"));
}

#[test]
fn ipv4_can_be_forced_from_everywhere() {
    let url = "auth: {auth_url: http://a}";
    for text in [
        format!("clouds: {{a: {{{url}, force_ipv4: true}}}}"),
        format!("client: {{force-ipv4: true}}\nclouds: {{a: {{{url}}}}}"),
        format!("client: {{prefer_ipv6: false}}\nclouds: {{a: {{{url}}}}}"),
    ] {
        assert!(world().clouds(&text).load().force_ipv4().unwrap(), "{text}");
    }
    assert!(world().env("OS_AUTH_URL", "http://e").env("OS_FORCE_IPV4", "1").load().force_ipv4().unwrap());
    assert!(!world().env("OS_AUTH_URL", "http://e").load().force_ipv4().unwrap());
}

#[test]
fn debug_shows_no_secret() {
    let config = world()
        .clouds(
            "clouds: {a: {auth: {auth_url: http://a, password: hunter2, my_secret: hunter2}, other: {token: hunter2}}}",
        )
        .env("OS_CLOUD", "a")
        .env("OS_TOKEN", "hunter2")
        .load();
    let text = format!("{config:?}");
    assert!(text.contains("<redacted>") && text.contains("http://a"));
    assert!(!text.contains("hunter2"), "{text}");
}
