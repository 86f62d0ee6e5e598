//! `cargo xtask test`: every check in order, with its commands and its time, and a table of results at the
//! end.

#[cfg(unix)]
mod collector;
mod features;
mod lanes;
mod miri;
mod on_request;
mod report;
mod steps;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Result, bail};
use lexopt::Arg::{Long, Short};
use lexopt::ValueExt;

pub use self::on_request::ON_REQUEST;
pub use self::report::{Entry, Verdict, table};
pub use self::steps::STEPS;
pub(crate) use self::steps::{workspace_build, workspace_tests};
use crate::process::seconds;

const HELP: &str = "\
usage: cargo xtask test [--only NAME]... [--all-backends] [--keep-going] [--list]

Runs every check, installing what one needs and the machine lacks, and ends with a table of results. Two steps run
at the same time; what a step writes is printed when it ends, or at once if it is the only one. The exit code is 0
only when none failed.

  --only NAME   only this step; may be given more than once (default: all)
  --all-backends
                also what takes long: the last steps of `--list`, with servers that are built first (default: all others)
  --keep-going  don't stop at the first failure (default: start no other step)
  --list        print the steps, run nothing
";

/// One check.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The word for `--only` and for the table.
    pub name: &'static str,
    /// What it checks, in one line.
    pub about: &'static str,
    /// Where it builds.
    pub folder: Folder,
    /// Runs it.
    pub run: fn() -> Result<Done>,
}

/// The build folder that a step keeps busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folder {
    /// `target/debug`. Two steps that use it would wait for each other's lock, so they never run at the same time.
    Shared,
    /// A folder that no other step uses for long, or none.
    Own,
}

/// The result of a step that did not fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// Everything was checked.
    Passed,
    /// There was nothing to check, for this reason. It is never used for a tool that cannot be installed.
    Nothing(String),
}

/// Runs `cargo xtask test`.
///
/// # Errors
///
/// Fails if a step fails, or `--only` names a step that does not exist.
pub fn run(args: lexopt::Parser) -> Result<()> {
    let options = match parse(args)? {
        Request::Help => {
            print!("{HELP}");
            return Ok(());
        }
        Request::List => {
            for step in STEPS.iter().chain(ON_REQUEST) {
                println!("{:<12}  {}", step.name, step.about);
            }
            return Ok(());
        }
        Request::Run(options) => options,
    };
    let all = [STEPS, ON_REQUEST].concat();
    let steps = if options.only.is_empty() {
        if options.all_backends { all } else { STEPS.to_vec() }
    } else {
        chosen(&all, &options.only)?
    };
    let start = Instant::now();
    if let (Some(file), [step]) = (&options.verdict, steps.as_slice()) {
        return lanes::run_for_parent(step, file);
    }
    let entries = match steps.as_slice() {
        [step] => vec![run_alone(step)],
        steps => {
            let processes = lanes::Processes::new()?;
            lanes::run(steps, options.keep_going, |step| processes.run(step))
        }
    };
    print!("\n{}", table(&entries));
    let failed: Vec<&str> =
        entries.iter().filter(|it| it.verdict.is_failure()).map(|it| it.name.as_str()).collect();
    if !failed.is_empty() {
        bail!("failed after {}: {}", seconds(start.elapsed()), failed.join(", "));
    }
    println!("all passed in {}", seconds(start.elapsed()));
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
enum Request {
    Help,
    List,
    Run(Options),
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    only: Vec<String>,
    all_backends: bool,
    keep_going: bool,
    /// Where to write the verdict of the only step, for a parent that runs several.
    verdict: Option<PathBuf>,
}

fn parse(mut args: lexopt::Parser) -> Result<Request> {
    let mut options = Options::default();
    let mut list = false;
    while let Some(arg) = args.next()? {
        match arg {
            Long("only") => options.only.push(args.value()?.string()?),
            Long("keep-going") => options.keep_going = true,
            Long("list") => list = true,
            Long("all-backends") => options.all_backends = true,
            Long("verdict") => options.verdict = Some(args.value()?.into()),
            Short('h') | Long("help") => return Ok(Request::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(if list { Request::List } else { Request::Run(options) })
}

/// The steps that `only` names, in the usual order.
fn chosen(steps: &[Step], only: &[String]) -> Result<Vec<Step>> {
    if let Some(unknown) = only.iter().find(|name| !steps.iter().any(|step| step.name == **name)) {
        let names: Vec<&str> = steps.iter().map(|step| step.name).collect();
        bail!("no step `{unknown}`; there are: {}", names.join(", "));
    }
    Ok(steps.iter().filter(|step| only.iter().any(|name| name == step.name)).copied().collect())
}

/// Runs a step with this process's own terminal.
fn run_alone(step: &Step) -> Entry {
    println!("==> {}: {}", step.name, step.about);
    let start = Instant::now();
    let verdict = run_step(step);
    if let Verdict::Failed(error) = &verdict {
        eprintln!("error: {error}");
    }
    Entry { name: step.name.into(), verdict, time: start.elapsed(), cpu: None }
}

/// Is set while a step runs in this process.
static RUNS: AtomicBool = AtomicBool::new(false);

/// Whether this process runs a step of the suite.
pub(crate) fn is_running() -> bool {
    RUNS.load(Ordering::Relaxed)
}

fn run_step(step: &Step) -> Verdict {
    RUNS.store(true, Ordering::Relaxed);
    match (step.run)() {
        Ok(Done::Passed) => Verdict::Passed,
        Ok(Done::Nothing(reason)) => Verdict::Nothing(reason),
        Err(error) => Verdict::Failed(format!("{error:#}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Step = Step { name: "good", about: "", folder: Folder::Own, run: || Ok(Done::Passed) };
    const BAD: Step = Step { name: "bad", run: || bail!("the reason"), ..GOOD };
    const NONE: Step = Step { name: "none", run: || Ok(Done::Nothing("no folder".into())), ..GOOD };

    #[test]
    fn options_are_read() {
        let args = lexopt::Parser::from_args(["--only", "a", "--keep-going", "--only=b", "--all-backends"]);
        let options = Options {
            only: vec!["a".into(), "b".into()],
            all_backends: true,
            keep_going: true,
            verdict: None,
        };
        assert_eq!(parse(args).unwrap(), Request::Run(options));
        assert_eq!(parse(lexopt::Parser::from_args(["--list"])).unwrap(), Request::List);
        assert_eq!(parse(lexopt::Parser::from_args(["-h"])).unwrap(), Request::Help);
        assert!(parse(lexopt::Parser::from_args(["--only"])).is_err());
        assert!(parse(lexopt::Parser::from_args(["fmt"])).is_err());
    }

    #[test]
    fn steps_are_chosen_by_name_in_their_own_order() {
        let names = |only: &[&str]| {
            let only: Vec<String> = only.iter().map(ToString::to_string).collect();
            chosen(&[GOOD, BAD, NONE], &only).map(|steps| steps.iter().map(|it| it.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&["none", "good"]).unwrap(), ["good", "none"]);
        assert!(names(&["bda"]).unwrap_err().to_string().contains("good, bad, none"));
    }

    #[test]
    fn step_names_are_unique() {
        let mut names: Vec<&str> = STEPS.iter().chain(ON_REQUEST).map(|step| step.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STEPS.len() + ON_REQUEST.len());
    }
}
