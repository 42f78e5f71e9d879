//! What a run is: a command, a size, and what goes wrong.

use std::time::Duration;

use super::dice::Dice;
use super::faults::{ContentRange, Deed, Edit, Spoilt};
use crate::support::{Run, Stdin, World};

pub(super) const FILE: &str = "/v2/images/*/file";
pub(super) const STAGE: &str = "/v2/images/*/stage";
pub(super) const IMAGE: &str = "/v2/images/*";
pub(super) const IMAGES: &str = "/v2/images";
pub(super) const TOKENS: &str = "/v3/auth/tokens";

/// How much is read and sent at a time, in bytes.
const PIECE: usize = 256 << 10;
const MIB: usize = 1 << 20;

/// How long a run may take.
const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Command {
    CreateFile,
    CreatePipe,
    Upload,
    Stage,
    Save,
    SaveJobs,
    SaveStdout,
}

pub(super) use Command::{CreateFile, CreatePipe, SaveJobs, SaveStdout, Stage, Upload};

impl Command {
    pub(super) fn creates(self) -> bool {
        matches!(self, CreateFile | CreatePipe)
    }

    pub(super) fn saves(self) -> bool {
        matches!(self, Command::Save | SaveJobs | SaveStdout)
    }

    pub(super) fn to_file(self) -> bool {
        matches!(self, Command::Save | SaveJobs)
    }

    /// The requests it makes, the important ones several times.
    pub(super) fn requests(self) -> &'static [(&'static str, &'static str)] {
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
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) command: Command,
    pub(super) size: usize,
    pub(super) by_id: bool,
    /// No token is at hand.
    pub(super) signs_in: bool,
    /// The image was asked for before, so that its data comes with a length.
    pub(super) cached: bool,
    /// There is a file already where it is saved to.
    pub(super) older: bool,
    /// The pipe gives its data bit by bit.
    pub(super) slow_pipe: bool,
    pub(super) faults: Vec<Fault>,
}

#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// Some requests go wrong.
    Request { method: &'static str, path: &'static str, nth: usize, times: usize, deed: Deed },
    /// rimg is sent a signal.
    Signal { name: &'static str, after: Duration },
    /// The file that is sent becomes another.
    Source { change: Change, after: Duration },
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Change {
    Truncate(usize),
    Grow(usize),
    Overwrite,
    Replace,
    Remove,
}

const STATUSES: [u16; 13] = [401, 403, 404, 409, 410, 413, 415, 429, 500, 502, 503, 504, 400];

impl Plan {
    pub(super) fn new(seed: u64) -> Plan {
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

    pub(super) fn signals(&self, wanted: &str) -> bool {
        self.faults.iter().any(|fault| matches!(fault, Fault::Signal { name, .. } if *name == wanted))
    }

    pub(super) fn name(&self) -> String {
        format!("storm-{:x}", self.seed)
    }

    /// The command, given to `world`.
    pub(super) fn run(&self, world: &World, id: &str, data: &[u8]) -> Run {
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
            3..5 => {
                Deed::Whole(dice.percent(50), dice.percent(50).then_some(range), dice.percent(40).then(|| within(dice)))
            }
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
