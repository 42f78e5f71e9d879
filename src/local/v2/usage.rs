//! `GET /v2/info/usage`
//! (<https://docs.openstack.org/api-ref/image/v2/#quota-usage>).

use std::sync::Arc;

use http::{Response, StatusCode};
use serde_json::json;

use crate::local::answer::{Payload, json as as_json};
use crate::local::aside::aside;
use crate::local::failure::Result;
use crate::local::request::Asked;
use crate::local::service::Service;

/// What the caller's project has of what it may have, sizes in MiB; nothing is
/// told where nothing is limited. Glance tells this of limits kept in Keystone
/// alone: here the quota of the configuration stands for them.
pub async fn show(service: &Arc<Service>, asked: &mut Asked) -> Result<Response<Payload>> {
    let Some(total) = service.settings.quota.user_storage else {
        return Ok(as_json(StatusCode::OK, &json!({"usage": {}})));
    };
    let project = asked.caller.project_id.clone().unwrap_or_default();
    let service = Arc::clone(service);
    let usage = aside(move || service.read(|session| Ok(session.project_usage(&project)?))).await?;
    let of = |usage: u64, limit: i64| json!({"usage": usage, "limit": limit});
    Ok(as_json(
        StatusCode::OK,
        &json!({"usage": {
            "image_size_total": of(usage.stored_bytes >> 20, i64::try_from(total >> 20).unwrap_or(i64::MAX)),
            "image_stage_total": of(usage.staged_bytes >> 20, -1),
            "image_count_total": of(usage.images, -1),
            "image_count_uploading": of(usage.uploading, -1),
        }}),
    ))
}
