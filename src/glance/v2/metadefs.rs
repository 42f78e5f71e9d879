//! Metadata definitions (<https://docs.openstack.org/api-ref/image/v2/metadefs-index.html>).

use async_trait::async_trait;
use http::{HeaderName, HeaderValue, Method};
use serde_json::{Value, json};
use url::Url;

use super::V2;
use super::wire::{PAGE, page_of};
use crate::error::{Error, Kind, Result};
use crate::glance::wire::metadefs as wire;
use crate::glance::wire::{fields, listed};
use crate::http::{Answer, Request};
use crate::image::Fields;
use crate::service::{Item, Metadefs, NamespaceFilter};

/// Tells Glance whether to keep the tags that are there.
const APPEND: HeaderName = HeaderName::from_static("x-openstack-append");

impl V2 {
    fn namespace_at(&self, namespace: &str) -> Result<Url> {
        self.api.url(&["metadefs", "namespaces", namespace])
    }

    fn items_at(&self, namespace: &str, kind: Item) -> Result<Url> {
        self.api.url(&["metadefs", "namespaces", namespace, segment(kind)])
    }

    fn item_at(&self, namespace: &str, kind: Item, name: &str) -> Result<Url> {
        self.api.url(&["metadefs", "namespaces", namespace, segment(kind), name])
    }

    /// Asks about a namespace or an item in it, and says what usually helps
    /// when the service refuses. Its own words for what is not there name now
    /// one thing, now the other, and nothing when the namespace is somebody else's.
    async fn metadef(&self, request: Request, namespace: &str, item: Option<(Item, &str)>) -> Result<Answer> {
        self.api.send(request).await.map_err(|error| match (error.kind, item) {
            (Kind::NotFound, None) => Error { message: format!("there is no namespace `{namespace}`"), ..error }
                .next("`rimg image metadef namespace list` shows those that you can see"),
            (Kind::NotFound, Some((kind, name))) => {
                let noun = noun(kind);
                let message = format!("there is no {noun} `{name}` in the namespace `{namespace}`");
                Error { message, ..error }
                    .next(format!("`rimg image metadef {noun} list {namespace}` shows what is there"))
            }
            (Kind::Forbidden, _) => error.next(
                "metadata definitions are changed by administrators, unless the policy of the cloud says otherwise",
            ),
            _ => error,
        })
    }
}

/// What people call an item of this kind.
fn noun(kind: Item) -> &'static str {
    match kind {
        Item::Object => "object",
        Item::Property => "property",
        Item::ResourceType => "resource type association",
        Item::Tag => "tag",
    }
}

/// Where the items of this kind are in a namespace.
fn segment(kind: Item) -> &'static str {
    match kind {
        Item::Object => "objects",
        Item::Property => "properties",
        Item::ResourceType => "resource_types",
        Item::Tag => "tags",
    }
}

#[async_trait(?Send)]
impl Metadefs for V2 {
    async fn namespaces(&self, filter: &NamespaceFilter) -> Result<Vec<Fields>> {
        let mut namespaces = Vec::new();
        let mut marker: Option<String> = None;
        loop {
            let mut url = self.api.url(&["metadefs", "namespaces"])?;
            url.query_pairs_mut().append_pair("limit", &PAGE.to_string());
            let wanted =
                [("resource_types", &filter.resource_types), ("visibility", &filter.visibility), ("marker", &marker)];
            for (key, value) in wanted.into_iter().filter_map(|(key, value)| Some((key, value.as_ref()?))) {
                url.query_pairs_mut().append_pair(key, value);
            }
            let answer = self.api.send(self.api.request(Method::GET, url)).await?;
            let (page, next) = page_of(answer.json().await?, "namespaces")?;
            let empty = page.is_empty();
            namespaces.extend(page);
            // A service that repeats a marker would keep us here for ever.
            if empty || next.is_none() || next == marker {
                return Ok(namespaces);
            }
            marker = next;
        }
    }

