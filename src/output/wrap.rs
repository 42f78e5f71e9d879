//! Where a cell's line breaks: as Python's `textwrap` breaks it, measured in
//! terminal cells.
//!
//! Words are kept whole where they fit, compounds may break behind a hyphen,
//! a word wider than the line is cut, white space at a break is dropped.
//! Escape sequences get no care here beyond their width: PrettyTable repeats
//! colours and links on each line, which matters only where no terminal is.

use unicode_segmentation::UnicodeSegmentation;

use super::python::{is_letter, is_space, is_word};
use super::width::width;

/// The lines of `text`, each at most `limit` cells wide (one character at
/// least); none if there is nothing but white space.
pub(super) fn wrap(text: &str, limit: usize) -> Vec<String> {
    let text: Vec<char> = text.chars().map(|c| if is_blank(c) { ' ' } else { c }).collect();
    let mut chunks: Vec<String> = split(&text);
    chunks.reverse();
    let mut lines: Vec<String> = Vec::new();
    while let Some(next) = chunks.last() {
        if !lines.is_empty() && next.chars().all(is_space) {
            chunks.pop();
        }
        let mut line = String::new();
        let mut used = 0;
        let mut taken = 0;
        while let Some(chunk) = chunks.last() {
            let wide = width(chunk);
            if used + wide > limit {
                break;
            }
            line.push_str(chunk);
            used += wide;
            taken += 1;
            chunks.pop();
        }
        if let Some(chunk) = chunks.last_mut().filter(|chunk| width(chunk) > limit) {
            let end = cut(chunk, limit - used, taken == 0);
            line.push_str(&chunk[..end]);
            chunk.drain(..end);
            if chunk.is_empty() {
                chunks.pop();
            }
        }
        let line = line.trim_end_matches(is_space);
        if !line.is_empty() {
            lines.push(line.to_owned());
        }
    }
    lines
}

/// The white space of `textwrap`: ASCII only, so that a no-break space holds.
fn is_blank(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\x0b' | '\x0c' | '\r' | ' ')
}

/// Cuts the text into words, the white space between them, and dashes.
fn split(text: &[char]) -> Vec<String> {
    let mut chunks = Vec::new();
    let mut start = 0;
    while start < text.len() {
        let end = chunk_end(text, start);
        chunks.push(text[start..end].iter().collect());
        start = end;
    }
    chunks
}

fn chunk_end(text: &[char], start: usize) -> usize {
    let letter = |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(|c| is_letter(*c));
    let hyphen = |at: Option<usize>| at.and_then(|at| text.get(at)) == Some(&'-');
    let punctuated = |at: Option<usize>| {
        at.and_then(|at| text.get(at))
            .is_some_and(|c| is_word(*c) || matches!(c, '!' | '"' | '\'' | '&' | '.' | ',' | '?'))
    };
    // The end of a dash (two hyphens or more between words) that starts here.
    let dash = |at: usize| {
        // Looked at first, so that a long run of hyphens is counted only once.
        if !punctuated(at.checked_sub(1)) {
            return None;
        }
        let end = at + text[at..].iter().take_while(|c| **c == '-').count();
        (end >= at + 2 && text.get(end).is_some_and(|c| is_word(*c))).then_some(end)
    };
    if is_blank(text[start]) {
        return start + text[start..].iter().take_while(|c| is_blank(**c)).count();
    }
    if let Some(end) = dash(start) {
        return end;
    }
    for (end, &c) in text.iter().enumerate().skip(start + 1) {
        let back = |by: usize| end.checked_sub(by);
        // `ab-cd`, `a-b-cd`: a hyphen with two letters on either side.
        let compound = c == '-'
            && letter(back(1))
            && (letter(back(2)) || hyphen(back(2)) && letter(back(3)))
            && letter(Some(end + 1))
            && (letter(Some(end + 2)) || hyphen(Some(end + 2)) && letter(Some(end + 3)));
        if compound {
            return end + 1;
        }
        if is_blank(c) || dash(end).is_some() {
            return end;
        }
    }
    text.len()
}

/// Where to cut a word that fits on no line: behind the last hyphen in the
/// `room` there is, else where the room ends; `first` on its line, it leaves
/// at least one character there.
fn cut(word: &str, room: usize, first: bool) -> usize {
    let mut used = 0;
    let mut end = 0;
    for grapheme in word.graphemes(true) {
        used += width(grapheme);
        if used > room {
            break;
        }
        end += grapheme.len();
    }
    let fits = &word[..end];
    if let Some(hyphen) = fits.rfind('-').filter(|at| fits[..*at].contains(|c| c != '-')) {
        return hyphen + 1;
    }
    if first && end < word.len() && width(fits) == 0 {
        return word.graphemes(true).next().map_or(word.len(), str::len);
    }
    end
}
