//! How the service is set up. The defaults are Glance's.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};

use super::protection::ProtectedProperty;
use super::quota::Quota;
use super::web_download::WebFilter;

/// The name of the store that staged data is in; never a user's choice.
pub(super) const STAGING: &str = "os_glance_staging_store";

/// The ways to import that there are.
pub(super) const IMPORT_METHODS: [&str; 3] = ["glance-direct", "web-download", "copy-image"];

/// What was asked and how it ended: one line of the request log.
#[derive(Debug)]
pub struct Logged<'a> {
    /// The client's address.
    pub remote: SocketAddr,
    /// As the answer names it.
    pub request_id: &'a str,
    /// Who asked: the user's and the project's ID.
    pub caller: Option<(&'a str, Option<&'a str>)>,
    /// What was to be done.
    pub method: &'a Method,
    /// To what: path and query.
    pub path: &'a str,
    /// The status of the answer.
    pub status: StatusCode,
    /// Bytes of the request's body that were read.
    pub received: u64,
    /// Bytes of the answer's body that were sent.
    pub sent: u64,
    /// How long it took.
    pub took: Duration,
    /// What went wrong, if the status says so or the answer was cut short.
    pub cause: Option<&'a str>,
}

/// Takes each line of the request log.
pub type Log = Arc<dyn Fn(&Logged) + Send + Sync>;

/// Takes each line that is about no request.
pub type Notes = Arc<dyn Fn(&str) + Send + Sync>;

/// How the service is set up.
#[derive(Clone)]
pub struct Settings {
    /// The stores, at least one.
    pub stores: Vec<StoreSettings>,
    /// The store that data goes to when none is named.
    pub default_store: String,
    /// Rules that differ from Glance's defaults: name and check.
    pub policy: Vec<(String, String)>,
    /// Who may do what to which properties; everybody everything if empty.
    pub protected_properties: Vec<ProtectedProperty>,
    /// The disk formats that an image may be of.
    pub disk_formats: Vec<String>,
    /// The container formats that an image may be in.
    pub container_formats: Vec<String>,
    /// The ways to import that are open.
    pub import_methods: Vec<String>,
    /// From where on the web data may be imported.
    pub web_download: WebFilter,
    /// Whether Images API v1 is served beside v2.
    pub api_v1: bool,
    /// How much of what.
    pub quota: Quota,
    /// How large and how slow a request may be.
    pub limits: Limits,
    /// Where the request log goes; nowhere by default.
    pub log: Option<Log>,
    /// Told, a line each, what was swept up while the service runs, or why it could not be.
    pub swept: Option<Notes>,
}

/// A store.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// Its name: letters, digits, `-` and `_`.
    pub name: String,
    /// What users read of it.
    pub description: String,
    /// Where it is; within the data directory if not said.
    pub directory: Option<PathBuf>,
}

/// How large and how slow a request may be.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at a time; more wait.
    pub connections: usize,
    /// Bytes of a request's head.
    pub header_bytes: usize,
    /// Bytes of a request's JSON.
    pub json_bytes: usize,
    /// How long nothing may move on a connection.
    pub stall: Duration,
    /// How long transfers may take to end when the service stops.
    pub grace: Duration,
    /// How often what dead processes left behind is swept up while the service runs.
    pub sweep: Duration,
    /// Images on a page when the client does not say.
    pub page: usize,
    /// Images on a page at most.
    pub longest_page: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect();
        let store = StoreSettings {
            name: "local".to_owned(),
            description: "Files on this machine".to_owned(),
            directory: None,
        };
        Settings {
            default_store: store.name.clone(),
            stores: vec![store],
            policy: Vec::new(),
            protected_properties: Vec::new(),
            disk_formats: words("ami ari aki vhd vhdx vmdk raw qcow2 vdi iso ploop"),
            container_formats: words("ami ari aki bare ovf ova docker compressed"),
            import_methods: IMPORT_METHODS.map(str::to_owned).to_vec(),
            web_download: WebFilter::default(),
            api_v1: false,
            quota: Quota::default(),
            limits: Limits::default(),
            log: None,
            swept: None,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 256,
            header_bytes: 64 * 1024,
            json_bytes: 1 << 20,
            stall: Duration::from_secs(60),
            grace: Duration::from_secs(30),
            sweep: Duration::from_secs(60),
            page: 25,
            longest_page: 1000,
        }
    }
}
