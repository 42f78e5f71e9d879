//! Members: the projects that an image is shared with
//! (<https://docs.openstack.org/api-ref/image/v2/#sharing>).

use std::sync::Arc;

use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::fields::time;
use crate::local::answer::{Payload, json as as_json, no_content};
use crate::local::caller::Caller;
use crate::local::failure::{Failure, Result};
use crate::local::registry::{Image, Member, Session, Visibility, now};
use crate::local::request::Asked;
use crate::local::service::Service;

fn view(member: &Member) -> Value {
    json!({
        "member_id": member.member,
        "image_id": member.image_id,
        "status": member.status,
        "created_at": time(member.created_at),
        "updated_at": time(member.updated_at),
        "schema": "/v2/schemas/member",
    })
}

fn look_up(session: &Session, caller: &Caller, id: &str) -> Result<Image> {
    session.visible(caller, id)?.ok_or_else(|| Failure::not_found(format!("Image {id} not found.")))
}

fn is_shared(image: &Image) -> bool {
    image.visibility == Visibility::Shared
}

/// Who may see the image at all, and then what `rule` is about.
fn enforce(service: &Service, rule: &str, caller: &Caller, image: &Image) -> Result<()> {
    service.enforce("get_image", caller, image)?;
    service.enforce(rule, caller, image)
}

fn one(session: &Session, service: &Service, caller: &Caller, image: &Image, member: &str) -> Result<Member> {
    enforce(service, "get_member", caller, image)?;
    let found = session.visible_member(caller, image, member)?;
    found.ok_or_else(|| Failure::not_found(format!("{member} not found in the member list of the image {}.", image.id)))
}

/// `GET /v2/images/{id}/members`
pub fn list(service: &Arc<Service>, asked: &mut Asked, id: &str) -> Result<Response<Payload>> {
    let caller = &asked.caller;
    let members = service.read(|session| {
        let image = look_up(session, caller, id)?;
        if !is_shared(&image) {
            let words = format!("Not allowed to list members for image {id}: Only shared images have members.");
            return Err(Failure::forbidden(words));
        }
        enforce(service, "get_members", caller, &image)?;
        let mut members = session.visible_members(caller, &image)?;
        members.retain(|_| service.may("get_member", caller, &image));
        Ok(members)
    })?;
    let members: Vec<Value> = members.iter().map(view).collect();
    Ok(as_json(StatusCode::OK, &json!({"members": members, "schema": "/v2/schemas/members"})))
}

/// `GET /v2/images/{id}/members/{member}`
pub fn show(service: &Arc<Service>, asked: &mut Asked, id: &str, member: &str) -> Result<Response<Payload>> {
    let member = service.read(|session| {
        let image = look_up(session, &asked.caller, id)?;
        if !is_shared(&image) {
            return Err(Failure::not_found("Only shared images have members."));
        }
        // Who may not look is told no more than that there is nothing.
        one(session, service, &asked.caller, &image, member).map_err(|refused| match refused.status {
            StatusCode::FORBIDDEN => Failure::not_found(refused.cause().to_owned()),
            _ => refused,
        })
    })?;
    Ok(as_json(StatusCode::OK, &view(&member)))
}

/// `POST /v2/images/{id}/members`
pub async fn create(service: &Arc<Service>, asked: &mut Asked, id: &str) -> Result<Response<Payload>> {
    let body = asked.json(service.settings.limits.json_bytes).await?;
    let form = || Failure::bad_request("Expected a member in the form: {\"member\": \"image_id\"}");
    let member = match body.as_object().ok_or_else(form)?.get("member") {
        None => return Err(Failure::bad_request("Member to be added not specified")),
        Some(Value::String(member)) if member.is_empty() => {
            return Err(Failure::bad_request("Member can't be empty"));
        }
        Some(Value::String(member)) => member.clone(),
        Some(_) => return Err(form()),
    };
    let (caller, id) = (Arc::clone(&asked.caller), id.to_owned());
    let member = service
        .write(move |service, session| {
            let image = look_up(session, &caller, &id)?;
            if !is_shared(&image) {
                return Err(not_allowed("create", &id));
            }
            enforce(service, "add_member", &caller, &image)?;
            let quota = service.settings.quota.check_members(session.members(&id)?.len());
            quota.map_err(|over| {
                Failure::too_large(format!("Image member limit exceeded for image {id}: {}:", over.cause()))
            })?;
            if member.chars().any(|letter| letter > '\u{ffff}') {
                return Err(Failure::bad_request("Member can't contain 4 byte unicode characters."));
            }
            if session.member(&id, &member)?.is_some() {
                return Err(Failure::conflict(format!("Member {member} is duplicated for image {id}")));
            }
            let member = Member::new(id, member);
            session.put_member(&member)?;
            Ok(member)
        })
        .await?;
    Ok(as_json(StatusCode::OK, &view(&member)))
}

/// `PUT /v2/images/{id}/members/{member}`
pub async fn update(service: &Arc<Service>, asked: &mut Asked, id: &str, member: &str) -> Result<Response<Payload>> {
    let body = asked.json(service.settings.limits.json_bytes).await?;
    let form = || Failure::bad_request("Expected a status in the form: {\"status\": \"status\"}");
    let Some(status) = body.as_object().ok_or_else(form)?.get("status") else {
        return Err(Failure::bad_request("Status not specified"));
    };
    let status = status.as_str().map(str::to_owned);
    let (caller, id, member) = (Arc::clone(&asked.caller), id.to_owned(), member.to_owned());
    let member = service
        .write(move |service, session| {
            let image = look_up(session, &caller, &id)?;
            if !is_shared(&image) {
                return Err(not_allowed("update", &id));
            }
            let mut member = one(session, service, &caller, &image, &member)?;
            enforce(service, "modify_member", &caller, &image)?;
            let status = status.filter(|status| matches!(status.as_str(), "pending" | "accepted" | "rejected"));
            member.status = status.ok_or_else(|| {
                Failure::bad_request("Incorrect request: Status must be \"pending\", \"accepted\" or \"rejected\".")
            })?;
            member.updated_at = now();
            session.put_member(&member)?;
            Ok(member)
        })
        .await?;
    Ok(as_json(StatusCode::OK, &view(&member)))
}

/// `DELETE /v2/images/{id}/members/{member}`
pub async fn delete(service: &Arc<Service>, asked: &mut Asked, id: &str, member: &str) -> Result<Response<Payload>> {
    let (caller, id, member) = (Arc::clone(&asked.caller), id.to_owned(), member.to_owned());
    service
        .write(move |service, session| {
            let image = look_up(session, &caller, &id)?;
            if !is_shared(&image) {
                return Err(not_allowed("delete", &id));
            }
            let member = one(session, service, &caller, &image, &member)?;
            enforce(service, "delete_member", &caller, &image)?;
            session.remove_member(&id, &member.member)?;
            Ok(())
        })
        .await?;
    Ok(no_content())
}

fn not_allowed(verb: &str, id: &str) -> Failure {
    Failure::forbidden(format!("Not allowed to {verb} members for image {id}."))
}
