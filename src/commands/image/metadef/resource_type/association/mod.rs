//! `image metadef resource type association …`

pub mod create;
pub mod delete;
pub mod list;
