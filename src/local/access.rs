//! What a caller may do to an image: the registry's eyes and the policy's word
//! together, refusing as Glance does.

use std::sync::Arc;

use super::aside::aside;
use super::caller::Caller;
use super::failure::{Failure, Result};
use super::policy::Target;
use super::registry::{Image, Session, Visibility};
use super::service::Service;

impl Service {
    /// The image of this ID if the caller sees it; else 404, as if there were none.
    pub fn image(&self, session: &Session, caller: &Caller, id: &str) -> Result<Image> {
        let image = session.visible(caller, id)?;
        image.ok_or_else(|| Failure::not_found(format!("No image found with ID {id}")))
    }

    /// Whether `rule` lets the caller do what it is about to `image`.
    pub fn may(&self, rule: &str, caller: &Caller, image: &Image) -> bool {
        self.policy.check(rule, caller, &target(caller, image))
    }

    /// Refuses what `rule` does not allow: 403, or 404 where the caller may not
    /// even know that the image is there.
    pub fn enforce(&self, rule: &str, caller: &Caller, image: &Image) -> Result<()> {
        match self.may(rule, caller, image) {
            true => Ok(()),
            false if rule == "get_image" || !self.may("get_image", caller, image) => Err(Failure::nothing_here()),
            false => Err(not_authorized(rule)),
        }
    }

    /// As [`Service::enforce`] for what is not about an image that exists.
    pub fn enforce_on(&self, rule: &str, caller: &Caller, target: &Target) -> Result<()> {
        match self.policy.check(rule, caller, target) {
            true => Ok(()),
            false => Err(not_authorized(rule)),
        }
    }

    /// Refuses a visibility that the caller may not give to the target.
    pub fn enforce_visibility(&self, caller: &Caller, visibility: Visibility, target: &Target) -> Result<()> {
        match visibility {
            Visibility::Public => self.enforce_on("publicize_image", caller, target),
            Visibility::Community => self.enforce_on("communitize_image", caller, target),
            Visibility::Private | Visibility::Shared => Ok(()),
        }
    }

    /// Refuses a visibility that the caller may not give to `image`.
    pub fn enforce_visibility_of(&self, caller: &Caller, image: &Image, visibility: Visibility) -> Result<()> {
        self.enforce_visibility(caller, visibility, &target(caller, image))
    }

    /// Looks at the registry from a request. Not for long lists.
    pub fn read<T>(&self, work: impl FnOnce(&Session) -> Result<T>) -> Result<T> {
        self.registry.read(work)
    }

    /// Changes the registry from a request: waits on other writers and on the
    /// disk, so not on the thread that serves others.
    pub async fn write<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Service, &Session) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let service = Arc::clone(self);
        aside(move || service.registry.write(|session| work(&service, session))).await
    }
}

fn target<'a>(caller: &'a Caller, image: &'a Image) -> Target<'a> {
    // Who sees another's shared image sees it as a member.
    let as_member = image.visibility == Visibility::Shared && caller.project_id != image.owner;
    Target {
        owner: image.owner.as_deref(),
        member: caller.project_id.as_deref().filter(|_| as_member),
        visibility: Some(image.visibility.name()),
    }
}

fn not_authorized(rule: &str) -> Failure {
    Failure::forbidden(format!("You are not authorized to complete {rule} action."))
}
