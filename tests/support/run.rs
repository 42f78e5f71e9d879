//! One run of a program: what it is given, and what comes of it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, Once};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

/// The variable that says how rimg shows progress.
pub const PROGRESS: &str = "RIMG_PROGRESS";

/// What a program finds on its standard input.
#[derive(Debug, Clone)]
pub enum Stdin {
    /// Nothing at all: the descriptor is closed.
    Closed,
    /// /dev/null.
    Null,
    /// A pipe with these bytes.
    Bytes(Vec<u8>),
    /// A pipe that gives each piece after a pause.
    Slow { pieces: Vec<Vec<u8>>, pause: Duration },
    /// A regular file.
    File(PathBuf),
}

/// Programs inherit the signals that this one ignores, as it does under `nohup`
/// and behind the `&` of a script. Those that it handles are as ever for them.
fn heed_signals() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let mask = mask.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).unwrap_or_default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _here = runtime.enter();
        for kind in [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::terminate()] {
            if mask >> (kind.as_raw_value() - 1) & 1 == 1 {
                // The handler stays when this is dropped.
                drop(signal(kind).unwrap());
            }
        }
    });
}

/// A run in the making. Without more it gets an empty environment, the
/// current directory, /dev/null as standard input, and a minute.
#[must_use]
pub struct Run {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    directory: PathBuf,
    stdin: Option<Stdin>,
    stdout_file: Option<PathBuf>,
    stdout_most: Option<usize>,
    deadline: Duration,
}

impl Run {
    pub fn new(program: impl Into<PathBuf>) -> Run {
        Run {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            directory: ".".into(),
            stdin: None,
            stdout_file: None,
            stdout_most: None,
            deadline: Duration::from_secs(60),
        }
    }

    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Run {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable; the last one of a name counts.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Run {
        self = self.no_env(name.as_ref());
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Takes a variable away.
    pub fn no_env(mut self, name: impl AsRef<OsStr>) -> Run {
        self.env.retain(|(known, _)| known != name.as_ref());
        self
    }

    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Run {
        self.directory = directory.into();
        self
    }

    pub fn stdin(mut self, stdin: Stdin) -> Run {
        self.stdin = Some(stdin);
        self
    }

    /// Sends standard output into a file.
    pub fn stdout_file(mut self, path: impl Into<PathBuf>) -> Run {
        self.stdout_file = Some(path.into());
        self
    }

    /// Reads so much of standard output, then goes away, as `head` does.
    pub fn close_stdout_after(mut self, bytes: usize) -> Run {
        self.stdout_most = Some(bytes);
        self
    }

    /// After this long the program is killed, and the run has failed.
    pub fn deadline(mut self, deadline: Duration) -> Run {
        self.deadline = deadline;
        self
    }

    /// Runs to the end.
    pub fn run(self) -> Outcome {
        self.start().wait()
    }

    /// Starts, and leaves it running.
    pub fn start(self) -> Running {
        heed_signals();
        let stdin = self.stdin.clone().unwrap_or(Stdin::Null);
        let mut command = if matches!(stdin, Stdin::Closed) {
            // Only a shell can start a program with a descriptor closed.
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", "exec \"$0\" \"$@\" <&-"]).arg(&self.program);
            shell
        } else {
            Command::new(&self.program)
        };
        command.args(&self.args).env_clear().envs(self.env.clone()).current_dir(&self.directory);
        command.stdin(match &stdin {
            Stdin::Closed | Stdin::Null => Stdio::null(),
            Stdin::File(path) => File::open(path).unwrap().into(),
            Stdin::Bytes(_) | Stdin::Slow { .. } => Stdio::piped(),
        });
        command.stdout(self.stdout_target().unwrap_or_else(Stdio::piped)).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("cannot run {}: {e}", self.program.display()));
        if let Some(mut pipe) = child.stdin.take() {
            // A program that does not want its input closes it: no failure here.
            thread::spawn(move || match stdin {
                Stdin::Slow { pieces, pause } => {
                    for piece in pieces {
                        thread::sleep(pause);
                        if pipe.write_all(&piece).is_err() {
                            return;
                        }
                    }
                }
                Stdin::Bytes(bytes) => drop(pipe.write_all(&bytes)),
                _ => {}
            });
        }
        let stdout = child.stdout.take().map(|pipe| collect(pipe, self.stdout_most.unwrap_or(usize::MAX)));
        let stderr = child.stderr.take().map(|pipe| collect(pipe, usize::MAX));
        Running::new(self.shown(), child, self.deadline, stdout, stderr)
    }

    /// Starts on a terminal of its own, of 24 lines and 80 columns: standard
    /// error, and standard input and output unless they were given elsewhere.
    pub fn terminal(self) -> Terminal {
        heed_signals();
        let (pty, side) = pty_process::blocking::open().unwrap();
        pty.resize(pty_process::Size::new(24, 80)).unwrap();
        let mut command = pty_process::blocking::Command::new(&self.program)
            .args(&self.args)
            .env_clear()
            .envs(self.env.clone())
            .env_remove(PROGRESS)
            .env("TERM", "xterm")
            .current_dir(&self.directory);
        command = match &self.stdin {
            None => command,
            Some(Stdin::Null) => command.stdin(Stdio::null()),
            Some(Stdin::File(path)) => command.stdin(File::open(path).unwrap()),
            Some(other) => panic!("{other:?} cannot be had together with a terminal"),
        };
        if let Some(target) = self.stdout_target() {
            command = command.stdout(target);
        }
        let child = command.spawn(side).unwrap_or_else(|e| panic!("cannot run {}: {e}", self.program.display()));
        let pty = Arc::new(pty);
        let screen = Arc::new(Mutex::new(Vec::new()));
        let (from, to) = (pty.clone(), screen.clone());
        let reader = thread::spawn(move || {
            let mut buffer = [0; 4096];
            // Linux answers EIO when the program is gone.
            while let Ok(got @ 1..) = (&*from).read(&mut buffer) {
                to.lock().unwrap().extend_from_slice(&buffer[..got]);
            }
            Vec::new()
        });
        let running = Running::new(self.shown(), child, self.deadline, Some(reader), None);
        Terminal { running, pty, screen, seen: 0 }
    }

    fn stdout_target(&self) -> Option<Stdio> {
        self.stdout_file.as_ref().map(|path| File::create(path).unwrap().into())
    }

    fn shown(&self) -> String {
        let name = self.program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.args.iter().fold(name, |text, arg| format!("{text} {}", arg.to_string_lossy()))
    }
}

