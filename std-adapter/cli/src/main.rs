//! The host tool `throughline`: decodes what devices send and shows it, or passes it on.

mod args;
mod callsites;
mod config;
mod decode;
mod error;
mod input;
mod insights;
mod output;
mod pgo;
mod profile;
mod redact;
mod rules;
mod spans;
mod stop;
mod summary;
mod views;
mod wall;

use std::process::ExitCode;

use clap::Parser;
use throughline_export::text::Escaped;

use args::{Cli, Command};
use error::CliError;

/// Exit code: success.
const FINE: u8 = 0;
/// Exit code: wrong use, no such file, not an ELF, a wrong ELF, or a collector that refuses.
const FAILED: u8 = 1;
/// Exit code: decoded, but the capture was damaged, or the link lost frames.
const DAMAGED: u8 = 2;
/// Exit code: ended by a second signal. Shells use 128 plus the number of the signal, here SIGINT.
const KILLED: u8 = 130;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are not errors. For other errors clap's own code is 2, which means damage
            // here.
            let code = if error.use_stderr() { FAILED } else { FINE };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let result = match &cli.command {
        Command::Decode(args) => decode::run(args),
        Command::Callsites(args) => callsites::run(args),
        Command::Config(args) => config::run(args),
        Command::Insights(args) => insights::run(args),
        Command::Profile(args) => profile::run(args),
        Command::Pgo(args) => pgo::run(args),
        Command::Rules(args) => rules::run(args),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        // The reader of the output, such as `head`, has closed it.
        Err(CliError::Output(e)) if e.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::from(FINE),
        Err(error) => {
            say(&error);
            ExitCode::from(FAILED)
        }
    }
}

/// Prints a message on standard error, in one line. It may quote a device or a collector, so it is escaped.
fn say(what: &dyn std::fmt::Display) {
    eprintln!("throughline: {}", Escaped(&what.to_string()));
}
