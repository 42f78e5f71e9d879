//! Candidates that need no cloud.

use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};

use crate::cloud::{Surroundings, cloud_names};

/// Candidates from a fixed list of words, for values that are not limited to it.
pub fn words(words: &'static [&'static str]) -> ArgValueCandidates {
    ArgValueCandidates::new(move || words.iter().map(CompletionCandidate::new).collect())
}

/// The names of the clouds that are configured.
pub fn clouds() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        cloud_names(&Surroundings::of_process()).into_iter().map(CompletionCandidate::new).collect()
    })
}
