//! Runs the benchmarks against peers and limits, and writes the tables and the chart in `benches/results/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use lexopt::Arg::{Long, Short};
use lexopt::ValueExt;
use throughline_benches::groups::{feature_of, is_group};
use throughline_benches::{Machine, Report, Row};

use crate::process::{Cmd, seconds};
use crate::setup::{self, Need};
use crate::workspace;

const HELP: &str = "\
usage: cargo xtask bench [--quick] [--only PATH[/SUBJECT]|GROUP] [--json] [--out DIR]
       cargo xtask bench --plot FILE [--out DIR]

Measures Throughline next to its peers and to the least work that could do the same, and prints the table with
the budgets. A whole run is written to benches/results: `<date>-bench.md`, `<date>-bench.json`, `latest.svg`.
A run of a group, such as `bridges`, is written there too: `<date>-<group>.md`.
The exit code is 0 when everything ran, whether or not budgets are met: times depend on what else the machine
does.

  --quick                0.2 s a figure (default: 1 s); not written unless --out is given
  --only PATH[/SUBJECT]  only these, such as `span` or `counter/prom`; not written unless --out is given
  --only GROUP           what is measured together and has a table of its own: `bridges`, `middleware`,
                         `throughput`; `alerts`, `health`, `profile` and `scrape` are benches
                         of their own
  --json                 print one JSON object and nothing else on standard output
  --out DIR              where to write (default: benches/results)
  --plot FILE            measure nothing, draw latest.svg from the JSON of an earlier run
";

/// Runs `cargo xtask bench`.
///
/// # Errors
///
/// Fails if the benches don't build, a subject fails to run, or a file can't be read or written.
pub fn run(args: lexopt::Parser) -> Result<()> {
    let Some(options) = parse(args)? else {
        print!("{HELP}");
        return Ok(());
    };
    if let Some(file) = &options.plot {
        let json = fs::read_to_string(file).with_context(|| format!("can't read {}", file.display()))?;
        let report = Report::from_json(&json)
            .with_context(|| format!("{} is not what `cargo xtask bench` writes", file.display()))?;
        return write_svg(&options.out.unwrap_or_else(results), &report);
    }
    if let Some((name, feature)) = options.only.as_deref().and_then(|name| Some((name, feature_of(name)?))) {
        return run_own(name, feature, &options.out.unwrap_or_else(results));
    }
    let (report, verdict) = measure(&options)?;
    if options.json {
        println!("{}", report.to_json()?);
    } else {
        print!("{}", report.to_markdown());
    }
    verdict?;
    let group = options.only.as_deref().filter(|only| is_group(only));
    let whole = !options.quick && (options.only.is_none() || group.is_some());
    if let Some(dir) = options.out.as_ref().map_or_else(|| whole.then(results), |dir| Some(dir.clone())) {
        match group {
            Some(group) => write_table(&dir, group, &report)?,
            None => write(&dir, &report)?,
        }
    }
    eprint!("\n{}", summary(&report));
    Ok(())
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    quick: bool,
    only: Option<String>,
    json: bool,
    out: Option<PathBuf>,
    plot: Option<PathBuf>,
}

/// `None` if the help is requested.
fn parse(mut args: lexopt::Parser) -> Result<Option<Options>> {
    let mut options = Options::default();
    while let Some(arg) = args.next()? {
        match arg {
            Long("quick") => options.quick = true,
            Long("only") => options.only = Some(args.value()?.string()?),
            Long("json") => options.json = true,
            Long("out") => options.out = Some(args.value()?.into()),
            Long("plot") => options.plot = Some(args.value()?.into()),
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(options))
}

/// Builds and runs a bench of its own, and writes the tables that it prints.
fn run_own(name: &str, feature: &str, dir: &Path) -> Result<()> {
    let args = ["bench", "-p", "throughline-benches", "--features", feature, "--bench", name];
    let tables = Cmd::cargo().args(args).output()?;
    print!("{tables}");
    fs::create_dir_all(dir).with_context(|| format!("can't make {}", dir.display()))?;
    put(&dir.join(format!("{}-{name}.md", Machine::this().date)), &tables)
}

/// Builds and runs the benchmarks, as [`report`] does.
fn measure(options: &Options) -> Result<(Report, Result<()>)> {
    // Callgrind is not available on all other systems, so times are shown without instruction counts there.
    if cfg!(target_os = "linux") {
        setup::ensure(&[Need::Valgrind])?;
    }
    let mut cmd = Cmd::cargo()
        .args(["bench", "-p", "throughline-benches", "--features", "peers"])
        .args(["--bench", "compare", "--", "--json"]);
    if options.quick {
        cmd = cmd.arg("--quick");
    }
    if let Some(only) = &options.only {
        cmd = cmd.args(["--only", only]);
    }
    report(&cmd)
}

/// Builds the benchmarks without the peers and counts the instructions of each of Throughline's paths, in a
/// few seconds. The rows are judged.
///
/// # Errors
///
/// Fails if Valgrind is missing, or a benchmark does not build or run.
pub fn instructions() -> Result<Vec<Row>> {
    setup::ensure(&[Need::Valgrind])?;
    // Without what measures times, which would be most of the work of the linker's optimisation.
    let cmd = Cmd::cargo()
        .args(["bench", "-p", "throughline-benches", "--no-default-features", "--bench", "compare"])
        .args(["--", "--instructions", "--json"]);
    let (report, verdict) = report(&cmd)?;
    verdict?;
    Ok(report.rows)
}

/// Runs benchmarks that print a report. The report has everything that ran; the inner result is an error if a
/// subject failed.
fn report(cmd: &Cmd) -> Result<(Report, Result<()>)> {
    // Write to standard error, because standard output may carry only the JSON.
    eprintln!("$ {cmd}");
    let start = Instant::now();
    let output = cmd.to_command().stderr(Stdio::inherit()).output().context("can't start `cargo`")?;
    eprintln!("took {}", seconds(start.elapsed()));
    let verdict = if output.status.success() {
        Ok(())
    } else {
        Err(anyhow::anyhow!("some benches failed ({}); which and why is said above", output.status))
    };
    let json = String::from_utf8(output.stdout).context("the benches wrote something else than UTF-8")?;
    match Report::from_json(json.trim()) {
        Ok(report) => Ok((report, verdict)),
        Err(error) => match verdict {
            Ok(()) => bail!("the benches wrote something else than a report: {error}"),
            Err(failed) => Err(failed),
        },
    }
}

/// Writes the table, the figures and the chart.
fn write(dir: &Path, report: &Report) -> Result<()> {
    write_table(dir, "bench", report)?;
    put(&dir.join(format!("{}-bench.json", report.date)), &report.to_json_lines()?)?;
    write_svg(dir, report)
}

/// Writes the table alone.
fn write_table(dir: &Path, of: &str, report: &Report) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("can't make {}", dir.display()))?;
    put(&dir.join(format!("{}-{of}.md", report.date)), &report.to_markdown())
}

