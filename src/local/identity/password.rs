//! Passwords and other secrets, kept as hashes.
//!
//! PBKDF2 with HMAC-SHA-512, because the TLS library that is here anyway has
//! it, compares in constant time, and Keystone and passlib write the same form:
//! `$pbkdf2-sha512$ROUNDS$SALT$KEY`
//! (<https://passlib.readthedocs.io/en/stable/lib/passlib.hash.pbkdf2_digest.html>).

use std::fmt;
use std::num::NonZeroU32;
use std::path::Path;

use aws_lc_rs::pbkdf2;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};

use super::kept;
use crate::error::{Error, Kind, Result};

/// What passlib and Keystone take: about 10 ms here. What this service makes
/// up itself is too long to be guessed, and what stands in its configuration
/// file in plain text is not kept any longer than that.
const ROUNDS: NonZeroU32 = match NonZeroU32::new(25_000) {
    Some(rounds) => rounds,
    None => NonZeroU32::MIN,
};

/// More would let a configuration file stop the service.
const MOST_ROUNDS: u32 = 10_000_000;

const NAME: &str = "pbkdf2-sha512";

/// The hash of a secret. Its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Hash {
    rounds: NonZeroU32,
    salt: Vec<u8>,
    key: Vec<u8>,
}

impl Hash {
    /// The hash of `secret` with a salt of its own.
    pub fn of(secret: &str) -> Result<Self> {
        let salt = random(16)?;
        let mut key = vec![0; 64];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, ROUNDS, &salt, secret.as_bytes(), &mut key);
        Ok(Hash { rounds: ROUNDS, salt, key })
    }

    /// A hash that was written down; `None` if `text` is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix('$')?.split('$');
        if parts.next()? != NAME {
            return None;
        }
        let rounds = parts.next()?.parse().ok().filter(|rounds| *rounds <= MOST_ROUNDS)?;
        let mut bytes = || STANDARD_NO_PAD.decode(parts.next()?.replace('.', "+")).ok();
        let hash = Hash { rounds: NonZeroU32::new(rounds)?, salt: bytes()?, key: bytes()? };
        (parts.next().is_none() && hash.key.len() == 64).then_some(hash)
    }

    /// Whether `text` is meant to be a hash: of this kind or of another.
    pub fn is_meant(text: &str) -> bool {
        // https://passlib.readthedocs.io/en/stable/modular_crypt_format.html
        let mut parts = text.split('$');
        parts.next() == Some("") && parts.next().is_some_and(|name| !name.is_empty()) && parts.count() >= 2
    }

    /// Whether this is the hash of `secret`. Takes its time, and the same
    /// whatever the answer.
    pub fn is_of(&self, secret: &str) -> bool {
        pbkdf2::verify(pbkdf2::PBKDF2_HMAC_SHA512, self.rounds, &self.salt, secret.as_bytes(), &self.key).is_ok()
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        hash.to_string()
    }
}

impl TryFrom<String> for Hash {
    type Error = &'static str;

    fn try_from(text: String) -> std::result::Result<Self, Self::Error> {
        Hash::parse(&text).ok_or("not a hash")
    }
}

/// The form that can be written down.
impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| STANDARD_NO_PAD.encode(bytes).replace('+', ".");
        write!(f, "${NAME}${}${}${}", self.rounds, text(&self.salt), text(&self.key))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash(..)")
    }
}

/// A secret of 24 letters and digits: more than 140 random bits.
pub fn made_up() -> Result<String> {
    const LETTERS: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    let bytes = random(24)?;
    // The first one is a letter, so that no shell and no YAML takes it for anything else.
    let letter = |(at, byte): (usize, &u8)| LETTERS[usize::from(if at == 0 { byte % 52 } else { byte % 64 })] as char;
    Ok(bytes.iter().enumerate().map(letter).collect())
}

/// The hash of the administrator's password that is kept in `directory`, and
/// the password itself if it was made up just now: because there was none, or
/// because a new one is wanted.
pub fn kept_in(directory: &Path, anew: bool) -> Result<(Hash, Option<String>)> {
    let path = directory.join("admin-password");
    let failed = |what: &str, e: std::io::Error| Error::io(format!("cannot {what} `{}`", path.display()), &e);
    match std::fs::read_to_string(&path) {
        Ok(text) if !anew => {
            let hash = Hash::parse(text.trim()).ok_or_else(|| {
                Error::config(format!("`{}` does not hold a password's hash", path.display()))
                    .next("`rimg serve --reset-password` makes a new password")
            })?;
            return Ok((hash, None));
        }
        Ok(_) => {}
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(_) if anew => {}
        Err(e) => return Err(failed("read", e)),
    }
    let password = made_up()?;
    let hash = Hash::of(&password)?;
    match kept::write(&path, format!("{hash}\n").as_bytes(), anew) {
        Ok(()) => Ok((hash, Some(password))),
        // Another process was faster: its password is the one that counts.
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => kept_in(directory, anew),
        Err(e) => Err(failed("write", e)),
    }
}

fn random(length: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    // Not the TLS library's generator, which takes 40 ms to seed itself: every
    // command on the cloud `local` would wait for that.
    getrandom::fill(&mut bytes).map_err(|_| Error::new(Kind::Io, "the system has no random numbers"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_hash_is_of_its_password_and_no_other() {
        let hash = Hash::of("secret").unwrap();
        assert!(hash.is_of("secret") && !hash.is_of("Secret") && !hash.is_of(""));
        assert_eq!(Hash::parse(&hash.to_string()), Some(hash.clone()));
        assert_ne!(Hash::of("secret").unwrap(), hash);
        assert_eq!(format!("{hash:?}"), "Hash(..)");
    }

    #[test]
    fn a_hash_of_passlib_is_read() {
        // hashlib.pbkdf2_hmac("sha512", b"password", salt, 1000), in passlib's form.
        let text = "$pbkdf2-sha512$1000$c2FsdHNhbHRzYWx0c2FsdA$715rqIr5dXOVPpBhqqsugl037zT5bWJTWYmZt\
                    IcK8hBnisKpwfY7kokvwjDrNHqHhF50Pb7MD6HvkJwiDQw4ww";
        assert!(Hash::parse(text).unwrap().is_of("password"));
    }

    #[test]
    fn what_is_no_hash_is_none() {
        for text in [
            "",
            "secret",
            "$pbkdf2-sha512$0$YQ$YQ",
            "$pbkdf2-sha512$99999999999$YQ$YQ",
            "$2b$12$abc",
            "$pbkdf2-sha512$1$YQ$YQ",
        ] {
            assert_eq!(Hash::parse(text), None, "{text}");
        }
        assert!(Hash::is_meant("$2b$12$abc") && !Hash::is_meant("$ecret") && !Hash::is_meant("pa$$word$x"));
    }

    #[test]
    fn the_administrators_password_is_shown_once_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let (hash, shown) = kept_in(directory.path(), false).unwrap();
        assert!(hash.is_of(&shown.unwrap()));
        assert_eq!(kept_in(directory.path(), false).unwrap(), (hash.clone(), None));
        let (other, shown) = kept_in(directory.path(), true).unwrap();
        assert!(other != hash && other.is_of(&shown.unwrap()));
        std::fs::write(directory.path().join("admin-password"), "secret").unwrap();
        assert!(kept_in(directory.path(), false).is_err() && kept_in(directory.path(), true).is_ok());
    }

    #[test]
    fn made_up_secrets_differ() {
        let one = made_up().unwrap();
        assert_eq!(one.len(), 24);
        assert_ne!(one, made_up().unwrap());
    }
}
