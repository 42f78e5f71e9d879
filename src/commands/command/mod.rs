//! `command …`

pub mod list;
