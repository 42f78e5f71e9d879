//! Uploads and downloads while things go wrong by chance: in each run a
//! command, a size and one to three faults, or a few more, at some moment, and then the same
//! command without faults. Whatever happens, success is said of right bytes only.
//!
//! What a run is follows from its seed alone, but for the moment of a signal.
//!
//! ```text
//! cargo test storm                                     # a few, others each time
//! RIMG_STORM=10000 cargo test storm                    # so many
//! RIMG_STORM_SEED=1234 cargo test storm                # this one once more
//! ```
//!
//! Where the service names no digest, rimg warns that the size alone was
//! compared (staged data never has a digest before its import); then, and only
//! if the service was made to keep other data than was sent, the size is all that
//! must be right. Where it does not even name the size of staged data, rimg warns
//! that nothing was compared. Everywhere else it is the bytes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use crate::support::fault::Script;
use crate::support::glance::Kept;
use crate::support::http::Content;
use crate::support::{Answer, Outcome, Run, Stdin, World};

const FILE: &str = "/v2/images/*/file";
const STAGE: &str = "/v2/images/*/stage";
const IMAGE: &str = "/v2/images/*";
const IMAGES: &str = "/v2/images";
const TOKENS: &str = "/v3/auth/tokens";

/// How much is read and sent at a time, in bytes.
const PIECE: usize = 256 << 10;
const MIB: usize = 1 << 20;

/// How long a run may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// Runs at the same time: they wait more than they work.
const WORKERS: u64 = 6;

/// What is said where less than the bytes was compared.
const SIZE_ALONE: &str = "so the upload is verified by its size alone";
const NOTHING: &str = "so nothing of it could be compared";

/// Numbers by chance: SplitMix64 (<https://prng.di.unimi.it/splitmix64.c>).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One below `end`.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// True in so many of a hundred cases.
    fn percent(&mut self, of_hundred: usize) -> bool {
        self.below(100) < of_hundred
    }

    fn of<T: Clone>(&mut self, these: &[T]) -> T {
        these[self.below(these.len())].clone()
    }

    /// Image data; zeros in places, which become holes in a file.
    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let holes = self.percent(30);
        let mut bytes: Vec<u8> = (0..len.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).collect();
        for block in bytes.chunks_mut(64 << 10) {
            if holes && self.percent(50) {
                block.fill(0);
            }
        }
        bytes.truncate(len);
        // Never the mark of a boot sector, which rimg would look into.
        bytes.iter_mut().skip(510).take(1).for_each(|byte| *byte = 0);
        bytes
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Command {
    CreateFile,
    CreatePipe,
    Upload,
    Stage,
    Save,
    SaveJobs,
    SaveStdout,
}

use Command::{CreateFile, CreatePipe, SaveJobs, SaveStdout, Stage, Upload};

impl Command {
    fn creates(self) -> bool {
        matches!(self, CreateFile | CreatePipe)
    }

    fn saves(self) -> bool {
        matches!(self, Command::Save | SaveJobs | SaveStdout)
    }

    fn to_file(self) -> bool {
        matches!(self, Command::Save | SaveJobs)
    }

    /// The requests it makes, the important ones several times.
    fn requests(self) -> &'static [(&'static str, &'static str)] {
        match self {
            CreateFile | CreatePipe => &[
                ("POST", TOKENS),
                ("GET", "/"),
                ("POST", IMAGES),
                ("POST", IMAGES),
                ("PUT", FILE),
                ("PUT", FILE),
                ("PUT", FILE),
                ("GET", IMAGE),
                ("GET", IMAGE),
                ("DELETE", IMAGE),
            ],
            Upload => &[
                ("POST", TOKENS),
                ("GET", IMAGES),
                ("PUT", FILE),
                ("PUT", FILE),
                ("PUT", FILE),
                ("GET", IMAGE),
                ("GET", IMAGE),
            ],
            Stage => &[("POST", TOKENS), ("GET", IMAGES), ("PUT", STAGE), ("PUT", STAGE), ("GET", IMAGE)],
            Command::Save | SaveJobs | SaveStdout => &[
                ("POST", TOKENS),
                ("GET", IMAGES),
                ("GET", IMAGE),
                ("GET", FILE),
                ("GET", FILE),
                ("GET", FILE),
                ("GET", FILE),
                ("GET", FILE),
            ],
        }
    }
}

