//! The command line: chooses the subcommand, and has the common parts of the help texts.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Result, bail};
use lexopt::Arg::{Long, Short, Value};

use crate::{
    api, bench, collector, consumer, dashboards, demo, fuzz, interop, mutants, profiler, setup, suite,
    targets, weight,
};

/// One subcommand.
#[derive(Clone, Copy, Debug)]
pub struct Subcommand {
    /// The word to type.
    pub name: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    /// Runs it with the arguments after its name.
    pub run: fn(lexopt::Parser) -> Result<()>,
}

/// Every subcommand, in the order the help lists them.
pub const SUBCOMMANDS: &[Subcommand] = &[
    Subcommand { name: "setup", about: "install what the other commands need and lack", run: setup::run },
    Subcommand { name: "test", about: "run every check and print a table of results", run: suite::run },
    Subcommand {
        name: "consumer",
        about: "expand every macro under every feature combination",
        run: consumer::run,
    },
    Subcommand {
        name: "targets",
        about: "build or check the libraries for every supported target",
        run: targets::run,
    },
    Subcommand {
        name: "api",
        about: "compare the crates' public items with the committed listings",
        run: api::run,
    },
    Subcommand { name: "fuzz", about: "fuzz the decoder", run: fuzz::run },
    Subcommand { name: "mutants", about: "change the core and see whether tests notice", run: mutants::run },
    Subcommand { name: "storm", about: "sample at 1 kHz while threads do their worst", run: profiler::storm },
    Subcommand {
        name: "sanitize",
        about: "run the profiler's tests under sanitizers",
        run: profiler::sanitize,
    },
    Subcommand { name: "qemu", about: "run firmware in QEMU and check what it sends", run: run_qemu },
    Subcommand { name: "collector", about: "build and run an OpenTelemetry Collector", run: collector::run },
    Subcommand { name: "interop", about: "send to servers that take long to get", run: interop::run },
    Subcommand {
        name: "dashboards",
        about: "write the dashboards and rules of examples/deploy",
        run: dashboards::run,
    },
    Subcommand { name: "demo", about: "one trace from an interrupt to a server", run: demo::run },
    Subcommand { name: "bench", about: "measure against peers and limits", run: bench::run },
    Subcommand { name: "weight", about: "count crates and time their build", run: weight::run },
    Subcommand {
        name: "instructions",
        about: "compare instructions and bytes with the committed baselines",
        run: run_instructions,
    },
    Subcommand {
        name: "footprint",
        about: "measure the firmware's instructions, flash and RAM",
        run: run_footprint,
    },
];

/// Runs the command line. The exit code is 0 on success, 1 if a check fails, and 2 for a bad command line.
#[must_use]
pub fn main() -> ExitCode {
    let mut parser = lexopt::Parser::from_env();
    let subcommand = match choose(&mut parser) {
        Ok(Some(subcommand)) => subcommand,
        Ok(None) => {
            print!("{}", help());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::from(2);
        }
    };
    match (subcommand.run)(parser) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let bad_command_line = error.is::<lexopt::Error>();
            eprintln!("error: {error:#}");
            if bad_command_line {
                eprintln!("`cargo xtask {} --help` lists what it takes", subcommand.name);
            }
            ExitCode::from(if bad_command_line { 2 } else { 1 })
        }
    }
}

/// Handles the arguments of a subcommand without arguments. Returns `true` if `help` was requested and
/// printed.
///
/// # Errors
///
/// Fails on any other argument.
pub fn only_help(mut args: lexopt::Parser, help: &str) -> Result<bool> {
    match args.next()? {
        None => Ok(false),
        Some(Short('h') | Long("help")) => {
            print!("{help}");
            Ok(true)
        }
        Some(other) => Err(other.unexpected().into()),
    }
}

/// The subcommand named by the first argument, or `None` if the help is requested.
fn choose(parser: &mut lexopt::Parser) -> Result<Option<&'static Subcommand>> {
    match parser.next()? {
        None | Some(Short('h') | Long("help")) => Ok(None),
        Some(Value(word)) if word == "help" => Ok(None),
        Some(Value(word)) => match SUBCOMMANDS.iter().find(|it| word == it.name) {
            Some(subcommand) => Ok(Some(subcommand)),
            None => bail!("no subcommand `{}`; there are: {}", word.display(), names().join(", ")),
        },
        Some(other) => Err(other.unexpected().into()),
    }
}

fn names() -> Vec<&'static str> {
    SUBCOMMANDS.iter().map(|it| it.name).collect()
}

fn help() -> String {
    let mut text = String::from("usage: cargo xtask <subcommand> [options]\n\n");
    for subcommand in SUBCOMMANDS {
        // Writing to a string can't fail.
        let _ = writeln!(text, "  {:<12}  {}", subcommand.name, subcommand.about);
    }
    text.push_str("\n`cargo xtask <subcommand> --help` gives a subcommand's options and their defaults.\n");
    text
}

#[cfg(unix)]
use crate::{
    footprint::run as run_footprint, instructions::run as run_instructions, qemu_suite::run as run_qemu,
};

#[cfg(not(unix))]
use self::{needs_sockets as run_footprint, needs_sockets as run_instructions, needs_sockets as run_qemu};

#[cfg(not(unix))]
fn needs_sockets(_: lexopt::Parser) -> Result<()> {
    bail!("QEMU is driven over Unix sockets: run this on Linux or macOS")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(args: &[&str]) -> Result<Option<&'static str>> {
        Ok(choose(&mut lexopt::Parser::from_args(args))?.map(|it| it.name))
    }

    #[test]
    fn a_subcommand_is_chosen_and_keeps_its_arguments() {
        let mut parser = lexopt::Parser::from_args(["test", "--list"]);
        assert_eq!(choose(&mut parser).unwrap().unwrap().name, "test");
        assert_eq!(parser.next().unwrap(), Some(Long("list")));
    }

    #[test]
    fn nothing_and_help_give_the_help() {
        for args in [&[][..], &["--help"], &["-h"], &["help"]] {
            assert_eq!(chosen(args).unwrap(), None);
        }
    }

    #[test]
    fn an_unknown_subcommand_lists_the_known_ones() {
        let error = chosen(&["tset"]).unwrap_err().to_string();
        assert!(error.contains("`tset`") && error.contains("footprint"), "{error}");
        assert!(chosen(&["--tset"]).is_err());
    }

    #[test]
    fn the_help_names_every_subcommand() {
        let help = help();
        assert!(names().iter().all(|name| help.contains(&format!("\n  {name}"))));
    }

    #[test]
    fn arguments_that_are_not_taken_are_refused() {
        let parse = |args: &[&str]| only_help(lexopt::Parser::from_args(args), "");
        assert!(!parse(&[]).unwrap());
        assert!(parse(&["--help"]).unwrap());
        assert!(parse(&["--verbose"]).is_err());
    }
}