/// Reads a pipe to its end, or to so many bytes.
fn collect(pipe: impl Read + Send + 'static, most: usize) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.take(most as u64).read_to_end(&mut bytes);
        bytes
    })
}

/// A program that runs.
pub struct Running {
    shown: String,
    child: Child,
    started: Instant,
    deadline: Duration,
    peak_rss_kib: u64,
    peak_own_kib: u64,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
}

impl Running {
    fn new(
        shown: String,
        child: Child,
        deadline: Duration,
        stdout: Option<JoinHandle<Vec<u8>>>,
        stderr: Option<JoinHandle<Vec<u8>>>,
    ) -> Running {
        Running { shown, child, started: Instant::now(), deadline, peak_rss_kib: 0, peak_own_kib: 0, stdout, stderr }
    }

    /// Its number in the system.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal: `INT` as Ctrl-C does, `TERM`, `STOP` ….
    pub fn signal(&self, name: &str) {
        // Safe std has no kill(2) but SIGKILL.
        let status = Command::new("/bin/sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status();
        assert!(status.unwrap().success(), "cannot signal {}", self.shown);
    }

    /// One look: has it ended? Also notes its memory.
    fn poll(&mut self) -> Option<ExitStatus> {
        // The high-water mark only grows, so the last look before the end is
        // the peak but for two milliseconds. `ru_maxrss` would be exact but
        // starts from the size of this test program, which forks.
        if let Ok(status) = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())) {
            let kib = |name: &str| -> u64 {
                let text = status.lines().find_map(|line| line.strip_prefix(name));
                text.and_then(|text| text.split_whitespace().next()?.parse().ok()).unwrap_or(0)
            };
            self.peak_rss_kib = self.peak_rss_kib.max(kib("VmHWM:"));
            self.peak_own_kib = self.peak_own_kib.max(kib("RssAnon:"));
        }
        self.child.try_wait().unwrap()
    }

    /// Waits for the end, or ends it at the deadline.
    pub fn wait(mut self) -> Outcome {
        let (mut status, mut timed_out) = (None, false);
        while status.is_none() {
            status = self.poll();
            if status.is_none() && self.started.elapsed() > self.deadline {
                timed_out = true;
                let _ = self.child.kill();
                status = self.child.wait().ok();
            }
            thread::sleep(Duration::from_millis(2));
        }
        let text = |thread: Option<JoinHandle<Vec<u8>>>| thread.map(|t| t.join().unwrap()).unwrap_or_default();
        let (stdout, stderr) = (text(self.stdout.take()), text(self.stderr.take()));
        Outcome {
            shown: std::mem::take(&mut self.shown),
            status: status.unwrap(),
            timed_out: timed_out.then_some(self.deadline),
            stdout,
            stderr,
            peak_rss_kib: self.peak_rss_kib,
            peak_own_kib: self.peak_own_kib,
        }
    }
}

