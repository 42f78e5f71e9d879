//! Manual pages, made from the same parsers that read the command line.

use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::{Entry, parsers};

/// Every page: its file name and its text (roff).
pub fn manual(entries: &'static [Entry]) -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut pages = vec![("rimg.1".to_owned(), main_page(entries)?)];
    for entry in entries {
        let parser = (entry.parser)().bin_name(format!("rimg {}", entry.words));
        pages.push(command_page(parser, &page_name(entry.words), siblings(entries, entry.words))?);
    }
    pages.push(command_page(parsers::of_complete(), "rimg-complete", Vec::new())?);
    Ok(pages)
}

fn page_name(words: &str) -> String {
    format!("rimg-{}", words.replace(' ', "-"))
}

/// The names of the pages of the same group of commands, but that of the command itself.
fn siblings(entries: &'static [Entry], words: &str) -> Vec<String> {
    let others = entries.iter().filter(|entry| entry.words != words && group(entry.words) == group(words));
    others.map(|entry| page_name(entry.words)).collect()
}

/// The words that the commands of a group begin with: `image` of `image show`,
/// `image metadef` of all that have these.
fn group(words: &str) -> Vec<&str> {
    let words: Vec<&str> = words.split(' ').collect();
    words[..2.min(words.len() - 1)].to_vec()
}

fn main_page(entries: &'static [Entry]) -> std::io::Result<Vec<u8>> {
    let parser = parsers::root(entries).mut_args(|arg| arg.hide_short_help(false));
    let mut page = Page::begin(parser, "rimg", "OpenStack images from the shell")?;
    page.section("COMMANDS");
    for entry in entries {
        page.item(
            &format!("rimg {}", entry.words),
            &format!("{}; see {}(1)", parsers::about(entry), page_name(entry.words)),
        );
    }
    page.item("rimg complete", "Print a completion script for a shell; see rimg-complete(1)");
    page.item("rimg help [COMMAND]", "Print help on a command, or on all");
    page.text(
        "Each word may be shortened as long as it is clear what is meant: `rimg im li`. So may options: `--prop` is \
         `--property`. Global options may stand before, between and behind the words. Of an option that is given \
         twice the last counts, unless it says that it may be repeated.",
    );
    page.options()?;
    page.exit_status();
    page.section("ENVIRONMENT");
    for (name, text) in ENVIRONMENT {
        page.item(name, text);
    }
    page.section("FILES");
    for (name, text) in FILES {
        page.item(name, text);
    }
    page.examples(
        "rimg --os-cloud devstack image list\nOS_CLOUD=devstack rimg image create cirros --file cirros.qcow2\n\
         rimg image save cirros --file cirros.qcow2",
    );
    let commands = entries.iter().map(|entry| page_name(entry.words));
    page.see_also(commands.chain(["rimg-complete".to_owned()]).collect());
    Ok(page.write())
}

fn command_page(parser: clap::Command, name: &str, siblings: Vec<String>) -> std::io::Result<(String, Vec<u8>)> {
    let about = parser.get_about().map(ToString::to_string).unwrap_or_default();
    let examples = parser.get_after_help().map(ToString::to_string).unwrap_or_default();
    let mut page = Page::begin(parser, name, &about)?;
    page.text("The global options, which choose the cloud among others, are described in rimg(1).");
    page.options()?;
    let lines: Vec<&str> = examples.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    page.examples(&lines.join("\n"));
    page.exit_status();
    page.see_also(["rimg".to_owned()].into_iter().chain(siblings).collect());
    Ok((format!("{name}.1"), page.write()))
}

const EXIT_STATUS: [(&str, &str); 6] = [
    ("0", "Everything was done."),
    ("1", "An error, which stderr names; or some of several things failed, and stderr names each."),
    ("2", "The words or options make no sense. Nothing was sent."),
    ("130", "Interrupted with Ctrl-C; what was begun is undone."),
    ("141", "The reader of stdout went away."),
    ("143", "Ended by SIGTERM, as with Ctrl-C."),
];

