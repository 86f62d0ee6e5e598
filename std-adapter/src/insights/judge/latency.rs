//! Latencies that grow: of the last window against those before it, or steadily over all of them.
//!
//! Of each window the median and the 95th percentile are taken. What is usual is the median of these over the windows before, and their spread is the MAD. The
//! last window is slower if it is five spreads away, 30 % above, and if the quantile is above by three standard errors of its own: the quantile with the rank
//! q − 3 √(q (1 − q) / n) is above what is usual, too. A spread counts as at least 5 %, because quantiles are that uncertain.

use super::super::engine::Engine;
use super::super::line::Line;
use super::super::operations::{Operation, Window};
use super::super::report::{Finding, FindingKind, Severity};
use super::super::shown::seconds;
use super::{LEAST, SECOND, recent};
use crate::robust::center;

/// The quantiles, with the fewest spans of a window for each. The first that has grown is told.
const QUANTILES: [(f64, &str, u64); 2] = [(0.5, "median", LEAST), (0.95, "95th percentile", 100)];
/// Fewest windows before the last one.
const LEAST_WINDOWS: usize = 3;
/// Fewest windows from which a slope is known.
const LEAST_OF_LINE: usize = 6;
/// Spreads, standard errors, and the ratio that is too much.
const FAR: f64 = 5.0;
const ERRORS: f64 = 3.0;
const MUCH: f64 = 1.3;
/// The least spread, as a part of what is usual.
const LEAST_SPREAD: f64 = 0.05;
/// What nobody notices, in nanoseconds.
const NOTHING: f64 = 100_000.0;
/// Standard errors of a slope.
const OF_SLOPE: f64 = 2.58;

pub(super) fn find(engine: &Engine) -> Vec<Finding> {
    let found = recent(engine).filter_map(|(operation, last)| {
        let growth = QUANTILES.iter().find_map(|quantile| growth(operation, last, *quantile))?;
        Some((operation, last, growth))
    });
    found.map(|(operation, last, growth)| finding(engine, operation, last, &growth)).collect()
}

/// How a quantile has grown, in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Growth {
    what: &'static str,
    usual: f64,
    spread: f64,
    now: f64,
    windows: usize,
    /// Whether it grows from window to window.
    is_steady: bool,
}

fn growth(
    operation: &Operation,
    last: &Window,
    (q, what, least): (f64, &'static str, u64),
) -> Option<Growth> {
    if last.count < least {
        return None;
    }
    let margin = ERRORS * (q * (1.0 - q) / last.count as f64).sqrt();
    let (now, surely) = (last.durations.quantile(q), last.durations.quantile(q - margin));
    let before =
        operation.windows.iter().filter(|window| window.number < last.number && window.count >= least);
    let before: Vec<(f64, f64)> =
        before.map(|window| (window.number as f64, window.durations.quantile(q))).collect();
    let is_more = |usual: f64| now >= MUCH * usual && now - usual >= NOTHING && surely > usual;
    let (usual, spread) = center(&mut before.iter().map(|(_, value)| *value).collect::<Vec<_>>())?;
    let far = (now - usual) / spread.max(LEAST_SPREAD * usual);
    let windows = before.len();
    if windows >= LEAST_WINDOWS && far >= FAR && is_more(usual) {
        return Some(Growth { what, usual, spread, now, windows, is_steady: false });
    }
    let mut points = before;
    points.push((last.number as f64, now));
    let line = Line::through(&points, false).filter(|_| points.len() >= LEAST_OF_LINE)?;
    let (first, _) = line.ends();
    let usual = first.max(1.0);
    let grows = line.bounds(OF_SLOPE).0 > 0.0 && is_more(usual);
    grows.then_some(Growth { what, usual, spread: line.spread, now, windows, is_steady: true })
}

fn finding(engine: &Engine, operation: &Operation, last: &Window, growth: &Growth) -> Finding {
    let Growth { what, usual, spread, now, windows, is_steady } = *growth;
    let ratio = now / usual.max(1.0);
    let (label, shown) = (&operation.label, |ns: f64| seconds(ns / SECOND));
    let window = seconds(engine.window_ns() as f64 / SECOND);
    let summary = match is_steady {
        false => format!(
            "`{label}` takes {} at the {what} in the last {window}, {ratio:.1} times the {} of the {windows} windows before.",
            shown(now),
            shown(usual)
        ),
        true => format!(
            "`{label}` grows slower from window to window: its {what} went from {} to {} within {} windows of {window}.",
            shown(usual),
            shown(now),
            windows + 1
        ),
    };
    Finding {
        kind: FindingKind::GrowingLatency,
        severity: if ratio >= 3.0 { Severity::Critical } else { Severity::Warning },
        subject: label.to_string(),
        summary,
        figures: vec![
            ("now_seconds", now / SECOND),
            ("usual_seconds", usual / SECOND),
            ("spread_seconds", spread / SECOND),
            ("ratio", ratio),
            ("spans", last.count as f64),
            ("windows", windows as f64),
        ],
        traces: last.slowest.traces(),
    }
}
