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

mod dice;
mod faults;
mod plan;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::json;

use crate::support::glance::Kept;
use crate::support::{Outcome, World};
use dice::Dice;
use faults::{Deed, prepare};
use plan::{Change, CreateFile, CreatePipe, Fault, IMAGES, Plan, SaveStdout, Stage, TOKENS, Upload};

/// Runs at the same time: they wait more than they work.
const WORKERS: u64 = 6;

/// What is said where less than the bytes was compared.
const SIZE_ALONE: &str = "so the upload is verified by its size alone";
const NOTHING: &str = "so nothing of it could be compared";

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
