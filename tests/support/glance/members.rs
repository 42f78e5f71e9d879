//! The projects that an image is shared with.

use serde_json::{Value, json};

use super::Glance;
use super::errors::{error, not_allowed, not_found};
use super::image::now;
use crate::support::http::{Answer, Body, Request};
use crate::support::keystone::Identity;

impl Glance {
    pub(super) fn members(
        &self,
        who: &Identity,
        id: &str,
        rest: &[&str],
        request: &Request,
        body: &mut Body,
    ) -> Answer {
        let order = body.json().unwrap_or_default();
        self.on(who, id, error(404, &format!("Image {id} not found."), ""), |image| {
            let owner = image.owned_by(who);
            let mine = |member: &Value| owner || member["member_id"] == json!(who.project);
            let shared = image.text("visibility") == "shared";
            let not_a_member =
                |member: &str| error(404, &format!("{member} not found in the member list of the image {id}."), "");
            let position = |wanted: &str| image.members.iter().position(|m| m["member_id"] == wanted && mine(m));
            match (request.method.as_str(), rest) {
                ("GET", []) => {
                    let seen: Vec<Value> = image.members.iter().filter(|m| mine(m)).cloned().collect();
                    Answer::json(200, &json!({"members": seen, "schema": "/v2/schemas/members"}))
                }
                ("POST", []) => {
                    let Some(member) = order["member"].as_str() else {
                        return error(400, "Member to be added not specified", "");
                    };
                    if !owner {
                        return not_allowed("add_member");
                    }
                    if !shared {
                        return error(403, &format!("Not allowed to create members for image {id}."), "");
                    }
                    if position(member).is_some() {
                        return error(409, &format!("Member {member} is duplicated for image {id}"), "");
                    }
                    image.members.push(json!({"member_id": member, "image_id": id, "status": "pending",
                        "created_at": now(), "updated_at": now(), "schema": "/v2/schemas/member"}));
                    Answer::json(200, image.members.last().unwrap())
                }
                ("GET", [member]) => match position(member) {
                    Some(found) => Answer::json(200, &image.members[found]),
                    None => not_a_member(member),
                },
                ("PUT", [member]) => {
                    let Some(found) = position(member) else { return not_a_member(member) };
                    if !who.admin && who.project.as_deref() != Some(member) {
                        return not_allowed("modify_member");
                    }
                    let Some(status @ ("pending" | "accepted" | "rejected")) = order["status"].as_str() else {
                        let message = "Incorrect request: Status must be \"pending\", \"accepted\" or \"rejected\".";
                        return error(400, message, "");
                    };
                    image.members[found]["status"] = status.into();
                    image.members[found]["updated_at"] = now().into();
                    Answer::json(200, &image.members[found])
                }
                ("DELETE", [_]) if !owner => not_allowed("delete_member"),
                ("DELETE", [_]) if !shared => error(403, &format!("Not allowed to delete members for image {id}."), ""),
                ("DELETE", [member]) => match position(member) {
                    Some(found) => {
                        image.members.remove(found);
                        Answer::status(204)
                    }
                    None => not_a_member(member),
                },
                _ => not_found(),
            }
        })
    }
}
