//! Exact figures that are committed, and their comparison with the figures of a later run.
//!
//! Instructions and bytes do not depend on the machine's load, so a figure above its baseline is worse code
//! and not noise. A [`Baseline`] holds the figures of one kind of machine; [`compare`] judges a run by it.

use serde::{Deserialize, Serialize};

use crate::report::{Row, SUBJECT, Unit};

/// The most by which a figure may grow, in hundredths of its baseline.
///
/// There is no other tolerance: below 34 instructions one more is too many, because such growth adds up over
/// time.
pub const MOST_GROWTH: f64 = 3.0;

/// The committed figures of one kind of machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Target triple for which the code was built.
    pub target: String,
    /// First line of `rustc -V`. Another compiler gives other figures.
    pub rustc: String,
    /// The figures in the order in which they are taken.
    pub rows: Vec<Figure>,
}

/// One committed figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The row's path, with the subject's configuration if it has one: `encode (with code location)`.
    pub path: String,
    /// What `value` counts.
    pub unit: Unit,
    /// The figure, rounded to a thousandth.
    pub value: f64,
}

/// The change of one figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// As [`Figure::path`].
    pub path: String,
    /// Target triple for which the code was built.
    pub target: String,
    /// What the figures count.
    pub unit: Unit,
    /// The committed figure; `None` when there is none.
    pub baseline: Option<f64>,
    /// Today's figure; `None` when there is none.
    pub now: Option<f64>,
    /// Growth in hundredths of the baseline; `None` if a figure is missing or the baseline is 0.
    pub percent: Option<f64>,
    /// The upper limit of `now`, if there is a budget.
    pub budget: Option<f64>,
    /// Whether the figure is acceptable.
    pub verdict: Verdict,
}

/// Whether a figure is acceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Equal to the committed figure.
    Same,
    /// Below the committed figure.
    Improved,
    /// Above the committed figure, by at most [`MOST_GROWTH`].
    Grew,
    /// Above the committed figure, by more than [`MOST_GROWTH`].
    Regressed,
    /// Above a budget that the committed figure meets.
    OverBudget,
    /// Measured but not committed.
    New,
    /// Committed but not measured.
    Missing,
}

impl Verdict {
    /// Whether a check must fail.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Regressed | Self::OverBudget | Self::New | Self::Missing)
    }
}

impl Baseline {
    /// The exact figures of Throughline on `target` from a run. Times and peers are left out.
    #[must_use]
    pub fn of(target: &str, rustc: &str, rows: &[Row]) -> Self {
        let rows = rows.iter().filter(|row| row.target == target).filter_map(figure).collect();
        Self { target: target.into(), rustc: rustc.into(), rows }
    }

    /// The baseline as JSON with a line for each figure, so that a commit shows which have changed.
    ///
    /// # Errors
    /// When a figure is not finite, because JSON has no such number.
    pub fn to_json_lines(&self) -> Result<String, serde_json::Error> {
        let json = serde_json::to_string(self)?;
        Ok(json.replace("{\"path\"", "\n{\"path\"").replace("}]}", "}\n]}\n"))
    }

    /// Reads what [`to_json_lines`](Self::to_json_lines) wrote.
    ///
    /// # Errors
    /// When `json` is not an object of this form.
    pub fn from_json(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }
}

/// The change of each figure in `baseline`, judged by the rows of a run; after them the new figures.
#[must_use]
pub fn compare(baseline: &Baseline, rows: &[Row]) -> Vec<Change> {
    let measured: Vec<(Figure, Option<f64>)> = rows
        .iter()
        .filter(|row| row.target == baseline.target)
        .filter_map(|row| Some((figure(row)?, row.budget)))
        .collect();
    let same = |a: &Figure, b: &Figure| (&a.path, a.unit) == (&b.path, b.unit);
    let committed = baseline.rows.iter().map(|old| {
        let new = measured.iter().find(|(new, _)| same(old, new));
        change(baseline, old, Some(old.value), new.map(|it| it.0.value), new.and_then(|it| it.1))
    });
    let added = measured
        .iter()
        .filter(|(new, _)| !baseline.rows.iter().any(|old| same(old, new)))
        .map(|(new, budget)| change(baseline, new, None, Some(new.value), *budget));
    committed.chain(added).collect()
}

/// A row as a figure to commit; `None` if it is not exact or not Throughline's.
fn figure(row: &Row) -> Option<Figure> {
    let configuration = row.subject.strip_prefix(SUBJECT)?;
    matches!(row.unit, Unit::Instructions | Unit::Bytes).then(|| Figure {
        path: format!("{}{configuration}", row.path),
        unit: row.unit,
        value: (row.median * 1_000.0).round() / 1_000.0,
    })
}

fn change(
    baseline: &Baseline,
    of: &Figure,
    old: Option<f64>,
    new: Option<f64>,
    budget: Option<f64>,
) -> Change {
    let percent = old.zip(new).filter(|(old, _)| *old != 0.0).map(|(old, new)| 100.0 * (new / old - 1.0));
    Change {
        path: of.path.clone(),
        target: baseline.target.clone(),
        unit: of.unit,
        baseline: old,
        now: new,
        percent,
        budget,
        verdict: match (old, new) {
            (None, _) => Verdict::New,
            (_, None) => Verdict::Missing,
            (Some(old), Some(new)) => verdict(old, new, budget),
        },
    }
}

