//! `image metadef object property …`

pub mod show;
