//! What a caller may do, refused in v1's words.

use http::StatusCode;

use crate::local::caller::Caller;
use crate::local::failure::{Failure, Result};
use crate::local::policy::Target;
use crate::local::registry::{Image, Session, Visibility};
use crate::local::service::Service;

/// The gate of a policy rule. v1 asks it before it looks at any image, so what
/// a rule says of an image is taken as true here; whether the caller may have
/// this image is for the registry to say.
pub fn enforce(service: &Service, caller: &Caller, rule: &str) -> Result<()> {
    let own = caller.project_id.as_deref();
    let target = Target { owner: own, member: own, visibility: None };
    match service.policy.check(rule, caller, &target) {
        true => Ok(()),
        false => Err(refused("")),
    }
}

/// 403, for `reason`.
pub fn refused(reason: impl Into<String>) -> Failure {
    Failure::detailed(StatusCode::FORBIDDEN, reason.into())
}

/// The image of this ID if the caller sees it, be it deleted if the caller is an admin.
pub fn look_up(session: &Session, caller: &Caller, id: &str) -> Result<Image> {
    let image = session.visible_ever(caller, id)?;
    image.ok_or_else(|| Failure::not_found(format!("Image with identifier {id} not found")))
}

/// Refuses to `verb` an image that is not the caller's: 403 where everybody
/// knows of it, else 404.
pub fn check_owner(caller: &Caller, image: &Image, verb: &str) -> Result<()> {
    match image.visibility {
        _ if caller.is_admin || caller.owns(image.owner.as_deref()) => Ok(()),
        Visibility::Public | Visibility::Community => {
            Err(refused(format!("Forbidden to {verb} image: it belongs to others")))
        }
        Visibility::Private | Visibility::Shared => Err(Failure::not_found("Image not found")),
    }
}
