//! What the rooms of metadata definitions have in common: the body of a request,
//! the namespace that it is about, and who may do what to it.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::local::aside::aside;
use crate::local::caller::Caller;
use crate::local::failure::{Failure, Result};
use crate::local::policy::Target;
use crate::local::registry::{Namespace, Session};
use crate::local::request::Asked;
use crate::local::service::Service;
use crate::local::v2::fields::time;
use crate::local::v2::schemas::Schema;

/// Refuses (403, or 404 where the caller may not even know of the namespace)
/// what `rule` does not allow; `None` is about no namespace in particular.
pub fn enforce(service: &Service, caller: &Caller, rule: &str, namespace: Option<&Namespace>) -> Result<()> {
    let target = match namespace {
        Some(namespace) => {
            Target { owner: namespace.owner.as_deref(), member: None, visibility: Some(namespace.visibility()) }
        }
        None => Target { owner: caller.project_id.as_deref(), member: None, visibility: None },
    };
    service.enforce_on(rule, caller, &target).map_err(|refused| {
        let sees =
            rule != "get_metadef_namespace" && service.enforce_on("get_metadef_namespace", caller, &target).is_ok();
        if sees { refused } else { Failure::nothing_here() }
    })
}

/// The namespace of this name, if the caller sees it and `rule` allows what is
/// to be done to it.
pub fn namespace(service: &Service, session: &Session, caller: &Caller, name: &str, rule: &str) -> Result<Namespace> {
    let namespace = match session.namespace(name)? {
        Some(namespace) if namespace.is_visible(caller) => namespace,
        // Of objects, Glance says it in other words.
        None if rule.contains("metadef_object") => {
            return Err(Failure::not_found(format!("Metadata definition namespace={name} was not found.")));
        }
        _ => return Err(Failure::not_found(format!("Namespace {name} not found"))),
    };
    enforce(service, caller, rule, Some(&namespace))?;
    Ok(namespace)
}

/// Refuses (403) to take from a protected namespace.
pub fn unprotected(namespace: &Namespace) -> Result<()> {
    match namespace.protected {
        false => Ok(()),
        true => Err(Failure::forbidden(format!(
            "Metadata definition namespace {} is protected and cannot be deleted.",
            namespace.namespace
        ))),
    }
}

/// Where a namespace is.
pub fn path(namespace: &str) -> String {
    format!("/v2/metadefs/namespaces/{namespace}")
}

/// The body of a request: an object that is as `schema` says and sets nothing
/// that is not for clients to set.
pub async fn body(
    service: &Service,
    asked: &mut Asked,
    schema: Schema,
    read_only: &[&str],
) -> Result<Map<String, Value>> {
    let body = asked.json(service.settings.limits.json_bytes).await?;
    if let Some(field) = read_only.iter().find(|field| body.get(**field).is_some()) {
        return Err(Failure::forbidden(format!("Attribute '{field}' is read-only.")));
    }
    schema.check(&body)?;
    match body {
        Value::Object(body) => Ok(body),
        _ => Err(Failure::bad_request("Unexpected body type.")),
    }
}

/// Does `work` on one moment of the registry, on a thread that may wait.
pub async fn read<T: Send + 'static>(
    service: &Arc<Service>,
    work: impl FnOnce(&Service, &Session) -> Result<T> + Send + 'static,
) -> Result<T> {
    let service = Arc::clone(service);
    aside(move || service.read(|session| work(&service, session))).await
}

/// The text of a field, if it has one.
pub fn string(fields: &Map<String, Value>, name: &str) -> Option<String> {
    fields.get(name).and_then(Value::as_str).map(str::to_owned)
}

/// Adds when it came and changed.
pub fn put_times(view: &mut Map<String, Value>, created_at: i64, updated_at: Option<i64>) {
    view.insert("created_at".to_owned(), time(created_at).into());
    if let Some(updated_at) = updated_at {
        view.insert("updated_at".to_owned(), time(updated_at).into());
    }
}
