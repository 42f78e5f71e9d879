//! Nouns to bytes and back, for each version of the Images API. Pure: no
//! connection, no clock.

pub mod metadefs;
pub mod v1;
pub mod v2;
