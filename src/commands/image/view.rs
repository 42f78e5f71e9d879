//! An image as a record or a row, in the shape that `openstack image` gives it.

use serde_json::{Map, Value, json};

use crate::image::Image;
use crate::output::{Cell, Record};

/// Every field that a record can have, in its order. What does not stand by
/// itself is gathered in `properties`.
pub const COLUMNS: [&str; 19] = [
    "checksum",
    "container_format",
    "created_at",
    "disk_format",
    "file",
    "id",
    "min_disk",
    "min_ram",
    "name",
    "owner",
    "properties",
    "protected",
    "schema",
    "size",
    "status",
    "tags",
    "updated_at",
    "virtual_size",
    "visibility",
];

/// How openstacksdk types a property that it knows.
enum Kind {
    AsIs,
    Int,
    Float,
    Bool,
}

/// The properties that openstacksdk knows, in its order: scripts see it in
/// JSON, with custom properties between the first group and the second
/// (<https://docs.openstack.org/openstacksdk/latest/user/resources/image/v2/image.html>).
const BEFORE: [&str; 3] = ["os_hidden", "os_hash_algo", "os_hash_value"];

const AFTER: [(&str, Kind); 43] = [
    ("store", Kind::AsIs),
    ("locations", Kind::AsIs),
    ("direct_url", Kind::AsIs),
    ("url", Kind::AsIs),
    ("metadata", Kind::AsIs),
    ("architecture", Kind::AsIs),
    ("hypervisor_type", Kind::AsIs),
    ("instance_type_rxtx_factor", Kind::Float),
    ("instance_uuid", Kind::AsIs),
    ("img_config_drive", Kind::AsIs),
    ("kernel_id", Kind::AsIs),
    ("os_distro", Kind::AsIs),
    ("os_version", Kind::AsIs),
    ("os_secure_boot", Kind::AsIs),
    ("os_shutdown_timeout", Kind::Int),
    ("ramdisk_id", Kind::AsIs),
    ("vm_mode", Kind::AsIs),
    ("hw_cpu_sockets", Kind::Int),
    ("hw_cpu_cores", Kind::Int),
    ("hw_cpu_threads", Kind::Int),
    ("hw_disk_bus", Kind::AsIs),
    ("hw_cpu_policy", Kind::AsIs),
    ("hw_cpu_thread_policy", Kind::AsIs),
    ("hw_rng_model", Kind::AsIs),
    ("hw_machine_type", Kind::AsIs),
    ("hw_scsi_model", Kind::AsIs),
    ("hw_serial_port_count", Kind::Int),
    ("hw_video_model", Kind::AsIs),
    ("hw_video_ram", Kind::Int),
    ("hw_watchdog_action", Kind::AsIs),
    ("os_command_line", Kind::AsIs),
    ("hw_vif_model", Kind::AsIs),
    ("hw_vif_multiqueue_enabled", Kind::Bool),
    ("hw_boot_menu", Kind::Bool),
    ("vmware_adaptertype", Kind::AsIs),
    ("vmware_ostype", Kind::AsIs),
    ("auto_disk_config", Kind::AsIs),
    ("os_type", Kind::AsIs),
    ("os_admin_user", Kind::AsIs),
    ("hw_qemu_guest_agent", Kind::AsIs),
    ("os_require_quiesce", Kind::Bool),
    ("schema", Kind::AsIs),
    ("self", Kind::AsIs),
];

/// The record that `image show` and `image create` answer with. Fields that
/// are null are left out, `tags` is always there.
pub fn record(image: &Image, human_readable: bool) -> Record {
    let mut fields = Vec::new();
    for name in COLUMNS {
        let cell = match (name, image.fields.get(name)) {
            ("properties", _) => match properties(image) {
                properties if properties.is_empty() => continue,
                properties => Cell::dict(Value::Object(properties)),
            },
            ("tags", tags) => Cell::list(tags.cloned().unwrap_or_else(|| json!([]))),
            (_, None | Some(Value::Null)) => continue,
            ("size", Some(size)) if human_readable => {
                size.as_u64().map_or_else(|| size.clone().into(), |bytes| human_size(bytes).into())
            }
            (_, Some(value)) => value.clone().into(),
        };
        fields.push((name.to_owned(), cell));
    }
    Record { fields }
}

/// The record of an image that the block storage service makes: its fields by
/// name, of the volume's type only the name.
pub fn volume_image(mut answer: Map<String, Value>) -> Record {
    let kind = answer.get("volume_type").and_then(|kind| kind.get("name")).cloned();
    answer.insert("volume_type".to_owned(), kind.unwrap_or_default());
    let mut fields: Vec<(String, Cell)> = answer.into_iter().map(|(name, value)| (name, value.into())).collect();
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    Record { fields }
}

