//! Members: the projects that an image is shared with.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::gate::{enforce, look_up};
use crate::local::answer::{Payload, json as as_json, no_content};
use crate::local::caller::Caller;
use crate::local::failure::{Failure, Result};
use crate::local::registry::{Image, Member, Session, Status, now};
use crate::local::request::Asked;
use crate::local::service::Service;

/// The image, if it was not deleted.
fn present(session: &Session, caller: &Caller, id: &str) -> Result<Image> {
    let image = look_up(session, caller, id)?;
    match image.status {
        Status::Deleted => Err(Failure::not_found(format!("Image with identifier {id} has been deleted."))),
        _ => Ok(image),
    }
}

/// Refuses (404) who may not share the image: its owner may, and a member that was given the right.
fn check_sharing(session: &Session, caller: &Caller, image: &Image) -> Result<()> {
    let shares = caller.is_admin
        || caller.owns(image.owner.as_deref())
        || match &caller.project_id {
            Some(project) => session.member(&image.id, project)?.is_some_and(|member| member.can_share),
            None => false,
        };
    if shares { Ok(()) } else { Err(Failure::not_found("No permission to share that image")) }
}

/// `GET /v1/images/{id}/members`
pub fn list(service: &Arc<Service>, asked: &mut Asked, id: &str) -> Result<Response<Payload>> {
    let caller = &asked.caller;
    enforce(service, caller, "get_members")?;
    let members = service.read(|session| {
        let image = present(session, caller, id)?;
        Ok(session.visible_members(caller, &image)?)
    })?;
    let view = |member: &Member| json!({"member_id": member.member, "can_share": member.can_share});
    Ok(as_json(StatusCode::OK, &json!({"members": members.iter().map(view).collect::<Vec<_>>()})))
}

/// `GET /v1/shared-images/{member}`
pub fn shared_images(service: &Arc<Service>, asked: &mut Asked, member: &str) -> Result<Response<Payload>> {
    let shared = service.read(|session| Ok(session.memberships(&asked.caller, member)?))?;
    let view = |member: &Member| json!({"image_id": member.image_id, "can_share": member.can_share});
    Ok(as_json(StatusCode::OK, &json!({"shared_images": shared.iter().map(view).collect::<Vec<_>>()})))
}

/// Makes a project a member. Whether it may share the image further is as it
/// was where nothing is said of it.
fn put(session: &Session, image: &Image, member: &str, can_share: Option<bool>) -> Result<()> {
    let known = session.member(&image.id, member)?;
    let mut member = known.unwrap_or_else(|| Member::new(image.id.clone(), member.to_owned()));
    member.can_share = can_share.unwrap_or(member.can_share);
    member.updated_at = now();
    Ok(session.put_member(&member)?)
}

/// Whether a JSON value is true as Python sees it.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(yes) => *yes,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

fn invalid(what: &str) -> Failure {
    Failure::bad_request(format!("Invalid membership association: {what}"))
}

/// `PUT /v1/images/{id}/members/{member}`
pub async fn add(service: &Arc<Service>, asked: &mut Asked, id: &str, member: &str) -> Result<Response<Payload>> {
    let body = match asked.has_body() {
        true => asked.json(service.settings.limits.json_bytes).await?,
        false => Value::Null,
    };
    enforce(service, &asked.caller, "modify_member")?;
    let can_share = match body.get("member") {
        Some(Value::Object(member)) => Ok(member.get("can_share").map(is_true)),
        Some(_) => Err(invalid("`member` is no object")),
        None => Ok(None),
    };
    let (caller, id, member) = (Arc::clone(&asked.caller), id.to_owned(), member.to_owned());
    service
        .write(move |service, session| {
            let image = present(session, &caller, &id)?;
            service.settings.quota.check_members(session.visible_members(&caller, &image)?.len())?;
            check_sharing(session, &caller, &image)?;
            put(session, &image, &member, can_share?)
        })
        .await?;
    Ok(no_content())
}

/// `DELETE /v1/images/{id}/members/{member}`
pub async fn remove(service: &Arc<Service>, asked: &mut Asked, id: &str, member: &str) -> Result<Response<Payload>> {
    enforce(service, &asked.caller, "delete_member")?;
    let (caller, id, member) = (Arc::clone(&asked.caller), id.to_owned(), member.to_owned());
    service
        .write(move |_, session| {
            let image = present(session, &caller, &id)?;
            check_sharing(session, &caller, &image)?;
            if session.visible_member(&caller, &image, &member)?.is_none() {
                return Err(Failure::not_found("Membership could not be found."));
            }
            session.remove_member(&id, &member)?;
            Ok(())
        })
        .await?;
    Ok(no_content())
}

/// What a body says of members: each, and whether it may share the image further.
fn memberships(body: &Value) -> Result<Vec<(String, Option<bool>)>> {
    let given = body.get("memberships").ok_or_else(|| invalid("there are no `memberships`"))?;
    let given = given.as_array().ok_or_else(|| invalid("`memberships` is no list"))?;
    let read = |membership: &Value| {
        let member = match membership.get("member_id") {
            Some(Value::String(member)) => member.clone(),
            Some(Value::Number(member)) => member.to_string(),
            _ => return Err(invalid("there is no `member_id`")),
        };
        Ok((member, membership.get("can_share").map(is_true)))
    };
    given.iter().map(read).collect()
}

/// `PUT /v1/images/{id}/members`: these, and no others.
pub async fn replace(service: &Arc<Service>, asked: &mut Asked, id: &str) -> Result<Response<Payload>> {
    let body = asked.json(service.settings.limits.json_bytes).await?;
    enforce(service, &asked.caller, "modify_member")?;
    let (caller, id) = (Arc::clone(&asked.caller), id.to_owned());
    service
        .write(move |service, session| {
            let image = present(session, &caller, &id)?;
            let wanted = memberships(&body)?;
            if let Some(others) = wanted.len().checked_sub(1) {
                service.settings.quota.check_members(others)?;
            }
            let wanted: BTreeMap<_, _> = wanted.into_iter().collect();
            check_sharing(session, &caller, &image)?;
            // A member that shares further sees no other, and takes none away.
            let known = session.visible_members(&caller, &image)?;
            for member in known.iter().filter(|member| !wanted.contains_key(&member.member)) {
                session.remove_member(&id, &member.member)?;
            }
            wanted.iter().try_for_each(|(member, can_share)| put(session, &image, member, *can_share))
        })
        .await?;
    Ok(no_content())
}
