//! A place to run rimg in: a home of its own, a clean environment, a
//! clouds.yaml, and a service: that of the tests, or a real cloud.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::cinder;
use super::client::Session;
use super::front;
use super::glance::Glance;
use super::http::Server;
use super::keystone::{Keystone, Tokens};
use super::run::{Outcome, PROGRESS, Run, Running};
use super::tls::{self, Tls};

/// The variable that names the clouds.yaml of a real cloud (see tests/cloud).
pub const REAL_CLOUD: &str = "RIMG_TEST_CLOUD";

/// The variable that leaves out what is not real, where a run before had it.
pub const ONLY_REAL: &str = "RIMG_TEST_ONLY_REAL";

/// Runs a scenario on the service of the tests, on `rimg serve`, and then on
/// the real cloud if `RIMG_TEST_CLOUD` names one.
pub fn each_service(scenario: impl Fn(&World)) {
    run(&[World::new, World::served], cloud, scenario);
}

/// The variable that names the address of a real Glance with Images API v1,
/// which has the users of the cloud in `RIMG_TEST_CLOUD` (see tests/cloud/legacy-up).
pub const REAL_LEGACY: &str = "RIMG_TEST_LEGACY";

/// As [`each_service`], and once more on those that also speak Images API v1,
/// where rimg finds nothing else.
pub fn each_version(scenario: impl Fn(&World)) {
    each_service(&scenario);
    each_v1(scenario);
}

/// Runs a scenario of Images API v1 on `rimg serve` and, if `RIMG_TEST_LEGACY`
/// names one, on a real Glance.
pub fn each_v1(scenario: impl Fn(&World)) {
    run(&[World::served_v1], legacy, scenario);
}

/// As [`each_service`], for what the service of the tests does not have: it is
/// for what must be watched or broken, not for all that there is.
pub fn each_whole_service(scenario: impl Fn(&World)) {
    run(&[World::served], cloud, scenario);
}

/// As [`each_service`], for the image cache, which `rimg serve` does not have.
pub fn each_caching_service(scenario: impl Fn(&World)) {
    run(&[World::new], cloud, scenario);
}

/// Runs a scenario on the services that tests bring along, then on a real one if there is one.
fn run(ours: &[fn() -> World], real: fn() -> Option<World>, scenario: impl Fn(&World)) {
    if std::env::var_os(ONLY_REAL).is_none() {
        ours.iter().for_each(|make| scenario(&make()));
    }
    if let Some(world) = real() {
        scenario(&world);
    }
}

fn cloud() -> Option<World> {
    Some(World::real(Path::new(&std::env::var_os(REAL_CLOUD)?)))
}

fn legacy() -> Option<World> {
    Some(World::real_v1(Path::new(&std::env::var_os(REAL_CLOUD)?), &std::env::var(REAL_LEGACY).ok()?))
}

/// A home, an environment, a service. Gone without a trace when dropped.
///
/// The clouds are those of tests/cloud: `devstack-admin`, `devstack` (the
/// user demo, the default) and `devstack-other`.
pub struct World {
    /// The home and working directory of what runs here.
    pub home: PathBuf,
    suffix: String,
    auth_url: String,
    /// Where the image service is, if not where the catalogue says.
    images_url: Option<String>,
    /// What stands before the image service where rimg speaks Images API v1.
    front: Option<Server>,
    fake: Option<Fake>,
    /// `rimg serve`, which ends with this.
    serve: Option<Running>,
    _directory: tempfile::TempDir,
}

/// The services of the tests.
struct Fake {
    identity: Server,
    images: Server,
    volumes: Server,
    glance: Arc<Glance>,
    tokens: Arc<Tokens>,
    tls: Option<tls::Files>,
}

impl World {
    /// On the service of the tests.
    pub fn new() -> World {
        World::make(None)
    }

    /// On the service of the tests, in TLS. rimg is not told to trust it: see
    /// [`World::tls_files`].
    pub fn with_tls(tls: Tls) -> World {
        World::make(Some(tls))
    }

