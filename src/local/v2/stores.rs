//! The stores: which there are, what is where, and away with one copy
//! (<https://docs.openstack.org/api-ref/image/v2/#stores>).

use std::sync::Arc;

use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::local::answer::{Payload, json as as_json, no_content};
use crate::local::aside::aside;
use crate::local::failure::{Failure, Result};
use crate::local::policy::Target;
use crate::local::registry::{FileState, Status};
use crate::local::request::Asked;
use crate::local::service::Service;
use crate::local::store::BLOCK;

fn views(service: &Service) -> Vec<Value> {
    let default = &service.default_store().name;
    let view = |store: &crate::local::store::Store| {
        let mut view = json!({"id": store.name});
        if !store.description.is_empty() {
            view["description"] = store.description.as_str().into();
        }
        if store.name == *default {
            view["default"] = "true".into();
        }
        view
    };
    service.stores.iter().map(view).collect()
}

/// `GET /v2/info/stores`
pub fn list(service: &Arc<Service>) -> Response<Payload> {
    as_json(StatusCode::OK, &json!({"stores": views(service)}))
}

/// `GET /v2/info/stores/detail`
pub fn detail(service: &Arc<Service>, asked: &Asked) -> Result<Response<Payload>> {
    service.enforce_on("stores_info_detail", &asked.caller, &Target::default())?;
    let mut views = views(service);
    for (view, store) in views.iter_mut().zip(&service.stores) {
        view["type"] = "file".into();
        view["properties"] = json!({
            "data_dir": store.directory().to_string_lossy(),
            "chunk_size": BLOCK,
            "thin_provisioning": false,
        });
        view["weight"] = 0.into();
    }
    Ok(as_json(StatusCode::OK, &json!({"stores": views})))
}

/// `GET /v2/info/import`
pub fn import_methods(service: &Arc<Service>) -> Response<Payload> {
    let methods = &service.settings.import_methods;
    let view = json!({"description": "Import methods available.", "type": "array", "value": methods});
    as_json(StatusCode::OK, &json!({"import-methods": view}))
}

/// `DELETE /v2/stores/{store}/{id}`
pub async fn delete_copy(
    service: &Arc<Service>,
    asked: &mut Asked,
    store: &str,
    id: &str,
) -> Result<Response<Payload>> {
    if !service.stores.iter().any(|known| known.name == store) {
        let words = format!("The selected store {store} is not available on this node.");
        return Err(Failure::conflict(words));
    }
    let (service, caller) = (Arc::clone(service), Arc::clone(&asked.caller));
    let (store, id) = (store.to_owned(), id.to_owned());
    aside(move || {
        let file = service.registry.write(|session| {
            let image = session.visible(&caller, &id)?;
            let mut image = image.ok_or_else(|| Failure::not_found(format!("Failed to find image {id}")))?;
            service.enforce("get_image_location", &caller, &image)?;
            service.enforce("delete_image_location", &caller, &image)?;
            if image.status != Status::Active {
                return Err(Failure::conflict(
                    "It's not allowed to remove image data from store if image status is not 'active'",
                ));
            }
            let files = session.files(&id, FileState::Stored)?;
            if files.len() == 1 {
                return Err(Failure::forbidden(
                    "Cannot delete image data from the only store containing it. Consider deleting the image instead.",
                ));
            }
            let Some(file) = files.into_iter().find(|file| file.store == store) else {
                return Err(Failure::not_found(format!("Image {id} is not stored in store {store}.")));
            };
            session.discard_file(&file.id, service.run.id())?;
            session.save(&mut image)?;
            Ok(file)
        })?;
        service.remove_files(&[file]);
        Ok(())
    })
    .await?;
    Ok(no_content())
}