fn verdict(old: f64, new: f64, budget: Option<f64>) -> Verdict {
    if budget.is_some_and(|most| old <= most && new > most) {
        Verdict::OverBudget
    } else if new > old * (1.0 + MOST_GROWTH / 100.0) {
        Verdict::Regressed
    } else if new > old {
        Verdict::Grew
    } else if new < old {
        Verdict::Improved
    } else {
        Verdict::Same
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const M0: &str = "thumbv6m-none-eabi";

    fn row(path: &str, subject: &str, unit: Unit, value: f64) -> Row {
        Row::new(path, subject, M0, 1, unit, value, value)
    }

    fn ours(path: &str, value: f64) -> Row {
        row(path, SUBJECT, Unit::Instructions, value)
    }

    fn verdicts(before: &[Row], now: &mut [Row]) -> Vec<(String, Verdict)> {
        crate::judge(now);
        compare(&Baseline::of(M0, "rustc", before), now).into_iter().map(|it| (it.path, it.verdict)).collect()
    }

    #[test]
    fn growth_is_judged_to_the_hundredth() {
        for (before, now, verdict) in [
            (100.0, 100.0, Verdict::Same),
            (100.0, 99.0, Verdict::Improved),
            (100.0, 103.0, Verdict::Grew),
            (100.0, 103.1, Verdict::Regressed),
            (33.0, 34.0, Verdict::Regressed),
            (34.0, 35.0, Verdict::Grew),
            (0.0, 0.0, Verdict::Same),
            (0.0, 1.0, Verdict::Regressed),
        ] {
            let found = verdicts(&[ours("ring", before)], &mut [ours("ring", now)]);
            assert_eq!(found, [("ring".into(), verdict)], "{before} → {now}");
        }
    }

    #[test]
    fn a_budget_that_was_kept_is_kept() {
        // The budget on this target is 100 instructions.
        for (before, now, verdict) in [
            (99.0, 100.0, Verdict::Grew),
            (99.0, 101.0, Verdict::OverBudget),
            (50.0, 101.0, Verdict::OverBudget),
            (101.0, 102.0, Verdict::Grew),
            (101.0, 110.0, Verdict::Regressed),
        ] {
            let found = verdicts(&[ours("span", before)], &mut [ours("span", now)]);
            assert_eq!(found, [("span".into(), verdict)], "{before} → {now}");
        }
    }

    #[test]
    fn what_has_come_and_gone_is_named() {
        let found = verdicts(&[ours("a", 1.0), ours("b", 2.0)], &mut [ours("b", 2.0), ours("c", 3.0)]);
        let expected =
            [("a", Verdict::Missing), ("b", Verdict::Same), ("c", Verdict::New)].map(|(p, v)| (p.into(), v));
        assert_eq!(found, expected);
        assert!(found.iter().filter(|it| it.0 != "b").all(|it| it.1.is_failure()));
    }

    #[test]
    fn times_peers_and_other_targets_are_no_part() {
        let rows = [
            ours("span", 10.0),
            row("span", SUBJECT, Unit::Bytes, 9.0),
            row("span", "throughline (with code location)", Unit::Bytes, 20.0),
            row("span", SUBJECT, Unit::Ns, 1.0),
            row("span", "limit", Unit::Instructions, 1.0),
            Row::new("span", SUBJECT, "other", 1, Unit::Instructions, 3.0, 3.0),
        ];
        let kept: Vec<_> = Baseline::of(M0, "rustc", &rows).rows.iter().map(|it| it.value).collect();
        assert_eq!(kept, [10.0, 9.0, 20.0]);
        // The same path in another unit or configuration is a different figure.
        assert!(verdicts(&rows, &mut rows.clone()).iter().all(|it| it.1 == Verdict::Same));
    }

    #[test]
    fn a_line_for_each_figure_survives_a_round_trip() {
        let written = Baseline::of(M0, "rustc 1.95.0", &[ours("span", 100.0 / 3.0), ours("event", 2.0)]);
        let json = written.to_json_lines().expect("finite figures");
        assert_eq!(
            json,
            "{\"target\":\"thumbv6m-none-eabi\",\"rustc\":\"rustc 1.95.0\",\"rows\":[\n\
             {\"path\":\"span\",\"unit\":\"instructions\",\"value\":33.333},\n\
             {\"path\":\"event\",\"unit\":\"instructions\",\"value\":2.0}\n]}\n"
        );
        assert_eq!(Baseline::from_json(&json).expect("own output"), written);
    }

    #[test]
    fn percent_is_of_the_baseline() {
        let change = compare(&Baseline::of(M0, "", &[ours("a", 50.0)]), &[ours("a", 51.0)]);
        assert_eq!(change[0].percent.map(f64::round), Some(2.0));
        assert_eq!(compare(&Baseline::of(M0, "", &[ours("a", 0.0)]), &[ours("a", 1.0)])[0].percent, None);
    }
}
