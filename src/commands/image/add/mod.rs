//! `image add …`

pub mod project;
