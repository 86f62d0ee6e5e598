//! Compares exact figures with the committed ones. A path that has become more expensive is named and fails
//! the check.

mod table;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use lexopt::Arg::{Long, Short};
use lexopt::ValueExt;
use serde_json::json;
use throughline_benches::baseline::{Baseline, Change, Verdict, compare};
use throughline_benches::{Machine as Host, Row, judge};

use self::table::{summary, table};
use crate::qemu::Machine;
use crate::{bench, footprint, workspace};

const HELP: &str = "\
usage: cargo xtask instructions [--update] [--only MACHINE]... [--json]

Counts the instructions of every path, by callgrind on an x86-64 Linux host and by QEMU on the boards, with the boards'
bytes of flash, RAM and wire, and compares them with the figures committed in benches/baselines. Fails when a figure

  - is more than 3 % above its baseline. There is no allowance besides: counts are exact, so that below 34
    instructions one more is a regression too
  - is above its budget and the baseline is not
  - has no baseline, or a baseline has no figure

A figure that is lower is shown and no failure. The baselines hold for the toolchain of rust-toolchain.toml; on a
host of another kind its part has nothing to do.

  --update        write what is measured as the baselines: after a gain, or when a loss is meant
  --only MACHINE  only this one, host-x86_64, cortex-m4f or cortex-m0; may be given more than once (default: all)
  --json          print one JSON object and nothing else on standard output: `{date, cpu, rustc, rows}`, a row with
                  path, target, unit, baseline, now, percent, budget and verdict (same, improved, grew, regressed,
                  over_budget, new or missing)
";

/// A kind of machine that has a baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Class {
    /// The word for `--only`, and the name of the baseline's file.
    name: &'static str,
    target: &'static str,
    /// The board on which it is emulated; `None` for the host.
    board: Option<Machine>,
}

const CLASSES: [Class; 3] = [
    Class { name: "host-x86_64", target: "x86_64-unknown-linux-gnu", board: None },
    Class { name: "cortex-m4f", target: "thumbv7em-none-eabihf", board: Some(Machine::Mps2An386) },
    Class { name: "cortex-m0", target: "thumbv6m-none-eabi", board: Some(Machine::Microbit) },
];

/// Runs `cargo xtask instructions`.
///
/// # Errors
///
/// Fails if something does not build or run, or, without `--update`, a figure is worse than its baseline.
pub fn run(args: lexopt::Parser) -> Result<()> {
    let Some(options) = parse(args)? else {
        print!("{HELP}");
        return Ok(());
    };
    let host = Host::this();
    let (mut changes, mut compilers) = (Vec::new(), Vec::new());
    for class in chosen(&options.only)? {
        if class.board.is_none() && class.target != host.target {
            eprintln!(
                "{}: nothing to do: its baseline is of {}, this is {}",
                class.name, class.target, host.target
            );
            continue;
        }
        let rows = class.measure()?;
        let today = Baseline::of(class.target, &host.rustc, &rows);
        let committed = match class.read()? {
            Some(committed) => committed,
            None if options.update => Baseline { rows: Vec::new(), ..today.clone() },
            None => {
                bail!("there is no {}: `cargo xtask instructions --update` writes it", class.file().display())
            }
        };
        if committed.rustc != host.rustc {
            compilers.push(committed.rustc.clone());
        }
        changes.extend(compare(&committed, &rows));
        if options.update {
            class.write(&today)?;
        }
    }
    if options.json {
        println!("{}", json!({"date": host.date, "cpu": host.cpu, "rustc": host.rustc, "rows": changes}));
    } else {
        print!("{}", table(&changes));
    }
    eprint!("{}", summary(&changes, options.update));
    if options.update { Ok(()) } else { verdict(&changes, &compilers, &host.rustc) }
}

/// Fails if a figure is worse than its baseline, and names each.
fn verdict(changes: &[Change], compilers: &[String], rustc: &str) -> Result<()> {
    let failed: Vec<Change> = changes.iter().filter(|it| it.verdict.is_failure()).cloned().collect();
    if failed.is_empty() {
        return Ok(());
    }
    let mut text = format!("{} of {} figures fail:\n\n{}\n", failed.len(), changes.len(), table(&failed));
    let any = |verdicts: &[Verdict]| failed.iter().any(|it| verdicts.contains(&it.verdict));
    if any(&[Verdict::New]) {
        text += "`cargo xtask instructions --update` adds a new path to the baselines.\n";
    }
    if any(&[Verdict::Missing]) {
        text += "If a path was renamed or removed on purpose, `--update` removes it from the baselines.\n";
    }
    if any(&[Verdict::Regressed, Verdict::OverBudget]) {
        text += "If the growth is worth it, accept it with `--update` and say why in the commit.\n";
    }
    if let Some(old) = compilers.first() {
        text +=
            &format!("The baselines are from {old}, this is {rustc}: figures differ between compilers.\n");
    }
    bail!("{}", text.trim_end())
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    update: bool,
    only: Vec<String>,
    json: bool,
}

