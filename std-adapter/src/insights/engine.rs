//! Takes spans and values, and makes the report.

use super::calls::{Calls, Statement};
use super::ended::Ended;
use super::gauges::{Gauges, POINTS};
use super::operations::{Operations, shortened};
use super::report::{LeftOut, Report};
use super::retries::Retries;
use super::{InsightOptions, judge};
use crate::db;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;
use throughline::{SpanId, SpanKind, TraceId};
use throughline_export::view::{PointData, PointView};

/// Statements whose form without values is kept, so that it is not made again.
const STATEMENTS: usize = 1024;
/// So many spans in a row that are too old are believed, and not the time before.
const MOST_BEHIND: u32 = 1000;
const SECOND: f64 = 1e9;

/// Finds bottlenecks in spans that have ended, and queues and resources that run full in values.
///
/// ```
/// use throughline::{SpanId, TraceId};
/// use throughline_std::insights::{Ended, Engine, InsightOptions};
/// let mut engine = Engine::new(&InsightOptions::new());
/// let trace = TraceId::from_bytes([7; 16]).unwrap();
/// engine.span(&Ended::new(trace, SpanId::from_bytes([8; 8]).unwrap(), "checkout", 1_000_000, 3_500_000));
/// let report = engine.report();
/// assert_eq!((report.operations[0].name.as_str(), report.operations[0].count), ("checkout", 1));
/// assert!(report.findings.is_empty());
/// ```
///
/// Memory is bounded by the [options](InsightOptions) whatever comes. What finds no room is counted in [`Report::left_out`].
///
/// Cost: some look-ups in tables for a span, and some multiplications and a sort of the 7140 slopes between 120 values for each queue of a report.
#[derive(Debug)]
pub struct Engine {
    options: InsightOptions,
    /// The length of a window.
    window_ns: u64,
    pub(super) operations: Operations,
    pub(super) calls: Calls,
    pub(super) retries: Retries,
    pub(super) gauges: Gauges,
    pub(super) resources: Gauges,
    /// Spans that wait for those that ended before them.
    waiting: Vec<Seen>,
    statements: HashMap<u64, Statement>,
    hasher: RandomState,
    spans: u64,
    first: u64,
    /// The latest time that is known.
    pub(super) now: u64,
    /// Spans in a row that are older than everything that is kept.
    behind: u32,
}

/// A span, with what is looked at.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) trace: TraceId,
    pub(super) id: SpanId,
    /// In this process.
    pub(super) parent: Option<SpanId>,
    pub(super) operation: u32,
    pub(super) statement: Option<Statement>,
    pub(super) kind: SpanKind,
    pub(super) failed: bool,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) busy: Option<u64>,
}

/// A value of a resource.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading<'a> {
    /// The resource: `memory`.
    pub name: &'a str,
    /// Its unit in UCUM: `By`.
    pub unit: &'a str,
    /// How much is used.
    pub used: f64,
    /// How much there is; `None` if that is not known.
    pub limit: Option<f64>,
    /// When it was read, in nanoseconds since 1970.
    pub time_unix_ns: u64,
}

impl Engine {
    /// An engine that knows nothing yet.
    pub fn new(options: &InsightOptions) -> Engine {
        Engine {
            operations: Operations::new(options.operations, options.windows + 1),
            calls: Calls::default(),
            retries: Retries::default(),
            gauges: Gauges::default(),
            resources: Gauges::default(),
            waiting: Vec::new(),
            statements: HashMap::new(),
            hasher: RandomState::new(),
            spans: 0,
            first: u64::MAX,
            now: 0,
            behind: 0,
            window_ns: u64::try_from(options.window.as_nanos()).unwrap_or(u64::MAX).max(1),
            options: options.clone(),
        }
    }

    /// Takes a span that has ended. Spans may come in any order of time within [`InsightOptions::reorder`].
    pub fn span(&mut self, ended: &Ended<'_>) {
        let (start, end) = (ended.start_unix_ns, ended.end_unix_ns.max(ended.start_unix_ns));
        self.spans += 1;
        // Before the windows that are kept.
        let is_late = self.window(end).saturating_add(self.options.windows as u64) < self.window(self.now);
        self.behind = if is_late { self.behind + 1 } else { 0 };
        if self.behind > MOST_BEHIND {
            self.begin_anew();
        }
        self.first = self.first.min(start);
        self.now = self.now.max(end);
        let window = self.window(self.now);
        let seen = Seen {
            trace: ended.trace_id,
            id: ended.span_id,
            parent: ended.parent_span_id.filter(|_| !ended.parent_is_remote),
            operation: self.operations.number(ended, window),
            statement: self.statement(ended.statement),
            kind: ended.kind,
            failed: ended.failed,
            start,
            end,
            busy: ended.busy_ns,
        };
        self.waiting.push(seen);
        if self.waiting.len() >= self.options.waiting {
            self.settle();
            // All of them are new: the first half must not wait for others.
            if self.waiting.len() >= self.options.waiting {
                self.release(self.waiting.len() / 2 + 1);
            }
        }
    }

