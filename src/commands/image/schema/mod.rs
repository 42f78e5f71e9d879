//! `image schema …`

pub mod show;
