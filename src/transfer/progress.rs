//! How far a transfer is: a counter that the moving parts feed, and the bar
//! that reads it, on stderr. The bar polls, so that bytes never wait for it.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Counts the bytes of one transfer.
#[derive(Debug, Default)]
pub struct Meter {
    moved: AtomicU64,
    /// Bytes expected; 0 for unknown.
    total: AtomicU64,
    finished: AtomicBool,
    /// Bytes that were there before this run, or that do not count for its rate.
    head_start: AtomicU64,
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

    /// Whether all bytes have moved.
    pub fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Relaxed)
    }

    fn total(&self) -> Option<u64> {
        Some(self.total.load(Ordering::Relaxed)).filter(|&total| total > 0)
    }
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Not at all (`--quiet`, or stderr is no terminal).
    Hidden,
    /// A bar that redraws itself, on a terminal.
    Bar,
    /// A line for each tenth, where there is no terminal (`--progress` in a CI log).
    Lines,
}

impl Style {
    /// A bar on a terminal; lines elsewhere, if `asked` for; nothing when `quiet`.
    pub fn choose(quiet: bool, asked: bool) -> Self {
        match (quiet, std::io::stderr().is_terminal(), asked) {
            (true, _, _) | (false, false, false) => Style::Hidden,
            (false, true, _) => Style::Bar,
            (false, false, true) => Style::Lines,
        }
    }
}

/// Shows a [`Meter`] until it is dropped.
pub struct Bar {
    drawing: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Bar {
    /// Begins to show `meter` under the words `label` (`uploading x.img`).
    pub fn show(meter: &Arc<Meter>, style: Style, label: String) -> Self {
        let meter = Arc::clone(meter);
        let (stop, stopped) = channel::<()>();
        let drawing = match style {
            Style::Hidden => None,
            Style::Bar => Some(std::thread::spawn(move || {
                let bar = bar(&meter, label);
                while stopped.recv_timeout(Duration::from_millis(100)) == Err(RecvTimeoutError::Timeout) {
                    refresh(&bar, &meter);
                }
                refresh(&bar, &meter);
                bar.finish_and_clear();
            })),
            Style::Lines => Some(std::thread::spawn(move || {
                let mut lines = Lines { started: Instant::now(), tenth: 0, label };
                while stopped.recv_timeout(Duration::from_millis(100)) == Err(RecvTimeoutError::Timeout) {
                    lines.say(&meter);
                }
                lines.say(&meter);
            })),
        };
        Bar { drawing: drawing.map(|thread| (stop, thread)) }
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

fn bar(meter: &Meter, label: String) -> ProgressBar {
    let known = "{msg} [{bar:30}] {percent:>3}% {bytes}/{total_bytes} {bytes_per_sec} eta {eta}";
    let unknown = "{msg} {bytes} {bytes_per_sec} {elapsed}";
    let (bar, template) = match meter.total() {
        Some(total) => (ProgressBar::new(total), known),
        None => (ProgressBar::no_length(), unknown),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_message(label);
    bar
}

fn refresh(bar: &ProgressBar, meter: &Meter) {
    bar.set_position(meter.moved());
    if meter.is_finished() {
        bar.set_message("waiting for the service");
    }
}

struct Lines {
    started: Instant,
    tenth: u64,
    label: String,
}

impl Lines {
    /// A line when another tenth has moved; without a known length, each 10 seconds.
    fn say(&mut self, meter: &Meter) {
        let moved = meter.moved();
        let seconds = self.started.elapsed();
        let rate = (moved as f64 / seconds.as_secs_f64().max(0.001)) as u64;
        let (step, text) = match meter.total() {
            Some(total) => {
                let left = Duration::from_secs(total.saturating_sub(moved) / rate.max(1));
                let eta = if moved < total { format!(", eta {}", HumanDuration(left)) } else { String::new() };
                let text = format!("{}% of {}, {}/s{eta}", moved * 100 / total, HumanBytes(total), HumanBytes(rate));
                (moved * 10 / total, text)
            }
            None => (seconds.as_secs() / 10, format!("{}, {}/s", HumanBytes(moved), HumanBytes(rate))),
        };
        if step > self.tenth {
            self.tenth = step;
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "{}: {text}", self.label);
        }
    }
}
