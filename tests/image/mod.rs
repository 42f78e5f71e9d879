//! `rimg image …`

mod create;
mod delete;
mod list;
mod save;
mod set;
mod show;
mod unset;
