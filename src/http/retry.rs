//! When a request is worth another try, and how long to wait before it.
//!
//! The keys of clouds.yaml are those of keystoneauth (`connect_retries`,
//! `status_code_retries`, …), and so is what holds without them: a plain request
//! is repeated after 503 alone, five times. Image data is sent again after
//! other failures too, as only rimg can ask what became of it.

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, Method, header};
use jiff::Timestamp;

use crate::error::{Error, Kind};

/// The pause before the second try where the configuration does not say, before jitter.
const FIRST: Duration = Duration::from_millis(500);

/// The longest pause between two tries, before jitter.
const LONGEST: Duration = Duration::from_secs(30);

/// How long all pauses of one piece of work may take together, and the longest
/// `Retry-After` that is waited for.
const PATIENCE: Duration = Duration::from_secs(300);

/// What the configuration says of tries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retries {
    /// How often to try again after a connection that failed.
    pub connect: Option<u32>,
    /// The first pause before that; each further one is twice as long.
    pub connect_delay: Option<Duration>,
    /// How often to try again after a status that promises better luck.
    pub status: Option<u32>,
    /// The first pause before that; each further one is twice as long.
    pub status_delay: Option<Duration>,
    /// The statuses that do, instead of the usual ones.
    pub statuses: Option<Vec<u16>>,
}

impl Retries {
    /// Whether `error` is of the passing kind: the connection, or a status that
    /// promises better luck, one of `usual` unless the configuration names others.
    pub fn passing(&self, error: &Error, usual: &[u16]) -> bool {
        match error.status {
            Some(status) => self.statuses.as_deref().unwrap_or(usual).contains(&status),
            None => error.kind == Kind::Network,
        }
    }

    /// Whether a plain request is tried again after `error`.
    pub(super) fn of_plain(&self, method: &Method, error: &Error) -> bool {
        let reads = method == Method::GET || method == Method::HEAD;
        match error.status {
            // These say that the request was not carried out.
            Some(429 | 503) => self.passing(error, &[503]),
            Some(_) => reads && self.passing(error, &[]),
            None => error.kind == Kind::Network && (reads || error.unsent),
        }
    }
}

/// Counts the tries of one piece of work.
#[derive(Debug)]
pub struct Tries {
    retries: Retries,
    /// How often to try again where the configuration does not say.
    usual: u32,
    tried: u32,
    waited: Duration,
}

/// The next try.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Next {
    /// How long to wait for it.
    pub pause: Duration,
    /// Which it is, from 2 on.
    pub number: u32,
    /// The last there will be.
    pub last: u32,
}

impl fmt::Display for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Next { pause, number, last } = self;
        write!(f, "trying again in {} (try {number} of {last})", spoken(*pause))
    }
}

impl Tries {
    /// Before the first try. Where the configuration does not say how often to
    /// try again it is `usual` times.
    pub fn new(retries: &Retries, usual: u32) -> Self {
        Tries { retries: retries.clone(), usual, tried: 1, waited: Duration::ZERO }
    }

    /// How many tries there were.
    pub fn tried(&self) -> u32 {
        self.tried
    }

    /// What comes after `error`; an error again when there were enough tries,
    /// with that among its lines.
    pub fn next(&mut self, error: Error) -> Result<Next, Error> {
        let (retries, delay) = match error.status {
            Some(_) => (self.retries.status, self.retries.status_delay),
            None => (self.retries.connect, self.retries.connect_delay),
        };
        let last = retries.unwrap_or(self.usual).saturating_add(1);
        if self.tried >= last {
            return Err(self.given_up(error));
        }
        if let Some(asked) = error.retry_after.filter(|asked| *asked > PATIENCE) {
            let next = format!("the service asks to wait {} before the next try", spoken(asked));
            return Err(error.next(next));
        }
        let doubled = delay.unwrap_or(FIRST).saturating_mul(1 << (self.tried - 1).min(16));
        let pause = jittered(doubled.min(LONGEST)).max(error.retry_after.unwrap_or_default());
        if self.waited + pause > PATIENCE {
            return Err(self.given_up(error));
        }
        self.waited += pause;
        self.tried += 1;
        Ok(Next { pause, number: self.tried, last })
    }

    /// `error`, after the last of the tries.
    fn given_up(&self, error: Error) -> Error {
        match self.tried {
            0 | 1 => error,
            tried => error.details([format!("that was try {tried}, the last")]),
        }
    }
}

