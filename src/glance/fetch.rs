//! Bytes that go on: a GET whose answer breaks off, stalls or is put off by the
//! service is asked again, from where it was
//! (<https://www.rfc-editor.org/rfc/rfc9110#name-range-requests>).
//!
//! Nothing that a service says of a range is believed unseen: what is not the
//! range that was asked for is not taken, and the whole is read instead, passing
//! over what is there.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use futures_util::future::try_join_all;
use http::header::{CONTENT_RANGE, RANGE};
use http::{HeaderValue, StatusCode};

use super::api::PASSING;
use crate::error::{Error, Kind, Result};
use crate::http::{Answer, Http, Request, Tries};
use crate::transfer::{Meter, Ranges, Receiver};

/// How often in a row it is asked again without one more byte, where the
/// configuration does not say.
const RETRIES: u32 = 5;

/// How much one of several jobs asks for at a time, in bytes: so little that
/// the digest follows close behind, so much that the requests cost nothing.
const SEGMENT: u64 = 32 << 20;

/// A download as it goes on.
pub(super) struct Fetch<'a> {
    /// One that does not try again by itself.
    pub http: &'a Http,
    /// Makes the request for the whole data.
    pub request: &'a dyn Fn() -> Request,
    /// The length that the data must have, if it is known.
    pub size: Option<u64>,
    pub meter: &'a Meter,
    /// What to call the data in a message.
    pub name: &'a str,
    /// Whether the service can be asked for ranges.
    pub ranges: Cell<bool>,
    /// Whether it was asked for one.
    pub stitched: Cell<bool>,
}

/// Why an attempt ended.
enum Failed {
    /// It would fail again.
    Finally(Error),
    /// It is worth another try.
    ForNow(Error),
    /// It was not the range that was asked for: the whole is to be read.
    NotThisRange,
    /// The writer wants no more; it knows why.
    Unwanted,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        match error.kind {
            Kind::Network => Failed::ForNow(error),
            _ => Failed::Finally(error),
        }
    }
}

