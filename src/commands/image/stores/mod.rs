//! `image stores …`

pub mod list;
