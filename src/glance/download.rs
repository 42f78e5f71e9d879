//! A download, whatever version of the API gives it: into its place only once
//! it is whole and verified.

use std::cell::Cell;

use super::fetch::{Fetch, corrupt_copy};
use crate::error::{Error, Kind, Result};
use crate::http::{Http, Request};
use crate::image::Image;
use crate::signature::Verifier;
use crate::transfer::{Algorithm, Meter, Part, Ranges, Receiver, Subject, Sums, Target, Verify, WriteTo};

/// Moves the data of `image` to `to`, verified. `request` makes the request
/// that the service answers with the data.
pub(super) async fn download(
    http: &Http,
    request: &dyn Fn() -> Request,
    image: &Image,
    to: WriteTo,
    verify: Verify,
    signature: Option<&Verifier>,
) -> Result<()> {
    let WriteTo { mut target, meter, jobs } = to;
    let expected = expected_sum(image, verify)?;
    let check = Check { expected, signature };
    let fetch = Fetch {
        http: &http.insisting(false),
        request,
        size: image.size(),
        meter: &meter,
        name: image.id(),
        ranges: Cell::new(true),
        stitched: Cell::new(false),
    };
    if let Target::File(part) = &mut target {
        let digest = image.hash().or(image.checksum().map(|md5| ("md5", md5)));
        let mut url = request().url().clone();
        url.set_query(None);
        let subject = Subject {
            image: image.id().to_owned(),
            url: url.into(),
            size: image.size(),
            digest: digest.map(|(algorithm, sum)| (algorithm.to_owned(), sum.to_owned())),
        };
        if part.resume(&subject, !check.judges())? {
            http.log()
                .note(&format!("`{}` is of another image or of other data, so it begins anew", part.path().display()));
        }
        check_room(part, image.size())?;
        fetch.stitched.set(part.there().count() > 0);
    }
    loop {
        let (came_back, outcome) = once(&fetch, &check, target, jobs, &meter).await;
        let mut part = match (came_back, outcome) {
            // The disk may take long.
            (Some(Target::File(part)), Ok(())) => return http.aside(|| part.keep()).await,
            (Some(Target::File(part)), Err(Failed::Broken(error))) => return Err(left(*part, error, image.size())),
            // No other copy will be what was signed.
            (Some(Target::File(part)), Err(Failed::NotSigned(error))) => {
                part.discard();
                return Err(error);
            }
            (Some(Target::File(part)), Err(Failed::Damaged(error))) => {
                // Pieces of several answers: which of them is wrong nobody knows.
                if !fetch.stitched.replace(false) {
                    let aside = part.condemn();
                    return Err(error.details(aside.map(|path| format!("the bytes are in `{}`", path.display()))));
                }
                fetch.ranges.set(false);
                http.log().warn(&format!("{}; all of it is fetched once more", error.message));
                part
            }
            (_, outcome) => return outcome.map_err(Failed::into_error),
        };
        part.restart()?;
        target = Target::File(part);
    }
}

/// Why there is no verified data.
enum Failed {
    /// It did not come, or not all of it.
    Broken(Error),
    /// All of it came, and is not what the service says it is.
    Damaged(Error),
    /// It is not what was signed.
    NotSigned(Error),
}

impl Failed {
    fn into_error(self) -> Error {
        match self {
            Failed::Broken(error) | Failed::Damaged(error) | Failed::NotSigned(error) => error,
        }
    }
}

/// What the data is held against.
struct Check<'a> {
    expected: Option<(Algorithm, String)>,
    signature: Option<&'a Verifier>,
}

impl Check<'_> {
    /// Whether wrong bytes would be noticed.
    fn judges(&self) -> bool {
        self.expected.is_some() || self.signature.is_some()
    }

    fn algorithms(&self) -> Vec<Algorithm> {
        let signed = self.signature.map(Verifier::algorithm);
        let mut algorithms: Vec<_> = self.expected.iter().map(|(algorithm, _)| *algorithm).chain(signed).collect();
        algorithms.dedup();
        algorithms
    }

    fn verify(&self, sums: &Sums) -> std::result::Result<(), Failed> {
        let sum = |wanted: Algorithm| {
            let found = sums.iter().find(|(algorithm, _)| *algorithm == wanted);
            found.map(|(_, sum)| sum.as_str()).unwrap_or_default()
        };
        if let Some((algorithm, theirs)) = &self.expected {
            let (name, ours) = (algorithm.name(), sum(*algorithm));
            if !ours.eq_ignore_ascii_case(theirs) {
                let what = format!("its {name} is {ours}, the service says {theirs}");
                return Err(Failed::Damaged(corrupt_copy(what)));
            }
        }
        match self.signature {
            Some(signature) => signature.verify(sum(signature.algorithm())).map_err(Failed::NotSigned),
            None => Ok(()),
        }
    }
}

