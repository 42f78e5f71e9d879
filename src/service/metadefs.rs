//! Metadata definitions: what the properties of images, volumes, flavors … may
//! be called and hold (<https://docs.openstack.org/api-ref/image/v2/metadefs-index.html>).

use async_trait::async_trait;

use crate::error::{Error, Kind, Result};
use crate::image::Fields;

/// What a namespace is made of, besides itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// A group of properties that belong together.
    Object,
    /// The definition of one property.
    Property,
    /// The association with a type of resource that the definitions are for.
    ResourceType,
    /// A bare name.
    Tag,
}

/// Which namespaces to list.
#[derive(Debug, Clone, Default)]
pub struct NamespaceFilter {
    /// Only those for one of these types of resources, separated by commas.
    pub resource_types: Option<String>,
    /// `public` or `private`.
    pub visibility: Option<String>,
}

/// What an image service can do about metadata definitions. A namespace and
/// what is in it are given by their names. What replaces something is the
/// whole of it: change what the service said and hand it back, fields that
/// only the service sets are left out below.
///
/// The bodies here are those of a service that has none of it.
#[async_trait(?Send)]
pub trait Metadefs {
    /// The namespaces that match, newest first, without what is in them.
    async fn namespaces(&self, _filter: &NamespaceFilter) -> Result<Vec<Fields>> {
        unsupported()
    }

    /// A namespace with all that is in it; the names of properties as they are
    /// for `resource_type`, if one is given.
    async fn namespace(&self, _name: &str, _resource_type: Option<&str>) -> Result<Fields> {
        unsupported()
    }

    /// Creates a namespace, with all that `namespace` says is in it.
    async fn create_namespace(&self, _namespace: &Fields) -> Result<Fields> {
        unsupported()
    }

    /// Replaces the namespace of this name, not what is in it.
    async fn replace_namespace(&self, _name: &str, _namespace: &Fields) -> Result<()> {
        unsupported()
    }

    /// Deletes a namespace and all that is in it.
    async fn delete_namespace(&self, _name: &str) -> Result<()> {
        unsupported()
    }

    /// The items of this kind in a namespace.
    async fn items(&self, _namespace: &str, _kind: Item) -> Result<Vec<Fields>> {
        unsupported()
    }

    /// One item. An association with a type of resource is only listed.
    async fn item(&self, _namespace: &str, _kind: Item, _name: &str) -> Result<Fields> {
        unsupported()
    }

    /// Adds an item; one that is there already is a conflict.
    async fn add_item(&self, _namespace: &str, _kind: Item, _item: &Fields) -> Result<Fields> {
        unsupported()
    }

    /// Replaces the item of this name. Resource types can only be added and removed.
    async fn replace_item(&self, _namespace: &str, _kind: Item, _name: &str, _item: &Fields) -> Result<()> {
        unsupported()
    }

    /// Takes one item out of a namespace.
    async fn remove_item(&self, _namespace: &str, _kind: Item, _name: &str) -> Result<()> {
        unsupported()
    }

    /// Takes all items of this kind out of a namespace. Resource types go one by one.
    async fn remove_items(&self, _namespace: &str, _kind: Item) -> Result<()> {
        unsupported()
    }

    /// Adds tags in one step, to those that are there or, with `instead`, in
    /// their place.
    async fn add_tags(&self, _namespace: &str, _tags: &[String], _instead: bool) -> Result<()> {
        unsupported()
    }

    /// The types of resources that any namespace is for.
    async fn resource_types(&self) -> Result<Vec<Fields>> {
        unsupported()
    }
}

fn unsupported<T>() -> Result<T> {
    Err(Error::new(Kind::Unsupported, "this image service has no metadata definitions")
        .next("they came with the Images API v2: look for another endpoint in the catalogue"))
}
