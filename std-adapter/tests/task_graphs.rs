//! Random graphs of tasks: whatever the work goes through, its spans and log records have the right parents, ids and
//! correlation fields, through each of four libraries.
#![cfg(all(feature = "tracing", feature = "log", feature = "opentelemetry", feature = "futures-core"))]

mod support;

use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry::trace::{FutureExt as _, TraceContextExt, Tracer};
use opentelemetry::{Context as Cx, KeyValue, global};
use proptest::prelude::*;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use support::in_own_process;
use support::keep::{Keep, Kept};
use throughline::span;
use throughline_std::opentelemetry::LoggerProvider;
use throughline_std::propagation::{Propagate, carrying, instrument_stream};
use throughline_std::{Config, Correlate};
use tracing::Instrument as _;

#[derive(Clone, Copy, Debug)]
enum Api {
    Ours,
    Tracing,
    Log,
    OpenTelemetry,
}

/// What a task does.
#[derive(Clone, Debug)]
enum Step {
    Log(Api),
    Yield,
    /// Runs the steps in a span, which for `Log` is one of ours.
    Span(Api, Vec<Step>),
    Spawn(Vec<Step>),
    Blocking(Vec<Step>),
    Thread(Vec<Step>),
    Stream(Vec<Step>),
    Correlate(Vec<Step>),
}

fn api() -> impl Strategy<Value = Api> {
    prop_oneof![Just(Api::Ours), Just(Api::Tracing), Just(Api::Log), Just(Api::OpenTelemetry)]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let leaf = prop_oneof![3 => api().prop_map(Step::Log), 1 => Just(Step::Yield)];
    let step = leaf.prop_recursive(5, 40, 4, |step| {
        let steps = || prop::collection::vec(step.clone(), 1..4);
        prop_oneof![
            3 => (api(), steps()).prop_map(|(api, steps)| Step::Span(api, steps)),
            2 => steps().prop_map(Step::Spawn),
            1 => steps().prop_map(Step::Blocking),
            1 => steps().prop_map(Step::Thread),
            2 => steps().prop_map(Step::Stream),
            2 => steps().prop_map(Step::Correlate),
        ]
    });
    prop::collection::vec(step, 1..5)
}

/// Where a step runs.
#[derive(Clone, Debug, Default)]
struct Place {
    /// The number of the innermost span.
    span: Option<u64>,
    request_id: Option<u64>,
}

/// What must be found, by number.
#[derive(Debug, Default)]
struct Expected {
    spans: HashMap<u64, Place>,
    logs: HashMap<u64, Place>,
}

type Shared = Arc<Mutex<Expected>>;
type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The next number of a span or log record.
fn number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn run(steps: Vec<Step>, at: Place, expected: Shared) -> Work {
    Box::pin(async move {
        for step in steps {
            step.run(&at, &expected).await;
        }
    })
}

impl Step {
    fn run(self, at: &Place, expected: &Shared) -> Work {
        let within = |steps, at: &Place| run(steps, at.clone(), Arc::clone(expected));
        match self {
            Step::Log(api) => {
                let (n, at, expected) = (number(), at.clone(), Arc::clone(expected));
                Box::pin(async move {
                    log(api, n);
                    expected.lock().unwrap().logs.insert(n, at);
                })
            }
            Step::Yield => Box::pin(tokio::task::yield_now()),
            Step::Span(api, steps) => {
                let n = number();
                expected.lock().unwrap().spans.insert(n, at.clone());
                let work = within(steps, &Place { span: Some(n), ..at.clone() });
                Box::pin(async move { in_span(api, n, work).await })
            }
            Step::Spawn(steps) => {
                let work = within(steps, at);
                Box::pin(async move { tokio::spawn(work.in_current_context()).await.unwrap() })
            }
            Step::Blocking(steps) => {
                let work = within(steps, at);
                Box::pin(async move {
                    let runtime = tokio::runtime::Handle::current();
                    let work = carrying(move || runtime.block_on(work));
                    tokio::task::spawn_blocking(work).await.unwrap();
                })
            }
            Step::Thread(steps) => {
                let work = within(steps, at);
                Box::pin(async move {
                    let runtime = tokio::runtime::Handle::current();
                    let thread = std::thread::spawn(carrying(move || runtime.block_on(work)));
                    // A thread may be waited for where this does not keep the tasks it waits for from running.
                    tokio::task::spawn_blocking(|| thread.join().unwrap()).await.unwrap();
                })
            }
            Step::Stream(steps) => {
                let n = number();
                expected.lock().unwrap().spans.insert(n, at.clone());
                let work = within(steps, &Place { span: Some(n), ..at.clone() });
                Box::pin(async move {
                    let mut items = Box::pin(instrument_stream(Once(Some(work)), span!("stream", node = n)));
                    while next(&mut items).await.is_some() {}
                })
            }
            Step::Correlate(steps) => {
                let n = number();
                let work = within(steps, &Place { request_id: Some(n), ..at.clone() });
                Box::pin(async move {
                    let id = n.to_string();
                    work.correlated(&[("request_id", &id)]).await;
                })
            }
        }
    }
}

