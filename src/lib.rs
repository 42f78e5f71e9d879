//! rimg: OpenStack images from the shell.

pub mod cloud;
pub mod error;
pub mod output;