    fn make(tls: Option<Tls>) -> World {
        let directory = tempfile::Builder::new().prefix("rimg-test-").tempdir().unwrap();
        let (config, files) = tls.map(|tls| tls::make(tls, directory.path())).unzip();
        let tokens = Arc::new(Tokens::default());

        // Each service names its own address in its answers, so asks for it late.
        let own = Arc::new(std::sync::OnceLock::<String>::new());
        let glance = Arc::new(Glance::new(directory.path().join("images")));
        let (answering, known, url) = (glance.clone(), tokens.clone(), own.clone());
        let images =
            Server::start(config.clone(), move |request, body| answering.answer(&known, url.wait(), request, body));
        own.set(images.url()).unwrap();

        let known = tokens.clone();
        let volumes = Server::start(config.clone(), move |request, body| cinder::answer(&known, request, body));

        let own = Arc::new(std::sync::OnceLock::<Keystone>::new());
        let (known, keystone) = (tokens.clone(), own.clone());
        let identity = Server::start(config, move |request, body| keystone.wait().answer(&known, request, body));
        let _ = own.set(Keystone { url: identity.url(), image_url: images.url(), volume_url: volumes.url() });

        let auth_url = format!("{}/v3", identity.url());
        let fake = Fake { identity, images, volumes, glance, tokens, tls: files };
        let clouds = clouds_yaml(&auth_url);
        World::settle(directory, auth_url, &clouds, Some(fake))
    }

    /// On a real cloud; `clouds` is the clouds.yaml that tests/cloud/up wrote.
    pub fn real(clouds: &Path) -> World {
        let directory = tempfile::Builder::new().prefix("rimg-test-").tempdir().unwrap();
        let auth_url = auth_url_in(clouds);
        World::settle(directory, auth_url, &std::fs::read_to_string(clouds).unwrap(), None)
    }

    fn settle(directory: tempfile::TempDir, auth_url: String, clouds: &str, fake: Option<Fake>) -> World {
        let home = directory.path().join("home");
        let config = home.join(".config/openstack");
        std::fs::create_dir_all(&config).unwrap();
        std::fs::write(config.join("clouds.yaml"), clouds).unwrap();
        let suffix = format!("-{}", super::random_hex(5));
        World { home, suffix, auth_url, images_url: None, front: None, fake, serve: None, _directory: directory }
    }

    /// On the local image service, by Images API v1: rimg finds no other.
    pub fn served_v1() -> World {
        let world = World::served_with("api_v1: true\n");
        let url = world.session("demo").image_url;
        world.by_v1(&url)
    }

    /// On a real Glance at `url` that has Images API v1; `clouds` is as for [`World::real`].
    pub fn real_v1(clouds: &Path, url: &str) -> World {
        let mut world = World::real(clouds);
        world.images_url = Some(url.to_owned());
        for line in ["image_status_code_retry_delay: 0.02", "image_connect_retry_delay: 0.02"] {
            world.configure(line);
        }
        world.by_v1(url)
    }

    fn by_v1(mut self, url: &str) -> World {
        let front = Server::start(None, front::before(url));
        self.configure(&format!("image_endpoint_override: {}", front.url()));
        self.front = Some(front);
        self
    }

    /// On the local image service, as `rimg serve` offers it.
    pub fn served() -> World {
        World::served_with("")
    }

    /// As [`World::served`], with `more` in its configuration file.
    pub fn served_with(more: &str) -> World {
        let directory = tempfile::Builder::new().prefix("rimg-test-").tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("serve.yaml"), format!("{SERVE_YAML}{more}")).unwrap();
        let serve = Run::new(env!("CARGO_BIN_EXE_rimg"))
            .args(["-q", "serve", "--listen", "127.0.0.1:0"])
            .args([
                OsStr::new("--data-dir"),
                at("data").as_os_str(),
                OsStr::new("--config"),
                at("serve.yaml").as_os_str(),
            ])
            .args([OsStr::new("--write-clouds-yaml"), at("clouds.yaml").as_os_str()])
            .env("HOME", directory.path())
            .start();
        let begun = std::time::Instant::now();
        // The file is put in its place when the service listens.
        while !at("clouds.yaml").exists() {
            assert!(begun.elapsed().as_secs() < 30, "`rimg serve` did not start");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let auth_url = auth_url_in(&at("clouds.yaml"));
        let clouds = clouds_yaml(&auth_url);
        let mut world = World::settle(directory, auth_url, &clouds, None);
        world.serve = Some(serve);
        world
    }

    /// How many files of data the store `name` of `rimg serve` has, whole or not.
    pub fn files_in(&self, name: &str) -> usize {
        let store = self.home.with_file_name("data").join("stores").join(name);
        std::fs::read_dir(store).unwrap().count()
    }

