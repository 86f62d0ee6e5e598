//! The metrics of agents and models: series made at run time, found by a hash of their labels, and bounded.

use crate::bridge::table::Table;
use crate::conventions::hash;
use std::sync::atomic::{AtomicUsize, Ordering};
use throughline::adapter::bridge;
use throughline::adapter::callsite::Meta;
use throughline::metrics::{Counter, Gauge, Histogram};

/// The most series of all these metrics; what is beyond is counted in the overflow series of its metric.
const MOST: usize = 512;

static MADE: AtomicUsize = AtomicUsize::new(0);
static SERIES: Table<Series> = Table::new();

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    /// Of integers.
    Integers,
    /// Of fractions, in steps of 2^-30.
    Fractions,
}

/// A metric and the keys of its labels.
#[derive(Debug)]
pub(super) struct Metric {
    kind: Kind,
    name: &'static str,
    unit: &'static str,
    description: &'static str,
    keys: &'static [&'static str],
}

macro_rules! metrics {
    ($($name:ident = $kind:ident $text:literal, $unit:literal, $description:literal, [$($key:literal),*];)*) => {$(
        pub(super) static $name: Metric = Metric {
            kind: Kind::$kind,
            name: $text,
            unit: $unit,
            description: $description,
            keys: &[$($key),*],
        };
    )*};
}

metrics! {
    AGENT_RUNS = Counter "agent.invocations.total", "{invocation}", "Runs of agents", ["agent_name"];
    AGENT_SECONDS = Fractions "agent.duration.seconds", "s", "Duration of runs of agents", ["agent_name"];
    AGENT_ACTIVE = Gauge "agent.active", "{agent}", "Agents that run now", ["agent_name"];
    INVOKE_AGENT = Fractions "gen_ai.invoke_agent.duration", "s", "GenAI agent invocation duration", ["gen_ai.agent.name", "error.type"];
    WORKFLOW = Fractions "gen_ai.workflow.duration", "s", "GenAI workflow duration", ["gen_ai.workflow.name", "error.type"];
    LLM_CALLS = Counter "llm.calls.total", "{call}", "Calls of models", ["provider", "model"];
    LLM_SECONDS = Fractions "llm.duration.seconds", "s", "Duration of calls of models", ["provider", "model"];
    LLM_TOKENS = Counter "llm.tokens.total", "{token}", "Tokens by type", ["provider", "model", "type"];
    LLM_COST = Fractions "llm.cost", "{USD}", "Cost of calls of models; the sum is the total", ["provider", "model"];
    PROVIDER_HEALTH = Gauge "llm.provider.health", "1", "Whether the last call of a provider succeeded", ["provider"];
    OPERATION = Fractions "gen_ai.client.operation.duration", "s", "GenAI operation duration", ["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "error.type"];
    FIRST_CHUNK = Fractions "gen_ai.client.operation.time_to_first_chunk", "s", "Time to receive the first chunk", ["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model"];
    TOKENS = Integers "gen_ai.client.token.usage", "{token}", "Number of input and output tokens used", ["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.token.type"];
    TOOL_RUNS = Counter "tool.executions.total", "{execution}", "Executions of tools", ["tool"];
    TOOL_SECONDS = Fractions "tool.duration.seconds", "s", "Duration of executions of tools", ["tool"];
    EXECUTE_TOOL = Fractions "gen_ai.execute_tool.duration", "s", "GenAI tool execution duration", ["gen_ai.tool.name", "error.type"];
    SESSION_EVENTS = Integers "session.events.count", "{event}", "Events of sessions", [];
    ERRORS = Counter "errors.total", "{error}", "Failed operations", ["error_type", "agent_name"];
}

/// A metric with values of its labels.
struct Series {
    metric: &'static Metric,
    labels: Box<[Box<str>]>,
    cells: Cells,
}

#[derive(Clone, Copy)]
enum Cells {
    Counter(Counter),
    Gauge(Gauge),
    Integers(Histogram<2, 1, 0>),
    Fractions(Histogram<2, 1, 30>),
}

impl Metric {
    pub(super) fn count(&'static self, labels: &[&str], n: u64) {
        if let Some(Cells::Counter(counter)) = self.cells(labels) {
            counter.add(n);
        }
    }

    /// Records a number, or seconds.
    pub(super) fn record(&'static self, labels: &[&str], value: f64) {
        match self.cells(labels) {
            Some(Cells::Integers(histogram)) => histogram.record(value),
            Some(Cells::Fractions(histogram)) => histogram.record(value),
            _ => {}
        }
    }

    pub(super) fn add(&'static self, labels: &[&str], n: i64) {
        if let Some(Cells::Gauge(gauge)) = self.cells(labels) {
            gauge.add(n);
        }
    }

    pub(super) fn set(&'static self, labels: &[&str], n: i64) {
        if let Some(Cells::Gauge(gauge)) = self.cells(labels) {
            gauge.set(n);
        }
    }

    /// The series of these values, "" for none; if there is no room, the overflow series.
    fn cells(&'static self, labels: &[&str]) -> Option<Cells> {
        let found = self.find(labels, || {
            let has_room = MADE.load(Ordering::Relaxed) < MOST && MADE.fetch_add(1, Ordering::Relaxed) < MOST;
            let pairs = self.keys.iter().copied().zip(labels.iter().copied());
            let pairs: Vec<_> = pairs.filter(|(_, value)| !value.is_empty()).collect();
            has_room.then(|| self.make(&pairs)).flatten()
        });
        let overflow = || self.find(&["\0overflow"], || self.make(&[("otel.metric.overflow", "true")]));
        found.or_else(overflow).map(|series| series.cells)
    }

    fn find(&'static self, labels: &[&str], make: impl Fn() -> Option<Cells>) -> Option<&'static Series> {
        let is_it = |series: &Series| {
            core::ptr::eq(series.metric, self)
                && series.labels.iter().map(|text| &**text).eq(labels.iter().copied())
        };
        SERIES.get_or_make(hash(core::ptr::from_ref(self).addr(), labels), is_it, || {
            let labels = labels.iter().map(|text| Box::from(*text)).collect();
            Some(Series { metric: self, labels, cells: make()? })
        })
    }

    fn make(&self, labels: &[(&str, &str)]) -> Option<Cells> {
        let Metric { kind, name, unit, description, .. } = *self;
        let meta = Meta { name, unit, description, labels, target: "throughline_std::gen_ai", ..Meta::EMPTY };
        Some(match kind {
            Kind::Counter => Cells::Counter(bridge::counter(&meta)?),
            Kind::Gauge => Cells::Gauge(bridge::gauge(&meta)?),
            Kind::Integers => Cells::Integers(bridge::histogram(&meta)?),
            Kind::Fractions => Cells::Fractions(bridge::histogram(&meta)?),
        })
    }
}
