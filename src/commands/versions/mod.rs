//! `versions …`

pub mod show;