    #[track_caller]
    fn fake(&self) -> &Fake {
        self.fake.as_ref().expect("only the service of the tests can be watched or broken: use World::new()")
    }

    /// The identity service, to see what it was asked and to break it.
    #[track_caller]
    pub fn identity(&self) -> &Server {
        &self.fake().identity
    }

    /// The image service, to see what it was asked and to break it.
    #[track_caller]
    pub fn images(&self) -> &Server {
        self.front.as_ref().unwrap_or_else(|| &self.fake().images)
    }

    /// The block storage service, to see what it was asked and to break it.
    #[track_caller]
    pub fn volumes(&self) -> &Server {
        &self.fake().volumes
    }

    /// What the image service has, seen and changed behind its back.
    #[track_caller]
    pub fn glance(&self) -> &Arc<Glance> {
        &self.fake().glance
    }

    /// The tokens that were given out.
    #[track_caller]
    pub fn tokens(&self) -> &Arc<Tokens> {
        &self.fake().tokens
    }

    /// Whether this is the service of the tests, which can be watched and broken.
    pub fn is_fake(&self) -> bool {
        self.fake.is_some()
    }

    /// Whether this is a real cloud.
    pub fn is_real(&self) -> bool {
        self.fake.is_none() && self.serve.is_none()
    }

    /// Adds a line to each cloud of the clouds.yaml here.
    pub fn configure(&self, line: &str) {
        let old = std::fs::read_to_string(self.clouds_yaml()).unwrap();
        let new = old.replace("    region_name: RegionOne\n", &format!("    region_name: RegionOne\n    {line}\n"));
        assert_ne!(old, new);
        std::fs::write(self.clouds_yaml(), new).unwrap();
    }

    /// Whether rimg speaks Images API v1 here.
    pub fn is_v1(&self) -> bool {
        self.front.is_some()
    }

    /// Makes all tokens given out so far invalid.
    #[track_caller]
    pub fn expire_tokens(&self) {
        self.fake().tokens.expire();
    }

    /// Where the identity service is, with its `/v3`.
    pub fn auth_url(&self) -> &str {
        &self.auth_url
    }

    /// The certificates of a world with TLS.
    #[track_caller]
    pub fn tls_files(&self) -> &tls::Files {
        self.fake().tls.as_ref().expect("this world has no TLS: use World::with_tls")
    }

    /// A name that no other world uses, for an image.
    pub fn name(&self, name: &str) -> String {
        format!("{name}{}", self.suffix)
    }

    /// Writes a file into the home.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.home.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// The file of clouds that rimg finds by itself here.
    pub fn clouds_yaml(&self) -> PathBuf {
        self.home.join(".config/openstack/clouds.yaml")
    }

    /// A run of rimg here, to be completed: more variables, standard input ….
    pub fn rimg<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Run {
        self.program(env!("CARGO_BIN_EXE_rimg")).args(args)
    }

    /// Runs rimg here.
    pub fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Outcome {
        self.rimg(args).run()
    }

    /// Runs rimg as another user: `admin`, `demo` or `other`.
    pub fn run_as<A: AsRef<OsStr>>(&self, user: &str, args: impl IntoIterator<Item = A>) -> Outcome {
        self.rimg(args).env("OS_CLOUD", cloud_of(user)).run()
    }

    /// A run of any program here. Without a terminal it shows no progress.
    pub fn program(&self, program: impl Into<PathBuf>) -> Run {
        let home = self.home.as_os_str();
        let mut run = Run::new(program).directory(&self.home).env("HOME", home).env("OS_CLOUD", cloud_of("demo"));
        for (name, directory) in [
            ("XDG_CONFIG_HOME", ".config"),
            ("XDG_CACHE_HOME", ".cache"),
            ("XDG_DATA_HOME", ".local/share"),
            ("XDG_STATE_HOME", ".local/state"),
            ("XDG_RUNTIME_DIR", ".run"),
            ("TMPDIR", ""),
        ] {
            run = run.env(name, self.home.join(directory));
        }
        run.env("XDG_CONFIG_DIRS", "/nonexistent")
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LANG", "C.UTF-8")
            .env("TZ", "UTC")
            // On a slow machine there would be a line now and then.
            .env(PROGRESS, "none")
    }

