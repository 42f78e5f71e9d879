//! Members in v1: a share is in effect at once, and has no status.

use async_trait::async_trait;
use http::Method;
use serde_json::json;

use super::{V1, wire};
use crate::error::{Error, Kind, Result};
use crate::glance::wire::listed;
use crate::image::Fields;
use crate::service::Members;

/// A member in the words of v2.
fn member(image: &str, project: &str) -> Fields {
    let fields = [("image_id", image), ("member_id", project), ("status", "accepted")];
    fields.map(|(name, value)| (name.to_owned(), json!(value))).into_iter().collect()
}

#[async_trait(?Send)]
impl Members for V1 {
    async fn members(&self, image: &str) -> Result<Vec<Fields>> {
        let answer = self.api.call(Method::GET, &["images", image, "members"]).await?.json().await?;
        let members = listed(answer, "members")?;
        Ok(members.iter().filter_map(|found| Some(member(image, found.get("member_id")?.as_str()?))).collect())
    }

    async fn member(&self, image: &str, project: &str) -> Result<Fields> {
        let members = self.members(image).await?;
        let found = members.into_iter().find(|member| member.get("member_id").is_some_and(|id| id == project));
        found.ok_or_else(|| Error::new(Kind::NotFound, format!("image `{image}` is not shared with `{project}`")))
    }

    async fn add_member(&self, image: &str, project: &str) -> Result<Fields> {
        if self.member(image, project).await.is_ok() {
            let message = format!("image `{image}` is shared with `{project}` already");
            return Err(Error::new(Kind::Conflict, message));
        }
        self.api.call(Method::PUT, &["images", image, "members", project]).await?;
        Ok(member(image, project))
    }

    async fn remove_member(&self, image: &str, project: &str) -> Result<()> {
        self.api.call(Method::DELETE, &["images", image, "members", project]).await.map(drop)
    }

    async fn set_member_status(&self, _: &str, _: &str, _: &str) -> Result<()> {
        Err(wire::cannot("does not let projects answer to shares: all are accepted"))
    }
}
