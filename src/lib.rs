//! rimg: OpenStack images from the shell.

pub mod disk_format;
pub mod error;
pub mod output;
