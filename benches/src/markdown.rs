//! The table that is kept in the repository.

use std::fmt::Write as _;

use crate::{
    budget::{self, Bound, Ratio},
    report::{Report, Row, SUBJECT},
};

impl Report {
    /// The report as a Markdown page: a table with a line per path, subject and unit, and a column per number
    /// of threads.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut page = format!("# Benches of {}\n\n{}, {}\n", self.date, self.cpu, self.rustc);
        page.push_str("\nPer operation and thread: median (least sample).\n\n");
        page.push_str("| path | subject | 1 thread | 2 threads | unit | budget | met |\n|---|---|--:|--:|---|---|---|\n");
        for (at, row) in self.rows.iter().enumerate() {
            if self.rows[..at].iter().any(|earlier| same_line(earlier, row)) {
                continue;
            }
            let line: Vec<&Row> = self.rows[at..].iter().filter(|other| same_line(other, row)).collect();
            let cell = |threads| {
                line.iter().find(|row| row.threads == threads).map_or_else(String::new, |row| figure(row))
            };
            let name = if row.subject == SUBJECT { format!("**{SUBJECT}**") } else { row.subject.clone() };
            let _ = writeln!(
                page,
                "| {} | {name} | {} | {} | {} | {} | {} |",
                path(row),
                cell(1),
                cell(2),
                row.unit.name(),
                promised(&line),
                met(&line),
            );
        }
        page
    }
}

fn same_line(a: &Row, b: &Row) -> bool {
    (&a.path, &a.subject, &a.target, a.unit) == (&b.path, &b.subject, &b.target, b.unit)
}

/// The path, followed by the target if that is a microcontroller's.
fn path(row: &Row) -> String {
    if row.target.contains("-none-") { format!("{} ({})", row.path, row.target) } else { row.path.clone() }
}

fn figure(row: &Row) -> String {
    format!("{} ({})", number(row.median), number(row.min))
}

fn number(value: f64) -> String {
    if value < 10.0 {
        format!("{value:.2}")
    } else if value < 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

fn promised(line: &[&Row]) -> String {
    let most: Vec<String> = line.iter().filter_map(|row| row.budget).map(number).collect();
    match line.first().and_then(|row| budget::of(row)).map(|budget| budget.bound) {
        _ if most.is_empty() => String::new(),
        Some(Bound::Ratio(ratio)) => format!("≤ {} ({})", most.join(" / "), in_words(ratio)),
        _ => format!("≤ {}", most[0]),
    }
}

/// A ratio in words: `1.15 × limit, 0.46 × best peer`.
fn in_words(ratio: Ratio) -> String {
    let parts = [
        ratio.of_limit.map(|factor| format!("{factor} × limit")),
        ratio.of_peer.map(|share| format!("{share} × best peer")),
        ratio.flat.then(|| "no more with 2 threads".into()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn met(line: &[&Row]) -> String {
    let verdicts: Vec<bool> = line.iter().filter_map(|row| row.met).collect();
    match (verdicts.is_empty(), verdicts.iter().all(|met| *met)) {
        (true, _) => String::new(),
        (false, true) => "yes".into(),
        (false, false) => "**no**".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LIMIT, Machine, Unit};

    #[test]
    fn a_line_per_subject_with_threads_side_by_side() {
        let machine = Machine {
            date: "2026-11-21".into(),
            cpu: "cpu × 2".into(),
            rustc: "rustc 1.95.0".into(),
            target: String::new(),
        };
        let row = |subject, threads, median| {
            Row::new("span", subject, "t", threads, Unit::Ns, median, median - 1.0)
        };
        let report = Report::new(
            &machine,
            vec![row(LIMIT, 1, 20.0), row(LIMIT, 2, 20.0), row(SUBJECT, 1, 22.0), row(SUBJECT, 2, 24.0)],
        );
        assert_eq!(
            report.to_markdown().lines().skip(8).collect::<Vec<_>>(),
            [
                "| span | limit | 20.0 (19.0) | 20.0 (19.0) | ns |  |  |",
                "| span | **throughline** | 22.0 (21.0) | 24.0 (23.0) | ns | ≤ 23.0 / 23.0 (1.15 × limit, 0.46 × best peer) | **no** |",
            ]
        );
    }
}