/// Whether the field stands by itself. (A custom property may be called `properties`.)
fn is_field(key: &str) -> bool {
    key != "properties" && COLUMNS.contains(&key)
}

fn properties(image: &Image) -> Map<String, Value> {
    let known_after = |key: &str| AFTER.iter().any(|(name, _)| *name == key);
    let custom = image
        .fields
        .keys()
        .map(String::as_str)
        .filter(|key| !is_field(key) && !BEFORE.contains(key) && !known_after(key));
    let ordered = BEFORE.into_iter().chain(custom).chain(AFTER.iter().map(|(name, _)| *name));
    let mut properties = Map::new();
    for key in ordered.filter(|key| *key != "self" && *key != "schema" && *key != "location") {
        match image.fields.get(key) {
            None | Some(Value::Null) => {}
            Some(value) => {
                properties.insert(key.to_owned(), typed(key, value));
            }
        }
    }
    properties
}

fn kind(key: &str) -> &'static Kind {
    AFTER.iter().find(|(name, _)| *name == key).map_or(&Kind::AsIs, |(_, kind)| kind)
}

/// Whether openstacksdk makes more than a text of the property.
pub fn has_type(key: &str) -> bool {
    !matches!(kind(key), Kind::AsIs)
}

/// The value of a property as openstacksdk types it.
pub fn typed(key: &str, value: &Value) -> Value {
    let Value::String(text) = value else { return value.clone() };
    match kind(key) {
        Kind::AsIs => value.clone(),
        Kind::Int => json!(text.trim().parse::<i64>().unwrap_or(0)),
        Kind::Float => json!(text.trim().parse::<f64>().unwrap_or(0.0)),
        Kind::Bool => {
            json!(matches!(text.to_lowercase().as_str(), "1" | "t" | "true" | "on" | "y" | "yes"))
        }
    }
}

/// `1.5G`: base 1000, one decimal unless it is 0.
fn human_size(bytes: u64) -> String {
    let mut size = bytes as f64;
    let mut suffixes = ["", "K", "M", "G", "T", "P"].into_iter();
    let mut suffix = suffixes.next();
    while size >= 1000.0 {
        let Some(larger) = suffixes.next() else { break };
        suffix = Some(larger);
        size /= 1000.0;
    }
    let rounded = format!("{size:.1}");
    format!("{}{}", rounded.strip_suffix(".0").unwrap_or(&rounded), suffix.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sizes_for_people_have_base_1000() {
        for (bytes, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1K"),
            (1536, "1.5K"),
            (2_147_483_648, "2.1G"),
            (5_000_000_000_000_000, "5P"),
        ] {
            assert_eq!(human_size(bytes), text);
        }
    }

    #[test]
    fn an_image_of_a_volume_names_the_type_of_the_volume() {
        let shown = |kind: Value| {
            let answer =
                json!({"status": "uploading", "volume_type": kind, "image_id": "i", "display_description": null});
            let fields = volume_image(answer.as_object().unwrap().clone()).fields;
            fields.into_iter().map(|(name, cell)| format!("{name}={}", cell.value)).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            shown(json!({"name": "fast", "id": "t", "extra_specs": {}})),
            r#"display_description=null image_id="i" status="uploading" volume_type="fast""#
        );
        assert_eq!(shown(Value::Null), r#"display_description=null image_id="i" status="uploading" volume_type=null"#);
    }

    #[test]
    fn properties_come_in_the_order_and_kind_that_scripts_know() {
        let fields = json!({
            "hw_boot_menu": "true", "hw_cpu_cores": "2", "zeta": "1", "os_distro": "x", "alpha": "b", "name": "n",
            "os_hidden": false, "os_hash_algo": "sha512", "os_hash_value": "aa", "id": "i", "self": "/v2/images/i",
            "schema": "/v2/schemas/image", "stores": "fast", "virtual_size": null, "hw_video_ram": "many"
        });
        let record = record(&Image { fields: fields.as_object().unwrap().clone() }, false);
        let names: Vec<_> = record.fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["id", "name", "properties", "schema", "tags"]);
        assert_eq!(
            record.fields[2].1.value.to_string(),
            r#"{"os_hidden":false,"os_hash_algo":"sha512","os_hash_value":"aa","zeta":"1","alpha":"b","stores":"fast","os_distro":"x","hw_cpu_cores":2,"hw_video_ram":0,"hw_boot_menu":true}"#
        );
    }
}
