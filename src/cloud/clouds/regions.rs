//! The regions of a cloud.

use serde_json::Value;

use super::Entry;
use super::written::quoted;
use crate::cloud::files::with_underscores;
use crate::cloud::options::Given;
use crate::error::{Error, Result};

/// A region that a cloud lists, and the settings special to it.
pub(super) struct Region {
    pub(super) name: String,
    pub(super) values: Entry,
}

/// The regions of `list`: a list of names or of `{name, values}`, or text
/// with commas.
pub(super) fn listed(list: Option<&Value>, cloud: &str) -> Result<Vec<Region>> {
    let plain = |name: &str| Region { name: name.to_owned(), values: Entry::new() };
    match list {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(text.split(',').filter(|name| !name.is_empty()).map(plain).collect()),
        Some(Value::Array(list)) => list
            .iter()
            .map(|item| match item {
                Value::String(name) => Some(plain(name)),
                Value::Object(map) if map.keys().all(|key| key == "name" || key == "values") => Some(Region {
                    name: map.get("name")?.as_str()?.to_owned(),
                    values: match map.get("values") {
                        Some(Value::Object(values)) => with_underscores(values),
                        None | Some(Value::Null) => Entry::new(),
                        Some(_) => return None,
                    },
                }),
                _ => None,
            })
            .collect::<Option<_>>()
            .ok_or_else(|| {
                Error::config(format!(
                    "a region of cloud `{cloud}` is neither a name nor a mapping with `name` and `values`"
                ))
                .next("correct the list `regions` of the cloud")
            }),
        Some(_) => Err(Error::config(format!("the regions of cloud `{cloud}` are not a list"))
            .next("write `regions:` and below it one name per line, each after `- `")),
    }
}

/// The region asked for, else the first. A cloud that lists no region lets
/// every name pass.
pub(super) fn choose(listed: Vec<Region>, asked: Option<(&str, Given)>, cloud: &str) -> Result<Option<Region>> {
    let (Some((name, given)), [_, ..]) = (asked, listed.as_slice()) else {
        return Ok(listed.into_iter().next());
    };
    let names: Vec<String> = listed.iter().map(|region| region.name.clone()).collect();
    if let Some(region) = listed.into_iter().find(|region| region.name == name) {
        return Ok(Some(region));
    }
    let from = match given {
        Given::Flag => String::new(),
        Given::Variable(variable) => format!(" (from {variable})"),
    };
    Err(Error::config(format!("`{name}`{from} is not a region of cloud `{cloud}`")).next(match names.as_slice() {
        [only] => format!(
            "leave the region out, the cloud has only `{only}`; for a choice, list all under `regions` in place of `region_name`"
        ),
        _ => format!("choose one of {}; case matters", quoted(&names)),
    }))
}
