//! rimg: OpenStack images from the shell.

pub mod error;
pub mod glance;
pub mod http;
pub mod image;
pub mod interrupt;
pub mod log;
pub mod output;
pub mod service;
pub mod terminal;
pub mod transfer;
