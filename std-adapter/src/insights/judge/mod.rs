//! Judges what the engine knows.

mod latency;
mod patterns;
mod room;
mod waiting;

use super::engine::Engine;
use super::operations::{OTHERS, Window};
use super::report::{Operation, Report};

/// Operations that a report names.
const SHOWN: usize = 20;
/// Fewest spans of an operation in a window from which something is said about it.
const LEAST: u64 = 20;
const SECOND: f64 = 1e9;

/// Everything that is found.
pub(super) fn report(engine: &mut Engine) -> Report {
    let (since, now) = (engine.since(), engine.now);
    let (of_room, forecasts) = room::find(engine);
    let mut findings = latency::find(engine);
    findings.extend(waiting::find(engine));
    findings.extend(patterns::find(engine, since));
    findings.extend(of_room);
    findings.sort_by(|a, b| {
        b.severity.cmp(&a.severity).then_with(|| (a.kind, &a.subject).cmp(&(b.kind, &b.subject)))
    });
    Report {
        from_unix_ns: since,
        to_unix_ns: now,
        window_seconds: engine.window_ns() as f64 / SECOND,
        spans: engine.spans(),
        findings,
        operations: operations(engine, since),
        forecasts,
        left_out: engine.left_out(),
    }
}

/// The operations that take most time.
fn operations(engine: &Engine, since: u64) -> Vec<Operation> {
    let evidence = engine.options().evidence;
    let first = engine.window(since);
    let sums = engine.operations.iter().map(|(_, operation)| (operation, operation.since(first, evidence)));
    let mut sums: Vec<(&super::operations::Operation, Window)> =
        sums.filter(|(_, sum)| sum.count > 0).collect();
    let all: f64 = sums.iter().map(|(_, sum)| sum.own_ns as f64).sum();
    sums.sort_by(|a, b| b.1.own_ns.cmp(&a.1.own_ns).then_with(|| a.0.label.cmp(&b.0.label)));
    let shown = sums.into_iter().take(SHOWN).map(|(operation, sum)| {
        let quantile = |q| sum.durations.quantile(q) / SECOND;
        Operation {
            name: operation.label.to_string(),
            count: sum.count,
            failed: sum.failed,
            p50: quantile(0.5),
            p95: quantile(0.95),
            p99: quantile(0.99),
            own_seconds: sum.own_ns as f64 / SECOND,
            share: if all > 0.0 { sum.own_ns as f64 / all } else { 0.0 },
            traces: sum.slowest.traces(),
        }
    });
    shown.collect()
}

/// The operations that are judged, each with its last window that has enough spans and is no older than the one before the present.
fn recent(engine: &Engine) -> impl Iterator<Item = (&super::operations::Operation, &Window)> {
    let oldest = engine.window(engine.now).saturating_sub(1);
    engine.operations.iter().filter(|(number, _)| *number != OTHERS).filter_map(move |(_, operation)| {
        let last = operation.windows.iter().rev().find(|window| window.count >= LEAST)?;
        (last.number >= oldest).then_some((operation, last))
    })
}
