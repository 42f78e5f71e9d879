//! How far a transfer is: a counter that the moving parts feed, and what reads
//! it and tells on stderr. It polls, so that bytes never wait for it.
//!
//! With `--progress=json` each line on stderr is an event, an object with the
//! key `event`:
//!
//! | event | other keys |
//! | --- | --- |
//! | `start` | `what`, `total` (bytes, or null) |
//! | `progress`, once a second | `what`, `moved`, `total` (bytes), `rate` (bytes a second) |
//! | `phase` | `what`, `phase`: what is waited for; empty when bytes move again |
//! | `end` | `what`, `moved`, `total`, `seconds`: nothing moves any more, well or not |
//! | `note`, `warning`, `error` | `message`, `details`, `hint` |
//! | `log`, with `-v` and `--debug` | `level` (`info`, `debug`), `message` |
//! | `timing`, with `--timing` | `request`, `seconds` |
//!
//! New keys and events may be added; these stay as they are.

use std::io::{IsTerminal, Write as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use crate::log::event;
use crate::terminal::printable;

/// Counts the bytes of one transfer.
#[derive(Debug, Default)]
pub struct Meter {
    moved: AtomicU64,
    /// Bytes expected; 0 for unknown.
    total: AtomicU64,
    finished: AtomicBool,
    /// The source has nothing to give just now.
    starved: AtomicBool,
    /// Bytes that were there when it began, so that they do not count for the rate.
    head_start: AtomicU64,
    /// How often it began again.
    restarts: AtomicU64,
    /// What is going on besides moving bytes; empty for nothing.
    phase: Mutex<String>,
}

impl Meter {
    /// A meter at zero; `total` in bytes, if it is known.
    pub fn new(total: Option<u64>) -> Arc<Self> {
        Arc::new(Meter { total: AtomicU64::new(total.unwrap_or(0)), ..Meter::default() })
    }

    /// So many more bytes have moved.
    pub fn add(&self, bytes: u64) {
        self.moved.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The length became known.
    pub fn expect(&self, total: u64) {
        self.total.store(total, Ordering::Relaxed);
    }

    /// All bytes have moved; what is left is the service's answer.
    pub fn finish(&self) {
        self.finished.store(true, Ordering::Relaxed);
    }

    /// The transfer goes on, or begins again, after so many bytes.
    pub fn restart(&self, at: u64) {
        self.moved.store(at, Ordering::Relaxed);
        self.head_start.store(at, Ordering::Relaxed);
        self.restarts.fetch_add(1, Ordering::Relaxed);
        self.finished.store(false, Ordering::Relaxed);
        self.phase(String::new());
    }

    /// What is going on besides moving bytes (`waiting for the service: saving`).
    pub fn phase(&self, words: String) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = words;
    }

    /// Bytes moved so far.
    pub fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    /// Whether the source has nothing to give just now, so that the service waits for it.
    pub fn starve(&self, starved: bool) {
        self.starved.store(starved, Ordering::Relaxed);
    }

    /// Whether the source has nothing to give just now.
    pub fn is_starved(&self) -> bool {
        self.starved.load(Ordering::Relaxed)
    }

    /// Whether all bytes have moved.
    pub fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Relaxed)
    }

    fn total(&self) -> Option<u64> {
        Some(self.total.load(Ordering::Relaxed)).filter(|&total| total > 0)
    }

    /// What is waited for, while no byte moves; empty while some do.
    fn waits_for(&self) -> String {
        let phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match phase.as_str() {
            "" if self.is_finished() => "waiting for the service".to_owned(),
            _ => phase,
        }
    }
}

/// What `--progress` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Show {
    /// A bar on a terminal, elsewhere a line for each tenth
    Auto,
    /// A line for each tenth
    Lines,
    /// An event a line, for programs
    Json,
    /// Nothing
    None,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Not at all.
    Hidden,
    /// A bar that redraws itself, on a terminal.
    Bar,
    /// A line for each tenth.
    Lines,
    /// A line now and then, and none for what is over soon: where nobody asked,
    /// as in the log of a CI job.
    FewLines,
    /// JSON, a line for each event.
    Events,
}

