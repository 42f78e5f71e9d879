//! rimg: OpenStack images from the shell.
//!
//! One way down, one value back:
//!
//! ```text
//! main -> manager -> commands -> service <- glance -> http -> the cloud
//!            |          |                      ^  ^
//!            |          +-> context -> cloud --+  |   (sign in: who and where)
//!            |                 +-----> glance ----+   (connected on first use)
//!            |                 +-----> cinder         (volumes, for what comes out of them)
//!            |                 +-----> local          (a cloud of one's own)
//!            +-> output (rows and cells to text)
//! ```
//!
//! | room | what it is for |
//! | --- | --- |
//! | [`manager`] | the table of commands becomes a parser; finds, runs, renders |
//! | [`commands`] | one file per command, its path the words typed |
//! | [`context`] | what a command is handed, made on first use |
//! | [`service`] | what any image service can do, in the user's verbs |
//! | [`image`] | the nouns |
//! | [`glance`] | the image service over HTTP |
//! | [`cinder`] | the block storage service over HTTP, as far as images come out of it |
//! | [`cloud`] | from a cloud's name to a signed-in endpoint |
//! | [`local`] | the local image service: of the cloud `local`, and of `rimg serve` |
//! | [`transfer`] | image data on the move |
//! | [`disk_format`] | what the bytes are, and whether they are safe |
//! | [`signature`] | signatures over image data |
//! | [`output`] | records and tables, and the writers |
//! | [`http`] | the one room that names the HTTP client |
//! | [`terminal`] | what may be shown on a terminal, and what is asked on it |
//! | [`log`] | what is said on stderr and in the log file |
//! | [`interrupt`] | Ctrl-C and SIGTERM |
//! | [`error`] | what went wrong, and the next step |

pub mod cinder;
pub mod cloud;
pub mod commands;
pub mod context;
pub mod disk_format;
pub mod error;
pub mod glance;
pub mod http;
pub mod image;
pub mod interrupt;
pub mod local;
pub mod log;
pub mod manager;
pub mod output;
pub mod service;
pub mod signature;
pub mod terminal;
pub mod transfer;

/// Runs rimg for these arguments, the first of which is its name; answers with
/// the exit code.
pub fn run(argv: Vec<std::ffi::OsString>) -> u8 {
    manager::run(commands::ALL, argv)
}
