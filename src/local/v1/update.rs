//! Changing an image: its metadata, and data for one that has none yet.

use std::sync::Arc;

use http::{Response, StatusCode};

use super::gate::{check_owner, enforce, look_up, refused};
use super::headers::{Meta, is_yes};
use super::source::Sources;
use super::{create, view};
use crate::local::answer::Payload;
use crate::local::caller::Caller;
use crate::local::failure::{Failure, Result};
use crate::local::protection::{Act, is_own};
use crate::local::registry::{Image, Status};
use crate::local::request::Asked;
use crate::local::service::Service;

/// `PUT /v1/images/{id}`
pub async fn update(service: &Arc<Service>, asked: &mut Asked, id: &str) -> Result<Response<Payload>> {
    let meta = Meta::read(&service.settings, &asked.headers)?;
    let mut sources = Sources::read(service, asked, &meta)?;
    let caller = Arc::clone(&asked.caller);
    enforce(service, &caller, "modify_image")?;
    if meta.is_public == Some(true) {
        enforce(service, &caller, "publicize_image")?;
    }
    sources.enforce(service, &caller)?;
    let before = service.read(|session| look_up(session, &caller, id))?;
    check_status(&caller, &meta, &before)?;
    if sources.body && before.status != Status::Queued {
        return Err(conflict("Cannot upload to an unqueued image"));
    }
    sources.look(service, &caller, &meta).await?;
    if sources.external.is_some() && before.status != Status::Queued {
        let words = "Attempted to update Location field for an image not in queued status.";
        return Err(Failure::bad_request(words));
    }
    // Asked here already: whether the properties are the caller's to change comes before the rest.
    let purge = purges(asked) && !sources.body;
    change_properties(service, &caller, &meta, &mut before.clone(), purge)?;
    let size = match sources.external {
        Some(_) => sources.size(service, &meta).await?,
        None => meta.size,
    };
    // Of use only where there is data for it: else it may be any.
    let store = create::store(service, &meta);
    let wanted = id.to_owned();
    let changing = Arc::clone(&caller);
    let image = service
        .write(move |service, session| {
            let mut image = look_up(session, &changing, &wanted)?;
            check_status(&changing, &meta, &image)?;
            check_owner(&changing, &image, "update")?;
            meta.check_storable()?;
            change_properties(service, &changing, &meta, &mut image, purge)?;
            let properties = std::mem::take(&mut image.properties);
            meta.apply(&mut image, changing.is_admin);
            image.properties = properties;
            image.size = size.or(image.size);
            session.save(&mut image)?;
            Ok(image)
        })
        .await?;
    let mut image = match sources.body || sources.external.is_some() {
        true => sources.bring(service, asked, image, store).await?,
        false => image,
    };
    view::hide(service, &caller, &mut image);
    Ok(view::told(StatusCode::OK, &image))
}

/// Whether properties that the request does not name are to go.
fn purges(asked: &Asked) -> bool {
    asked.header("x-glance-registry-purge-props").is_none_or(is_yes)
}

/// Refuses what nobody may change any more, or nobody but an admin.
fn check_status(caller: &Caller, meta: &Meta, image: &Image) -> Result<()> {
    if image.status == Status::Deleted {
        return Err(refused("Forbidden to update deleted image."));
    }
    if !caller.is_admin && matches!(image.status, Status::Active | Status::Deactivated) {
        let size = meta.size.is_some_and(|size| Some(size) != image.size);
        let checksum = meta.checksum.as_ref().is_some_and(|checksum| *checksum != image.checksum);
        for (changed, name) in [(size, "size"), (checksum, "checksum")] {
            if changed {
                let status = image.status.name();
                return Err(refused(format!("Forbidden to modify '{name}' of {status} image.")));
            }
        }
    }
    let status = meta.status.as_ref().is_some_and(|status| status.as_deref() != Some(image.status.name()));
    let id = meta.id.as_ref().is_some_and(|id| id.as_deref() != Some(image.id.as_str()));
    for (changed, name) in [(status, "status"), (id, "id")] {
        if changed {
            return Err(refused(format!("Forbidden to modify '{name}' of image.")));
        }
    }
    Ok(())
}

/// Makes the properties what the request says; if `purge`, those and no others.
/// What the caller may not read is not the caller's to drop, and stays; so does
/// what the service itself notes.
fn change_properties(service: &Service, caller: &Caller, meta: &Meta, image: &mut Image, purge: bool) -> Result<()> {
    let protection = &service.protection;
    let refuse = |name: &str| Err(refused(format!("Property '{name}' is protected")));
    for (name, value) in &meta.properties {
        let Some(known) = image.properties.get(name) else { continue };
        let may = value == known || (protection.allows(caller, Act::Update, name) && !is_own(name));
        if !may || !protection.allows(caller, Act::Read, name) {
            return refuse(name);
        }
    }
    create::check_new(service, caller, meta.properties.keys().filter(|name| !image.properties.contains_key(*name)))?;
    if purge {
        let dropped: Vec<String> =
            image.properties.keys().filter(|name| !meta.properties.contains_key(*name)).cloned().collect();
        for name in dropped.iter().filter(|name| protection.allows(caller, Act::Read, name) && !is_own(name)) {
            if !protection.allows(caller, Act::Delete, name) {
                return refuse(name);
            }
            image.properties.remove(name);
        }
    }
    image.properties.extend(meta.properties.clone());
    service.settings.quota.check_properties(image)
}

fn conflict(detail: &'static str) -> Failure {
    Failure::detailed(StatusCode::CONFLICT, detail)
}
