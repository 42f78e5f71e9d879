//! `cache`: what rimg keeps for the next run. The image cache of Glance is `cached image`.

pub mod clear;
