//! How many terminal cells a text takes, as Python's wcwidth (which
//! PrettyTable measures with) counts them.
//!
//! The cells of one character are unicode-width's; what is here is how
//! characters join into one picture: emoji sequences, flags, conjuncts and
//! vowel signs of Indic scripts. Escape sequences and control characters take
//! no cell. Cursor movements, which wcwidth follows, are not followed: they
//! only ever get here when stdout is not a terminal. A handful of enclosed
//! CJK signs stay wide before the text style selector, where wcwidth narrows
//! them.

use icu_properties::props::{ExtendedPictographic, GeneralCategory, GraphemeClusterBreak, IndicSyllabicCategory};
use icu_properties::{CodePointMapData, CodePointSetData};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

const ZERO_WIDTH_JOINER: char = '\u{200d}';
const TEXT_STYLE: char = '\u{fe0e}';
const EMOJI_STYLE: char = '\u{fe0f}';

/// In texts longer than this wcwidth drops controls before it measures; in
/// shorter ones they part what stands around them.
const SHORT: usize = 20;

/// The cells that `text`, one line, takes.
pub(super) fn width(text: &str) -> usize {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return text.len();
    }
    let mut chars: Vec<char> = text.chars().collect();
    if chars.len() > SHORT {
        chars = without_controls(&chars);
    }
    let mut total = 0;
    // The cells of the cluster at hand, which later characters may change.
    let mut cluster = 0;
    // The last character that took cells, how many, and whether a style or a
    // vowel sign right behind it still changes that.
    let mut last = None;
    let mut last_cells = 0;
    let mut open = false;
    let mut conjunct = false;
    let mut flags = 0;
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        at += 1;
        let odd_flag = flags % 2 == 1;
        flags = if is_flag_letter(c) { flags + 1 } else { 0 };
        if c.is_control() {
            if c == '\x1b' {
                at += escape_sequence(&chars[at..]);
            }
            total += std::mem::take(&mut cluster);
            (last, open) = (None, false);
            continue;
        }
        match c {
            ZERO_WIDTH_JOINER => {
                if !conjunct && at < chars.len() {
                    // What is joined takes no cells of its own.
                    flags = usize::from(is_flag_letter(chars[at]));
                    last_cells = 0;
                    at += 1;
                }
                continue;
            }
            EMOJI_STYLE if open => {
                if last.is_some_and(|c| styled(c, EMOJI_STYLE) == 2) {
                    cluster = 2;
                }
                open = false;
                continue;
            }
            TEXT_STYLE if open => {
                let flag = last.is_some_and(is_flag_letter);
                if last_cells == 2 && !flag && last.is_some_and(|c| styled(c, TEXT_STYLE) == 1) {
                    cluster -= 1;
                }
                open = false;
                continue;
            }
            // The second letter of a flag.
            _ if is_flag_letter(c) && odd_flag => {
                last = Some(c);
                continue;
            }
            // A skin tone on an emoji.
            '\u{1f3fb}'..='\u{1f3ff}' if last.is_some_and(is_emoji) => continue,
            _ => {}
        }
        let cells = cells(c);
        if cells > 0 {
            if conjunct {
                cluster = 2;
            } else {
                total += std::mem::replace(&mut cluster, cells);
            }
            (last, last_cells, open, conjunct) = (Some(c), cells, true, false);
        } else if joins(c) {
            conjunct = true;
        } else {
            if open && category(c) == GeneralCategory::SpacingMark {
                cluster = 2;
                open = false;
            }
            conjunct = false;
        }
    }
    total + cluster
}

/// The cells of one character by itself: unicode-width's, but for the few that
/// wcwidth counts differently.
fn cells(c: char) -> usize {
    match c {
        // Half a flag is drawn as wide as a flag.
        _ if is_flag_letter(c) => 2,
        // A soft hyphen shows; so does a Devanagari sign; two Khmer ones are narrow.
        '\u{ad}' | '\u{a8fa}' | '\u{17a4}' | '\u{17d8}' => 1,
        // Separators and format controls, joining marks of Tifinagh and Hangul.
        '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}' | '\u{13430}'..='\u{1343f}' => 0,
        '\u{2d7f}' | '\u{d7c7}'..='\u{d7ca}' | '\u{d7fc}'..='\u{d7ff}' => 0,
        _ if category(c) == GeneralCategory::SpacingMark => 0,
        _ if is_prepended(c) => 1,
        _ => UnicodeWidthChar::width(c).unwrap_or(0),
    }
}

/// Signs that are drawn before what follows them.
fn is_prepended(c: char) -> bool {
    CodePointMapData::<GraphemeClusterBreak>::new().get(c) == GraphemeClusterBreak::Prepend
}

/// The cells of a character that is asked to look like an emoji or like text.
fn styled(c: char, style: char) -> usize {
    UnicodeWidthStr::width([c, style].iter().collect::<String>().as_str())
}

fn is_flag_letter(c: char) -> bool {
    ('\u{1f1e6}'..='\u{1f1ff}').contains(&c)
}

fn is_emoji(c: char) -> bool {
    CodePointSetData::new::<ExtendedPictographic>().contains(c) || is_flag_letter(c)
}

/// Whether the next consonant melts into the one before `c`.
fn joins(c: char) -> bool {
    use IndicSyllabicCategory as I;
    matches!(CodePointMapData::<IndicSyllabicCategory>::new().get(c), I::Virama | I::InvisibleStacker)
}

fn category(c: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(c)
}

fn without_controls(chars: &[char]) -> Vec<char> {
    let mut kept = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        at += 1;
        if c == '\x1b' {
            at += escape_sequence(&chars[at..]);
        } else if !c.is_control() {
            kept.push(c);
        }
    }
    kept
}

/// How many characters after ESC belong to a terminal's escape sequence
/// (ECMA-48, with the control strings of xterm); 0 if it is none.
fn escape_sequence(rest: &[char]) -> usize {
    let run = |from: usize, low: char, high: char| {
        from + rest[from..].iter().take_while(|c| (low..=high).contains(*c)).count()
    };
    let ends = |at: usize, low: char, high: char| rest.get(at).is_some_and(|c| (low..=high).contains(c));
    match rest.first() {
        Some('[') => {
            let end = run(run(1, '0', '?'), ' ', '/');
            if ends(end, '@', '~') { end + 1 } else { 1 }
        }
        Some(']' | '_' | 'P' | '^') => {
            let end = 1 + rest[1..].iter().take_while(|c| !matches!(c, '\x1b' | '\x07')).count();
            match (rest.get(end), rest.get(end + 1)) {
                (Some('\x07'), _) => end + 1,
                (Some('\x1b'), Some('\\')) => end + 2,
                _ => 1,
            }
        }
        Some('(' | ')') if rest.len() > 1 => 2,
        Some(' '..='/') => {
            let end = run(0, ' ', '/');
            if ends(end, '0', '~') { end + 1 } else { 0 }
        }
        Some('0'..='~') => 1,
        _ => 0,
    }
}
