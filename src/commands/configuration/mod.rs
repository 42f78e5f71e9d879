//! `configuration …`

pub mod show;
