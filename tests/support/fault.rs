//! What can go wrong between a client and a server, as a test asks for it:
//!
//! ```ignore
//! world.images.on("PUT", "/v2/images/*/file").nth(2).close_after_request(4096);
//! world.images.on("GET", "/v2/images/*").times(3).edit(|image| image["status"] = "saving".into());
//! ```
//!
//! A fault that was prepared and never happened fails the test, unless it was
//! dropped with [`super::Server::forget`].

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use super::http::{Answer, Request};

type Make = Box<dyn Fn() -> Answer + Send + Sync>;

/// What happens instead of, or to, the right answer.
pub enum Act {
    Answer(Make),
    AnswerEarly { after: u64, make: Make },
    Close,
    CloseAfterRequest(u64),
    ResetAfterRequest(u64),
    ResetAnswer,
    Instead(Make),
    AnswerSlowly(Duration),
    DripRequest { piece: usize, pause: Duration },
    CloseAfterAnswer(u64),
    ResetAfterAnswer(u64),
    Stall,
    StallRequest(u64),
    StallAfter(u64),
    Drip { piece: usize, pause: Duration },
    ContentLength(u64),
    Edit(Box<dyn Fn(&mut Value) + Send + Sync>),
    Meanwhile { after: bool, deed: Box<dyn Fn() + Send + Sync> },
    Twist { ranged: bool, twist: Box<dyn Fn(&mut Answer) + Send + Sync> },
}

pub struct Fault {
    method: String,
    path: String,
    /// So many matching requests are still answered well.
    skip: usize,
    times: usize,
    hits: usize,
    act: Arc<Act>,
}

impl Fault {
    /// The act, if it is this fault's turn.
    pub fn take(&mut self, request: &Request) -> Option<Arc<Act>> {
        if self.times == self.hits || self.method != request.method || !path_matches(&self.path, &request.path) {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        self.hits += 1;
        Some(self.act.clone())
    }

    /// Whether it happened.
    pub fn met(&self) -> bool {
        self.hits > 0
    }

    /// What it waits for, if it never happened.
    pub fn unmet(&self) -> Option<String> {
        (self.hits == 0).then(|| format!("{} {}", self.method, self.path))
    }
}

/// `*` is any one segment of the path, a last `**` any rest.
pub fn path_matches(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (Some("**"), _) | (None, None) => return true,
            (Some("*"), Some(segment)) if !segment.is_empty() => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}

/// A fault in the making: when, then what.
#[must_use]
pub struct Script<'a> {
    faults: &'a Mutex<Vec<Fault>>,
    method: String,
    path: String,
    skip: usize,
    times: usize,
}

impl<'a> Script<'a> {
    pub fn new(faults: &'a Mutex<Vec<Fault>>, method: &str, path: &str) -> Self {
        Script { faults, method: method.to_owned(), path: path.to_owned(), skip: 0, times: 1 }
    }

    /// Not the first such request but the `nth`, counted from 1.
    pub fn nth(mut self, nth: usize) -> Self {
        self.skip = nth - 1;
        self
    }

    /// So many requests in a row.
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    /// From then on every such request.
    pub fn always(self) -> Self {
        self.times(usize::MAX)
    }

    fn act(self, act: Act) {
        let Script { faults, method, path, skip, times } = self;
        faults.lock().unwrap().push(Fault { method, path, skip, times, hits: 0, act: Arc::new(act) });
    }

    /// Reads the request to its end, then gives this answer.
    pub fn answer(self, make: impl Fn() -> Answer + Send + Sync + 'static) {
        self.act(Act::Answer(Box::new(make)));
    }

    /// Gives this answer without reading the body, and closes.
    pub fn answer_early(self, make: impl Fn() -> Answer + Send + Sync + 'static) {
        self.answer_within(0, make);
    }

    /// Gives this answer when at least so many bytes of the request's body came in, and closes.
    pub fn answer_within(self, after: u64, make: impl Fn() -> Answer + Send + Sync + 'static) {
        self.act(Act::AnswerEarly { after, make: Box::new(make) });
    }