    async fn namespace(&self, name: &str, resource_type: Option<&str>) -> Result<Fields> {
        let mut url = self.namespace_at(name)?;
        if let Some(resource_type) = resource_type {
            url.query_pairs_mut().append_pair("resource_type", resource_type);
        }
        fields(self.metadef(self.api.request(Method::GET, url), name, None).await?.json().await?)
    }

    async fn create_namespace(&self, namespace: &Fields) -> Result<Fields> {
        let request = self.api.request(Method::POST, self.api.url(&["metadefs", "namespaces"])?);
        let request = request.json(&wire::whole_namespace(namespace).into());
        let name = namespace.get("namespace").and_then(Value::as_str).unwrap_or_default();
        fields(self.metadef(request, name, None).await?.json().await?)
    }

    async fn replace_namespace(&self, name: &str, namespace: &Fields) -> Result<()> {
        let request = self.api.request(Method::PUT, self.namespace_at(name)?);
        self.metadef(request.json(&wire::bare_namespace(namespace).into()), name, None).await.map(drop)
    }

    async fn delete_namespace(&self, name: &str) -> Result<()> {
        self.metadef(self.api.request(Method::DELETE, self.namespace_at(name)?), name, None).await.map(drop)
    }

    async fn items(&self, namespace: &str, kind: Item) -> Result<Vec<Fields>> {
        let request = self.api.request(Method::GET, self.items_at(namespace, kind)?);
        let answer = self.metadef(request, namespace, None).await?.json().await?;
        match kind {
            Item::Property => wire::properties(answer),
            Item::ResourceType => listed(answer, "resource_type_associations"),
            Item::Object | Item::Tag => listed(answer, segment(kind)),
        }
    }

    async fn item(&self, namespace: &str, kind: Item, name: &str) -> Result<Fields> {
        let request = self.api.request(Method::GET, self.item_at(namespace, kind, name)?);
        fields(self.metadef(request, namespace, Some((kind, name))).await?.json().await?)
    }

    async fn add_item(&self, namespace: &str, kind: Item, item: &Fields) -> Result<Fields> {
        let request = match kind {
            Item::Tag => {
                let name = item.get("name").and_then(Value::as_str).unwrap_or_default();
                self.api.request(Method::POST, self.item_at(namespace, kind, name)?)
            }
            _ => self.api.request(Method::POST, self.items_at(namespace, kind)?).json(&wire::settable(item).into()),
        };
        fields(self.metadef(request, namespace, None).await?.json().await?)
    }

    async fn replace_item(&self, namespace: &str, kind: Item, name: &str, item: &Fields) -> Result<()> {
        let request = self.api.request(Method::PUT, self.item_at(namespace, kind, name)?);
        self.metadef(request.json(&wire::settable(item).into()), namespace, Some((kind, name))).await.map(drop)
    }

    async fn remove_item(&self, namespace: &str, kind: Item, name: &str) -> Result<()> {
        let request = self.api.request(Method::DELETE, self.item_at(namespace, kind, name)?);
        self.metadef(request, namespace, Some((kind, name))).await.map(drop)
    }

    async fn remove_items(&self, namespace: &str, kind: Item) -> Result<()> {
        let request = self.api.request(Method::DELETE, self.items_at(namespace, kind)?);
        self.metadef(request, namespace, None).await.map(drop)
    }

    async fn add_tags(&self, namespace: &str, tags: &[String], instead: bool) -> Result<()> {
        let tags: Vec<Value> = tags.iter().map(|tag| json!({"name": tag})).collect();
        let append = HeaderValue::from_static(if instead { "False" } else { "True" });
        let request = self.api.request(Method::POST, self.items_at(namespace, Item::Tag)?);
        let request = request.json(&json!({"tags": tags})).header(APPEND, append);
        self.metadef(request, namespace, None).await.map(drop)
    }

    async fn resource_types(&self) -> Result<Vec<Fields>> {
        self.listed(&["metadefs", "resource_types"], "resource_types").await
    }
}
