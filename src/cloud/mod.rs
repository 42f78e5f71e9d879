//! From a cloud's name to a signed-in endpoint.
//!
//! The first half is here: [`options`] are the flags, [`surroundings`] what
//! the process was started with, [`files`] finds and reads `clouds.yaml` and
//! its relatives, [`vendors`] knows the public clouds, [`clouds`] merges all of
//! them, and [`config`] is the result: one [`CloudConfig`] in which every
//! value remembers where it came from. Nothing here opens a connection.

pub mod clouds;
pub mod config;
mod files;
pub mod options;
pub mod surroundings;
mod vendors;

pub use clouds::{cloud_names, load};
pub use config::{CloudConfig, Interface, Origin, ServiceConfig, Setting, Tls};
pub use options::Flags;
pub use surroundings::Surroundings;
