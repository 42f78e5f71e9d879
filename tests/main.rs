//! The tests of rimg as its users meet it: the real program, a real socket.
//!
//! The folders mirror src/commands: the tests of `rimg image create` are in
//! tests/image/create.rs. `support` is what they stand on.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod cached;
mod completion;
mod configuration;
mod examples;
mod faults_download;
mod faults_upload;
mod faults_v1;
mod generated;
mod help;
mod image;
mod interactive;
mod keeps;
mod local;
mod parity;
mod progress;
mod renewal;
mod serve;
mod sign_in;
mod storm;
mod support;
mod token_cache;
mod trouble;
mod trust;
mod v1;