    /// Sends the client elsewhere.
    pub fn redirect(self, status: u16, location: &str) {
        let location = location.to_owned();
        self.answer(move || Answer::status(status).header("Location", location.clone()));
    }

    /// Reads the request to its end and closes without an answer.
    pub fn close(self) {
        self.act(Act::Close);
    }

    /// Closes when at least so many bytes of the request's body came in.
    pub fn close_after_request(self, bytes: u64) {
        self.act(Act::CloseAfterRequest(bytes));
    }

    /// Resets the connection when at least so many bytes of the request's body came in.
    pub fn reset_after_request(self, bytes: u64) {
        self.act(Act::ResetAfterRequest(bytes));
    }

    /// Does what is asked, and resets the connection instead of answering.
    pub fn reset_answer(self) {
        self.act(Act::ResetAnswer);
    }

    /// Does what is asked, and gives this answer instead of the right one.
    pub fn answer_instead(self, make: impl Fn() -> Answer + Send + Sync + 'static) {
        self.act(Act::Instead(Box::new(make)));
    }

    /// Does what is asked after this time, and answers well.
    pub fn answer_slowly(self, pause: Duration) {
        self.act(Act::AnswerSlowly(pause));
    }

    /// Reads the body of the request in small pieces, with a pause after each.
    pub fn drip_request(self, piece: usize, pause: Duration) {
        self.act(Act::DripRequest { piece, pause });
    }

    /// Something happens to the service just before it does what is asked.
    pub fn before(self, deed: impl Fn() + Send + Sync + 'static) {
        self.act(Act::Meanwhile { after: false, deed: Box::new(deed) });
    }

    /// Something happens to the service when it has done what is asked, and has not answered yet.
    pub fn after(self, deed: impl Fn() + Send + Sync + 'static) {
        self.act(Act::Meanwhile { after: true, deed: Box::new(deed) });
    }

    /// Closes after so many bytes of the right answer's body.
    pub fn close_after_answer(self, bytes: u64) {
        self.act(Act::CloseAfterAnswer(bytes));
    }

    /// Resets the connection after so many bytes of the right answer's body.
    pub fn reset_after_answer(self, bytes: u64) {
        self.act(Act::ResetAfterAnswer(bytes));
    }

    /// Reads the request to its end and never answers.
    pub fn stall(self) {
        self.act(Act::Stall);
    }

    /// Does not read the body, and never answers.
    pub fn stall_request(self) {
        self.stall_request_after(0);
    }

    /// Goes silent when at least so many bytes of the request's body came in.
    pub fn stall_request_after(self, bytes: u64) {
        self.act(Act::StallRequest(bytes));
    }

    /// Goes silent after so many bytes of the right answer's body.
    pub fn stall_after(self, bytes: u64) {
        self.act(Act::StallAfter(bytes));
    }

    /// Sends the right answer in small pieces, with a pause after each.
    pub fn drip(self, piece: usize, pause: Duration) {
        self.act(Act::Drip { piece, pause });
    }

    /// Announces another Content-Length than that of the body it sends.
    pub fn content_length(self, bytes: u64) {
        self.act(Act::ContentLength(bytes));
    }

    /// Changes the right answer: its status, headers, content.
    pub fn twist(self, twist: impl Fn(&mut Answer) + Send + Sync + 'static) {
        self.act(Act::Twist { ranged: true, twist: Box::new(twist) });
    }

    /// Overlooks that only a range was asked for, then changes the answer.
    pub fn whole(self, twist: impl Fn(&mut Answer) + Send + Sync + 'static) {
        self.act(Act::Twist { ranged: false, twist: Box::new(twist) });
    }

    /// Changes the JSON of the right answer: another hash, size, status ….
    pub fn edit(self, edit: impl Fn(&mut Value) + Send + Sync + 'static) {
        self.act(Act::Edit(Box::new(edit)));
    }
}
