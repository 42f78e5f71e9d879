//! `rimg image …`

mod create;
mod delete;
mod list;
mod members;
mod save;
mod set;
mod show;
mod unset;