/// Fetches what is missing, and verifies all of it.
async fn once(
    fetch: &Fetch<'_>,
    check: &Check<'_>,
    target: Target,
    jobs: usize,
    meter: &std::sync::Arc<Meter>,
) -> (Option<Target>, std::result::Result<(), Failed>) {
    let (there, jobs) = match &target {
        Target::File(part) => (part.there().clone(), jobs),
        _ => (Ranges::default(), 1),
    };
    meter.restart(there.count());
    let in_order = jobs == 1 && there.count() == there.beginning();
    let receiver = match Receiver::start(target, meter, &check.algorithms(), in_order) {
        Ok(receiver) => receiver,
        Err(error) => return (None, Err(Failed::Broken(error))),
    };
    let fetched = fetch.all(&there, jobs, &receiver).await;
    let stopped = async {
        match &fetched {
            Err(error) => error.clone(),
            Ok(_) => loop {
                if let Err(error) = fetch.http.pause(std::time::Duration::from_secs(3600)).await {
                    break error;
                }
            },
        }
    };
    let (target, sums) = receiver.finish(stopped).await;
    // That nothing more could be written is the true reason why less arrived.
    let outcome = match (sums, &fetched) {
        (Err(error), Ok(_)) => Err(Failed::Broken(error)),
        (_, Err(error)) => Err(Failed::Broken(error.clone())),
        (Ok(sums), Ok(_)) => check.verify(&sums),
    };
    (target, outcome)
}

/// Whether what is missing will fit: before any of it is asked for.
fn check_room(part: &Part, size: Option<u64>) -> Result<()> {
    let (Some(size), Some(free)) = (size, part.free()) else { return Ok(()) };
    let missing = size.saturating_sub(part.there().count());
    if missing <= free {
        return Ok(());
    }
    let words = |bytes| indicatif::HumanBytes(bytes);
    Err(Error::new(
        Kind::Io,
        format!("`{}` needs {}, but only {} are free there", part.name().display(), words(missing), words(free)),
    )
    .next("free some space, or name a file on another disk"))
}

/// Leaves what there is for another run, and says so.
fn left(part: Part, error: Error, size: Option<u64>) -> Error {
    if error.kind == Kind::Verification {
        // Not even its length is right.
        part.discard();
        return error;
    }
    let (path, files) = (part.path().display().to_string(), part.files());
    match part.suspend() {
        0 => error,
        count => {
            let of = size.map(|size| format!(" of {}", indicatif::HumanBytes(size))).unwrap_or_default();
            let there = indicatif::HumanBytes(count);
            error.details([
                format!("`{path}` has {there}{of}: the same command goes on from there"),
                format!("to give it up, remove {files}"),
            ])
        }
    }
}

/// The digest that the data of `image` must have; none if only its length counts.
fn expected_sum(image: &Image, verify: Verify) -> Result<Option<(Algorithm, String)>> {
    if matches!(image.status(), "queued" | "saving" | "uploading" | "importing" | "killed" | "deleted") {
        return Err(Error::new(
            Kind::Conflict,
            format!("image `{}` has no data: it is `{}`", image.id(), image.status()),
        ));
    }
    let md5 = image.checksum().map(|sum| (Algorithm::Md5, sum.to_owned()));
    match (verify, image.hash()) {
        (Verify::LengthOnly, _) => Ok(None),
        (_, Some((name, sum))) => match (Algorithm::named(name), verify) {
            (Some(algorithm), _) => Ok(Some((algorithm, sum.to_owned()))),
            (None, Verify::AllowMd5) if md5.is_some() => Ok(md5),
            (None, _) => Err(Error::new(
                Kind::Verification,
                format!("image `{}` is hashed with `{name}`, which rimg cannot compute", image.id()),
            )
            .next("`--allow-md5-fallback` checks its MD5 instead, `--no-verify` only its length")),
        },
        (_, None) if md5.is_some() => Ok(md5),
        (_, None) => Err(Error::new(
            Kind::Verification,
            format!("the service knows no digest of image `{}`, so its bytes cannot be verified", image.id()),
        )
        .next("`--no-verify` saves it all the same, checked by its length only")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;
    use crate::glance::wire::v2 as wire;

    fn image(fields: Value) -> Image {
        wire::image(fields).unwrap()
    }

    #[test]
    fn a_download_is_checked_by_the_best_digest_there_is() {
        let both =
            json!({"id": "i", "status": "active", "os_hash_algo": "sha512", "os_hash_value": "aa", "checksum": "bb"});
        assert_eq!(expected_sum(&image(both), Verify::Required).unwrap(), Some((Algorithm::Sha512, "aa".to_owned())));
        let old = json!({"id": "i", "status": "active", "checksum": "bb"});
        assert_eq!(expected_sum(&image(old), Verify::Required).unwrap(), Some((Algorithm::Md5, "bb".to_owned())));
        let none = json!({"id": "i", "status": "active"});
        assert_eq!(expected_sum(&image(none.clone()), Verify::Required).unwrap_err().kind, Kind::Verification);
        assert_eq!(expected_sum(&image(none), Verify::LengthOnly).unwrap(), None);
        let strange =
            json!({"id": "i", "status": "active", "os_hash_algo": "crc", "os_hash_value": "aa", "checksum": "bb"});
        assert_eq!(expected_sum(&image(strange.clone()), Verify::Required).unwrap_err().kind, Kind::Verification);
        assert_eq!(expected_sum(&image(strange), Verify::AllowMd5).unwrap(), Some((Algorithm::Md5, "bb".to_owned())));
    }
}