/// One run, as its seed has it.
#[derive(Debug, Clone)]
struct Plan {
    seed: u64,
    command: Command,
    size: usize,
    by_id: bool,
    /// No token is at hand.
    signs_in: bool,
    /// The image was asked for before, so that its data comes with a length.
    cached: bool,
    /// There is a file already where it is saved to.
    older: bool,
    /// The pipe gives its data bit by bit.
    slow_pipe: bool,
    faults: Vec<Fault>,
}

#[derive(Debug, Clone)]
enum Fault {
    /// Some requests go wrong.
    Request { method: &'static str, path: &'static str, nth: usize, times: usize, deed: Deed },
    /// rimg is sent a signal.
    Signal { name: &'static str, after: Duration },
    /// The file that is sent becomes another.
    Source { change: Change, after: Duration },
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Change {
    Truncate(usize),
    Grow(usize),
    Overwrite,
    Replace,
    Remove,
}

/// What goes wrong with a request.
#[derive(Debug, Clone, PartialEq)]
enum Deed {
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
    /// `Range` is overlooked; with another status, `Content-Range`.
    Whole(bool, Option<ContentRange>),
    Part(ContentRange),
    Shorter,
    Edit(Edit),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Spoilt {
    Flipped(usize),
    Cut(usize),
    Dropped(usize),
    Longer,
}

#[derive(Debug, Clone, PartialEq)]
enum ContentRange {
    Absent,
    Nonsense,
    Start(i64),
    End(i64),
    Total(i64),
    FromZero,
    UnknownTotal,
}

#[derive(Debug, Clone, PartialEq)]
enum Edit {
    Status(&'static str),
    Size(Option<usize>),
    Hash(String),
    Algorithm(&'static str),
    NoMultihash,
    NoHash,
    Checksum(String),
    NoImage,
}

const STATUSES: [u16; 13] = [401, 403, 404, 409, 410, 413, 415, 429, 500, 502, 503, 504, 400];

impl Plan {
    fn new(seed: u64) -> Plan {
        let dice = &mut Dice(seed);
        let command =
            dice.of(&[CreateFile, CreatePipe, Upload, Stage, Command::Save, SaveJobs, SaveStdout, CreateFile]);
        let edges =
            [1, 2, 511, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, MIB - 1, MIB, MIB + 1, 3 * MIB, 2 * MIB + PIECE];
        let size = match dice.below(10) {
            0..3 => dice.of(&edges),
            3..6 => 1 + dice.below(70_000),
            _ => 1 + dice.below(3 * MIB),
        };
        let mut faults = Vec::new();
        for _ in 0..dice.of(&[1, 1, 2, 2, 3]) {
            let mut after = Duration::from_micros(dice.below(200_000) as u64);
            let last = faults.last().and_then(|fault| match fault {
                Fault::Request { method, path, .. } => Some((*method, *path)),
                _ => None,
            });
            let kind = dice.below(100);
            // Half of the time there is something to be caught in.
            if kind < 14 && dice.percent(50) {
                after *= 2;
                let (deed, (method, path)) = match command {
                    Stage => (Deed::DripRequest(size / 20 + 1), ("PUT", STAGE)),
                    _ if command.saves() => (Deed::Drip(size / 20 + 1), ("GET", FILE)),
                    _ => (Deed::DripRequest(size / 20 + 1), ("PUT", FILE)),
                };
                faults.push(Fault::Request { method, path, nth: 1, times: 1, deed });
            }
            let fault = match kind {
                0..8 => Fault::Signal { name: dice.of(&["INT", "TERM", "KILL"]), after },
                8..14 if matches!(command, CreateFile | Upload | Stage) => {
                    let change = match dice.below(5) {
                        0 => Change::Truncate(dice.below(size)),
                        1 => Change::Grow(1 + dice.below(MIB)),
                        2 => Change::Overwrite,
                        3 => Change::Replace,
                        _ => Change::Remove,
                    };
                    Fault::Source { change, after }
                }
                _ => {
                    // Troubles come together.
                    let mut here = last.filter(|_| dice.percent(30)).unwrap_or_else(|| dice.of(command.requests()));
                    if here.0 == "DELETE" && last.is_none() {
                        // Nothing is deleted unless something failed.
                        here = ("PUT", FILE);
                    }
                    let deed = deed(dice, command, here, size);
                    let of_range = matches!(deed, Deed::Part(_) | Deed::Whole(..));
                    if of_range && command != SaveJobs && last.is_none_or(|(_, path)| path != FILE) {
                        // A range is asked for only after a break.
                        let broken = Deed::CloseAfterAnswer(dice.below(size));
                        faults.push(Fault::Request { method: "GET", path: FILE, nth: 1, times: 1, deed: broken });
                    }
                    let slow = matches!(deed, Deed::Stall | Deed::StallRequest | Deed::StallAfter(_));
                    let waits = matches!(
                        deed,
                        Deed::Answer(_, Some(1)) | Deed::AnswerEarly(_, Some(1)) | Deed::Instead(_, Some(1))
                    );
                    let times = match slow || waits {
                        true => dice.of(&[1, 1, 1, 2]),
                        false => dice.of(&[1, 1, 1, 1, 2, 3, 7]),
                    };
                    Fault::Request { method: here.0, path: here.1, nth: dice.of(&[1, 1, 1, 1, 2, 3]), times, deed }
                }
            };
            faults.push(fault);
        }
        // What is to go wrong is to be asked.
        let has =
            |wanted: &str| faults.iter().any(|fault| matches!(fault, Fault::Request { path, .. } if *path == wanted));
        Plan {
            seed,
            command,
            size,
            by_id: if command.saves() && has(IMAGE) { true } else { !has(IMAGES) && dice.percent(50) },
            signs_in: has(TOKENS) || has("/") || dice.percent(20),
            cached: dice.percent(50),
            older: dice.percent(50),
            slow_pipe: dice.percent(30),
            faults,
        }
    }

    fn signals(&self, wanted: &str) -> bool {
        self.faults.iter().any(|fault| matches!(fault, Fault::Signal { name, .. } if *name == wanted))
    }

    fn name(&self) -> String {
        format!("storm-{:x}", self.seed)
    }

    /// The command, given to `world`.
    fn run(&self, world: &World, id: &str, data: &[u8]) -> Run {
        let name = self.name();
        let image = if self.by_id { id } else { &name };
        let record = ["-f", "value", "-c", "id", "-c", "status"];
        let create = ["image", "create", &name, "--disk-format", "raw", "--file"];
        let run = |parts: &[&[&str]]| world.rimg(parts.concat()).deadline(DEADLINE);
        match self.command {
            CreateFile => run(&[&create, &["x.img"], &record]),
            CreatePipe => {
                let stdin = match self.slow_pipe {
                    true => Stdin::Slow {
                        pieces: data.chunks(data.len().div_ceil(5)).map(<[u8]>::to_vec).collect(),
                        pause: Duration::from_millis(10),
                    },
                    false => Stdin::Bytes(data.to_vec()),
                };
                run(&[&create, &["-"], &record]).stdin(stdin)
            }
            Upload => run(&[&["image", "upload", image, "--file", "x.img"], &record]),
            Stage => run(&[&["image", "stage", image, "--file", "x.img"]]),
            Command::Save => run(&[&["image", "save", image, "--file", "out"]]),
            SaveJobs => run(&[&["image", "save", image, "--file", "out", "--jobs", "3"]]),
            SaveStdout => run(&[&["image", "save", image]]),
        }
    }
}

fn deed(dice: &mut Dice, command: Command, (method, path): (&str, &str), size: usize) -> Deed {
    let data = method == "PUT" || path == FILE;
    let spot = if data { size } else { 700 };
    let within = |dice: &mut Dice| match dice.below(6) {
        0 => 0,
        1 => spot,
        2 => spot.saturating_sub(1),
        _ => dice.below(spot + 1),
    };
    if path == FILE && method == "GET" && dice.percent(45) {
        let by = |dice: &mut Dice| dice.of(&[-1, 1, -4096, 4096]);
        let range = match dice.below(7) {
            0 => ContentRange::Absent,
            1 => ContentRange::Nonsense,
            2 => ContentRange::Start(by(dice)),
            3 => ContentRange::End(by(dice)),
            4 => ContentRange::Total(by(dice)),
            5 => ContentRange::FromZero,
            _ => ContentRange::UnknownTotal,
        };
        return match dice.below(8) {
            0..2 => Deed::Flip(within(dice)),
            2 => Deed::OtherBytes,
            3..5 => Deed::Whole(dice.percent(50), dice.percent(50).then_some(range)),
            5 => Deed::Shorter,
            6 => Deed::ContentLength(dice.of(&[0, 1, size - 1, size + 1, size * 2, 1 << 40])),
            _ => Deed::Part(range),
        };
    }
    if method == "PUT" && dice.percent(25) {
        return match dice.below(5) {
            0 => Deed::Fill,
            1 => Deed::Spoil(Spoilt::Cut(1 + dice.below(size))),
            2 => Deed::Spoil(Spoilt::Dropped(dice.below(size))),
            3 => Deed::Spoil(Spoilt::Longer),
            _ => Deed::Spoil(Spoilt::Flipped(dice.below(size))),
        };
    }
    if (path == IMAGE || path == IMAGES) && method != "DELETE" && dice.percent(45) {
        return Deed::Edit(match dice.below(12) {
            0..4 => Edit::Status(dice.of(&[
                "active",
                "saving",
                "queued",
                "killed",
                "uploading",
                "importing",
                "deleted",
                "deactivated",
                "strange",
            ])),
            4 => Edit::Size(None),
            5 => Edit::Size(Some(dice.of(&[size + 1, size - 1, 0, size * 2 + 1]))).honest(size),
            6 => Edit::Hash(format!("{:0128x}", dice.next())),
            7 => Edit::Algorithm(dice.of(&["crc", "sha256", "md5", ""])),
            8 => Edit::NoMultihash,
            9 => Edit::NoHash,
            10 => Edit::Checksum(format!("{:032x}", dice.next())),
            _ => Edit::NoImage,
        });
    }
    let mut status = STATUSES.to_vec();
    // An image that is said to be gone is believed to be.
    match (method, path) {
        ("DELETE", _) => status.retain(|status| *status != 404),
        _ => status.extend([200, 204]),
    }
    let status = dice.of(&status);
    let again = dice.percent(40).then(|| dice.of(&[0, 0, 1]));
    match dice.below(40) {
        0..2 => Deed::Close,
        2..4 => Deed::CloseAfterRequest(within(dice)),
        4..7 => Deed::ResetAfterRequest(within(dice)),
        7..9 => Deed::ResetAnswer,
        9..12 => Deed::CloseAfterAnswer(within(dice)),
        12..15 => Deed::ResetAfterAnswer(within(dice)),
        15..20 => Deed::Answer(status, again),
        20..24 => Deed::AnswerEarly(status, again),
        24..27 => Deed::Instead(status, again),
        27 => Deed::Redirect(dice.of(&[301, 302, 303, 307, 308]), dice.percent(50)),
        28 => match dice.percent(40) {
            true => dice.of(&[Deed::Stall, Deed::StallRequest]),
            false => Deed::Slow(dice.below(300) as u64),
        },
        29 => match dice.percent(40) {
            true => Deed::StallAfter(within(dice)),
            false => Deed::Drip(spot / 20 + 1),
        },
        30 => Deed::Drip(spot / 20 + 1),
        31 => Deed::DripRequest(spot / 20 + 1),
        32 => Deed::ContentLength(dice.of(&[0, 1, 100, 100_000, 1 << 40])),
        33..36 => Deed::Expire,
        36..38 if path != TOKENS && path != "/" => {
            // After its last look at the image nobody need know what becomes of it.
            let after = match command.saves() {
                true => dice.percent(50),
                false => matches!(method, "POST" | "PUT") && dice.percent(50),
            };
            Deed::Delete { after }
        }
        _ => Deed::Slow(dice.below(50) as u64),
    }
}

impl Edit {
    /// Never by chance the size that is right.
    fn honest(self, size: usize) -> Edit {
        match self {
            Edit::Size(Some(said)) if said == size => Edit::Size(Some(size + 7)),
            other => other,
        }
    }

    fn apply(&self, answer: &mut Answer) {
        let Content::Bytes(bytes) = &mut answer.content else { return };
        // A refusal has nothing to edit.
        let Ok(mut value) = serde_json::from_slice::<Value>(bytes) else { return };
        let listed = value.get("images").is_some_and(Value::is_array);
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
fn prepare(world: &World, plan: &Plan, script: Script, deed: &Deed) {
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
        Deed::Whole(partial, range) => script.whole(move |answer| {
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

/// What is counted.
#[derive(Default)]
struct Tally {
    ends: BTreeMap<i32, usize>,
    met: usize,
    /// A try that failed was followed by another.
    retried: usize,
    again: usize,
}

/// Does one run in `world`; why it is wrong, if it is.
fn one(world: &World, plan: &Plan, tally: &Mutex<Tally>) -> Result<(), String> {
    let name = plan.name();
    let data = Dice(plan.seed ^ 2).bytes(plan.size);
    let other = Dice(plan.seed ^ 3).bytes(plan.size);
    let source = world.home.join("x.img");
    let target = world.home.join("out");
    for file in ["x.img", "y.img", "out", "out.part", "out.part.json", "out.corrupt"] {
        let _ = fs::remove_file(world.home.join(file));
    }
    if plan.signs_in {
        let _ = fs::remove_dir_all(world.home.join(".cache"));
    }
    if plan.older {
        fs::write(&target, b"the older file").unwrap();
    }
    let mut id = set_up(world, plan, &data);
    fs::write(&source, &data).unwrap();

    for fault in &plan.faults {
        if let Fault::Request { method, path, nth, times, deed } = fault {
            let server = if *path == TOKENS { world.identity() } else { world.images() };
            prepare(world, plan, server.on(method, path).nth(*nth).times(*times), deed);
        }
    }
    let mut moments: Vec<(Duration, &Fault)> = Vec::new();
    for fault in &plan.faults {
        if let Fault::Signal { after, .. } | Fault::Source { after, .. } = fault {
            moments.push((*after, fault));
        }
    }
    moments.sort_by_key(|(after, _)| *after);
    // Two signals mean an end at once, without cleaning up.
    let mut signalled = false;
    let begun = Instant::now();
    let running = plan.run(world, &id, &data).env("OS_CLIENT_CONFIG_FILE", world.home.join("hasty.yaml")).start();
    for (after, fault) in moments {
        thread::sleep(after.saturating_sub(begun.elapsed()));
        match fault {
            Fault::Signal { name, .. } if !signalled => {
                running.signal(name);
                signalled = true;
            }
            Fault::Source { change, .. } => change_source(world, *change, &other),
            _ => {}
        }
    }
    let outcome = running.wait();
    // What is still under way to the services comes to its end.
    if signalled {
        thread::sleep(Duration::from_millis(150));
    }
    world.images().requests();
    let met = world.images().forget() + world.identity().forget();
    let kept = world.glance().kept(&name);
    // A source that changed before it was opened is right as it was then.
    let sources = versions(plan, &data, &other);
    let shown = || format!("the first: {}", described(&outcome));
    let first = check(plan, &outcome, &kept, &sources, &id, &target, &data);
    let code = outcome.exit().unwrap_or(-1);
    {
        let mut tally = tally.lock().unwrap();
        *tally.ends.entry(code).or_default() += 1;
        tally.met += usize::from(met > 0);
        tally.retried += usize::from(outcome.stderr().contains("trying again in"));
    }
    first.map_err(|wrong| format!("{wrong}\n{}", shown()))?;

    // Once more, without faults.
    let parts = ["out.part", "out.part.json"].map(|part| world.home.join(part));
    let left = parts.iter().any(|part| part.exists());
    let repeats = match plan.command {
        Upload | Stage => kept.iter().any(|image| image.status == "queued"),
        _ => code != 0 || left || plan.seed.is_multiple_of(8),
    };
    if repeats {
        if plan.command.creates() {
            world.glance().remove(&name);
        }
        if plan.command.saves() && kept.is_empty() {
            id = set_up(world, plan, &data);
        }
        let _ = fs::remove_file(&source);
        fs::write(&source, &data).unwrap();
        let again = plan.run(world, &id, &data).run();
        let mut kept = world.glance().kept(&name);
        if code == 137 && plan.command.creates() {
            // What a killed one had still sent may be carried out late.
            kept.retain(|image| again.stdout().contains(&image.id));
        }
        let verdict = match again.exit() {
            Some(0) => check(plan, &again, &kept, &sources[..1], &id, &target, &data),
            _ => Err("without faults it fails".to_owned()),
        };
        let verdict = verdict.and_then(|()| match parts.iter().find(|part| part.exists()) {
            Some(part) => Err(format!("`{}` is still there", part.display())),
            None => Ok(()),
        });
        verdict.map_err(|wrong| {
            let (images, signs) = (world.images().requests(), world.identity().requests());
            let asked = images.iter().chain(&signs).fold(String::new(), |mut text, one| {
                let _ = write!(text, "{} {} {}; ", one.request.method, one.request.path, one.status);
                text
            });
            format!("once more: {wrong}\n{}\nonce more: {}\n{asked}", shown(), described(&again))
        })?;
        tally.lock().unwrap().again += 1;
    }
    world.images().forget();
    world.identity().forget();
    world.glance().remove(&name);
    Ok(())
}

/// The image that the command needs; its ID.
fn set_up(world: &World, plan: &Plan, data: &[u8]) -> String {
    let name = plan.name();
    let image = match plan.command {
        CreateFile | CreatePipe => return String::new(),
        Upload | Stage => {
            let draft = json!({"name": name, "disk_format": "raw", "container_format": "bare"});
            world.session("demo").json("POST", IMAGES, &draft).json()
        }
        _ => world.given_image(&name, data),
    };
    let id = image["id"].as_str().unwrap().to_owned();
    if plan.cached && plan.command.saves() {
        world.session("demo").ask("GET", &format!("/v2/images/{id}/file"), &[], b"").unwrap();
    }
    world.images().forget();
    world.identity().forget();
    id
}

fn change_source(world: &World, change: Change, other: &[u8]) {
    let source = world.home.join("x.img");
    let open = || fs::OpenOptions::new().append(true).open(&source).unwrap();
    // Where it was removed before there is nothing to change.
    if !source.exists() {
        return;
    }
    match change {
        Change::Truncate(len) => open().set_len(len as u64).unwrap(),
        Change::Grow(by) => open().write_all(&vec![9; by]).unwrap(),
        Change::Overwrite => fs::OpenOptions::new().write(true).open(&source).unwrap().write_all(other).unwrap(),
        Change::Replace => {
            world.file("y.img", other);
            fs::rename(world.home.join("y.img"), &source).unwrap();
        }
        Change::Remove => fs::remove_file(&source).unwrap(),
    }
}

/// All that the file is, one after the other.
fn versions(plan: &Plan, data: &[u8], other: &[u8]) -> Vec<Vec<u8>> {
    let mut changes: Vec<(Duration, Change)> = Vec::new();
    for fault in &plan.faults {
        if let Fault::Source { change, after } = fault {
            changes.push((*after, *change));
        }
    }
    changes.sort_by_key(|(after, _)| *after);
    let mut versions = vec![data.to_vec()];
    for (_, change) in changes {
        let mut now = versions[versions.len() - 1].clone();
        match change {
            Change::Truncate(len) => now.resize(len, 0),
            Change::Grow(by) => now.extend(vec![9; by]),
            Change::Overwrite => {
                let rest = now.split_off(other.len().min(now.len()));
                now = [other, &rest].concat();
            }
            Change::Replace => now = other.to_vec(),
            Change::Remove => break,
        }
        versions.push(now);
    }
    versions
}

fn described(outcome: &Outcome) -> String {
    let mut text = format!("exit {:?}, {} bytes on stdout, stderr:\n", outcome.exit(), outcome.stdout.len());
    let _ = write!(text, "{}", outcome.stderr());
    text
}

/// Whether an image that may be left behind was told of.
fn said_to_be_left(stderr: &str) -> bool {
    ["could not be deleted", "was made all the same is not known"].iter().any(|told| stderr.contains(told))
}

/// What must hold after any run.
fn check(
    plan: &Plan,
    outcome: &Outcome,
    kept: &[Kept],
    sources: &[Vec<u8>],
    id: &str,
    target: &std::path::Path,
    data: &[u8],
) -> Result<(), String> {
    let stderr = outcome.stderr();
    let Some(code) = outcome.exit() else { return Err("it did not end in time".to_owned()) };
    if ![0, 1, 2, 130, 137, 143].contains(&code) || stderr.contains("panicked") || stderr.contains("RUST_BACKTRACE") {
        return Err(format!("it ended with {code}"));
    }
    let signals = [(130, "INT"), (143, "TERM"), (137, "KILL")];
    if signals.iter().any(|(of, name)| *of == code && !plan.signals(name)) {
        return Err(format!("it ended with {code} without the signal"));
    }
    if plan.command.saves() {
        if code == 0 && plan.command == SaveStdout && outcome.stdout != data {
            return Err("wrong bytes on stdout".to_owned());
        }
        if plan.command.to_file() {
            let there = fs::read(target).ok();
            let older = plan.older.then(|| b"the older file".to_vec());
            if there.as_deref() == Some(data) {
                return Ok(());
            }
            if code == 0 {
                return Err("wrong bytes in the file".to_owned());
            }
            if there != older {
                return Err("it failed, and touched the file".to_owned());
            }
        }
        return Ok(());
    }
    if code != 0 {
        // What was told to be there may be there; nobody cleans up after a kill.
        if plan.command.creates() && code != 137 && !kept.is_empty() && !said_to_be_left(&stderr) {
            return Err(format!("it failed and left an image, `{}`", kept[0].status));
        }
        return Ok(());
    }
    let [image] = kept else { return Err(format!("there are {} images", kept.len())) };
    if !plan.command.creates() && image.id != id {
        return Err("it is another image".to_owned());
    }
    let wanted = if plan.command == Stage { "uploading" } else { "active" };
    if image.status != wanted && !(plan.command == Stage && stderr.contains(NOTHING)) {
        return Err(format!("the image is `{}`", image.status));
    }
    if plan.command != Stage && outcome.stdout() != format!("{}\n{}\n", image.id, image.status) {
        return Err(format!("it said {:?}", outcome.stdout()));
    }
    if plan.command == Stage && stderr.contains(NOTHING) {
        return Ok(());
    }
    let Some(bytes) = &image.data else { return Err("the image has no data".to_owned()) };
    // Of other data of the right size nobody could have known.
    let by_size = plan.command == Stage || stderr.contains(SIZE_ALONE);
    let mut deeds = plan.faults.iter().filter_map(|fault| match fault {
        Fault::Request { deed, .. } => Some(deed),
        _ => None,
    });
    let hidden = by_size && deeds.any(|deed| matches!(deed, Deed::Spoil(_) | Deed::Fill));
    let right = sources.iter().any(|source| source == bytes || hidden && source.len() == bytes.len());
    match right {
        true => Ok(()),
        false => Err(format!("the image has wrong bytes: {} of them", bytes.len())),
    }
}

#[test]
fn in_a_storm_nothing_wrong_is_a_success() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let seed = number("RIMG_STORM_SEED");
    let count = number("RIMG_STORM");
    let runs = if seed.is_some() { 1 } else { count.unwrap_or(60) };
    let clock = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let first = Dice(clock()).next();
    let seed_of = |run: u64| seed.unwrap_or_else(|| Dice(first ^ run.wrapping_mul(0x2545_f491_4f6c_dd1d)).next() >> 16);
    let (next, wrong, tally) = (AtomicU64::new(0), Mutex::new(Vec::new()), Mutex::new(Tally::default()));
    let (begun, longest) = (Instant::now(), AtomicUsize::new(0));
    let work = || {
        let mut world = new_world();
        loop {
            let run = next.fetch_add(1, Ordering::SeqCst);
            if run >= runs || wrong.lock().unwrap().len() >= 20 {
                return;
            }
            let plan = Plan::new(seed_of(run));
            let since = Instant::now();
            let outcome = one(&world, &plan, &tally);
            longest.fetch_max(since.elapsed().as_millis() as usize, Ordering::SeqCst);
            if let Err(why) = outcome {
                let told = format!("RIMG_STORM_SEED={}: {why}\n{plan:#?}", plan.seed);
                if count.is_some() {
                    let _ = writeln!(std::io::stderr(), "{told}\n");
                }
                wrong.lock().unwrap().push(told);
                world.images().forget();
                world.identity().forget();
                world = new_world();
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..WORKERS.min(runs) {
            scope.spawn(work);
        }
    });
    let tally = tally.into_inner().unwrap();
    let wrong = wrong.into_inner().unwrap();
    if count.is_some() {
        let seconds = begun.elapsed().as_secs();
        let (ends, longest) = (&tally.ends, longest.into_inner());
        let Tally { met, retried, again, .. } = tally;
        let _ = writeln!(
            std::io::stderr(),
            "{runs} runs in {seconds} s, {met} met a fault of a service, {retried} tried again, {again} repeated; by exit code: {ends:?}; \
             the longest took {longest} ms; {} are wrong",
            wrong.len()
        );
    }
    assert!(wrong.is_empty(), "{} runs are wrong:\n{}", wrong.len(), wrong.join("\n\n"));
    // Where nothing goes wrong, nothing is tested.
    if runs >= 60 {
        let Tally { ends, met, retried, .. } = &tally;
        assert!(*met > 0, "no run of {runs} met a fault");
        assert!(*retried > 0, "no run of {runs} tried again");
        assert!(ends.contains_key(&0) && ends.contains_key(&1), "{runs} runs ended only so: {ends:?}");
    }
}

/// A world with a second clouds.yaml, in which silence ends after a second.
fn new_world() -> World {
    let world = World::new();
    let patient = fs::read(world.clouds_yaml()).unwrap();
    world.configure("api_timeout: 1");
    fs::rename(world.clouds_yaml(), world.home.join("hasty.yaml")).unwrap();
    fs::write(world.clouds_yaml(), patient).unwrap();
    world
}
