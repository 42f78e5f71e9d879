//! The block storage service of the tests: Cinder v3 as far as images come out
//! of it. Volumes are fixed: `data` is available, `busy` is used by a server,
//! and two are called `twice`.

use serde_json::{Value, json};

use super::http::{Answer, Body, Request};
use super::keystone::{Tokens, id_of};

/// Name and status of each volume.
const VOLUMES: [(&str, &str); 4] =
    [("data", "available"), ("busy", "in-use"), ("twice", "available"), ("twice", "error")];

/// The ID of the first volume of this name.
pub fn volume_id(name: &str) -> String {
    id(VOLUMES.iter().position(|(known, _)| *known == name).unwrap())
}

fn id(at: usize) -> String {
    format!("0000000{at}-0000-4000-a000-000000000000")
}

fn error(status: u16, key: &str, message: &str) -> Answer {
    Answer::json(status, &json!({key: {"code": status, "message": message}}))
}

pub fn answer(tokens: &Tokens, request: &Request, body: &mut Body) -> Answer {
    let order = body.json().unwrap_or_default();
    if tokens.identity(request).is_none() {
        return error(401, "error", "The request you have made requires authentication.");
    }
    let shown = |at: usize| {
        let (name, status) = VOLUMES[at];
        json!({"id": id(at), "name": name, "status": status, "created_at": "2026-01-01T00:00:00.000000"})
    };
    let path: Vec<&str> = request.path.trim_matches('/').split('/').collect();
    let ["v3", _, "volumes", rest @ ..] = path.as_slice() else {
        return error(404, "itemNotFound", "The resource could not be found.");
    };
    let known = |wanted: &str| (0..VOLUMES.len()).find(|at| id(*at) == wanted);
    match (request.method.as_str(), rest) {
        ("GET", ["detail"]) => {
            let name = request.pairs().into_iter().find(|(key, _)| key == "name").map(|(_, name)| name);
            let named = |at: &usize| name.as_deref().is_none_or(|name| VOLUMES[*at].0 == name);
            Answer::json(200, &json!({"volumes": (0..VOLUMES.len()).filter(named).map(shown).collect::<Value>()}))
        }
        ("GET", [wanted]) => match known(wanted) {
            Some(at) => Answer::json(200, &json!({"volume": shown(at)})),
            None => error(404, "itemNotFound", &format!("Volume {wanted} could not be found.")),
        },
        ("POST", [wanted, "action"]) => match known(wanted) {
            Some(at) => upload(at, &order["os-volume_upload_image"], request.header("openstack-api-version").is_some()),
            None => error(404, "itemNotFound", &format!("Volume {wanted} could not be found.")),
        },
        _ => error(404, "itemNotFound", "The resource could not be found."),
    }
}

/// Begins to make an image; `since_3_1` is whether its visibility can be said.
fn upload(at: usize, order: &Value, since_3_1: bool) -> Answer {
    if VOLUMES[at].1 == "in-use" && order["force"] != true {
        return error(400, "badRequest", "Invalid volume: Volume status is in-use.");
    }
    let mut image = json!({"id": id(at), "updated_at": "2026-01-01T00:00:00.000000", "status": "uploading",
        "display_description": null, "size": 1, "volume_type": {"id": "t", "name": "fast", "extra_specs": {}},
        "image_id": id_of("image"), "image_name": order["image_name"], "disk_format": order["disk_format"],
        "container_format": order["container_format"]});
    if since_3_1 {
        image["visibility"] = order["visibility"].clone();
        image["protected"] = order["protected"].clone();
    }
    Answer::json(202, &json!({"os-volume_upload_image": image}))
}