fn log(api: Api, n: u64) {
    match api {
        Api::Ours => throughline::info!("a record", n),
        Api::Tracing => tracing::info!(n, "a record"),
        Api::Log => log::info!("{n}"),
        Api::OpenTelemetry => {
            let logger = LoggerProvider.logger("graphs");
            let mut record = logger.create_log_record();
            record.set_severity_number(Severity::Info);
            record.set_body(AnyValue::from("a record"));
            record.add_attribute("n", n as i64);
            logger.emit(record);
        }
    }
}

async fn in_span(api: Api, n: u64, work: Work) {
    match api {
        Api::Ours | Api::Log => work.in_span(span!("ours", node = n)).await,
        Api::Tracing => work.instrument(tracing::info_span!("tracing", node = n)).await,
        Api::OpenTelemetry => {
            let tracer = global::tracer("graphs");
            let builder = tracer.span_builder("api").with_attributes([KeyValue::new("node", n as i64)]);
            let cx = Cx::current_with_span(builder.start(&tracer));
            work.with_context(cx).await;
        }
    }
}

/// A stream of one item, for which it waits.
struct Once(Option<Work>);

impl futures_core::Stream for Once {
    type Item = ();

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<()>> {
        let Some(work) = &mut self.0 else { return Poll::Ready(None) };
        let item = work.as_mut().poll(cx);
        if item.is_ready() {
            self.0 = None;
        }
        item.map(Some)
    }
}

async fn next<S: futures_core::Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    std::future::poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)).await
}

/// The number of a log record, which `log` has in its message.
fn number_of(log: &Kept) -> u64 {
    let text = if log.field("n").is_empty() { log.name.as_str() } else { log.field("n") };
    text.parse().unwrap_or_else(|_| panic!("no number: {log:?}"))
}

fn check(expected: &Expected, keep: &Keep) {
    let all = keep.take();
    let spans: HashMap<u64, &Kept> =
        all.spans.iter().map(|span| (span.field("node").parse().unwrap(), span)).collect();
    assert_eq!((spans.len(), all.logs.len()), (expected.spans.len(), expected.logs.len()));
    let request_id = |place: &Place| place.request_id.map_or(String::new(), |n| n.to_string());
    for (n, place) in &expected.spans {
        let (span, parent) = (spans[n], place.span.map(|parent| spans[&parent]));
        assert_eq!(span.parent, parent.and_then(|parent| parent.span), "{span:?} at {place:?}");
        assert!(parent.is_none_or(|parent| parent.trace == span.trace), "{span:?}");
        assert_eq!(span.field("request_id"), request_id(place), "{span:?} at {place:?}");
    }
    for log in &all.logs {
        let place = &expected.logs[&number_of(log)];
        let span = place.span.map(|span| spans[&span]);
        assert_eq!((log.trace, log.span), (span.and_then(|s| s.trace), span.and_then(|s| s.span)), "{log:?}");
        assert_eq!(log.field("request_id"), request_id(place), "{log:?} at {place:?}");
    }
}

#[test]
fn records_have_the_right_ids_in_any_graph_of_tasks() {
    in_own_process("records_have_the_right_ids_in_any_graph_of_tasks", || {
        let keep = Keep::default();
        let config = Config::new("svc").without_otlp().exporter("keep", keep.clone()).bridges();
        let guard = throughline_std::init(&config).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        let cases = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) };
        proptest!(cases, |(graphs in prop::collection::vec(steps(), 1..4))| {
            let expected = Shared::default();
            // Several at the same time, none of them in a span.
            let tasks: Vec<_> = graphs
                .into_iter()
                .map(|steps| runtime.spawn(run(steps, Place::default(), Arc::clone(&expected))))
                .collect();
            tasks.into_iter().for_each(|task| runtime.block_on(task).unwrap());
            assert!(guard.flush(Duration::from_secs(30)));
            check(&expected.lock().unwrap(), &keep);
        });
        let ledger = guard.shutdown(Duration::from_secs(30)).ledger;
        assert_eq!(ledger.ring.dropped_total() + ledger.pump.dropped_total(), 0, "{ledger}");
    });
}