/// Between half of `pause` and all of it: clients that failed together do not
/// come back together.
fn jittered(pause: Duration) -> Duration {
    let mut bytes = [0; 2];
    // Without chance the whole pause is as good.
    let part = getrandom::fill(&mut bytes).map_or(1.0, |()| f64::from(u16::from_be_bytes(bytes)) / 65_535.0);
    pause.mul_f64(0.5 + part / 2.0)
}

/// A pause in words: `0.4 s`, `12 s`, `3 min`.
pub fn spoken(time: Duration) -> String {
    match time.as_secs() {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..180 => format!("{} s", time.as_secs()),
        seconds => format!("{} min", seconds / 60),
    }
}

/// What `Retry-After` asks for: seconds, or a date
/// (<https://www.rfc-editor.org/rfc/rfc9110#field.retry-after>).
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            // A date that has passed asks for nothing.
            Some(Duration::try_from(date.duration_since(Timestamp::now())).unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn broken() -> Error {
        Error::new(Kind::Network, "broken")
    }

    #[test]
    fn pauses_double_up_to_a_limit_and_are_never_the_same() {
        let mut tries = Tries::new(&Retries::default(), 20);
        let mut waited = Duration::ZERO;
        for number in 2..8 {
            let next = tries.next(broken()).unwrap();
            let most = (FIRST * (1 << (number - 2))).min(LONGEST);
            assert!(next.pause <= most && next.pause >= most / 2, "{next:?}");
            assert_eq!((next.number, next.last), (number, 21));
            waited += next.pause;
        }
        while let Ok(next) = tries.next(broken()) {
            waited += next.pause;
        }
        assert!(waited <= PATIENCE && waited > PATIENCE / 2, "{waited:?}");
    }

    #[test]
    fn the_configuration_says_how_often_and_after_what() {
        let retries = Retries {
            connect: Some(0),
            status: Some(1),
            status_delay: Some(Duration::from_millis(8)),
            statuses: Some(vec![418]),
            ..Retries::default()
        };
        let mut tries = Tries::new(&retries, 9);
        assert_eq!(tries.next(broken()).unwrap_err().details, Vec::<String>::new());
        let teapot = Error::new(Kind::Rejected, "").with_status(418);
        assert!(tries.next(teapot.clone()).unwrap().pause <= Duration::from_millis(8));
        assert_eq!(tries.next(teapot.clone()).unwrap_err().details, ["that was try 2, the last"]);
        assert!(retries.passing(&teapot, &[503]));
        assert!(!retries.passing(&Error::new(Kind::Unavailable, "").with_status(503), &[503]));
    }

    #[test]
    fn what_changes_something_is_repeated_only_if_it_was_not_carried_out() {
        let retries = Retries::default();
        let status = |status| Error::new(Kind::Unavailable, "").with_status(status);
        let unsent = |kind| Error { unsent: true, ..Error::new(kind, "") };
        for (method, error, again) in [
            (Method::GET, broken(), true),
            (Method::POST, broken(), false),
            (Method::POST, unsent(Kind::Network), true),
            (Method::POST, status(503), true),
            (Method::POST, status(429), false),
            (Method::POST, status(502), false),
            (Method::GET, status(500), false),
            (Method::GET, unsent(Kind::Tls), false),
        ] {
            assert_eq!(retries.of_plain(&method, &error), again, "{method} {error:?}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let asked = |text: &str| {
            let headers = [(header::RETRY_AFTER, text.parse().unwrap())].into_iter().collect();
            retry_after(&headers)
        };
        assert_eq!(asked("7"), Some(Duration::from_secs(7)));
        assert_eq!(asked("soon"), None);
        assert_eq!(asked("-1"), None);
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        let soon = Timestamp::now() + Duration::from_secs(100);
        let date = soon.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        assert!((95..=100).contains(&asked(&date).unwrap().as_secs()));
        // Too long to wait for: said instead.
        let long = Error { retry_after: Some(Duration::from_secs(3600)), ..broken() };
        let error = Tries::new(&Retries::default(), 3).next(long).unwrap_err();
        assert_eq!(error.next.unwrap(), "the service asks to wait 60 min before the next try");
        let short = Error { retry_after: Some(Duration::from_secs(40)), ..broken() };
        assert_eq!(Tries::new(&Retries::default(), 3).next(short).unwrap().pause.as_secs(), 40);
    }
}
