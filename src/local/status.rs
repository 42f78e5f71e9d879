//! Where an image is in its life, and what else changes with that.

use super::failure::{Failure, Result};
use super::registry::{Image, Session, Status};
use super::store::Written;

/// Lets an image go to its next status, if it may and has the formats that this takes.
pub fn go_to(image: &mut Image, next: Status) -> Result<()> {
    let from = image.status;
    to_status(image, next)?;
    check_formats(image, from).inspect_err(|_| image.status = from)
}

/// As [`go_to`], whatever is known of the formats.
pub fn to_status(image: &mut Image, next: Status) -> Result<()> {
    if !image.status.leads_to(next) {
        return Err(Failure::conflict(format!(
            "Image status transition from {} to {} is not allowed",
            image.status.name(),
            next.name()
        )));
    }
    image.status = next;
    Ok(())
}

/// Refuses (400) an image that is to have data and does not say of what formats.
fn check_formats(image: &Image, from: Status) -> Result<()> {
    let takes_data = matches!(image.status, Status::Saving | Status::Active | Status::Importing);
    if !takes_data || !matches!(from, Status::Queued | Status::Uploading) {
        return Ok(());
    }
    let missing = match (&image.disk_format, &image.container_format) {
        (None, None) => "Properties disk_format, container_format must be set prior to saving data.",
        (None, Some(_)) => "Property disk_format must be set prior to saving data.",
        (Some(_), None) => "Property container_format must be set prior to saving data.",
        (Some(_), Some(_)) => return Ok(()),
    };
    Err(Failure::bad_request(missing))
}

/// Marks an image whose data will not come, and that is not to be tried again.
pub fn kill(session: &Session, id: &str) -> Result<()> {
    let Some(mut image) = session.image(id)? else { return Ok(()) };
    if matches!(image.status, Status::Queued | Status::Saving) {
        image.status = Status::Killed;
        session.save(&mut image)?;
    }
    Ok(())
}

/// Lets an image wait again whose data was on its way, and will not come.
pub fn requeue(session: &Session, id: &str) -> Result<()> {
    let Some(mut image) = session.image(id)? else { return Ok(()) };
    if matches!(image.status, Status::Saving | Status::Uploading) {
        back_to_queued(&mut image);
        session.save(&mut image)?;
    }
    Ok(())
}

/// What an image is again when its data did not come.
pub fn back_to_queued(image: &mut Image) {
    image.status = Status::Queued;
    image.size = None;
    image.virtual_size = None;
}

/// What an image is once it has its data: what was written, with a disk of
/// `virtual_size` bytes in it.
pub fn filled(image: &mut Image, written: &Written, virtual_size: Option<u64>) {
    image.size = Some(written.size);
    image.virtual_size = virtual_size;
    image.checksum = Some(written.md5.clone());
    image.os_hash_algo = Some("sha512".to_owned());
    image.os_hash_value = Some(written.sha512.clone());
}
