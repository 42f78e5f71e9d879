//! The shells that can complete: their scripts, how they hand over the line,
//! and how a candidate must be written so that it is one word and nothing else.

use std::ffi::OsString;

use clap_complete::engine::CompletionCandidate;

use crate::terminal::{printable, steers};

/// The variable that a completion script sets when it calls rimg: the shell's name.
pub const VARIABLE: &str = "RIMG_COMPLETE";

/// A shell that can complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

impl Shell {
    /// All of them, by name.
    pub const ALL: [Shell; 5] = [Shell::Bash, Shell::Elvish, Shell::Fish, Shell::Powershell, Shell::Zsh];

    /// The one of this [`name`](Self::name).
    pub fn named(name: &str) -> Option<Shell> {
        Shell::ALL.into_iter().find(|shell| shell.name() == name)
    }

    /// What the user calls it.
    pub fn name(self) -> &'static str {
        match self {
            Shell::Bash => "bash",
            Shell::Elvish => "elvish",
            Shell::Fish => "fish",
            Shell::Powershell => "powershell",
            Shell::Zsh => "zsh",
        }
    }

    /// The name that the shell, or those who package for it, give the script.
    pub fn file(self) -> &'static str {
        match self {
            Shell::Bash => "rimg.bash",
            Shell::Elvish => "rimg.elv",
            Shell::Fish => "rimg.fish",
            Shell::Powershell => "rimg.ps1",
            Shell::Zsh => "_rimg",
        }
    }

    /// The script that completes the command `name`.
    pub fn script(self, name: &str) -> String {
        let script = match self {
            Shell::Bash => include_str!("shell/rimg.bash"),
            Shell::Elvish => include_str!("shell/rimg.elv"),
            Shell::Fish => include_str!("shell/rimg.fish"),
            Shell::Powershell => include_str!("shell/rimg.ps1"),
            Shell::Zsh => include_str!("shell/rimg.zsh"),
        };
        script.replace("NAME", name)
    }

    /// The words as rimg would get them, from what the script hands over.
    pub fn read(self, words: Vec<OsString>) -> Vec<OsString> {
        let last = words.len().saturating_sub(1);
        let read = |(at, word): (usize, OsString)| match (self, word.to_str()) {
            // Bash hands over words as they were typed, fish the last one.
            (Shell::Bash, Some(typed)) => unquoted(typed).into(),
            (Shell::Fish, Some(typed)) if at == last => unquoted(typed).into(),
            // Old PowerShells drop empty arguments, so the last one has a mark.
            (Shell::Powershell, Some(typed)) if at == last => typed.strip_prefix('=').unwrap_or(typed).into(),
            _ => word,
        };
        words.into_iter().enumerate().map(read).collect()
    }

    /// The answer for the script: a candidate on each line.
    pub fn write(self, candidates: &[CompletionCandidate]) -> String {
        // The quote that the user has opened, which the shell keeps.
        let open = match self {
            Shell::Bash => std::env::args_os().last().and_then(|word| open_quote(word.to_str()?)),
            _ => None,
        };
        candidates
            .iter()
            .filter_map(|candidate| {
                // What spans lines or could steer the terminal is no candidate.
                let value = candidate.get_value().to_str().filter(|value| !value.contains(steers))?;
                let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
                let help = printable(help.lines().next().unwrap_or_default());
                let help = help.as_ref();
                Some(
                    match self {
                        Shell::Bash => bash_quoted(value, open),
                        Shell::Powershell => format!("{}\t{}", powershell_quoted(value), or(help, value)),
                        Shell::Zsh => zsh_described(value, help),
                        Shell::Fish if !help.is_empty() => format!("{value}\t{help}"),
                        Shell::Fish | Shell::Elvish => value.to_owned(),
                    } + "\n",
                )
            })
            .collect()
    }
}

fn or<'t>(text: &'t str, other: &'t str) -> &'t str {
    if text.is_empty() { other } else { text }
}

/// A word of a POSIX shell without its quotes, also when the last one is still open.
fn unquoted(word: &str) -> String {
    read_word(word).0
}

