//! The steps `miri`, `miri-64` and `miri-32`.

use anyhow::Result;

use super::Done;
use crate::process::Cmd;
use crate::setup::{self, Need};

/// The `--test` targets of the core that Miri interprets every day: of what threads share, and of what is current.
const SHARED: &[&str] =
    &["callsite_package", "current", "metrics", "ring_losses", "ring_properties", "sampling", "streams"];

/// Those that it interprets on request. Each is a program to make and to start, so targets that would have no test are left
/// out.
const OTHERS: &[&str] =
    &["current_model", "macros_types", "metric_values", "observe", "records", "red_spans", "wire"];

/// What Miri checks beyond its defaults. Strict provenance is checked because callsite ids are made from
/// addresses.
const MIRIFLAGS: &str = "-Zmiri-strict-provenance";

/// A 32-bit layout that Miri can interpret on any host, with pointers as on microcontrollers.
const MIRI_32_BIT: &str = "i686-unknown-linux-gnu";

pub(super) fn miri() -> Result<Done> {
    under_miri(SHARED, &[])
}

/// The profiler's tests of what its threads share; the rest of it asks the system for what Miri has not.
const OF_THE_PROFILER: [&str; 4] = ["marks::", "cpu::ring::", "memory::counts::", "memory::spans::"];

pub(super) fn miri_64() -> Result<Done> {
    under_miri(&[SHARED, OTHERS].concat(), &[])?;
    let profiler = Cmd::cargo_nightly().args(["miri", "test", "-p", "throughline-profile", "--lib", "--"]);
    profiler.args(OF_THE_PROFILER).must_run_tests().env("MIRIFLAGS", MIRIFLAGS).run()?;
    Ok(Done::Passed)
}

pub(super) fn miri_32() -> Result<Done> {
    under_miri(&[SHARED, OTHERS, &["register_clock"]].concat(), &["--target", MIRI_32_BIT])
}

/// Without the examples of the documentation, which show how to use what the tests test: each would be an interpreter of
/// its own.
fn under_miri(tests: &[&str], args: &[&str]) -> Result<Done> {
    setup::ensure(&[Need::Miri])?;
    let miri = Cmd::cargo_nightly().args(["miri", "test", "-p", "throughline", "--lib"]).must_run_tests();
    let miri = miri.args(tests.iter().flat_map(|test| ["--test", test])).args(args.iter().copied());
    miri.env("MIRIFLAGS", MIRIFLAGS).run()?;
    Ok(Done::Passed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;
    use std::fs;

    #[test]
    fn each_file_of_tests_is_for_miri_or_says_why_not() {
        // The compiler's messages, and conditions that do not hold there.
        const NOT_THERE: [&str; 5] =
            ["macros_ui.rs", "not(miri)", "any(loom, miri)", "any(miri, loom)", "feature = \"std\""];
        let mut left_out = 0;
        for entry in fs::read_dir(workspace::root().join("core/tests")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            if !path.is_file() || SHARED.contains(&&*name) || OTHERS.contains(&&*name) {
                continue;
            }
            let Ok(source) = fs::read_to_string(&path) else { continue };
            let condition = source.lines().find(|line| line.starts_with("#![cfg(")).unwrap_or_default();
            let told = format!("{}: {condition}", path.display());
            let is_for_others = condition == "#![cfg(loom)]" || name == "register_clock";
            assert!(
                is_for_others || NOT_THERE.iter().any(|it| told.contains(it)),
                "{told}: add it to SHARED or OTHERS"
            );
            left_out += 1;
        }
        assert!(left_out > 0);
    }
}
