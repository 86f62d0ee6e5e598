//! Shows figures and how they changed.

use throughline_benches::baseline::{Change, Verdict};

/// One line per figure: path, baseline, figure, change in per cent, and what is wrong.
pub(super) fn table(changes: &[Change]) -> String {
    let head = ["path", "target", "unit", "baseline", "now", "change", ""].map(str::to_owned);
    let lines: Vec<[String; 7]> = std::iter::once(head).chain(changes.iter().map(cells)).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 7] = std::array::from_fn(width);
    let mut text = String::new();
    for line in &lines {
        let mut shown = String::new();
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            // Figures are aligned right, words left.
            let cell =
                if (3..6).contains(&column) { format!("{cell:>width$}") } else { format!("{cell:<width$}") };
            shown += &cell;
            shown += "  ";
        }
        text += shown.trim_end();
        text.push('\n');
    }
    text
}

/// How many figures changed in which direction, and what is left to do.
pub(super) fn summary(changes: &[Change], updated: bool) -> String {
    let count = |verdict| changes.iter().filter(|it| it.verdict == verdict).count();
    let (same, improved) = (count(Verdict::Same), count(Verdict::Improved));
    let mut text = format!("{} figures: {same} as committed, {improved} lower", changes.len());
    text += &format!(", {} higher by 3 % at most\n", count(Verdict::Grew));
    if improved > 0 && !updated {
        text += "`cargo xtask instructions --update` makes the lower ones the baseline: commit it together with the improvement\n";
    }
    text
}

fn cells(change: &Change) -> [String; 7] {
    let figure = |value: Option<f64>| value.map_or_else(|| "–".into(), number);
    [
        change.path.clone(),
        change.target.clone(),
        change.unit.name().into(),
        figure(change.baseline),
        figure(change.now),
        change.percent.filter(|percent| *percent != 0.0).map_or_else(String::new, |it| format!("{it:+.1} %")),
        remark(change),
    ]
}

/// A number without a fraction if it is an integer.
fn number(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

fn remark(change: &Change) -> String {
    match change.verdict {
        Verdict::Same => String::new(),
        Verdict::Improved => "improved".into(),
        Verdict::Grew => "grew, not too much".into(),
        Verdict::Regressed => "REGRESSED".into(),
        Verdict::OverBudget => {
            format!("OVER BUDGET, at most {}", change.budget.map_or_else(String::new, number))
        }
        Verdict::New => "NO BASELINE".into(),
        Verdict::Missing => "NOT MEASURED".into(),
    }
}

#[cfg(test)]
mod tests {
    use throughline_benches::Unit;

    use super::*;

    fn change(path: &str, baseline: Option<f64>, now: Option<f64>, verdict: Verdict) -> Change {
        Change {
            path: path.into(),
            target: "t".into(),
            unit: Unit::Bytes,
            baseline,
            now,
            percent: baseline.zip(now).map(|(old, new)| 100.0 * (new / old - 1.0)),
            budget: Some(9.0),
            verdict,
        }
    }

    #[test]
    fn a_line_says_what_was_what_is_and_what_is_wrong() {
        let changes = [
            change("span_wire", Some(8.0), Some(9.5), Verdict::OverBudget),
            change("span", Some(1_000.0), Some(1_000.0), Verdict::Same),
            change("gone", Some(7.468), None, Verdict::Missing),
        ];
        assert_eq!(
            table(&changes).lines().collect::<Vec<_>>(),
            [
                "path       target  unit   baseline   now   change",
                "span_wire  t       bytes         8  9.50  +18.8 %  OVER BUDGET, at most 9",
                "span       t       bytes      1000  1000",
                "gone       t       bytes      7.47     –           NOT MEASURED",
            ]
        );
    }

    #[test]
    fn gains_ask_to_be_kept() {
        let changes = [change("span", Some(8.0), Some(7.0), Verdict::Improved)];
        assert!(summary(&changes, false).contains("--update"));
        assert!(!summary(&changes, true).contains("--update"));
        assert!(!summary(&[], false).contains("--update"));
    }
}
