//! `image …`

pub mod add;
mod args;
pub mod create;
pub mod delete;
mod format;
pub mod import;
mod import_args;
pub mod list;
pub mod location;
pub mod member;
pub mod metadef;
pub mod remove;
pub mod save;
pub mod schema;
pub mod set;
pub mod show;
pub mod stage;
pub mod stores;
pub mod task;
pub mod unset;
pub mod upload;
pub mod usage;
mod view;
