//! Runs steps in two lanes, because most of them cannot keep two cores busy: they link, interpret one test at a
//! time, or wait for a server.
//!
//! A step that runs beside others is a process of its own with its output in a file. The output is printed whole
//! when the step ends, so that lines of different steps never mix.

use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use serde::{Deserialize, Serialize};

use super::{Entry, Folder, Step, Verdict, run_step};
use crate::process::{Cmd, seconds};
use crate::scratch::Scratch;

/// How many steps run at the same time. More would compete for the memory of a small machine, and every cargo
/// already starts as many compilers as there are cores.
const LANES: usize = 2;

/// Says whether cargo keeps what the next build of a changed crate could use. A whole run builds most crates once, and these
/// notes would take 6 GB.
const INCREMENTAL: &str = "CARGO_INCREMENTAL";

/// Runs the steps and returns an entry for each, in the order of `steps`. A lane takes the first step that
/// waits and whose build folder is free. After a failure, running steps end and no other ones are started,
/// unless `keep_going`.
pub(super) fn run(
    steps: &[Step],
    keep_going: bool,
    run: impl Fn(&Step) -> (Outcome, Vec<u8>) + Sync,
) -> Vec<Entry> {
    let board = Board::new(steps, keep_going);
    thread::scope(|scope| {
        for _ in 0..LANES.min(steps.len()) {
            scope.spawn(|| {
                while let Some((index, number)) = board.take() {
                    let step = &steps[index];
                    println!("... {number}/{} {} starts", steps.len(), step.name);
                    let start = Instant::now();
                    let (outcome, output) = run(step);
                    board.end(index, outcome, start.elapsed(), &output);
                }
            });
        }
    });
    board.entries()
}

/// What has become of each step.
struct Board<'a> {
    steps: &'a [Step],
    keep_going: bool,
    states: Mutex<Vec<State>>,
    /// Is notified when a step ends.
    changed: Condvar,
}

#[derive(Clone, Debug)]
enum State {
    Waiting,
    Running,
    Ended(Outcome, Duration),
}

impl<'a> Board<'a> {
    fn new(steps: &'a [Step], keep_going: bool) -> Self {
        let states = Mutex::new(vec![State::Waiting; steps.len()]);
        Self { steps, keep_going, states, changed: Condvar::new() }
    }

    /// The index of the next step, and how many have been taken with it; `None` if there is nothing left to do.
    /// Waits while all that is left needs the build folder that a running step uses.
    fn take(&self) -> Option<(usize, usize)> {
        let mut states = self.lock();
        loop {
            let is_waiting = |index: &usize| matches!(states[*index], State::Waiting);
            let waiting: Vec<usize> = (0..states.len()).filter(is_waiting).collect();
            let failed = states
                .iter()
                .any(|it| matches!(it, State::Ended(outcome, _) if outcome.verdict.is_failure()));
            if waiting.is_empty() || (failed && !self.keep_going) {
                return None;
            }
            let uses_shared = |index: usize| self.steps[index].folder == Folder::Shared;
            let shared_is_busy =
                (0..states.len()).any(|index| matches!(states[index], State::Running) && uses_shared(index));
            if let Some(&index) = waiting.iter().find(|index| !(shared_is_busy && uses_shared(**index))) {
                states[index] = State::Running;
                return Some((index, states.len() - waiting.len() + 1));
            }
            states = self.changed.wait(states).expect("no lane panics while it holds the lock");
        }
    }

    /// Notes how a step ended, and prints what it wrote.
    fn end(&self, index: usize, outcome: Outcome, time: Duration, output: &[u8]) {
        let mut states = self.lock();
        // The lock keeps the output of two steps apart.
        show(&self.steps[index], &outcome.verdict, time, output);
        states[index] = State::Ended(outcome, time);
        self.changed.notify_all();
    }

    fn entries(self) -> Vec<Entry> {
        let states = self.states.into_inner().expect("no lane panics while it holds the lock");
        let entry = |(step, state): (&Step, State)| match state {
            State::Ended(Outcome { verdict, cpu }, time) => {
                Entry { name: step.name.into(), verdict, time, cpu: Some(cpu) }
            }
            State::Waiting | State::Running => {
                Entry { name: step.name.into(), verdict: Verdict::NotRun, time: Duration::ZERO, cpu: None }
            }
        };
        self.steps.iter().zip(states).map(entry).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<State>> {
        self.states.lock().expect("no lane panics while it holds the lock")
    }
}

/// Prints what a step wrote, between a line with its name and a line with its verdict.
fn show(step: &Step, verdict: &Verdict, time: Duration, output: &[u8]) {
    println!("\n==> {}: {}", step.name, step.about);
    // The output may contain anything, so write its bytes. Nothing is lost if nobody reads it.
    let _ = io::stdout().write_all(output);
    if let Verdict::Failed(error) = verdict {
        println!("error: {error}");
    }
    println!("<== {}: {} in {}\n", step.name, verdict.word(), seconds(time));
}

/// Runs steps as processes of this program.
pub(super) struct Processes {
    scratch: Scratch,
    program: PathBuf,
}

impl Processes {
    /// Copies this program, because a step may build it anew and so replace it.
    ///
    /// # Errors
    ///
    /// Fails if the program cannot be copied to the temporary folder.
    pub(super) fn new() -> Result<Self> {
        let scratch = Scratch::new("xtask-steps")?;
        let program = scratch.path().join(format!("xtask{}", env::consts::EXE_SUFFIX));
        let this = env::current_exe()?;
        fs::copy(&this, &program).with_context(|| format!("can't copy {}", this.display()))?;
        Ok(Self { scratch, program })
    }

