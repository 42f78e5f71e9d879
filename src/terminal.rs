//! The terminal: what may be shown on it, and what is asked on it.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};

use crate::error::{Error, Result};
use crate::interrupt::Interrupt;

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

/// Asks for a secret on the terminal, without showing it; empty if only Enter was
/// pressed. `None` where there is no terminal to ask on: scripts must not hang.
pub async fn ask_secret(prompt: impl Into<String>, interrupt: &Interrupt) -> Result<Option<String>> {
    if !std::io::stdin().is_terminal() {
        return Ok(None);
    }
    let prompt = prompt.into();
    let mode = mode();
    // Before the prompt is seen: what is typed or pasted at once must not show either.
    hide(mode.as_ref());
    let (answer, answered) = tokio::sync::oneshot::channel();
    // On a thread, so that Ctrl-C is heard while it waits.
    std::thread::spawn(move || answer.send(rpassword::prompt_password(prompt)));
    let typed = interrupt.or(async { answered.await.map_err(|_| Error::interrupted()) }).await;
    restore(mode);
    match typed {
        Ok(Ok(typed)) => Ok(Some(typed)),
        // The prompt can hear of Ctrl-C before we do; then it has ended its line itself.
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::Interrupted => Err(Error::interrupted()),
        Ok(Err(error)) => Err(Error::io("cannot ask on the terminal", &error)),
        Err(error) => {
            // The prompt's line is still open.
            let _ = writeln!(std::io::stderr());
            Err(error)
        }
    }
}

/// How the terminal was before the prompt turned its echo off.
#[cfg(unix)]
pub fn mode() -> Option<rustix::termios::Termios> {
    rustix::termios::tcgetattr(std::io::stdin()).ok()
}

/// Stops the terminal from showing what is typed.
#[cfg(unix)]
fn hide(mode: Option<&rustix::termios::Termios>) {
    if let Some(mut mode) = mode.cloned() {
        mode.local_modes.remove(rustix::termios::LocalModes::ECHO);
        restore(Some(mode));
    }
}

/// Puts the terminal back as it was.
#[cfg(unix)]
pub fn restore(mode: Option<rustix::termios::Termios>) {
    if let Some(mode) = mode {
        let _ = rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Now, &mode);
    }
}

/// How the terminal was: not known here.
#[cfg(not(unix))]
pub fn mode() -> Option<()> {
    None
}

#[cfg(not(unix))]
fn hide(_: Option<&()>) {}

/// Leaves the terminal as it is.
#[cfg(not(unix))]
pub fn restore(_: Option<()>) {}