/// `None` if the help is requested.
fn parse(mut args: lexopt::Parser) -> Result<Option<Options>> {
    let mut options = Options::default();
    while let Some(arg) = args.next()? {
        match arg {
            Long("update") => options.update = true,
            Long("only") => options.only.push(args.value()?.string()?),
            Long("json") => options.json = true,
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(options))
}

/// The machines named in `only`; all if it is empty.
fn chosen(only: &[String]) -> Result<Vec<Class>> {
    if let Some(unknown) = only.iter().find(|name| !CLASSES.iter().any(|class| class.name == **name)) {
        bail!("no machine `{unknown}`; there are: {}", CLASSES.map(|class| class.name).join(", "));
    }
    let is_chosen = |class: &Class| only.is_empty() || only.iter().any(|name| name == class.name);
    Ok(CLASSES.into_iter().filter(is_chosen).collect())
}

impl Class {
    /// The judged rows of this machine, including those that are not exact.
    fn measure(self) -> Result<Vec<Row>> {
        let mut rows = match self.board {
            None => bench::instructions()?,
            Some(board) => footprint::rows(&[board])?,
        };
        judge(&mut rows);
        Ok(rows)
    }

    fn file(self) -> PathBuf {
        workspace::root().join(format!("benches/baselines/{}.json", self.name))
    }

    fn read(self) -> Result<Option<Baseline>> {
        let file = self.file();
        if !file.exists() {
            return Ok(None);
        }
        let json = fs::read_to_string(&file).with_context(|| format!("can't read {}", file.display()))?;
        let baseline = Baseline::from_json(&json)
            .with_context(|| format!("{} is not what `--update` writes", file.display()))?;
        Ok(Some(baseline))
    }

    fn write(self, baseline: &Baseline) -> Result<()> {
        let file = self.file();
        fs::create_dir_all(file.parent().unwrap_or(workspace::root()))?;
        fs::write(&file, baseline.to_json_lines()?)
            .with_context(|| format!("can't write {}", file.display()))?;
        eprintln!("wrote {}", file.display());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use throughline_benches::{SUBJECT, Unit};

    use super::*;

    fn changes(before: &[(&str, f64)], now: &[(&str, f64)]) -> Vec<Change> {
        let rows = |figures: &[(&str, f64)]| -> Vec<Row> {
            let row = |(path, n): &(&str, f64)| Row::new(path, SUBJECT, "t", 1, Unit::Instructions, *n, *n);
            figures.iter().map(row).collect()
        };
        compare(&Baseline::of("t", "rustc 1", &rows(before)), &rows(now))
    }

    fn failure(before: &[(&str, f64)], now: &[(&str, f64)]) -> String {
        verdict(&changes(before, now), &[], "rustc 1")
            .map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn a_failure_names_the_path_and_no_other() {
        let error = failure(&[("span", 100.0), ("event", 50.0)], &[("span", 104.0), ("event", 50.0)]);
        assert!(error.starts_with("1 of 2 figures fail:"), "{error}");
        assert!(error.contains("span") && error.contains("+4.0 %") && !error.contains("event"), "{error}");
        assert_eq!(failure(&[("span", 100.0)], &[("span", 103.0)]), "");
        assert_eq!(failure(&[("span", 100.0)], &[("span", 50.0)]), "");
    }

    #[test]
    fn what_to_do_is_said() {
        assert!(failure(&[], &[("new", 1.0)]).contains("adds a new path"));
        assert!(failure(&[("old", 1.0)], &[]).contains("renamed"));
        assert!(failure(&[("span", 1.0)], &[("span", 2.0)]).contains("worth it"));
        let other = verdict(&changes(&[("span", 1.0)], &[("span", 2.0)]), &["rustc 0".into()], "rustc 1");
        assert!(other.unwrap_err().to_string().contains("from rustc 0, this is rustc 1"));
    }

    #[test]
    fn options_are_read() {
        let args = lexopt::Parser::from_args(["--update", "--only", "cortex-m0", "--json"]);
        let expected = Options { update: true, only: vec!["cortex-m0".into()], json: true };
        assert_eq!(parse(args).unwrap(), Some(expected));
        assert!(parse(lexopt::Parser::from_args(["span"])).is_err());
    }

    #[test]
    fn machines_are_chosen_by_name() {
        let names = |only: &[&str]| {
            chosen(&only.iter().map(ToString::to_string).collect::<Vec<_>>()).map(|it| it.len())
        };
        assert_eq!((names(&[]).unwrap(), names(&["cortex-m0"]).unwrap()), (3, 1));
        assert!(names(&["m0"]).unwrap_err().to_string().contains("cortex-m0"));
    }

    #[test]
    fn every_machine_has_a_baseline_of_its_target() {
        for class in CLASSES {
            let baseline = class.read().unwrap().expect("committed");
            assert_eq!(baseline.target, class.target);
            assert!(class.board.is_none_or(|board| board.target() == class.target));
        }
    }
}
