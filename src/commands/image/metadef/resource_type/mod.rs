//! `image metadef resource type …`

pub mod association;
pub mod list;
