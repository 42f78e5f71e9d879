//! `cached …`

pub mod image;
