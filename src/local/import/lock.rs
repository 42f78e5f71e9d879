//! Which import has an image in hand, where it is on its way to and where it did
//! not get to: as in Glance, these are properties of the image.

use crate::local::failure::Result;
use crate::local::registry::{Image, Session, Status, Task, TaskStatus, now};
use crate::local::status::back_to_queued;

/// The task that has an image in hand: a property of the image.
pub const TASK: &str = "os_glance_import_task";
/// The stores that an image is on its way to: a property of the image.
pub const IMPORTING: &str = "os_glance_importing_to_stores";
/// The stores that an image did not get to: a property of the image.
pub const FAILED: &str = "os_glance_failed_import";

/// How long a task may say nothing, in microseconds, before another may have
/// its image: as long as in Glance. One that works tells every few seconds, and
/// those of dead processes are swept: what is left hangs, or waits for its turn.
const SILENT: i64 = 60 * 60 * 1_000_000;

/// Whether a task has the image in hand, and is not to be disturbed.
pub fn is_locked(session: &Session, image: &Image) -> Result<bool> {
    let Some(id) = image.properties.get(TASK) else { return Ok(false) };
    let Some(task) = session.task(id)? else { return Ok(false) };
    // One that waits will go on as soon as it can.
    let silent = if task.status == TaskStatus::Pending { 2 * SILENT } else { SILENT };
    Ok(now() - task.updated_at < silent)
}

/// Takes the image from the task that has it and lost its right to it.
pub fn take_over(session: &Session, image: &mut Image) -> Result<()> {
    let Some(id) = image.properties.remove(TASK) else { return Ok(()) };
    let Some(task) = session.task(&id)? else { return Ok(()) };
    session.save_task(&id, TaskStatus::Failure, None, "Expired lock preempted")?;
    for property in [IMPORTING, FAILED] {
        take(image, property, &stores_of(&task));
    }
    Ok(())
}

/// The stores that a task is to bring data to.
pub fn stores_of(task: &Task) -> Vec<String> {
    let stores = task.input["backend"].as_array().into_iter().flatten();
    stores.filter_map(|store| store.as_str().map(str::to_owned)).collect()
}

/// What an image is when no import has it in hand any more.
pub fn release(image: &mut Image, stores: &[String], failed: bool) {
    image.properties.remove(TASK);
    take(image, IMPORTING, stores);
    if failed && matches!(image.status, Status::Importing) {
        back_to_queued(image);
        image.checksum = None;
        image.os_hash_algo = None;
        image.os_hash_value = None;
    }
}

/// Adds stores to a list that is a property.
pub fn put(image: &mut Image, property: &str, stores: &[String]) {
    change(image, property, |list| list.extend(stores.iter().cloned()));
}

/// Takes stores from a list that is a property.
pub fn take(image: &mut Image, property: &str, stores: &[String]) {
    change(image, property, |list| list.retain(|known| !stores.contains(known)));
}

fn change(image: &mut Image, property: &str, change: impl FnOnce(&mut Vec<String>)) {
    let list = image.properties.entry(property.to_owned()).or_default();
    let mut stores: Vec<String> = list.split(',').filter(|store| !store.is_empty()).map(str::to_owned).collect();
    change(&mut stores);
    stores.sort();
    stores.dedup();
    *list = stores.join(",");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_stores_are_sorted_and_hold_each_once() {
        let mut image = Image::new("id".to_owned());
        let stores = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        put(&mut image, IMPORTING, &stores(&["b", "a"]));
        put(&mut image, IMPORTING, &stores(&["a", "c"]));
        assert_eq!(image.properties[IMPORTING], "a,b,c");
        take(&mut image, IMPORTING, &stores(&["b", "x"]));
        assert_eq!(image.properties[IMPORTING], "a,c");
        take(&mut image, FAILED, &stores(&["a"]));
        assert_eq!(image.properties[FAILED], "");
    }
}
