//! The options that say how output looks, the same for every command.

use clap::builder::FalseyValueParser;
use clap::{ArgAction, Args, ValueEnum};

/// How a list can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ListFormat {
    /// Comma-separated values with a header row
    Csv,
    /// An array of objects
    Json,
    /// A framed table, for people
    #[default]
    Table,
    /// Bare values, one row per line
    Value,
    /// A sequence of mappings
    Yaml,
}

/// How one thing can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ShowFormat {
    /// One object
    Json,
    /// Assignments that a shell can eval
    Shell,
    /// A framed table, for people
    #[default]
    Table,
    /// Bare values, one per line
    Value,
    /// One mapping
    Yaml,
}

/// Which csv fields are put in quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Quote {
    /// Every field
    All,
    /// Fields that could be misread without
    Minimal,
    /// No field: special characters are escaped
    None,
    /// Fields that are neither a number nor true or false
    #[default]
    Nonnumeric,
}

/// How wide a table may be.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct Width {
    /// Wrap a table to this many columns; below 1 there is no limit
    #[arg(
        long,
        value_name = "COLUMNS",
        env = "CLIFF_MAX_TERM_WIDTH",
        hide_env_values = true,
        default_value_t,
        hide_default_value = true,
        allow_negative_numbers = true
    )]
    pub max_width: i64,

    /// Wrap a table to the width of the terminal (done anyway when stdout is one)
    #[arg(
        long,
        env = "CLIFF_FIT_WIDTH",
        hide_env_values = true,
        value_parser = FalseyValueParser::new()
    )]
    pub fit_width: bool,
}

/// Options of commands that list things.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct ListArgs {
    /// Write the list in this format
    #[arg(short = 'f', long, value_enum, default_value_t)]
    pub format: ListFormat,

    /// Write only this column; may be repeated, case and `_` for a space do not matter
    #[arg(short = 'c', long = "column", value_name = "COLUMN")]
    pub columns: Vec<String>,

    /// Put these csv fields in quotes
    #[arg(long, value_enum, default_value_t)]
    pub quote: Quote,

    /// Write JSON on one line
    #[arg(long)]
    pub noindent: bool,

    #[command(flatten)]
    pub(super) width: Width,

    /// Show the headings of a table that has no rows
    #[arg(long)]
    pub print_empty: bool,

    /// Sort by this column; may be repeated, the first one counts most
    #[arg(long = "sort-column", value_name = "COLUMN")]
    pub sort_columns: Vec<String>,

    /// Sort upwards, the default
    #[arg(long, conflicts_with = "sort_descending")]
    pub sort_ascending: bool,

    /// Sort downwards
    #[arg(long)]
    pub sort_descending: bool,
}

/// Options of commands that show one thing.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct ShowArgs {
    /// Write the fields in this format
    #[arg(short = 'f', long, value_enum, default_value_t)]
    pub format: ShowFormat,

    /// Write only this field; may be repeated, case and `_` for a space do not matter
    #[arg(short = 'c', long = "column", value_name = "FIELD")]
    pub columns: Vec<String>,

    /// Write JSON on one line
    #[arg(long)]
    pub noindent: bool,

    /// Begin the names of shell variables with this
    #[arg(long, default_value = "", hide_default_value = true)]
    pub prefix: String,

    /// Write only this shell variable, named in lower case without the prefix
    #[arg(long = "variable", value_name = "VARIABLE", action = ArgAction::Append, hide = true)]
    pub variables: Vec<String>,

    #[command(flatten)]
    pub(super) width: Width,

    /// Taken as `openstack` takes it; one thing is never without rows
    #[arg(long)]
    pub print_empty: bool,
}