    /// The API itself, signed in as a user: to prepare and to check without rimg.
    pub fn session(&self, user: &str) -> Session {
        Session::sign_in(&self.auth_url, user, self.images_url.as_deref())
    }

    /// An active raw image of demo with this data, made without rimg. `name` is
    /// taken as it is: pass [`World::name`] of something.
    pub fn given_image(&self, name: &str, data: &[u8]) -> Value {
        let demo = self.session("demo");
        let draft = json!({"name": name, "disk_format": "raw", "container_format": "bare"});
        let made = demo.json("POST", "/v2/images", &draft);
        assert_eq!(made.status, 201, "{}", made.text());
        let path = format!("/v2/images/{}", made.json()["id"].as_str().unwrap());
        let media = [("Content-Type", "application/octet-stream")];
        let put = demo.ask("PUT", &format!("{path}/file"), &media, data).unwrap();
        assert_eq!(put.status, 204, "{}", put.text());
        demo.ask("GET", &path, &[], b"").unwrap().json()
    }

    /// What the service itself says of an image, by its ID.
    pub fn image(&self, id: &str) -> Value {
        let reply = self.session("admin").ask("GET", &format!("/v2/images/{id}"), &[], b"").unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    }

    /// The images of this very name, whoever owns them.
    pub fn all_of(&self, name: &str) -> Vec<Value> {
        let mut images = self.session("admin").images_ending(name);
        images.retain(|image| image["name"] == name);
        images
    }

    /// All images of this world, whoever owns them.
    pub fn all_images(&self) -> Vec<Value> {
        self.session("admin").images_ending(&self.suffix)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !self.is_real() {
            return;
        }
        let admin = self.session("admin");
        for image in admin.images_ending(&self.suffix) {
            let path = format!("/v2/images/{}", image["id"].as_str().unwrap());
            if image["protected"] == true {
                admin.json("PATCH", &path, &json!([{"op": "replace", "path": "/protected", "value": false}]));
            }
            let _ = admin.ask("DELETE", &path, &[], b"");
        }
        for namespace in admin.namespaces_ending(&self.suffix) {
            let path = format!("/v2/metadefs/namespaces/{namespace}");
            admin.json("PUT", &path, &json!({"namespace": namespace, "protected": false}));
            let _ = admin.ask("DELETE", &path, &[], b"");
        }
    }
}

/// Who there is on `rimg serve`: as on the other services.
const SERVE_YAML: &str = "
region: RegionOne
stores: [{name: fast}, {name: slow}]
web_download: {hosts: [127.0.0.1], ports: []}
projects: [{name: admin}, {name: demo}, {name: other}]
users:
- {name: admin, password: secret, roles: [{project: admin, roles: [admin]}, {system: true, roles: [admin]}]}
- name: demo
  password: secret
  roles: [{project: demo, roles: [member, reader]}]
  application_credentials: [{id: f0000000000000000000000000000001, name: ci, secret: app-secret, project: demo}]
- {name: other, password: secret, roles: [{project: other, roles: [member, reader]}]}
";

/// The first `auth_url` in a clouds.yaml.
fn auth_url_in(clouds: &Path) -> String {
    let text = std::fs::read_to_string(clouds).unwrap_or_else(|e| panic!("{}: {e}", clouds.display()));
    let line = text.lines().find_map(|line| line.trim().strip_prefix("auth_url:"));
    line.unwrap_or_else(|| panic!("no auth_url in {}", clouds.display())).trim().trim_matches('"').to_owned()
}

fn cloud_of(user: &str) -> &'static str {
    match user {
        "admin" => "devstack-admin",
        "demo" => "devstack",
        "other" => "devstack-other",
        _ => panic!("there is no user {user}"),
    }
}

fn clouds_yaml(auth_url: &str) -> String {
    let cloud = |user: &str| {
        format!(
            "  {}:\n    region_name: RegionOne\n    identity_api_version: 3\n    \
             image_status_code_retry_delay: 0.02\n    image_connect_retry_delay: 0.02\n    auth:\n      auth_url: {auth_url}\n      \
             username: {user}\n      password: secret\n      project_name: {user}\n      user_domain_id: default\n      \
             project_domain_id: default\n",
            cloud_of(user)
        )
    };
    format!("clouds:\n{}{}{}", cloud("admin"), cloud("demo"), cloud("other"))
}
