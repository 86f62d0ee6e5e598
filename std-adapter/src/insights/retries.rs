//! Operations that fail again and again in one trace: retries.

use super::engine::Seen;
use super::evidence::Evidence;
use super::operations::{OTHERS, Operations};
use crate::keyed::Keyed;
use std::collections::HashMap;
use std::sync::Arc;
use throughline::TraceId;

/// So many failures in turn are counted as retries.
const LEAST: u64 = 3;
/// Longest pause between two attempts, in nanoseconds.
const PAUSE: u64 = 60_000_000_000;
/// Operations whose retries are kept.
const OPERATIONS: usize = 128;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Retries {
    failing: Keyed<(TraceId, u32), Failing>,
    found: HashMap<u32, Retried>,
    /// When those that are over were last forgotten.
    swept: u64,
    /// Traces that were forgotten before they had failed often enough.
    pub(super) forgotten: u64,
    /// Operations that found no room.
    pub(super) refused: u64,
}

/// The failures of an operation in one trace.
#[derive(Debug, Default)]
struct Failing {
    failures: u64,
    until: u64,
    failed_ns: u64,
}

/// The retries of one operation.
#[derive(Clone, Debug)]
pub(super) struct Retried {
    pub(super) operation: u32,
    pub(super) label: Arc<str>,
    pub(super) traces: u64,
    /// Failed attempts in these traces.
    pub(super) attempts: u64,
    pub(super) most: u64,
    /// The time of these attempts.
    pub(super) failed_ns: u64,
    last: u64,
    pub(super) evidence: Evidence,
}

impl Retries {
    /// Forgets all but what is counted.
    pub(super) fn clear(&mut self) {
        let Retries { forgotten, refused, .. } = *self;
        *self = Retries { forgotten, refused, ..Retries::default() };
    }

    /// Takes a span in. Those without an error cost nothing: what succeeds in the end was retried all the same.
    pub(super) fn take(&mut self, span: &Seen, operations: &Operations, evidence: usize) {
        if !span.failed || span.operation == OTHERS {
            return;
        }
        if span.end.saturating_sub(self.swept) > PAUSE {
            self.swept = span.end;
            self.failing.forget_before(span.end.saturating_sub(PAUSE));
        }
        let (failing, forgotten) = self.failing.at(&(span.trace, span.operation), span.end);
        self.forgotten += forgotten;
        if span.start < failing.until {
            // It ran beside the one before, so it does not repeat it.
            return;
        }
        let duration = span.end - span.start;
        if span.start - failing.until > PAUSE {
            *failing = Failing::default();
        }
        failing.failures += 1;
        failing.until = span.end;
        failing.failed_ns = failing.failed_ns.saturating_add(duration);
        if failing.failures < LEAST {
            return;
        }
        if self.found.len() >= OPERATIONS && !self.found.contains_key(&span.operation) {
            self.refused += 1;
            return;
        }
        let found = self.found.entry(span.operation).or_insert_with(|| Retried {
            operation: span.operation,
            label: operations.label(span.operation),
            traces: 0,
            attempts: 0,
            most: 0,
            failed_ns: 0,
            last: 0,
            evidence: Evidence::default(),
        });
        let is_new = failing.failures == LEAST;
        found.traces += u64::from(is_new);
        found.attempts += if is_new { LEAST } else { 1 };
        found.most = found.most.max(failing.failures);
        found.failed_ns = found.failed_ns.saturating_add(if is_new { failing.failed_ns } else { duration });
        found.last = found.last.max(span.end);
        found.evidence.add(failing.failures, span.trace, evidence);
    }

    /// What was retried since this time.
    pub(super) fn since(&mut self, since: u64) -> Vec<Retried> {
        self.found.retain(|_, retried| retried.last >= since);
        self.found.values().cloned().collect()
    }

    /// How many failing operations of traces and how many findings are kept.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> [usize; 2] {
        [self.failing.iter().count(), self.found.len()]
    }
}
