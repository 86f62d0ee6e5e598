//! Calls that one would make once (N+1), and retries.

use super::super::calls::Pattern;
use super::super::engine::Engine;
use super::super::report::{Finding, FindingKind, Severity};
use super::super::retries::Retried;
use super::super::shown::seconds;
use super::SECOND;

/// Traces with retries, and failures in one trace, that are a storm.
const TRACES: u64 = 3;
const FAILURES: u64 = 10;
/// The part of an operation's spans that are failed attempts.
const MUCH: f64 = 0.5;

pub(super) fn find(engine: &mut Engine, since: u64) -> Vec<Finding> {
    let evidence = engine.options().evidence;
    let patterns = engine.calls.patterns(since, &engine.operations, evidence);
    let retried = engine.retries.since(since);
    let retried = retried.iter().filter(|it| it.traces >= TRACES || it.most >= FAILURES);
    patterns.iter().map(n_plus_one).chain(retried.map(|it| retry(engine, it, since))).collect()
}

fn n_plus_one(pattern: &Pattern) -> Finding {
    let Pattern { parents, children, most, total_ns, of_ns, .. } = *pattern;
    let child = &pattern.child;
    let (parent, of) = match &pattern.parent {
        Some(parent) => (parent.to_string(), format!("`{parent}`")),
        None => ("(open)".to_owned(), "A span that has not ended".to_owned()),
    };
    let share = total_ns as f64 / (of_ns as f64).max(1.0);
    let each = children as f64 / parents.max(1) as f64;
    let times = if parents == 1 { "once".to_owned() } else { format!("{parents} times") };
    let statement = pattern.statement.as_ref().map_or(String::new(), |text| format!(" (`{text}`)"));
    let advice = if pattern.is_call { "one call for all would do" } else { "a loop is where its time goes" };
    let summary = format!(
        "{of} ran `{child}`{statement} {each:.0} times one after the other, {times}, which takes {:.0} % of its time, {} in sum; {advice}.",
        share.min(1.0) * 100.0,
        seconds(total_ns as f64 / SECOND)
    );
    let severity = match (pattern.is_call, share >= 0.5 && parents >= 10) {
        (false, _) => Severity::Info,
        (true, false) => Severity::Warning,
        (true, true) => Severity::Critical,
    };
    Finding {
        kind: FindingKind::NPlusOne,
        severity,
        subject: format!("{parent} → {child}"),
        summary,
        figures: vec![
            ("parents", parents as f64),
            ("children", children as f64),
            ("most", most as f64),
            ("seconds", total_ns as f64 / SECOND),
            ("share", share.min(1.0)),
        ],
        traces: pattern.traces.traces(),
    }
}

fn retry(engine: &Engine, retried: &Retried, since: u64) -> Finding {
    let Retried { traces, attempts, most, failed_ns, .. } = *retried;
    let first = engine.window(since);
    let windows = engine.operations.get(retried.operation).into_iter().flat_map(|it| &it.windows);
    let spans = windows.filter(|it| it.number >= first).map(|it| it.count).sum::<u64>().max(attempts);
    let share = attempts as f64 / spans.max(1) as f64;
    let label = &retried.label;
    let summary = format!(
        "`{label}` failed {attempts} times in {traces} {}, up to {most} times in turn in one, which is {:.0} % of its spans and took {}; space out \
         the attempts, and give up sooner.",
        if traces == 1 { "trace" } else { "traces" },
        share * 100.0,
        seconds(failed_ns as f64 / SECOND)
    );
    Finding {
        kind: FindingKind::RetryStorm,
        severity: if share >= MUCH { Severity::Critical } else { Severity::Warning },
        subject: label.to_string(),
        summary,
        figures: vec![
            ("traces", traces as f64),
            ("attempts", attempts as f64),
            ("most", most as f64),
            ("seconds", failed_ns as f64 / SECOND),
            ("share", share),
        ],
        traces: retried.evidence.traces(),
    }
}