impl Style {
    /// The style that was `asked` for, or fits what stderr is; none when `quiet`.
    pub fn choose(quiet: bool, asked: Option<Show>) -> Self {
        match (asked, std::io::stderr().is_terminal()) {
            _ if quiet => Style::Hidden,
            (Some(Show::None), _) => Style::Hidden,
            (Some(Show::Json), _) => Style::Events,
            (Some(Show::Auto) | None, true) => Style::Bar,
            (Some(Show::Auto | Show::Lines), _) => Style::Lines,
            (None, false) => Style::FewLines,
        }
    }
}

/// How often the meter is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Shows a [`Meter`] until it is dropped.
pub struct Bar {
    drawing: Option<(Sender<()>, JoinHandle<()>)>,
    /// What is drawn on the terminal, for who wants to write beside it.
    pub drawn: Option<ProgressBar>,
}

impl Bar {
    /// Begins to show `meter` under the words `label` (`uploading x.img`).
    pub fn show(meter: &Arc<Meter>, style: Style, label: String) -> Self {
        let meter = Arc::clone(meter);
        let mut drawn = None;
        let mut teller: Box<dyn Tell + Send> = match style {
            Style::Hidden => return Bar { drawing: None, drawn },
            Style::Bar => {
                let bar = bar(&meter, &label);
                drawn = Some(bar.clone());
                Box::new(Drawing { bar, label, restarts: 0, blank: meter.total().is_none() })
            }
            Style::Lines => Box::new(Lines::new(label, Duration::ZERO)),
            Style::FewLines => Box::new(Lines::new(label, Duration::from_secs(5))),
            Style::Events => Box::new(Events::new(label, &meter)),
        };
        let (stop, stopped) = channel::<()>();
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                teller.tell(&meter);
            }
            teller.tell(&meter);
            teller.end(&meter);
        });
        Bar { drawing: Some((stop, thread)), drawn }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.drawing.take() {
            drop(stop);
            let _ = thread.join();
        }
    }
}

/// Tells how far a meter is.
trait Tell {
    /// Looks, and says what there is to say.
    fn tell(&mut self, meter: &Meter);

    /// Nothing more will move.
    fn end(&mut self, _: &Meter) {}
}

struct Drawing {
    bar: ProgressBar,
    label: String,
    restarts: u64,
    /// Whether it has no length and no byte has moved yet, as where the service does the work.
    blank: bool,
}

/// Of what has no length, before and after the first byte.
const NO_BYTES: &str = "{msg} {elapsed}";
const SOME_BYTES: &str = "{msg} {bytes} {bytes_per_sec} {elapsed}";

fn bar(meter: &Meter, label: &str) -> ProgressBar {
    let known = "{msg} [{bar:30}] {percent:>3}% {bytes}/{total_bytes} {bytes_per_sec} eta {eta}";
    let (bar, template) = match meter.total() {
        Some(total) => (ProgressBar::new(total), known),
        None => (ProgressBar::no_length(), NO_BYTES),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr());
    set_template(&bar, template);
    bar.set_message(printable(label).into_owned());
    bar
}

fn set_template(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
}

impl Tell for Drawing {
    fn tell(&mut self, meter: &Meter) {
        let restarts = meter.restarts.load(Ordering::Relaxed);
        self.bar.set_position(meter.moved());
        if self.blank && meter.moved() > 0 {
            self.blank = false;
            set_template(&self.bar, SOME_BYTES);
        }
        if restarts != self.restarts {
            self.restarts = restarts;
            self.bar.reset_eta();
        }
        let phase = meter.waits_for();
        let words = if phase.is_empty() { &self.label } else { &phase };
        // Names and phases have the words of others in them.
        self.bar.set_message(printable(words).into_owned());
    }

    fn end(&mut self, _: &Meter) {
        self.bar.finish_and_clear();
    }
}

