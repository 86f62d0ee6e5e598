//! The rows of a run and the object that contains them.

use serde::{Deserialize, Serialize};

use crate::{budget, machine::Machine};

/// The subject name of the library under test.
pub const SUBJECT: &str = "throughline";

/// The subject name of the least work that could do the job. Ratio budgets refer to it.
pub const LIMIT: &str = "limit";

/// One run on one machine.
///
/// As JSON: `{"date": "2026-11-21", "cpu": "…", "rustc": "…", "rows": […]}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Day of the run, UTC, `YYYY-MM-DD`.
    pub date: String,
    /// CPU model and number of cores.
    pub cpu: String,
    /// First line of `rustc -V`.
    pub rustc: String,
    /// The figures in the order in which they were taken.
    pub rows: Vec<Row>,
}

/// One figure: what one subject needs for one operation of one path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Name of the path, as in the [budget table](crate::BUDGETS): `span`, `counter`, …
    pub path: String,
    /// [`SUBJECT`], [`LIMIT`] or a peer's name and configuration.
    pub subject: String,
    /// Target triple for which the code was built.
    pub target: String,
    /// The number of threads that ran the operation at the same time. A time is per operation and thread.
    pub threads: u32,
    /// Median over the samples of the run, in `unit`.
    pub median: f64,
    /// Smallest sample of the run, in `unit`.
    pub min: f64,
    /// The unit of `median`, `min` and `budget`.
    pub unit: Unit,
    /// The upper limit of `median`, in `unit`; `None` for peers and limits, and if there is no budget.
    pub budget: Option<f64>,
    /// Whether `median <= budget`; `None` if `budget` is.
    pub met: Option<bool>,
}

/// The unit of a [`Row`], always per operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Wall-clock nanoseconds.
    Ns,
    /// Executed (or emulated) instructions.
    Instructions,
    /// Bytes: of flash, of RAM or on the wire; the path says which.
    Bytes,
    /// Percent; the path says of what.
    Percent,
}

impl Unit {
    /// The unit as JSON and tables name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ns => "ns",
            Self::Instructions => "instructions",
            Self::Bytes => "bytes",
            Self::Percent => "%",
        }
    }
}

impl Row {
    /// A row for which no budget has been looked up yet.
    #[must_use]
    pub fn new(
        path: &str,
        subject: &str,
        target: &str,
        threads: u32,
        unit: Unit,
        median: f64,
        min: f64,
    ) -> Self {
        Self {
            path: path.into(),
            subject: subject.into(),
            target: target.into(),
            threads,
            median,
            min,
            unit,
            budget: None,
            met: None,
        }
    }
}

impl Report {
    /// A report of `rows`, made now on `machine`, with every `throughline` row judged.
    #[must_use]
    pub fn new(machine: &Machine, mut rows: Vec<Row>) -> Self {
        budget::judge(&mut rows);
        Self { date: machine.date.clone(), cpu: machine.cpu.clone(), rustc: machine.rustc.clone(), rows }
    }

    /// Adds the rows of another run (for example of the firmware benches) and judges them.
    pub fn extend(&mut self, rows: impl IntoIterator<Item = Row>) {
        self.rows.extend(rows);
        budget::judge(&mut self.rows);
    }

    /// The rows that were over their budget.
    pub fn missed(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.met == Some(false))
    }

    /// The report as one line of JSON.
    ///
    /// # Errors
    /// When a figure is not finite, because JSON has no such number.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// The same object with a line for each row, so that `diff` can compare two runs.
    ///
    /// # Errors
    /// As [`to_json`](Self::to_json).
    pub fn to_json_lines(&self) -> Result<String, serde_json::Error> {
        Ok(self.to_json()?.replace("{\"path\"", "\n{\"path\"") + "\n")
    }

    /// Reads what [`to_json`](Self::to_json) or [`to_json_lines`](Self::to_json_lines) wrote.
    ///
    /// # Errors
    /// When `json` is not an object of this form.
    pub fn from_json(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_the_agreed_names_and_survives_a_round_trip() {
        let machine = Machine {
            date: "2026-11-21".into(),
            cpu: "cpu × 2".into(),
            rustc: "rustc 1.95.0".into(),
            target: "t".into(),
        };
        let report =
            Report::new(&machine, vec![Row::new("span", SUBJECT, "t", 1, Unit::Instructions, 52.5, 52.5)]);
        let json = report.to_json().expect("finite figures");
        assert_eq!(
            json,
            "{\"date\":\"2026-11-21\",\"cpu\":\"cpu × 2\",\"rustc\":\"rustc 1.95.0\",\"rows\":[{\"path\":\"span\",\
             \"subject\":\"throughline\",\"target\":\"t\",\"threads\":1,\"median\":52.5,\"min\":52.5,\"unit\":\"instructions\",\
             \"budget\":60.0,\"met\":true}]}"
        );
        assert_eq!(Report::from_json(&json).expect("own output"), report);
        let lines = report.to_json_lines().expect("finite figures");
        assert_eq!(lines.lines().count(), 1 + report.rows.len());
        assert_eq!(Report::from_json(&lines).expect("own output"), report);
    }

    #[test]
    fn missed_names_only_rows_over_budget() {
        let machine =
            Machine { date: String::new(), cpu: String::new(), rustc: String::new(), target: String::new() };
        let mut report =
            Report::new(&machine, vec![Row::new("counter", SUBJECT, "t", 1, Unit::Ns, 2.5, 2.4)]);
        assert_eq!(report.missed().count(), 0, "there is nothing to compare it with yet");
        report.extend([Row::new("counter", "prometheus", "t", 1, Unit::Ns, 4.9, 4.8)]);
        assert_eq!(report.missed().map(|row| row.subject.as_str()).collect::<Vec<_>>(), [SUBJECT]);
    }
}
