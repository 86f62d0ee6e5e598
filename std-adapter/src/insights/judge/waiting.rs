//! Contended spans: async ones that wait most of their time, while others of their kind run, and of which no child says what for.

use super::super::engine::Engine;
use super::super::report::{Finding, FindingKind, Severity};
use super::super::shown::seconds;
use super::{LEAST, SECOND, recent};
use throughline::SpanKind;

/// The part of the time that is much.
const MUCH: f64 = 0.75;
/// What is nothing, in nanoseconds of each span.
const NOTHING: f64 = 1_000_000.0;
/// How many others of its kind run at the same time, on average.
const BESIDE: f64 = 1.0;

pub(super) fn find(engine: &Engine) -> Vec<Finding> {
    let found = recent(engine).filter_map(|(operation, last)| {
        // Calls wait for others by their nature.
        let is_call = matches!(operation.kind, SpanKind::Client | SpanKind::Producer);
        if is_call || last.asynchronous < LEAST {
            return None;
        }
        let count = last.asynchronous as f64;
        let share = last.wait_ns as f64 / (last.async_ns as f64).max(1.0);
        let (wait, beside) = (last.wait_ns as f64 / count, last.beside as f64 / count);
        if share < MUCH || wait < NOTHING || beside < BESIDE {
            return None;
        }
        let label = &operation.label;
        let summary = format!(
            "`{label}` waits {:.0} % of its time, {} each on average, while {beside:.1} others of its kind run, and no child span says for what: a lock, a pool, a \
             timer, or a call without a span.",
            share * 100.0,
            seconds(wait / SECOND)
        );
        Some(Finding {
            kind: FindingKind::ContendedSpan,
            severity: if share >= 0.9 { Severity::Critical } else { Severity::Warning },
            subject: label.to_string(),
            summary,
            figures: vec![
                ("waiting_share", share),
                ("waiting_seconds", wait / SECOND),
                ("duration_seconds", last.async_ns as f64 / count / SECOND),
                ("beside", beside),
                ("spans", count),
            ],
            traces: last.waited.traces(),
        })
    });
    found.collect()
}