/// The mean rate since the transfer began, or began again.
struct Rate {
    since: Instant,
    restarts: u64,
}

impl Rate {
    fn new() -> Self {
        Rate { since: Instant::now(), restarts: 0 }
    }

    /// In bytes a second.
    fn of(&mut self, meter: &Meter) -> u64 {
        let restarts = meter.restarts.load(Ordering::Relaxed);
        if restarts != self.restarts {
            *self = Rate { since: Instant::now(), restarts };
        }
        let moved = meter.moved().saturating_sub(meter.head_start.load(Ordering::Relaxed));
        (moved as f64 / self.since.elapsed().as_secs_f64().max(0.001)) as u64
    }
}

struct Lines {
    label: String,
    rate: Rate,
    begun: Instant,
    step: u64,
    phase: String,
    /// The shortest time between two lines.
    pause: Duration,
    last: Instant,
}

impl Lines {
    fn new(label: String, pause: Duration) -> Self {
        let now = Instant::now();
        Lines { label, rate: Rate::new(), begun: now, step: 0, phase: String::new(), pause, last: now }
    }

    fn say(&mut self, text: &str) {
        self.last = Instant::now();
        let _ = writeln!(std::io::stderr(), "{}", printable(&format!("{}: {text}", self.label)));
    }
}

impl Tell for Lines {
    /// A line when another tenth has moved (without a known length, each 10
    /// seconds), after a minute of silence, and when something is waited for.
    fn tell(&mut self, meter: &Meter) {
        let rate = self.rate.of(meter);
        if self.last.elapsed() < self.pause {
            return;
        }
        let moved = meter.moved();
        let (step, text) = match meter.total() {
            Some(total) => {
                let left = Duration::from_secs(total.saturating_sub(moved) / rate.max(1));
                let eta = if moved < total { format!(", eta {}", HumanDuration(left)) } else { String::new() };
                let text = format!("{}% of {}, {}/s{eta}", moved * 100 / total, HumanBytes(total), HumanBytes(rate));
                (moved * 10 / total, text)
            }
            None => {
                let text = format!("{}, {}/s", HumanBytes(moved), HumanBytes(rate));
                (self.begun.elapsed().as_secs() / 10, text)
            }
        };
        let silent = self.last.elapsed() >= Duration::from_secs(60);
        if step != self.step || silent && !meter.is_finished() {
            if step > self.step || silent {
                self.say(&text);
            }
            self.step = step;
        }
        let phase = meter.waits_for();
        if phase != self.phase {
            if !phase.is_empty() {
                self.say(&phase);
            }
            self.phase = phase;
        }
    }
}

struct Events {
    label: String,
    rate: Rate,
    begun: Instant,
    phase: String,
    told: Option<(Instant, u64)>,
}

impl Events {
    fn new(label: String, meter: &Meter) -> Self {
        event("start", json!({"what": label, "total": meter.total()}));
        Events { label, rate: Rate::new(), begun: Instant::now(), phase: String::new(), told: None }
    }
}

impl Tell for Events {
    fn tell(&mut self, meter: &Meter) {
        let (moved, rate) = (meter.moved(), self.rate.of(meter));
        let due = self.told.is_none_or(|(when, what)| what != moved && when.elapsed() >= Duration::from_secs(1));
        let all = meter.is_finished() && self.told.is_none_or(|(_, what)| what != moved);
        if moved > 0 && (due || all) {
            self.told = Some((Instant::now(), moved));
            event("progress", json!({"what": self.label, "moved": moved, "total": meter.total(), "rate": rate}));
        }
        let phase = meter.waits_for();
        if phase != self.phase {
            event("phase", json!({"what": self.label, "phase": phase}));
            self.phase = phase;
        }
    }

    fn end(&mut self, meter: &Meter) {
        let seconds = (self.begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        let end = json!({"what": self.label, "moved": meter.moved(), "total": meter.total(), "seconds": seconds});
        event("end", end);
    }
}
