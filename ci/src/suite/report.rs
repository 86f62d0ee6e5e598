//! The table of results at the end of a run.

use std::fmt::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::process::seconds;

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The step, or what else was checked.
    pub name: String,
    /// The result.
    pub verdict: Verdict,
    /// How long it took.
    pub time: Duration,
    /// The CPU time of the programs that it ran, if it is known.
    pub cpu: Option<Duration>,
}

/// The result of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Everything was checked.
    Passed,
    /// There was nothing to check, for this reason.
    Nothing(String),
    /// It failed, for this reason.
    Failed(String),
    /// An earlier step failed first.
    NotRun,
}

impl Verdict {
    /// The word for the table.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Nothing(_) => "nothing to do",
            Self::Failed(_) => "FAILED",
            Self::NotRun => "not run",
        }
    }

    /// Whether it makes the whole run fail.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Failed(_))
    }

    fn reason(&self) -> String {
        const LONGEST: usize = 100;
        // The table shows the first line. The rest, such as the end of a log, was printed when the step ran.
        let line = match self {
            Self::Passed | Self::NotRun => "",
            Self::Nothing(reason) | Self::Failed(reason) => {
                reason.lines().next().unwrap_or_default().trim_end_matches(':')
            }
        };
        if line.chars().count() <= LONGEST {
            return line.to_owned();
        }
        line.chars().take(LONGEST).chain(['…']).collect()
    }
}

/// The table: one line per step, with its result, time and reason.
#[must_use]
pub fn table(entries: &[Entry]) -> String {
    let width = entries.iter().map(|entry| entry.name.len()).max().unwrap_or(0).max("step".len());
    let mut text = format!("{:<width$}  {:<13}  {:>12}  {:>12}\n", "step", "result", "time", "CPU time");
    for Entry { name, verdict, time, cpu } in entries {
        let time = if *verdict == Verdict::NotRun { "-".into() } else { seconds(*time) };
        let cpu = cpu.map_or_else(|| "-".into(), seconds);
        let line =
            format!("{name:<width$}  {:<13}  {time:>12}  {cpu:>12}  {}", verdict.word(), verdict.reason());
        // Writing to a string can't fail.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_has_a_line_with_its_result() {
        let entry = |name: &str, verdict, millis| Entry {
            name: name.into(),
            verdict,
            time: Duration::from_millis(millis),
            cpu: (millis > 0).then(|| Duration::from_millis(2 * millis)),
        };
        let entries = [
            entry("fmt", Verdict::Passed, 1_500),
            entry("clippy", Verdict::Failed("it broke\nsecond line".into()), 125_000),
            entry("fuzz", Verdict::Nothing("no targets".into()), 0),
            entry("qemu", Verdict::NotRun, 0),
        ];
        let expected = "\
step    result                 time      CPU time
fmt     passed                1.5 s         3.0 s
clippy  FAILED           2 min 05 s    4 min 10 s  it broke
fuzz    nothing to do         0.0 s             -  no targets
qemu    not run                   -             -
";
        assert_eq!(table(&entries), expected);
    }
}
