//! What goes wrong, and how the services of the tests are made to do it.

use std::io::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::dice::Dice;
use super::plan::Plan;
use crate::support::fault::Script;
use crate::support::http::Content;
use crate::support::{Answer, World};

/// What goes wrong with a request.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Deed {
    Close,
    CloseAfterRequest(usize),
    ResetAfterRequest(usize),
    ResetAnswer,
    CloseAfterAnswer(usize),
    ResetAfterAnswer(usize),
    Answer(u16, Option<u8>),
    AnswerEarly(u16, Option<u8>),
    /// What is asked is done.
    Instead(u16, Option<u8>),
    Redirect(u16, bool),
    Stall,
    StallRequest,
    StallAfter(usize),
    Slow(u64),
    Drip(usize),
    DripRequest(usize),
    ContentLength(usize),
    Expire,
    Delete {
        after: bool,
    },
    /// Somebody else sends other data first.
    Fill,
    /// The service keeps other bytes than were sent.
    Spoil(Spoilt),
    /// The service sends other bytes than it has.
    Flip(usize),
    /// A range of the right length, with other bytes.
    OtherBytes,
    /// `Range` is overlooked; with another status, `Content-Range`, byte.
    Whole(bool, Option<ContentRange>, Option<usize>),
    Part(ContentRange),
    Shorter,
    Edit(Edit),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Spoilt {
    Flipped(usize),
    Cut(usize),
    Dropped(usize),
    Longer,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum ContentRange {
    Absent,
    Nonsense,
    Start(i64),
    End(i64),
    Total(i64),
    FromZero,
    UnknownTotal,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Edit {
    Status(&'static str),
    Size(Option<usize>),
    Hash(String),
    Algorithm(&'static str),
    NoMultihash,
    NoHash,
    Checksum(String),
    NoImage,
}

impl Edit {
    /// Never by chance the size that is right.
    pub(super) fn honest(self, size: usize) -> Edit {
        match self {
            Edit::Size(Some(said)) if said == size => Edit::Size(Some(size + 7)),
            other => other,
        }
    }

    fn apply(&self, answer: &mut Answer) {
        let Content::Bytes(bytes) = &mut answer.content else { return };
        // A refusal has nothing to edit.
        let Ok(mut value) = serde_json::from_slice::<Value>(bytes) else { return };
        let listed = value["images"].as_array().is_some_and(|images| !images.is_empty());
        let image = match listed {
            true => &mut value["images"][0],
            false => &mut value,
        };
        if !image.is_object() || image.get("id").is_none() {
            return;
        }
        match self {
            Edit::Status(status) => image["status"] = json!(status),
            Edit::Size(size) => image["size"] = json!(size),
            Edit::Hash(sum) => image["os_hash_value"] = json!(sum),
            Edit::Algorithm(name) => image["os_hash_algo"] = json!(name),
            Edit::NoMultihash => (image["os_hash_algo"], image["os_hash_value"]) = (Value::Null, Value::Null),
            Edit::NoHash => {
                for key in ["os_hash_algo", "os_hash_value", "checksum"] {
                    image[key] = Value::Null;
                }
            }
            Edit::Checksum(sum) => image["checksum"] = json!(sum),
            Edit::NoImage if listed => value["images"] = json!([]),
            Edit::NoImage => value = json!({}),
        }
        *bytes = value.to_string().into_bytes();
    }
}

impl ContentRange {
    /// What is said of the range in `answer` instead of the truth.
    fn apply(&self, answer: &mut Answer, whole: usize) {
        let place = answer.headers.iter().position(|(name, _)| name == "Content-Range");
        let told = place.map(|place| answer.headers.remove(place).1);
        let numbers: Option<Vec<i64>> = told.as_deref().and_then(|told| {
            told.trim_start_matches("bytes ").split(['-', '/']).map(|number| number.parse().ok()).collect()
        });
        let whole = whole as i64;
        let (first, last, total) = match numbers.as_deref() {
            Some([first, last, total]) => (*first, *last, *total),
            _ => (0, whole - 1, whole),
        };
        let told = match self {
            ContentRange::Absent => return,
            ContentRange::Nonsense => "bytes and more".to_owned(),
            ContentRange::Start(by) => format!("bytes {}-{last}/{total}", first + by),
            ContentRange::End(by) => format!("bytes {first}-{}/{total}", last + by),
            ContentRange::Total(by) => format!("bytes {first}-{last}/{}", total + by),
            ContentRange::FromZero => format!("bytes 0-{}/{total}", last - first),
            ContentRange::UnknownTotal => format!("bytes {first}-{last}/*"),
        };
        answer.headers.push(("Content-Range".to_owned(), told));
    }
}

/// Sends what `change` makes of the file that would be sent.
fn other_file(answer: &mut Answer, change: impl Fn(&mut Vec<u8>)) {
    use std::os::unix::fs::FileExt as _;
    if let Content::File { file, start, len, announced } = &mut answer.content {
        let mut bytes = vec![0; *len as usize];
        file.read_exact_at(&mut bytes, *start).unwrap();
        change(&mut bytes);
        let mut other = tempfile::tempfile().unwrap();
        other.write_all(&bytes).unwrap();
        answer.content = Content::File { file: other, start: 0, len: bytes.len() as u64, announced: *announced };
    }
}

/// Prepares a fault on a request.
pub(super) fn prepare(world: &World, plan: &Plan, script: Script, deed: &Deed) {
    let (name, size) = (plan.name(), plan.size);
    let told = |status: u16, again: Option<u8>| {
        move || {
            let page = Answer::html(status, "<html><h1>x</h1>Trouble.</html>");
            again.into_iter().fold(page, |page, again| page.header("Retry-After", again.to_string()))
        }
    };
    let glance = world.glance().clone();
    match deed.clone() {
        Deed::Close => script.close(),
        Deed::CloseAfterRequest(bytes) => script.close_after_request(bytes as u64),
        Deed::ResetAfterRequest(bytes) => script.reset_after_request(bytes as u64),
        Deed::ResetAnswer => script.reset_answer(),
        Deed::CloseAfterAnswer(bytes) => script.close_after_answer(bytes as u64),
        Deed::ResetAfterAnswer(bytes) => script.reset_after_answer(bytes as u64),
        Deed::Answer(status, again) => script.answer(told(status, again)),
        Deed::AnswerEarly(status, again) => script.answer_early(told(status, again)),
        Deed::Instead(status, again) => script.answer_instead(told(status, again)),
        Deed::Redirect(status, here) => match here {
            true => script.redirect(status, &format!("{}/v2/images", world.images().url())),
            // Nobody listens there.
            false => script.redirect(status, "http://127.0.0.1:1/v2/images"),
        },
        Deed::Stall => script.stall(),
        Deed::StallRequest => script.stall_request(),
        Deed::StallAfter(bytes) => script.stall_after(bytes as u64),
        Deed::Slow(milliseconds) => script.answer_slowly(Duration::from_millis(milliseconds)),
        Deed::Drip(piece) => script.drip(piece, Duration::from_millis(15)),
        Deed::DripRequest(piece) => script.drip_request(piece, Duration::from_millis(15)),
        Deed::ContentLength(bytes) => script.content_length(bytes as u64),
        Deed::Expire => {
            let tokens = world.tokens().clone();
            script.before(move || tokens.expire());
        }
        Deed::Delete { after: false } => script.before(move || glance.remove(&name)),
        Deed::Delete { after: true } => script.after(move || glance.remove(&name)),
        Deed::Fill => {
            let bytes = Dice(plan.seed ^ 1).bytes(size);
            script.before(move || glance.fill(&name, &bytes));
        }
        Deed::Spoil(spoilt) => script.after(move || {
            glance.spoil(&name, |bytes| match spoilt {
                Spoilt::Flipped(at) => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 4),
                Spoilt::Cut(count) => bytes.truncate(bytes.len().saturating_sub(count)),
                Spoilt::Dropped(at) => drop(bytes.drain(at.min(bytes.len() - 1)..(at + 100).min(bytes.len()))),
                Spoilt::Longer => bytes.push(0),
            });
        }),
        Deed::Flip(at) => script.twist(move |answer| {
            other_file(answer, |bytes| {
                let at = at % bytes.len();
                bytes[at] ^= 16;
            });
        }),
        Deed::OtherBytes => script.twist(|answer| other_file(answer, |bytes| bytes.fill(7))),
        Deed::Shorter => script.twist(|answer| {
            other_file(answer, |bytes| bytes.truncate(bytes.len() - 1));
        }),
        Deed::Whole(partial, range, flipped) => script.whole(move |answer| {
            if let Some(at) = flipped {
                other_file(answer, |bytes| {
                    let at = at % bytes.len();
                    bytes[at] ^= 16;
                });
            }
            if answer.status == 200 && partial {
                answer.status = 206;
                answer.headers.push(("Content-Range".to_owned(), format!("bytes 0-{}/{size}", size - 1)));
                range.iter().for_each(|range| range.apply(answer, size));
            }
        }),
        Deed::Part(range) => script.twist(move |answer| range.apply(answer, size)),
        Deed::Edit(edit) => script.twist(move |answer| edit.apply(answer)),
    }
}
