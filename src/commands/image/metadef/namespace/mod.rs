//! `image metadef namespace …`

pub mod create;
pub mod delete;
pub mod import;
pub mod list;
pub mod set;
pub mod show;
pub mod unset;