impl Fetch<'_> {
    /// Fetches all that is not `there`, up to `jobs` ranges at a time, into
    /// `receiver`. Answers with the length of the data.
    pub async fn all(&self, there: &Ranges, jobs: usize, receiver: &Receiver) -> Result<u64> {
        let taken = RefCell::new(there.clone());
        if let Some(size) = self.size {
            let gaps = there.gaps(0, size);
            if gaps.is_empty() {
                return Ok(size);
            }
            // One that reaches to the end needs no end.
            if (jobs > 1 || gaps != [(there.beginning(), size)]) && self.ranges.get() {
                match self.segments(gaps, size, jobs.max(1), &taken, receiver).await {
                    Err(Failed::NotThisRange) => {
                        self.meter.restart(taken.borrow().count());
                        self.unranged("so it is read by one job, from the beginning");
                    }
                    Err(Failed::Unwanted) => return Ok(size),
                    Err(Failed::Finally(error) | Failed::ForNow(error)) => return Err(error),
                    Ok(()) => return Ok(size),
                }
            }
        }
        let start = taken.borrow().beginning();
        let at = Cell::new(start);
        loop {
            match self.span(&at, None, &taken, receiver).await {
                Err(Failed::NotThisRange) => self.unranged("so it is read from the beginning"),
                Err(Failed::Unwanted) => return Ok(self.size.unwrap_or(at.get())),
                Err(Failed::Finally(error) | Failed::ForNow(error)) => return Err(error),
                Ok(()) => return Ok(at.get()),
            }
        }
    }

    fn unranged(&self, so: &str) {
        self.ranges.set(false);
        self.http.log().note(&format!("the service does not send the part of `{}` that is missing, {so}", self.name));
    }

    async fn segments(
        &self,
        gaps: Vec<(u64, u64)>,
        size: u64,
        jobs: usize,
        taken: &RefCell<Ranges>,
        receiver: &Receiver,
    ) -> std::result::Result<(), Failed> {
        let length = size.div_ceil(jobs as u64).clamp(1 << 20, SEGMENT);
        let split = |(start, end): (u64, u64)| {
            let starts = (0..(end - start).div_ceil(length)).map(move |index| start + index * length);
            starts.map(move |start| (start, end.min(start + length)))
        };
        let left: RefCell<VecDeque<_>> = RefCell::new(gaps.into_iter().flat_map(split).collect());
        let worker = async |_| {
            loop {
                let Some((start, end)) = left.borrow_mut().pop_front() else { return Ok(()) };
                self.span(&Cell::new(start), Some(end), taken, receiver).await?;
            }
        };
        try_join_all((0..jobs).map(worker)).await.map(drop)
    }

    /// Fetches the bytes from `at` up to `end`, or all that follow, with as
    /// many tries as it needs.
    async fn span(
        &self,
        at: &Cell<u64>,
        end: Option<u64>,
        taken: &RefCell<Ranges>,
        receiver: &Receiver,
    ) -> std::result::Result<(), Failed> {
        let tries = || Tries::new(&self.http.settings().retries, RETRIES);
        let mut failing = tries();
        loop {
            let before = at.get();
            let Err(failed) = self.attempt(at, end, taken, receiver).await else { return Ok(()) };
            let Failed::ForNow(error) = failed else { return Err(failed) };
            if at.get() > before {
                failing = tries();
            }
            let next = failing.next(error.clone()).map_err(Failed::Finally)?;
            self.http.log().note(&format!("{error}; {next}, from byte {}", at.get()));
            self.meter.phase(format!("waiting to try again: {error}"));
            let waited = self.http.pause(next.pause).await;
            self.meter.phase(String::new());
            waited.map_err(Failed::Finally)?;
        }
    }

    /// One request for the bytes from `at` up to `end`.
    async fn attempt(
        &self,
        at: &Cell<u64>,
        end: Option<u64>,
        taken: &RefCell<Ranges>,
        receiver: &Receiver,
    ) -> std::result::Result<(), Failed> {
        let start = at.get();
        let ranged = self.ranges.get() && (start > 0 || end.is_some());
        let mut request = (self.request)();
        if ranged {
            self.stitched.set(true);
            let last = end.map(|end| (end - 1).to_string()).unwrap_or_default();
            // Digits and two signs are a header value.
            if let Ok(range) = HeaderValue::from_str(&format!("bytes={start}-{last}")) {
                request = request.header(RANGE, range);
            }
        }
        let mut answer = self.http.send(request).await?;
        let (mut place, end) = match answer.status() {
            StatusCode::PARTIAL_CONTENT if ranged => match self.is_asked(&answer, start, end) {
                Some(end) => (start, Some(end)),
                None => return Err(Failed::NotThisRange),
            },
            StatusCode::RANGE_NOT_SATISFIABLE if ranged => return Err(Failed::NotThisRange),
            // The whole, wherever we are: pass over what is there. Of several jobs, one does that.
            StatusCode::OK if end.is_some() => return Err(Failed::NotThisRange),
            StatusCode::OK => (0, self.whole(&answer)?),
            StatusCode::NO_CONTENT => return Err(Failed::Finally(no_data(self.name))),
            status if status.is_success() => {
                let what = format!("the service answered HTTP {} where HTTP 200 was wanted", status.as_u16());
                return Err(Failed::Finally(corrupt_copy(what)));
            }
            _ => {
                let Err(error) = answer.ok().await else { return Err(Failed::NotThisRange) };
                return Err(match self.http.settings().retries.passing(&error, &PASSING) {
                    true => Failed::ForNow(error),
                    false => Failed::Finally(error),
                });
            }
        };
        if let (None, Some(length)) = (self.size, end) {
            self.meter.expect(length);
        }
        while let Some(piece) = answer.chunk().await? {
            let next = place + piece.len() as u64;
            if let Some(end) = end.filter(|&end| next > end) {
                let what = format!("more than the {end} bytes that it has arrived");
                return Err(Failed::Finally(corrupt_copy(what)));
            }
            // A byte is taken once: the digest may have read it by now, so it must stay as it is.
            let missing = taken.borrow().gaps(place, next);
            for (from, to) in missing {
                let part = piece.slice((from - place) as usize..(to - place) as usize);
                if !self.http.unless_interrupted(receiver.take(from, part)).await? {
                    return Err(Failed::Unwanted);
                }
                taken.borrow_mut().insert(from, to);
            }
            place = next;
            at.set(at.get().max(next));
        }
        match end.or(self.size) {
            Some(end) if at.get() < end => {
                let what = format!("the data broke off: {} of {end} bytes arrived", at.get());
                Err(Failed::ForNow(Error::new(Kind::Network, what).next("try again")))
            }
            _ => Ok(()),
        }
    }

    /// The end of what a 206 brings, if it is what was asked for.
    fn is_asked(&self, answer: &Answer, start: u64, end: Option<u64>) -> Option<u64> {
        let (first, last, total) = content_range(answer.header(CONTENT_RANGE.as_str())?)?;
        let total = match (total, self.size) {
            (Some(total), Some(size)) if total != size => return None,
            (total, size) => total.or(size),
        };
        let after = last.checked_add(1)?;
        let wanted = end.or(total)?;
        let fits = first == start && after == wanted && answer.length().is_none_or(|length| length == after - first);
        fits.then_some(after)
    }

    /// The end of what a 200 brings, if that is told.
    fn whole(&self, answer: &Answer) -> std::result::Result<Option<u64>, Failed> {
        match (answer.length(), self.size) {
            (Some(announced), Some(size)) if announced != size => {
                Err(Failed::Finally(corrupt_copy(format!("the service sends {announced} bytes of an image of {size}"))))
            }
            (announced, size) => Ok(announced.or(size)),
        }
    }
}

