//! Runs the decoder's fuzz targets for a while.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use lexopt::Arg::{Long, Short};
use lexopt::ValueExt;

use crate::process::{Cmd, timed};
use crate::setup::{self, Need};
use crate::workspace;

const HELP: &str = "\
usage: cargo xtask fuzz [--seconds N] [--target NAME]

Runs the fuzz targets of std-adapter/decode/fuzz, one after another.

  --seconds N    time for all of them together (default: 600)
  --target NAME  only this one (default: all)
";

const DEFAULT_SECONDS: u32 = 600;

/// With less time, a target hardly gets through its corpus.
const LEAST_SECONDS: u32 = 5;

/// Runs `cargo xtask fuzz`.
///
/// # Errors
///
/// Fails if there are no fuzz targets, one doesn't build, or one finds an input that fails.
pub fn run(mut args: lexopt::Parser) -> Result<()> {
    let (mut seconds, mut only) = (DEFAULT_SECONDS, None);
    while let Some(arg) = args.next()? {
        match arg {
            Long("seconds") => seconds = args.value()?.parse()?,
            Long("target") => only = Some(args.value()?.string()?),
            Short('h') | Long("help") => {
                print!("{HELP}");
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    if !is_present() {
        bail!("there are no fuzz targets: {} doesn't exist", folder().display());
    }
    check(seconds, only.as_deref())
}

/// Whether there are fuzz targets to run.
#[must_use]
pub fn is_present() -> bool {
    folder().join("Cargo.toml").is_file()
}

/// Runs every fuzz target, or only the target `only`, for `seconds` in total.
///
/// # Errors
///
/// Like [`run`].
pub fn check(seconds: u32, only: Option<&str>) -> Result<()> {
    setup::ensure(&[Need::CargoFuzz])?;
    let list = cargo_fuzz().arg("list").output()?;
    let targets = chosen(&list, only)?;
    let each = share(seconds, targets.len());
    for target in targets {
        timed(&format!("fuzzing {target} for {each} s"), || {
            cargo_fuzz().args(["run", target, "--"]).arg(format!("-max_total_time={each}")).run()
        })
        .with_context(|| {
            format!("`{target}` failed: the input is in std-adapter/decode/fuzz/artifacts/{target}")
        })?;
    }
    Ok(())
}

fn folder() -> PathBuf {
    workspace::root().join("std-adapter/decode/fuzz")
}

fn cargo_fuzz() -> Cmd {
    Cmd::cargo_nightly().arg("fuzz").dir(workspace::root().join("std-adapter/decode"))
}

fn chosen<'a>(list: &'a str, only: Option<&str>) -> Result<Vec<&'a str>> {
    let targets: Vec<&str> = list.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match only {
        None if targets.is_empty() => bail!("`cargo fuzz list` names no target"),
        None => Ok(targets),
        Some(name) => match targets.iter().find(|target| **target == name) {
            Some(target) => Ok(vec![target]),
            None => bail!("no fuzz target `{name}`; there are: {}", targets.join(", ")),
        },
    }
}

fn share(seconds: u32, targets: usize) -> u32 {
    let targets = u32::try_from(targets).unwrap_or(u32::MAX).max(1);
    (seconds / targets).max(LEAST_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_chosen_by_name() {
        let list = "frames\nresync\n";
        assert_eq!(chosen(list, None).unwrap(), ["frames", "resync"]);
        assert_eq!(chosen(list, Some("resync")).unwrap(), ["resync"]);
        assert!(chosen(list, Some("x")).unwrap_err().to_string().contains("frames, resync"));
        assert!(chosen("", None).is_err());
    }

    #[test]
    fn time_is_shared_but_never_to_nothing() {
        assert_eq!(share(600, 4), 150);
        assert_eq!(share(6, 4), LEAST_SECONDS);
        assert_eq!(share(6, 0), 6);
    }

    #[test]
    fn seconds_must_be_a_number() {
        assert!(run(lexopt::Parser::from_args(["--seconds", "soon"])).is_err());
    }
}
