//! What instrumentation costs on microcontrollers: instructions, flash, RAM, bytes on the wire, and how long interrupts are masked.
//!
//! The firmware is `benches/firmware`. It runs in QEMU, where every instruction takes one nanosecond of the
//! guest's time. The budgets are in `throughline_benches::BUDGETS`.

mod masked;
mod ops;
mod sizes;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use lexopt::Arg::Long;
use throughline_benches::{Machine as Host, Report, Row, SUBJECT, Unit, budget::OPT_S};

use crate::process::Cmd;
use crate::qemu::Machine;
use crate::setup::{self, Need};
use crate::workspace;

const HELP: &str = "\
usage: cargo xtask footprint [--json] [--no-table]

Builds the firmware in `benches/firmware` for a Cortex-M4F and a Cortex-M0, counts instructions per operation in QEMU, next to
defmt's, and measures flash, RAM, bytes on the wire and the longest stretch with interrupts masked.
Writes `benches/results/<date>-footprint.md`. Fails when a budget is exceeded.

    --json       print one JSON object, as `cargo xtask bench --json` does, and nothing else on standard output
    --no-table   write no file
";

/// Name of the peer's rows.
const PEER: &str = "defmt 1.x, u32 timestamp";

/// Runs `cargo xtask footprint`.
///
/// # Errors
///
/// Fails if something does not build or run, or a budget is exceeded.
pub fn run(mut args: lexopt::Parser) -> Result<()> {
    let (mut json, mut table) = (false, true);
    while let Some(arg) = args.next()? {
        match arg {
            Long("help") | lexopt::Arg::Short('h') => {
                print!("{HELP}");
                return Ok(());
            }
            Long("json") => json = true,
            Long("no-table") => table = false,
            _ => return Err(arg.unexpected().into()),
        }
    }
    let report = Report::new(&Host::this(), rows(&Machine::ALL)?);
    if json {
        println!("{}", report.to_json()?);
    } else {
        println!("{}", report.to_markdown());
    }
    if table {
        let path = workspace::root().join("benches/results").join(format!("{}-footprint.md", report.date));
        fs::create_dir_all(path.parent().unwrap_or(workspace::root()))?;
        fs::write(&path, report.to_markdown()).with_context(|| format!("can't write {}", path.display()))?;
    }
    let missed: Vec<String> = report
        .missed()
        .map(|row| format!("{} on {}: {} {}", row.path, row.target, row.median, row.unit.name()))
        .collect();
    if !missed.is_empty() {
        bail!("over budget:\n    {}", missed.join("\n    "));
    }
    Ok(())
}

/// Builds and measures everything on these boards. The rows are not judged yet.
///
/// # Errors
///
/// Fails if something does not build or run.
pub fn rows(machines: &[Machine]) -> Result<Vec<Row>> {
    let mut needs = vec![Need::Qemu];
    needs.extend(machines.iter().map(|machine| Need::Target(machine.target())));
    setup::ensure(&needs)?;
    let mut rows = Vec::new();
    for &machine in machines {
        for profile in [Profile::Fast, Profile::Small] {
            let firmware = Firmware::build(machine, profile)?;
            rows.extend(ops::rows(&firmware)?);
            rows.push(masked::row(&firmware)?);
            if profile == Profile::Small {
                rows.extend(sizes::rows(&firmware)?);
            }
        }
    }
    Ok(rows)
}

/// How the firmware is optimised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Profile {
    /// opt-level 3.
    Fast,
    /// opt-level s, which is also used for measuring sizes.
    Small,
}

/// The firmware's binaries for one board.
struct Firmware {
    machine: Machine,
    profile: Profile,
    dir: PathBuf,
}

impl Firmware {
    fn build(machine: Machine, profile: Profile) -> Result<Firmware> {
        let name = if profile == Profile::Fast { "release" } else { "size" };
        let target_dir = workspace::target_dir().join("footprint");
        // The manifest enables the peer for its own binary only; the other binaries do not link it.
        let cmd = Cmd::cargo()
            .args(["build", "--quiet", "--bins", "--features", "defmt", "--profile", name])
            .args(["--target", machine.target()])
            .arg("--target-dir")
            .arg(&target_dir)
            .env("DEFMT_LOG", "trace")
            .dir(workspace::root().join("benches/firmware"));
        // Write progress to standard error, because standard output carries the report.
        eprintln!("$ {cmd}");
        cmd.output()?;
        Ok(Firmware { machine, profile, dir: target_dir.join(machine.target()).join(name) })
    }

    fn binary(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// A row of this board. Instructions at opt-level s have their own paths with the same budgets.
    fn row(&self, path: &str, subject: &str, unit: Unit, value: f64) -> Row {
        let path = match (self.profile, unit) {
            (Profile::Small, Unit::Instructions) => format!("{path}{OPT_S}"),
            _ => path.to_owned(),
        };
        Row::new(&path, subject, self.machine.target(), 1, unit, value, value)
    }

    fn ours(&self, path: &str, unit: Unit, value: f64) -> Row {
        self.row(path, SUBJECT, unit, value)
    }
}
