//! `cached image …`

pub mod clean;
pub mod clear;
pub mod delete;
pub mod list;
pub mod node;
pub mod prune;
pub mod queue;
