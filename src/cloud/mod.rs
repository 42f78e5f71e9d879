//! From a cloud's name to a signed-in endpoint.
//!
//! First who and where: [`options`] are the flags, [`surroundings`] what the
//! process was started with, [`files`] finds and reads `clouds.yaml` and its
//! relatives, [`vendors`] knows the public clouds, [`clouds`] merges all of
//! them, and [`config`] is the result: one [`CloudConfig`] in which every
//! value remembers where it came from. Then signing in: [`auth`] holds the
//! plug-ins, [`sign_in`] asks Keystone, [`session`] is what comes of it, [`catalog`] knows where services are, and
//! [`token_cache`] keeps what Keystone said for the next run.
//! And the other way: [`entry`] adds clouds to a file, [`openrc`] writes one for a shell.

pub mod auth;
mod catalog;
pub mod clouds;
pub mod config;
mod entry;
mod files;
pub mod openrc;
pub mod options;
mod session;
mod sign_in;
pub mod surroundings;
pub mod token_cache;
mod vendors;

pub use catalog::Place;
pub use clouds::{LOCAL, cloud_names, load};
pub use config::{CloudConfig, Interface, Origin, ServiceConfig, Setting};
pub use entry::{Entry, add};
pub use options::Flags;
pub use session::Session;
pub use surroundings::Surroundings;