    /// Runs a step, and returns its outcome and what it wrote.
    pub(super) fn run(&self, step: &Step) -> (Outcome, Vec<u8>) {
        let log = self.scratch.path().join(format!("{}.log", step.name));
        let verdict = self.scratch.path().join(format!("{}.json", step.name));
        let result = self.spawn(step, &log, &verdict);
        let output = fs::read(&log).unwrap_or_default();
        (result.unwrap_or_else(|error| Verdict::Failed(format!("{error:#}")).into()), output)
    }

    fn spawn(&self, step: &Step, log: &Path, verdict: &Path) -> Result<Outcome> {
        let mut cmd = Cmd::new(&self.program).args(["test", "--only", step.name, "--verdict"]).arg(verdict);
        if env::var_os(INCREMENTAL).is_none() {
            cmd = cmd.env(INCREMENTAL, "0");
        }
        let status = cmd.spawn_logged(log)?.wait()?;
        match fs::read(verdict) {
            Ok(json) => Ok(serde_json::from_slice(&json)?),
            Err(_) => bail!("the step ended without a verdict: {status}"),
        }
    }
}

/// How a step ended, as its process tells it to its parent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Outcome {
    verdict: Verdict,
    /// The CPU time of the programs that it ran.
    cpu: Duration,
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Outcome {
        Outcome { verdict, cpu: Duration::ZERO }
    }
}

/// The other end of [`Processes::run`]: runs a step and writes its outcome into a file.
///
/// # Errors
///
/// Fails if the outcome cannot be written.
pub(super) fn run_for_parent(step: &Step, file: &Path) -> Result<()> {
    let outcome = Outcome { verdict: run_step(step), cpu: cpu_of_programs() };
    Ok(fs::write(file, serde_json::to_vec(&outcome)?)?)
}

/// The CPU time of all programs that this process has run to their end, and of those that they ran.
#[cfg(unix)]
fn cpu_of_programs() -> Duration {
    // SAFETY: a `rusage` consists of numbers, of which each may be 0.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a `rusage`.
    if unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) } != 0 {
        return Duration::ZERO;
    }
    [usage.ru_utime, usage.ru_stime]
        .iter()
        .map(|it| Duration::from_secs(it.tv_sec as u64) + Duration::from_micros(it.tv_usec as u64))
        .sum()
}

#[cfg(not(unix))]
fn cpu_of_programs() -> Duration {
    Duration::ZERO
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::Done;
    use std::sync::Barrier;

    const OWN: Step = Step { name: "own", about: "", folder: Folder::Own, run: || Ok(Done::Passed) };
    const SHARED: Step = Step { name: "shared", folder: Folder::Shared, ..OWN };

    #[test]
    fn two_steps_run_at_the_same_time_and_entries_keep_the_order_of_the_steps() {
        // Each waits for the other.
        let both = Barrier::new(2);
        let entries = run(&[SHARED, OWN], false, |_| {
            both.wait();
            (Verdict::Passed.into(), Vec::new())
        });
        assert_eq!(entries.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["shared", "own"]);
        assert!(entries.iter().all(|it| it.verdict == Verdict::Passed));
    }

    #[test]
    fn steps_of_the_shared_folder_run_one_after_another() {
        let running = Mutex::new(0);
        let entries = run(&[SHARED; 8], false, |_| {
            *running.lock().unwrap() += 1;
            assert_eq!(*running.lock().unwrap(), 1);
            thread::yield_now();
            *running.lock().unwrap() -= 1;
            (Verdict::Passed.into(), Vec::new())
        });
        assert_eq!(entries.len(), 8);
    }

    #[test]
    fn a_failure_starts_no_other_step_and_a_running_one_ends() {
        let steps = [OWN; 3];
        for (keep_going, last) in [(false, "not run"), (true, "passed")] {
            let board = Board::new(&steps, keep_going);
            assert_eq!((board.take(), board.take()), (Some((0, 1)), Some((1, 2))));
            board.end(0, Verdict::Failed("why".into()).into(), Duration::ZERO, b"");
            if let Some((index, _)) = board.take() {
                board.end(index, Verdict::Passed.into(), Duration::ZERO, b"");
            }
            board.end(1, Verdict::Passed.into(), Duration::ZERO, b"");
            assert_eq!(board.take(), None);
            let words: Vec<_> = board.entries().iter().map(|it| it.verdict.word()).collect();
            assert_eq!(words, ["FAILED", "passed", last]);
        }
    }

    #[test]
    fn a_verdict_reaches_the_parent() {
        let scratch = Scratch::new("xtask-test").unwrap();
        let file = scratch.path().join("verdict");
        let steps = [
            (OWN, Verdict::Passed),
            (
                Step { run: || Ok(Done::Nothing("no folder".into())), ..OWN },
                Verdict::Nothing("no folder".into()),
            ),
            (Step { run: || bail!("the reason"), ..OWN }, Verdict::Failed("the reason".into())),
        ];
        for (step, expected) in steps {
            run_for_parent(&step, &file).unwrap();
            let outcome: Outcome = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
            assert_eq!(outcome.verdict, expected);
        }
    }
}