impl Drop for Running {
    /// A test that fails half-way leaves nothing running.
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A program on a terminal.
pub struct Terminal {
    running: Running,
    pty: Arc<pty_process::blocking::Pty>,
    screen: Arc<Mutex<Vec<u8>>>,
    seen: usize,
}

impl Terminal {
    /// Waits until the program has written `text`, after what was awaited before.
    pub fn expect(&mut self, text: &str) -> &mut Self {
        loop {
            // The end is there when all that it wrote has been read, too.
            let read = self.running.stdout.as_ref().is_none_or(JoinHandle::is_finished);
            let ended = self.running.poll().is_some() && read;
            let screen = self.screen.lock().unwrap().clone();
            let new = String::from_utf8_lossy(&screen[self.seen..]).into_owned();
            if let Some(at) = new.find(text) {
                self.seen += at + text.len();
                return self;
            }
            let late = self.running.started.elapsed() > self.running.deadline;
            assert!(!ended && !late, "{} never wrote {text:?} on the terminal, but: {new:?}", self.running.shown);
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a signal (`TERM`) to the program.
    pub fn signal(&mut self, name: &str) -> &mut Self {
        self.running.signal(name);
        self
    }

    /// Types a line.
    pub fn type_line(&mut self, text: &str) -> &mut Self {
        self.type_keys(&format!("{text}\n"))
    }

    /// Types these bytes, of whatever encoding.
    pub fn type_bytes(&mut self, bytes: &[u8]) -> &mut Self {
        (&*self.pty).write_all(bytes).unwrap();
        self
    }

    /// Types these keys; `\x03` is Ctrl-C, `\x04` is Ctrl-D.
    pub fn type_keys(&mut self, keys: &str) -> &mut Self {
        self.type_bytes(keys.as_bytes())
    }

    /// Waits for the end. What was on the terminal is the `stdout` of the outcome.
    pub fn wait(self) -> Outcome {
        let mut outcome = self.running.wait();
        outcome.stdout = std::mem::take(&mut self.screen.lock().unwrap());
        outcome
    }
}

/// What came of a run. Each check gives the outcome back, so they chain.
#[derive(Debug)]
pub struct Outcome {
    shown: String,
    status: ExitStatus,
    timed_out: Option<Duration>,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    peak_rss_kib: u64,
    peak_own_kib: u64,
}

impl Outcome {
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    #[track_caller]
    fn check(&self, fine: bool, wanted: &str) -> &Self {
        let (out, err) = (self.stdout(), self.stderr());
        let short: String = out.chars().take(4000).collect();
        let end = match self.timed_out {
            Some(deadline) => format!("it was killed after {deadline:?}"),
            None => self.status.to_string(),
        };
        assert!(fine, "`{}`: {wanted}\n{end}\n--- stdout\n{short}\n--- stderr\n{err}\n---", self.shown);
        self
    }

    /// The exit code, or 128 and the signal that ended it, as shells count;
    /// `None` if it was killed at its deadline.
    pub fn exit(&self) -> Option<i32> {
        use std::os::unix::process::ExitStatusExt as _;
        let ended = self.status.code().or(self.status.signal().map(|signal| 128 + signal));
        ended.filter(|_| self.timed_out.is_none())
    }

    /// Whether it ended by itself, with success.
    pub fn succeeded(&self) -> bool {
        self.timed_out.is_none() && self.status.success()
    }

    /// It ended by itself, with success.
    #[track_caller]
    pub fn ok(&self) -> &Self {
        self.code(0)
    }

    /// It ended by itself, with this exit code.
    #[track_caller]
    pub fn code(&self, code: i32) -> &Self {
        let fine = self.timed_out.is_none() && self.status.code() == Some(code);
        self.check(fine, &format!("exit code {code} was wanted"))
    }

    #[track_caller]
    pub fn stdout_is(&self, text: &str) -> &Self {
        self.check(self.stdout == text.as_bytes(), &format!("standard output should be exactly {text:?}"))
    }

    #[track_caller]
    pub fn stdout_has(&self, text: &str) -> &Self {
        self.check(self.stdout().contains(text), &format!("standard output should have {text:?}"))
    }

    #[track_caller]
    pub fn stdout_lacks(&self, text: &str) -> &Self {
        self.check(!self.stdout().contains(text), &format!("standard output should not have {text:?}"))
    }

    #[track_caller]
    pub fn stderr_is(&self, text: &str) -> &Self {
        self.check(self.stderr == text.as_bytes(), &format!("standard error should be exactly {text:?}"))
    }

    #[track_caller]
    pub fn stderr_has(&self, text: &str) -> &Self {
        self.check(self.stderr().contains(text), &format!("standard error should have {text:?}"))
    }

    #[track_caller]
    pub fn stderr_lacks(&self, text: &str) -> &Self {
        self.check(!self.stderr().contains(text), &format!("standard error should not have {text:?}"))
    }

    /// The most memory the program had for itself, without the pages of its
    /// own file (a debug build has 20 MiB of those), in KiB.
    #[track_caller]
    pub fn peak_own_kib(&self) -> u64 {
        self.check(self.peak_own_kib > 0, "it ended before its memory could be looked at");
        self.peak_own_kib
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.stdout) {
            Ok(value) => value,
            Err(e) => {
                self.check(false, &format!("standard output should be JSON ({e})"));
                Value::Null
            }
        }
    }

    /// The most memory the program had, in KiB.
    #[track_caller]
    pub fn peak_rss_kib(&self) -> u64 {
        self.check(self.peak_rss_kib > 0, "it ended before its memory could be looked at");
        self.peak_rss_kib
    }
}

/// A file of `size` bytes that takes no room on the disk.
pub fn sparse_file(path: &Path, size: u64) -> io::Result<()> {
    File::create(path)?.set_len(size)
}
