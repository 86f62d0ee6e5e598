//! A service that is simulated, with what can be planted in it. Everything follows from a seed.

use crate::insights::{Ended, Engine, InsightOptions, Reading};
use std::time::Duration;
use throughline::{SpanId, SpanKind, TraceId};

pub(super) const MS: u64 = 1_000_000;
pub(super) const SECOND: u64 = 1000 * MS;
/// When it begins.
pub(super) const BEGIN: u64 = 1_800_000_000 * SECOND;

/// Numbers that look random: splitmix64.
#[derive(Clone, Debug)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1.
    pub(super) fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A normal number.
    pub(super) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// A duration around a median, as latencies are: log-normal, with a factor of 1.5 for a standard deviation.
    pub(super) fn around(&mut self, median: u64) -> u64 {
        (median as f64 * (0.4 * self.normal()).exp()) as u64
    }
}

/// A span, before it is given to the engine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made {
    pub(super) trace: TraceId,
    pub(super) id: SpanId,
    pub(super) parent: Option<SpanId>,
    pub(super) name: &'static str,
    pub(super) statement: &'static str,
    pub(super) kind: SpanKind,
    pub(super) failed: bool,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) busy: Option<u64>,
}

/// Makes traces.
#[derive(Debug)]
pub(super) struct Traffic {
    pub(super) dice: Dice,
    pub(super) spans: Vec<Made>,
    /// Traces with something that is planted.
    pub(super) planted: Vec<TraceId>,
    next: u64,
}

impl Traffic {
    pub(super) fn new(seed: u64) -> Traffic {
        Traffic { dice: Dice(seed), spans: Vec::new(), planted: Vec::new(), next: 1 }
    }

    fn id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(super) fn trace(&mut self) -> TraceId {
        let id = u128::from(self.id()) << 64 | u128::from(self.dice.next());
        TraceId::from_bytes(id.to_be_bytes()).unwrap()
    }

    /// Adds a span and returns its place.
    pub(super) fn span(
        &mut self,
        trace: TraceId,
        parent: Option<SpanId>,
        name: &'static str,
        start: u64,
        end: u64,
    ) -> usize {
        let id = SpanId::from_bytes(self.id().to_be_bytes()).unwrap();
        let kind = SpanKind::Internal;
        self.spans.push(Made {
            trace,
            id,
            parent,
            name,
            statement: "",
            kind,
            failed: false,
            start,
            end,
            busy: None,
        });
        self.spans.len() - 1
    }

    /// A request of one route: a query or two, a call of another service, and some work. One in a hundred calls fails and is tried again, once.
    pub(super) fn request(&mut self, start: u64, work: u64) -> TraceId {
        let trace = self.trace();
        let root = self.span(trace, None, "GET /orders/{id}", start, start);
        let own = Some(self.spans[root].id);
        self.spans[root].kind = SpanKind::Server;
        let mut now = start + self.dice.around(work);
        let queries = 1 + self.dice.next() % 2;
        for _ in 0..queries {
            now = self.query(trace, own, now);
        }
        for attempt in 0..2 {
            let failed = attempt == 0 && self.dice.next().is_multiple_of(100);
            let end = now + self.dice.around(5 * MS);
            let call = self.span(trace, own, "GET stock", now, end);
            let made = &mut self.spans[call];
            // It waits for the other service nearly all of its time, beside others.
            (made.kind, made.failed, made.busy) = (SpanKind::Client, failed, Some((end - now) / 50));
            now = end + MS / 10;
            if !failed {
                break;
            }
        }
        let made = &mut self.spans[root];
        made.end = now;
        // Its children say what it waits for.
        made.busy = Some((now - start) / 10);
        trace
    }

    /// A query; returns its end.
    pub(super) fn query(&mut self, trace: TraceId, parent: Option<SpanId>, start: u64) -> u64 {
        let end = start + self.dice.around(2 * MS);
        let query = self.span(trace, parent, "SELECT items", start, end);
        let made = &mut self.spans[query];
        made.kind = SpanKind::Client;
        made.statement = "SELECT name, price FROM items WHERE id = ?";
        end + MS / 20
    }

    /// Twenty requests a second for so many seconds, each with this much work at its time.
    pub(super) fn steady(&mut self, seconds: u64, work: impl Fn(u64) -> u64) {
        for at in 0..seconds * 20 {
            let start = BEGIN + at * 50 * MS + self.dice.next() % (40 * MS);
            self.request(start, work(at / 20));
        }
    }

    /// What an engine says of it, with the traffic in the order in which a pump would give it: batches of 50 ms, ring by ring.
    pub(super) fn engine(&self) -> Engine {
        let mut engine = Engine::new(&options());
        let mut spans = self.spans.clone();
        spans.sort_by_key(|made| (made.end / (50 * MS), made.id.to_bytes()[7] % 3));
        for (number, made) in spans.iter().enumerate() {
            engine.span(&made.ended());
            if number % 20 == 19 {
                engine.settle();
            }
        }
        engine
    }
}

impl Made {
    pub(super) fn ended(&self) -> Ended<'static> {
        Ended {
            parent_span_id: self.parent,
            statement: self.statement,
            kind: self.kind,
            failed: self.failed,
            busy_ns: self.busy,
            ..Ended::new(self.trace, self.id, self.name, self.start, self.end)
        }
    }
}

/// Windows of ten seconds, so that a test of two minutes is enough.
pub(super) fn options() -> InsightOptions {
    InsightOptions::new().window(Duration::from_secs(10)).windows(12)
}

/// Gives the engine a value a second.
pub(super) fn readings(engine: &mut Engine, seconds: u64, limit: f64, value: impl Fn(u64) -> f64) {
    for second in 0..seconds {
        let time_unix_ns = BEGIN + second * SECOND;
        engine.resource(&Reading {
            name: "memory",
            unit: "By",
            used: value(second),
            limit: Some(limit),
            time_unix_ns,
        });
    }
}
