//! argv in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(rimg::run(std::env::args_os().collect()))
}
