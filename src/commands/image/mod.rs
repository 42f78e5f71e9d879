//! `image …`

pub mod add;
mod args;
pub mod create;
pub mod delete;
pub mod list;
pub mod member;
pub mod remove;
pub mod save;
pub mod set;
pub mod show;
pub mod unset;
mod view;