    /// Forgets all but what is counted: the clock was set back.
    pub(super) fn begin_anew(&mut self) {
        self.release(self.waiting.len());
        self.operations.clear();
        self.calls.clear();
        self.retries.clear();
        self.gauges.clear();
        self.resources.clear();
        (self.first, self.now, self.behind) = (u64::MAX, 0, 0);
    }

    /// Looks at the spans that have waited long enough. Call it now and then, such as after each batch.
    pub fn settle(&mut self) {
        self.waiting.sort_by_key(|seen| seen.end);
        let patience = u64::try_from(self.options.patience.as_nanos()).unwrap_or(u64::MAX);
        let until = self.now.saturating_sub(patience);
        self.release(self.waiting.partition_point(|seen| seen.end <= until));
    }

    /// Looks at the first ones of those that wait, which are in order.
    fn release(&mut self, number: usize) {
        let evidence = self.options.evidence;
        let window_ns = self.window_ns;
        for span in self.waiting.drain(..number) {
            let covered = self.calls.take(&span, &self.operations, evidence);
            self.retries.take(&span, &self.operations, evidence);
            self.operations.take(&span, span.end / window_ns, covered, evidence);
        }
    }

    /// Takes the value of a gauge in, if it is a queue or the limit of one; see the [module](super) for their names.
    pub fn point(&mut self, point: &PointView<'_>) {
        let value = match point.data {
            PointData::GaugeInt(n) | PointData::UpDown(n) => n as f64,
            PointData::GaugeFloat(x) | PointData::UpDownFloat(x) => x,
            _ => return,
        };
        self.gauge(point.name, point.labels, point.unit, point.time_unix_ns, value);
    }

    /// Takes the value of a gauge in, as [`point`](Engine::point) does.
    pub fn gauge(&mut self, name: &str, labels: &[(&str, &str)], unit: &str, time_unix_ns: u64, value: f64) {
        if Gauges::is_wanted(name) {
            self.saw(time_unix_ns);
            let time = time_unix_ns as f64 / SECOND;
            let interval = self.interval().as_secs_f64() / 2.0;
            self.gauges.queue(name, labels.iter().copied(), unit, time, value, interval);
        }
    }

    /// Takes the use of a resource in, which is forecast.
    pub fn resource(&mut self, reading: &Reading<'_>) {
        self.saw(reading.time_unix_ns);
        let point = (reading.time_unix_ns as f64 / SECOND, reading.used);
        let interval = self.interval().as_secs_f64() / 2.0;
        self.resources.take(reading.name.to_owned(), reading.unit, reading.limit, point, interval);
    }

    fn saw(&mut self, time: u64) {
        self.first = self.first.min(time);
        self.now = self.now.max(time);
    }

    /// How often values should be given.
    pub fn interval(&self) -> Duration {
        self.options.whole() / POINTS as u32
    }

    /// What is found in everything so far.
    pub fn report(&mut self) -> Report {
        self.settle();
        self.release(self.waiting.len());
        judge::report(self)
    }

    pub(super) fn options(&self) -> &InsightOptions {
        &self.options
    }

    pub(super) fn window_ns(&self) -> u64 {
        self.window_ns
    }

    /// The number of the window that has this time.
    pub(super) fn window(&self, time: u64) -> u64 {
        time / self.window_ns
    }

    /// The first time that the report is about.
    pub(super) fn since(&self) -> u64 {
        let whole = u64::try_from(self.options.whole().as_nanos()).unwrap_or(u64::MAX);
        self.now.saturating_sub(whole).max(self.first.min(self.now))
    }

    pub(super) fn spans(&self) -> u64 {
        self.spans
    }

    pub(super) fn left_out(&self) -> LeftOut {
        LeftOut {
            operations: self.operations.refused,
            late: self.operations.late,
            parents: self.calls.forgotten,
            traces: self.retries.forgotten,
            patterns: self.calls.refused + self.retries.refused,
            series: self.gauges.refused + self.resources.refused,
        }
    }

    /// The statement without its values.
    fn statement(&mut self, text: &str) -> Option<Statement> {
        if text.is_empty() {
            return None;
        }
        let key = self.hasher.hash_one(text);
        if let Some(known) = self.statements.get(&key) {
            return Some(known.clone());
        }
        let without = db::without_literals(text);
        let statement = Statement { hash: self.hasher.hash_one(&without), text: shortened(without) };
        if self.statements.len() >= STATEMENTS {
            // They have values in them, so that each is new.
            self.statements.clear();
        }
        self.statements.insert(key, statement.clone());
        Some(statement)
    }

    /// How many things are kept, of each kind that has a bound.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> [usize; 3] {
        [self.operations.len(), self.waiting.len(), self.statements.len()]
    }
}
