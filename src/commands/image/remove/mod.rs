//! `image remove …`

pub mod project;