fn write_svg(dir: &Path, report: &Report) -> Result<()> {
    put(&dir.join("latest.svg"), &report.to_svg())
}

fn put(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("can't write {}", path.display()))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}

fn results() -> PathBuf {
    workspace::root().join("benches/results")
}

/// The missed budgets, one per line.
fn summary(report: &Report) -> String {
    let judged = report.rows.iter().filter(|row| row.met.is_some()).count();
    let missed: Vec<String> = report.missed().map(over).collect();
    match (judged, missed.is_empty()) {
        (0, _) => "no budget applies to what ran\n".into(),
        (_, true) => format!("all {judged} budgets met\n"),
        _ => format!("{} of {judged} budgets missed:\n{}", missed.len(), missed.concat()),
    }
}

fn over(row: &Row) -> String {
    let threads = if row.threads == 1 { "1 thread" } else { "2 threads" };
    let most = row.budget.unwrap_or(f64::NAN);
    let over = 100.0 * (row.median / most - 1.0);
    format!(
        "    {}, {threads}: {:.2} {}, at most {most:.2} ({over:.0} % over)\n",
        row.path,
        row.median,
        row.unit.name()
    )
}

#[cfg(test)]
mod tests {
    use throughline_benches::{LIMIT, Machine, SUBJECT, Unit};

    use super::*;
    use crate::scratch::Scratch;

    fn report(medians: &[f64]) -> Report {
        let machine = Machine {
            date: "2026-11-21".into(),
            cpu: "cpu × 2".into(),
            rustc: "rustc 1.95.0".into(),
            target: "t".into(),
        };
        let rows = |(at, median): (usize, &f64)| {
            let row =
                |subject, median| Row::new("counter", subject, "t", at as u32 + 1, Unit::Ns, median, 0.1);
            [row(LIMIT, 0.4), row(SUBJECT, *median)]
        };
        Report::new(&machine, medians.iter().enumerate().flat_map(rows).collect())
    }

    #[test]
    fn options_are_read() {
        let args = lexopt::Parser::from_args(["--quick", "--only", "span/fast", "--json", "--out=x"]);
        let expected = Options {
            quick: true,
            only: Some("span/fast".into()),
            json: true,
            out: Some("x".into()),
            plot: None,
        };
        assert_eq!(parse(args).unwrap(), Some(expected));
        assert_eq!(parse(lexopt::Parser::from_args(["--help"])).unwrap(), None);
        assert!(parse(lexopt::Parser::from_args(["span"])).is_err());
    }

    #[test]
    fn missed_budgets_are_named_with_how_far() {
        assert_eq!(summary(&report(&[0.8, 0.8])), "all 2 budgets met\n");
        assert_eq!(
            summary(&report(&[0.8, 1.0])),
            "1 of 2 budgets missed:\n    counter, 2 threads: 1.00 ns, at most 0.84 (19 % over)\n"
        );
        assert_eq!(summary(&report(&[])), "no budget applies to what ran\n");
    }

    #[test]
    fn what_is_written_can_be_drawn_again() {
        let scratch = Scratch::new("xtask-bench").unwrap();
        let written = report(&[0.5, 1.0]);
        write(scratch.path(), &written).unwrap();
        let read = |name: &str| fs::read_to_string(scratch.path().join(name)).unwrap();
        assert!(read("2026-11-21-bench.md").contains("| counter | **throughline** |"));
        assert_eq!(Report::from_json(&read("2026-11-21-bench.json")).unwrap(), written);
        let drawn = read("latest.svg");
        fs::remove_file(scratch.path().join("latest.svg")).unwrap();
        let (file, out) = (scratch.path().join("2026-11-21-bench.json"), scratch.path());
        let args = ["--plot".into(), file.into_os_string(), "--out".into(), out.as_os_str().to_owned()];
        run(lexopt::Parser::from_args(args)).unwrap();
        assert_eq!(read("latest.svg"), drawn);
    }

    #[test]
    fn a_file_that_is_no_report_is_named() {
        let error = run(lexopt::Parser::from_args(["--plot", "nowhere.json"])).unwrap_err();
        assert!(format!("{error:#}").starts_with("can't read nowhere.json"), "{error:#}");
    }
}