const ENVIRONMENT: [(&str, &str); 9] = [
    (
        "OS_CLOUD, OS_REGION_NAME, OS_AUTH_URL, OS_USERNAME, OS_PASSWORD, OS_PROJECT_NAME, ...",
        "What stands in for an option: its description names the variable. The option wins over the variable, the \
         variable over clouds.yaml. An empty one counts as not set.",
    ),
    (
        "OS_...",
        "Where no cloud is named, all variables that begin with OS_ together describe one, as an entry of clouds.yaml \
         does: OS_IMAGE_ENDPOINT_OVERRIDE is its image_endpoint_override.",
    ),
    ("OS_CLIENT_CONFIG_FILE, OS_CLIENT_SECURE_FILE", "Look here for clouds.yaml and secure.yaml first."),
    ("OS_CLOUD_NAME", "Name of the cloud that the variables describe [default: envvars]."),
    ("CLIFF_MAX_TERM_WIDTH, CLIFF_FIT_WIDTH", "Stand in for --max-width and --fit-width."),
    ("HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY", "The proxy to use, and the hosts that need none."),
    ("RIMG_TOKEN_CACHE", "If 0, each run signs in anew and keeps no token, as with --no-token-cache."),
    ("XDG_CONFIG_HOME, XDG_CONFIG_DIRS, XDG_CACHE_HOME", "Change where the files below are looked for."),
    ("NO_COLOR", "If set and not empty, help is not coloured. Elsewhere than on a terminal it never is."),
];

const FILES: [(&str, &str); 4] = [
    (
        "clouds.yaml",
        "The clouds and how to sign in to them. The first of these that can be read is used, and no other: the file \
         that OS_CLIENT_CONFIG_FILE names; clouds.yaml in the current directory, in $XDG_CONFIG_HOME/openstack, in \
         ~/.config/openstack, in /etc/xdg/openstack, in /etc/openstack. In each place clouds.yml and clouds.json do \
         as well.",
    ),
    (
        "secure.yaml",
        "Looked for in the same way, and laid over clouds.yaml: a place for passwords, readable by the user alone.",
    ),
    (
        "$XDG_CACHE_HOME/rimg, ~/.cache/rimg",
        "Tokens that are kept for the next run, readable by the user alone; `rimg cache clear` removes them.",
    ),
    ("clouds-public.yaml", "Looked for in the same way: profiles that an entry's `profile` can name."),
];

/// A page being written.
struct Page {
    parser: clap::Command,
    roff: Vec<u8>,
}

impl Page {
    /// Title, NAME, SYNOPSIS, DESCRIPTION.
    fn begin(parser: clap::Command, name: &str, about: &str) -> std::io::Result<Self> {
        let usage = parser.clone().render_usage().to_string();
        let description = parser.get_long_about().or(parser.get_about()).map(ToString::to_string).unwrap_or_default();
        // The first line of a command's docstring is in NAME already.
        let first = parser.get_about().map(|about| format!("{about}\n\n")).unwrap_or_default();
        let description = description.strip_prefix(&first).unwrap_or(&description).to_owned();
        let mut page = Page { parser, roff: Vec::new() };
        // No date: the same program makes the same page on every day.
        let title = format!(".TH {name} 1 \"\" \"rimg {}\" \"rimg manual\"\n", env!("CARGO_PKG_VERSION"));
        page.roff.extend_from_slice(title.as_bytes());
        page.add(|roff| {
            roff.control("SH", ["NAME"]);
            roff.text([roman(format!("{name} - {}", lower_first(about)))]);
            roff.control("SH", ["SYNOPSIS"]);
        });
        for (at, form) in usage.trim_start_matches("Usage: ").lines().map(str::trim).enumerate() {
            let words = form.find(" [").or_else(|| form.find(" <")).unwrap_or(form.len());
            page.add(|roff| {
                if at > 0 {
                    roff.control("br", []);
                }
                roff.text([bold(&form[..words]), roman(&form[words..])]);
            });
        }
        page.section("DESCRIPTION");
        for (at, paragraph) in description.split("\n\n").enumerate() {
            if at > 0 {
                page.add(|roff| {
                    roff.control("PP", []);
                });
            }
            let paragraph = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
            let stop = if paragraph.ends_with('.') { "" } else { "." };
            page.add(|roff| {
                roff.text([roman(format!("{paragraph}{stop}"))]);
            });
        }
        Ok(page)
    }

