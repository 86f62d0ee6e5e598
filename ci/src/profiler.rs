//! Checks of the profiler that take too long for every run: the storm, and the sanitizers.

use anyhow::Result;
use lexopt::Arg::{Long, Short};

use crate::cli::only_help;
use crate::process::{Cmd, timed};
use crate::setup::{self, Need};
use crate::workspace;

const STORM_HELP: &str = "\
usage: cargo xtask storm [--minutes N]

Samples at 1 kHz while threads allocate, take locks, load libraries, fork, unwind panics and end. Fails if anything crashes or
hangs, or if a signal is neither a sample nor a counted loss.

  --minutes N  how long (default: 10)
";

const SANITIZE_HELP: &str = "\
usage: cargo xtask sanitize

Runs the tests of throughline-profile with AddressSanitizer, and those that do not fork with ThreadSanitizer, on nightly Rust. The
standard library is built with them.
";

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Runs `cargo xtask storm`.
///
/// # Errors
///
/// Fails if the storm's test does.
pub fn storm(mut args: lexopt::Parser) -> Result<()> {
    let mut minutes = 10_u32;
    while let Some(arg) = args.next()? {
        match arg {
            Long("minutes") => minutes = args.value()?.to_string_lossy().parse()?,
            Short('h') | Long("help") => {
                print!("{STORM_HELP}");
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let seconds = u64::from(minutes) * 60;
    Cmd::cargo_test()
        .args(["--release", "-p", "throughline-profile", "--test", "storm", "--", "--nocapture"])
        .env("THROUGHLINE_STORM_SECONDS", seconds.to_string())
        .run()
}

/// Runs `cargo xtask sanitize`.
///
/// # Errors
///
/// Fails if a test does, or a sanitizer finds anything.
pub fn sanitize(args: lexopt::Parser) -> Result<()> {
    if only_help(args, SANITIZE_HELP)? {
        return Ok(());
    }
    setup::ensure(&[Need::Miri])?;
    // How exact samples are depends on the speed of the profiler's threads, which are slow under a sanitizer.
    let slow =
        ["--skip", "library_that_is_loaded", "--skip", "a_known_split", "--skip", "the_frequency_changes"];
    timed("AddressSanitizer", || tests("address", &slow).run())?;
    // A process that is forked from one with threads does not work under ThreadSanitizer, and its own code in every function ends stacks.
    timed("ThreadSanitizer", || {
        tests(
            "thread",
            &[&slow[..], &["--skip", "fork", "--skip", "nothing_crashes", "--skip", "deep_stacks"]].concat(),
        )
        .run()
    })
}

/// The tests with a sanitizer. Each has a folder for itself, so that neither builds everything again.
fn tests(sanitizer: &str, args: &[&str]) -> Cmd {
    Cmd::cargo_nightly()
        .args([
            "test",
            "-Zbuild-std",
            "--target",
            TARGET,
            "-p",
            "throughline-profile",
            "--lib",
            "--tests",
            "--no-fail-fast",
        ])
        .arg("--target-dir")
        .arg(workspace::target_dir().join("sanitize").join(sanitizer))
        .args(["--", "--test-threads", "1"])
        .args(args.iter().copied())
        .env("RUSTFLAGS", format!("-Zsanitizer={sanitizer}"))
        .env("ASAN_OPTIONS", "detect_leaks=0")
        .must_run_tests()
}
