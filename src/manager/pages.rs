//! Manual pages, made from the same parsers that read the command line.

use clap_mangen::Man;

use super::{Entry, complete, help};

/// Every page: its file name and its text (roff).
pub fn manual(entries: &'static [Entry]) -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut pages = vec![("rimg.1".to_owned(), page(help::root(entries).version(None::<&str>))?)];
    for entry in entries {
        let name = format!("rimg-{}", entry.words.replace(' ', "-"));
        // The global options stand in rimg(1), once.
        let see_also = "Global options, which choose the cloud among others, are described in rimg(1).";
        let parser = (entry.parser)().bin_name(format!("rimg {}", entry.words)).name(&name);
        let examples = parser.get_after_help().map(ToString::to_string).unwrap_or_default();
        pages.push((format!("{name}.1"), page(parser.after_help(format!("{examples}\n\n{see_also}")))?));
    }
    pages.push((
        "rimg-complete.1".to_owned(),
        page(complete::parser().bin_name("rimg complete").name("rimg-complete"))?,
    ));
    Ok(pages)
}

fn page(parser: clap::Command) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    // No date: the same program makes the same page on every day.
    Man::new(parser.disable_help_subcommand(true)).manual("rimg manual").source("rimg").render(&mut text)?;
    Ok(text)
}