    fn add(&mut self, write: impl FnOnce(&mut Roff)) {
        let mut roff = Roff::new();
        write(&mut roff);
        self.roff.extend_from_slice(roff.to_roff().as_bytes());
    }

    fn section(&mut self, name: &str) {
        self.add(|roff| {
            roff.control("SH", [name]);
        });
    }

    /// A paragraph.
    fn text(&mut self, text: &str) {
        self.add(|roff| {
            roff.control("PP", []);
            roff.text([roman(text)]);
        });
    }

    /// A word or words, and what they mean.
    fn item(&mut self, tag: &str, text: &str) {
        self.add(|roff| {
            roff.control("TP", []);
            roff.text([bold(tag)]);
            roff.text([roman(text)]);
        });
    }

    /// OPTIONS, with a subsection for each heading of the help.
    fn options(&mut self) -> std::io::Result<()> {
        let parser = self.parser.clone().mut_args(one_paragraph).disable_help_flag(true);
        let mut text = Vec::new();
        Man::new(parser).render_options_section(&mut text)?;
        for line in String::from_utf8_lossy(&text).lines() {
            let line = match line {
                ".SH OUTPUT" => ".SS Output",
                ".SH \"GLOBAL OPTIONS\"" => ".SH OPTIONS\n.SS General",
                ".SH CLOUD" => ".SS Cloud",
                line => line,
            };
            self.roff.extend_from_slice(line.as_bytes());
            self.roff.push(b'\n');
        }
        Ok(())
    }

    fn examples(&mut self, lines: &str) {
        self.section("EXAMPLES");
        self.add(|roff| {
            roff.control("EX", []);
            for line in lines.lines() {
                roff.text([roman(line)]);
            }
            roff.control("EE", []);
        });
    }

    fn exit_status(&mut self) {
        self.section("EXIT STATUS");
        for (code, text) in EXIT_STATUS {
            self.item(code, text);
        }
    }

    fn see_also(&mut self, pages: Vec<String>) {
        self.section("SEE ALSO");
        let last = pages.len().saturating_sub(1);
        self.add(|roff| {
            for (at, page) in pages.iter().enumerate() {
                roff.control("BR", [page.as_str(), if at == last { "(1)" } else { "(1)," }]);
            }
        });
    }

    /// The page, in ASCII: not every roff reads UTF-8
    /// (<https://man7.org/linux/man-pages/man7/groff_char.7.html>).
    fn write(self) -> Vec<u8> {
        let mut ascii = String::new();
        for letter in String::from_utf8_lossy(&self.roff).chars() {
            match letter.is_ascii() {
                true => ascii.push(letter),
                false => ascii.push_str(&format!("\\[u{:04X}]", u32::from(letter))),
            }
        }
        ascii.into_bytes()
    }
}

/// The argument with its few values in the text, instead of a list below it.
fn one_paragraph(arg: clap::Arg) -> clap::Arg {
    let values = arg.get_possible_values();
    if values.is_empty() || !arg.get_action().takes_values() || arg.is_hide_possible_values_set() {
        return arg;
    }
    let value = |value: &clap::builder::PossibleValue| match value.get_help() {
        Some(help) => format!("{} ({})", value.get_name(), lower_first(&help.to_string())),
        None => value.get_name().to_owned(),
    };
    let values = values.iter().map(value).collect::<Vec<_>>().join(", ");
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    arg.help(format!("{help}: {values}")).hide_possible_values(true)
}

/// `text` with a small first letter, unless it begins with a name or an abbreviation.
fn lower_first(text: &str) -> String {
    let word = text.split(' ').next().unwrap_or_default();
    match word.chars().skip(1).any(char::is_uppercase) {
        true => text.to_owned(),
        false => text.chars().take(1).flat_map(char::to_lowercase).chain(text.chars().skip(1)).collect(),
    }
}
