//! Makes small changes to the protocols and encoders, one at a time, and shows which changes no test notices.

use anyhow::Result;
use lexopt::Arg::{Long, Short};
use lexopt::ValueExt;

use crate::process::Cmd;
use crate::setup::{self, Need};
use crate::workspace;

const HELP: &str = "\
usage: cargo xtask mutants [--file GLOB]... [--shard K/N]

Runs cargo-mutants over the core's ring, metrics and wire, and what they stand on, against the tests of the core and
of the embedded adapter. A change takes half a minute, all of them most of a night: `--file` and `--shard` choose.
Which survivors are known, and why, is in core/docs/mutation.md. Not part of `cargo xtask test`.

  --file GLOB   only changes in these files; may be given more than once (default: all of the above)
  --shard K/N   only the Kth of N equal parts, from 0
";

/// The files that are changed.
const FILES: &[&str] = &[
    "core/src/sync.rs",
    "core/src/list.rs",
    "core/src/ring/*.rs",
    "core/src/wire/*.rs",
    "core/src/metrics/histogram.rs",
    "core/src/metrics/series.rs",
    "core/src/recorder/pool.rs",
    "core/src/callsite/registration.rs",
];

/// The packages whose tests should notice.
const PACKAGES: &str = "throughline,throughline-embedded";

/// Runs `cargo xtask mutants`.
///
/// # Errors
///
/// Fails if the tests fail without a change, or a change survives them.
pub fn run(mut args: lexopt::Parser) -> Result<()> {
    let (mut files, mut shard) = (Vec::new(), None);
    while let Some(arg) = args.next()? {
        match arg {
            Long("file") => files.push(args.value()?.string()?),
            Long("shard") => shard = Some(args.value()?.string()?),
            Short('h') | Long("help") => {
                print!("{HELP}");
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    setup::ensure(&[Need::CargoMutants])?;
    command(&files, shard.as_deref()).run()
}

fn command(files: &[String], shard: Option<&str>) -> Cmd {
    let mut cmd = Cmd::cargo()
        .args(["mutants", "--jobs", "1", "--timeout", "120", "--test-package", PACKAGES, "--output"])
        .arg(workspace::target_dir());
    let chosen: Vec<&str> =
        if files.is_empty() { FILES.to_vec() } else { files.iter().map(String::as_str).collect() };
    for file in chosen {
        cmd = cmd.args(["--file", file]);
    }
    if let Some(shard) = shard {
        cmd = cmd.args(["--shard", shard]);
    }
    // Leave out tests that only compile code: they are slow and cannot notice a change of behaviour.
    cmd.args(["--", "--tests", "--", "--skip", "mistakes_are_explained"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_there() {
        for file in FILES {
            let folder = file.strip_suffix("/*.rs").unwrap_or(file);
            assert!(workspace::root().join(folder).exists(), "{file}");
        }
    }

    #[test]
    fn files_and_shard_are_passed_on() {
        let shown = command(&["core/src/list.rs".into()], Some("0/8")).to_string();
        assert!(shown.contains("--file core/src/list.rs --shard 0/8"), "{shown}");
        assert!(command(&[], None).to_string().contains("core/src/ring/*.rs"));
    }
}
