//! The terminal: what may be shown on it, and what is asked on it.

use std::borrow::Cow;
use std::fmt::Write as _;

/// `text` with every character that could steer a terminal shown as an escape
/// (`\x1b`): names and messages come from other tenants.
/// Line feeds become `\n`, so that one message stays one line.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(steers) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        match letter {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push(' '),
            _ if !steers(letter) => safe.push(letter),
            _ if u32::from(letter) < 0x100 => {
                let _ = write!(safe, "\\x{:02x}", u32::from(letter));
            }
            _ => {
                let _ = write!(safe, "\\u{:04x}", u32::from(letter));
            }
        }
    }
    Cow::Owned(safe)
}

/// Control characters, and the invisible marks that reorder text
/// (<https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters>).
pub fn steers(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}
