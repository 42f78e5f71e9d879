//! rimg: OpenStack images from the shell.

pub mod error;
pub mod output;
