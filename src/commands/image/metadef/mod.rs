//! `image metadef …`

mod args;
pub mod namespace;
pub mod object;
pub mod property;
pub mod resource_type;
pub mod tag;
mod view;
