//! Image data: into the store or the staging area, and out again.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};

use super::Glance;
use super::errors::{error, no_image, not_allowed, unsupported};
use crate::support::http::{Answer, Body, Content, Request};
use crate::support::keystone::Identity;

impl Glance {
    /// Data into the store (`saving`, then active) or the staging area (`uploading`).
    pub(super) fn upload(&self, who: &Identity, id: &str, request: &Request, body: &mut Body, status: &str) -> Answer {
        let media = request.header("content-type").unwrap_or_default();
        if media != "application/octet-stream" {
            return unsupported(media, &format!("Invalid content type {media}"));
        }
        let Ok(announced) = request.header("x-openstack-image-size").map(str::parse::<u64>).transpose() else {
            return error(400, "Invalid or missing image size in request headers.", "");
        };
        let ready = self.on(who, id, no_image(id), |image| {
            if !image.owned_by(who) {
                return not_allowed(if status == "saving" { "upload_image" } else { "modify_image" });
            }
            let missing = ["disk_format", "container_format"].iter().any(|key| image.base[*key].is_null());
            if status == "saving" && missing {
                return error(400, "Properties disk_format, container_format must be set prior to saving data.", "");
            }
            let current = image.text("status");
            if current != "queued" {
                let message = format!("Image status transition from {current} to {status} is not allowed");
                return error(409, &message, "");
            }
            image.set("status", status);
            Answer::status(204)
        });
        if ready.status != 204 {
            return ready;
        }
        let path = self.directory.join(id);
        let kept = keep(body, &path);
        let size = body.len;
        // Nobody else can have removed it in between, unless a test deletes while it uploads.
        self.on(who, id, error(410, "The image was deleted while its data came in.", ""), |image| {
            let declared = image.text("disk_format").to_owned();
            let refused = match (kept, announced) {
                (Err(e), _) => Some(error(400, &format!("The client broke off: {e}"), "")),
                (Ok(_), Some(size)) if body.len > size => {
                    Some(error(400, &format!("Size exceeds: expected {size} bytes, got {} bytes", body.len), ""))
                }
                (Ok(_), Some(size)) if body.len < size => {
                    Some(error(400, &format!("Size mismatch: expected {size} bytes, got {} bytes", body.len), ""))
                }
                (Ok(found), _) if matches!(declared.as_str(), "qcow2" | "vmdk" | "vhdx") && found != declared => {
                    let detail = format!("Image disk_format {declared} does not match stream data {found}");
                    Some(unsupported(media, &detail))
                }
                _ => None,
            };
            if let Some(answer) = refused {
                let _ = std::fs::remove_file(&path);
                image.set("status", "queued");
                return answer;
            }
            image.data = Some(path);
            image.set("size", size);
            image.digests = (body.md5(), body.sha512());
            if status == "saving" {
                image.activate();
            }
            image.touch();
            Answer::status(204)
        })
    }

    pub(super) fn import(&self, who: &Identity, id: &str, body: &mut Body) -> Answer {
        let order = body.json().unwrap_or_default();
        let method = order["method"]["name"].as_str().unwrap_or_default();
        if method != "glance-direct" {
            return error(400, &format!("Unknown import method name '{method}'."), "");
        }
        self.on(who, id, no_image(id), |image| {
            match image.text("status") {
                "uploading" => {}
                "queued" => {
                    let message = "Image needs to be staged before 'glance-direct' method can be used";
                    return error(409, message, "");
                }
                status => return error(409, &format!("Image with status {status} cannot be target for import"), ""),
            }
            for key in ["container_format", "disk_format"] {
                if image.base[key].is_null() {
                    return error(409, &format!("'{key}' needs to be set before import"), "");
                }
            }
            image.set("status", "importing");
            image.importing = 1;
            for (key, value) in [("import_task", crate::support::random_uuid()), ("importing_to_stores", "fast".into())]
            {
                image.extra.insert(format!("os_glance_{key}"), value.into());
            }
            image.extra.insert("os_glance_failed_import".into(), "".into());
            Answer::status(202)
        })
    }

    pub(super) fn download(&self, who: &Identity, id: &str, request: &Request) -> Answer {
        self.on(who, id, no_image(id), |image| {
            let status = image.text("status");
            if status == "deactivated" && !who.admin {
                let message = "The requested image has been deactivated. Image data download is forbidden.";
                return error(403, message, "");
            }
            let Some(path) = image.data.as_ref().filter(|_| matches!(status, "active" | "deactivated")) else {
                return Answer::status(204);
            };
            let file = File::open(path).unwrap();
            let size = file.metadata().unwrap().len();
            image.downloads += 1;
            let answer = Answer::status(200)
                .header("Content-Type", "application/octet-stream")
                .header("Content-MD5", image.text("checksum"));
            let Some(range) = request.header("range") else {
                // What is not in the image cache yet comes without a length.
                let content = Content::File { file, start: 0, len: size, announced: image.downloads > 1 };
                return Answer { content, ..answer };
            };
            let range = range.strip_prefix("bytes=").unwrap_or_default();
            if range.contains(',') {
                let message = "Requests with multiple ranges are not supported in Glance. \
                    You may make multiple single-range requests instead.";
                return error(400, message, "");
            }
            let parsed = match range.split_once('-').map(|(from, to)| (from.parse().ok(), to.parse().ok())) {
                Some((Some(from), to)) => Some((from, to.unwrap_or(u64::MAX).min(size.saturating_sub(1)))),
                Some((None, Some(last))) => Some((size.saturating_sub(last), size.saturating_sub(1))),
                _ => None,
            };
            let Some((from, to)) = parsed.filter(|(from, to)| from <= to && *from < size) else {
                let last = size.saturating_sub(1);
                let detail = format!(
                    "Invalid start position in Range header. Start position MUST be in the inclusive range [0, {last}]."
                );
                return error(416, "The Range requested is not available.", &detail);
            };
            let content = Content::File { file, start: from, len: to - from + 1, announced: true };
            Answer { status: 206, content, ..answer }.header("Content-Range", format!("bytes {from}-{to}/{size}"))
        })
    }
}

/// Writes the body into a file, zeros as a hole, and says what its first bytes are.
fn keep(body: &mut Body, path: &std::path::Path) -> std::io::Result<&'static str> {
    static ZEROS: [u8; 256 * 1024] = [0; 256 * 1024];
    let mut file = File::create(path)?;
    let mut first = Vec::new();
    while let Some(piece) = body.next()? {
        if first.len() < 8 {
            first.extend_from_slice(&piece[..piece.len().min(8)]);
        }
        if piece == &ZEROS[..piece.len()] {
            file.seek(SeekFrom::Current(piece.len() as i64))?;
        } else {
            file.write_all(piece)?;
        }
    }
    file.set_len(body.len)?;
    Ok(match first.as_slice() {
        [b'Q', b'F', b'I', 0xfb, ..] => "qcow2",
        [b'K', b'D', b'M', b'V', ..] => "vmdk",
        [b'v', b'h', b'd', b'x', ..] => "vhdx",
        _ => "raw",
    })
}
