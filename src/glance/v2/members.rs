//! Members (<https://docs.openstack.org/api-ref/image/v2/#sharing>).

use async_trait::async_trait;
use http::Method;
use serde_json::json;

use super::V2;
use crate::error::Result;
use crate::image::Fields;
use crate::service::Members;

#[async_trait(?Send)]
impl Members for V2 {
    async fn members(&self, image: &str) -> Result<Vec<Fields>> {
        self.listed(&["images", image, "members"], "members").await
    }

    async fn member(&self, image: &str, project: &str) -> Result<Fields> {
        self.fields(Method::GET, &["images", image, "members", project], None).await
    }

    async fn add_member(&self, image: &str, project: &str) -> Result<Fields> {
        self.fields(Method::POST, &["images", image, "members"], Some(&json!({"member": project}))).await
    }

    async fn remove_member(&self, image: &str, project: &str) -> Result<()> {
        self.api.call(Method::DELETE, &["images", image, "members", project]).await.map(drop)
    }

    async fn set_member_status(&self, image: &str, project: &str, status: &str) -> Result<()> {
        let member = json!({"member": project, "status": status});
        self.fields(Method::PUT, &["images", image, "members", project], Some(&member)).await.map(drop)
    }
}