fn open_quote(word: &str) -> Option<char> {
    read_word(word).1
}

/// What the word means, and the quote that is still open at its end
/// (<https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_02>).
fn read_word(word: &str) -> (String, Option<char>) {
    let mut text = String::with_capacity(word.len());
    let mut quote = None;
    let mut letters = word.chars().peekable();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), letter) if open == letter => quote = None,
            (None, '\\') => text.extend(letters.next()),
            (Some('"'), '\\') => match letters.next_if(|next| "\"\\$`".contains(*next)) {
                Some(escaped) => text.push(escaped),
                None => text.push('\\'),
            },
            _ => text.push(letter),
        }
    }
    (text, quote)
}

/// `value` so that bash reads it as one plain word, behind the quote that is open.
fn bash_quoted(value: &str, open: Option<char>) -> String {
    let Some(quote) = open else {
        let plain =
            |letter: char| !letter.is_ascii() || letter.is_ascii_alphanumeric() || "-_./:=@%+,".contains(letter);
        return escaped(value, |letter| !plain(letter));
    };
    let mut text = match quote {
        '\'' => value.replace('\'', r"'\''"),
        // History is expanded between double quotes, and a backslash would stay.
        _ => escaped(value, |letter| "\"\\$`".contains(letter)).replace('!', "\"\\!\""),
    };
    // Readline closes the quote, but takes one at the end for the closing one.
    if text.ends_with(quote) {
        text.push(quote);
    }
    text
}

fn escaped(value: &str, special: impl Fn(char) -> bool) -> String {
    let mut text = String::with_capacity(value.len());
    for letter in value.chars() {
        if special(letter) {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

/// Single quotes, doubled inside; PowerShell takes typographic ones for the same.
fn powershell_quoted(value: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "-_./:=%+".contains(letter);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    let mut text = String::from("'");
    for letter in value.chars() {
        if matches!(letter, '\'' | '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}') {
            text.push(letter);
        }
        text.push(letter);
    }
    text + "'"
}

/// `value:help` as `_describe` reads it; zsh itself puts quotes where they are needed.
fn zsh_described(value: &str, help: &str) -> String {
    let value = escaped(value, |letter| letter == '\\' || letter == ':');
    match help {
        "" => value,
        help => format!("{value}:{}", escaped(help, |letter| letter == '\\')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_a_shell_reads_them() {
        for (typed, meant, open) in [
            ("plain", "plain", None),
            (r"my\ image", "my image", None),
            ("'my im", "my im", Some('\'')),
            (r#""a\"b\c"#, r#"a"b\c"#, Some('"')),
            (r"'it'\''s'", "it's", None),
            ("", "", None),
            (r"end\", "end", None),
        ] {
            assert_eq!(read_word(typed), (meant.to_owned(), open), "{typed}");
        }
    }

    #[test]
    fn bash_gets_one_plain_word_for_every_name() {
        for name in [
            "a b", "it's", "end'", "end\"", "end!", "$(id)", "`id`", "a\"b", "a;b&c|d", "*?[x]{y}", "~x", "#x", "a\\b",
            "é 日", "!x", "<>()",
        ] {
            assert_eq!(unquoted(&bash_quoted(name, None)), name);
            for quote in ['\'', '"'] {
                // As readline does, which closes the quote.
                let mut word = format!("{quote}{}", bash_quoted(name, Some(quote)));
                if !word.ends_with(quote) {
                    word.push(quote);
                }
                assert_eq!(read_word(&word), (name.to_owned(), None), "{word}");
            }
        }
        assert_eq!(bash_quoted("$(id) `x` \"", None), "\\$\\(id\\)\\ \\`x\\`\\ \\\"");
        assert_eq!(bash_quoted("$(id) \"x", Some('"')), "\\$(id) \\\"x");
    }

    #[test]
    fn the_other_shells_get_what_they_expect() {
        assert_eq!(powershell_quoted("plain-1.0"), "plain-1.0");
        assert_eq!(powershell_quoted("it's $(x)"), "'it''s $(x)'");
        assert_eq!(zsh_described(r"a:b\c", "x: y"), r"a\:b\\c:x: y");
    }
}
