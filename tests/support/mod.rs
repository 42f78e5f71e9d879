//! What the tests of rimg stand on: real sockets, the real program, no cloud.
//!
//! | file | what it has |
//! | --- | --- |
//! | `world.rs` | `World`: a home, an environment and a service to run rimg in; `each_service` |
//! | `run.rs` | `Run` and `Outcome`: one run of a program and what came of it; terminals |
//! | `keystone.rs`, `glance/`, `cinder.rs` | the services of the tests, in the form of the real ones |
//! | `http.rs`, `fault.rs` | the server below them, its records, what can go wrong on it |
//! | `front.rs` | what stands before a service of Images API v1 |
//! | `tls.rs`, `proxy.rs` | certificates, and a forward proxy |
//! | `client.rs` | a bare HTTP client, to prepare and to check |
//! | `selftest.rs` | the tests of all this: it answers as the real services do |

pub mod cinder;
pub mod client;
pub mod fault;
pub mod front;
pub mod glance;
pub mod http;
pub mod keystone;
pub mod proxy;
pub mod run;
pub mod tls;
pub mod world;

pub use http::{Answer, Server};
pub use proxy::Proxy;
pub use run::{Outcome, Run, Stdin};
pub use tls::Tls;
pub use world::{World, each_caching_service, each_service, each_v1, each_version, each_whole_service};

mod selftest;

/// `bytes` random bytes in hexadecimal.
pub fn random_hex(bytes: usize) -> String {
    use std::hash::{BuildHasher, Hasher};
    let mut text = String::new();
    while text.len() < bytes * 2 {
        text += &format!("{:016x}", std::collections::hash_map::RandomState::new().build_hasher().finish());
    }
    text.truncate(bytes * 2);
    text
}

/// So many bytes that are no disk format and nowhere the same.
pub fn distinct_bytes(len: usize) -> Vec<u8> {
    (0..len as u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).take(len).collect()
}

/// A random UUID, version 4 by its look.
pub fn random_uuid() -> String {
    let hex = random_hex(16);
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}