/// `bytes 0-9/100`, `bytes 0-9/*`: first, last, length of the whole
/// (<https://www.rfc-editor.org/rfc/rfc9110#field.content-range>).
fn content_range(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (unit, rest) = text.trim().split_once(' ')?;
    let (range, total) = rest.trim().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let number = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit()).then(|| text.parse().ok())?;
    let (first, last): (u64, u64) = (number(first)?, number(last)?);
    let total = match total {
        "*" => None,
        total => Some(number(total)?),
    };
    let sound = first <= last && total.is_none_or(|total| last < total);
    (unit.eq_ignore_ascii_case("bytes") && sound).then_some((first, last, total))
}

/// The image of this ID has nothing to download.
pub(super) fn no_data(id: &str) -> Error {
    Error::new(Kind::Conflict, format!("the service sends no data of image `{id}`"))
}

/// What arrived is not what it should be.
pub(super) fn corrupt_copy(what: String) -> Error {
    Error::new(Kind::Verification, format!("the data arrived damaged: {what}"))
        .next("try again; if it stays, ask who runs the cloud about its storage")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_content_range_is_read_strictly() {
        for (text, expected) in [
            ("bytes 0-9/100", Some((0, 9, Some(100)))),
            ("Bytes 5-5/*", Some((5, 5, None))),
            ("bytes 0-99/100", Some((0, 99, Some(100)))),
            ("bytes 0-100/100", None),
            ("bytes 9-0/100", None),
            ("bytes */100", None),
            ("bytes 0-9", None),
            ("bytes=0-9/100", None),
            ("items 0-9/100", None),
            ("bytes +0-9/100", None),
            ("bytes -9/100", None),
            ("bytes 0-18446744073709551616/*", None),
            ("", None),
        ] {
            assert_eq!(content_range(text), expected, "{text}");
        }
    }
}
