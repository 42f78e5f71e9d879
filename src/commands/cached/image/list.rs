//! `cached image list`

use clap::Parser;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::context::Context;
use crate::image::Fields;
use crate::manager::Command;
use crate::output::Table;

/// List the images in the cache, and those that wait to be cached
///
/// Each server of the image service has a cache of its own: behind a load
/// balancer this is that of the server which happens to answer. Name one with
/// `image_endpoint_override`. The same goes for all commands of the cache.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg cached image list
  rimg cached image list --sort-column Hits -f value -c ID")]
pub struct List {}

const COLUMNS: [(&str, &str); 6] = [
    ("ID", "image_id"),
    ("State", "state"),
    ("Last Accessed (UTC)", "last_accessed"),
    ("Last Modified (UTC)", "last_modified"),
    ("Size", "size"),
    ("Hits", "hits"),
];

impl Command for List {
    type Answer = Table;

    const COLUMNS: &'static [&'static str] =
        &["ID", "State", "Last Accessed (UTC)", "Last Modified (UTC)", "Size", "Hits"];

    async fn run(self, ctx: &Context) -> anyhow::Result<Table> {
        let mut cached = ctx.image_cache().await?.cached().await?;
        for image in &mut cached.images {
            image.insert("state".to_owned(), json!("cached"));
            for field in ["last_accessed", "last_modified"] {
                if let Some(time) = image.get_mut(field) {
                    *time = moment(time);
                }
            }
        }
        let queued = cached.queued.into_iter().map(|id| {
            let absent =
                ["last_accessed", "last_modified", "size", "hits"].map(|field| (field.to_owned(), json!("N/A")));
            let known = [("image_id".to_owned(), json!(id)), ("state".to_owned(), json!("queued"))];
            known.into_iter().chain(absent).collect::<Fields>()
        });
        cached.images.extend(queued);
        Ok(Table::of(&cached.images, &COLUMNS))
    }
}

/// Seconds since the epoch as Python's `isoformat` has them, in UTC without
/// saying so; what is no such number stays as it is.
fn moment(seconds: &Value) -> Value {
    let time = seconds.as_f64().and_then(|seconds| {
        let micros = (seconds.fract() * 1e6).round_ties_even() as i32;
        Timestamp::new(seconds.trunc() as i64, micros * 1000).ok()
    });
    match time {
        Some(time) if time.subsec_microsecond() == 0 => json!(time.strftime("%Y-%m-%dT%H:%M:%S").to_string()),
        Some(time) => json!(time.strftime("%Y-%m-%dT%H:%M:%S.%6f").to_string()),
        None => seconds.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_python() {
        assert_eq!(moment(&json!(1_795_294_694.307_933)), json!("2026-11-21T20:58:14.307933"));
        assert_eq!(moment(&json!(1_795_294_694.999_999_9)), json!("2026-11-21T20:58:15"));
        assert_eq!(moment(&json!(0.0)), json!("1970-01-01T00:00:00"));
        assert_eq!(moment(&json!(0)), json!("1970-01-01T00:00:00"));
        assert_eq!(moment(&json!(1e300)), json!(1e300));
        assert_eq!(moment(&Value::Null), Value::Null);
    }
}
