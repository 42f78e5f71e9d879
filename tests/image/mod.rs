//! `rimg image …`

mod create;
mod delete;
mod import;
mod list;
mod location;
mod members;
mod metadef;
mod save;
mod set;
mod show;
mod stage;
mod stores;
mod task;
mod unset;
mod upload;
mod v1;
mod volume;
