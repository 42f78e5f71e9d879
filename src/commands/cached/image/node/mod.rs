//! `cached image node …`

pub mod list;
