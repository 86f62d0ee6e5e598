//! Random graphs of tasks: whatever spans they use (of throughline, of `tracing` or of OpenTelemetry's API) and wherever
//! they run (in futures, streams, tasks, or threads for blocking work), every log record has the ids of the span that its
//! code is in, whichever of the four libraries logs, and every span the right parent.

use futures_util::stream::{self, StreamExt as _};
use opentelemetry::logs::{LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry::trace::{FutureExt as _, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue, global};
use proptest::prelude::*;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;
use throughline::{SpanId, Value};
use throughline_std::view::{LogView, SpanView};
use throughline_std::{Config, Deadline, ExportError, Exporter, Guard, Wants};
use tokio::runtime::Runtime;
use tracing::Instrument as _;

/// Whose span a node has.
#[derive(Clone, Copy, Debug)]
enum Whose {
    Tracing,
    Ours,
    OpenTelemetry,
}

/// Where a node's code runs, in its span.
#[derive(Clone, Copy, Debug)]
enum How {
    /// In a future that its parent awaits.
    Future,
    /// In a stream that its parent reads.
    Stream,
    /// In a task of its own.
    Spawned,
    /// On a thread for blocking work.
    Blocking,
    /// In a stretch of code without an `await`.
    Entered,
}

#[derive(Clone, Debug)]
struct Node {
    whose: Whose,
    how: How,
    /// Which library logs.
    api: u8,
    /// Whether the children run at the same time.
    together: bool,
    children: Vec<Node>,
}

fn node() -> impl Strategy<Value = Node> {
    let whose = prop_oneof![Just(Whose::Tracing), Just(Whose::Ours), Just(Whose::OpenTelemetry)];
    let how = prop_oneof![
        Just(How::Future),
        Just(How::Stream),
        Just(How::Spawned),
        Just(How::Blocking),
        Just(How::Entered)
    ];
    let leaf = (whose, how, 0..4u8, any::<bool>());
    let leaf =
        leaf.prop_map(|(whose, how, api, together)| Node { whose, how, api, together, children: vec![] });
    leaf.prop_recursive(5, 24, 4, |inner| {
        (inner.clone(), prop::collection::vec(inner, 0..4))
            .prop_map(|(node, children)| Node { children, ..node })
    })
}

/// The parent and the number of log records of each node, by its number.
type Expected = Arc<Mutex<HashMap<u64, (u64, usize)>>>;

fn say(node: u64, api: u8) {
    match api {
        0 => tracing::info!(node, "said"),
        1 => log::info!(node; "said"),
        2 => throughline::info!("said", node),
        _ => {
            let logger = throughline_std::opentelemetry::LoggerProvider.logger("graphs");
            let mut record = logger.create_log_record();
            record.set_severity_number(Severity::Info);
            record.set_body("said".into());
            record.add_attribute("node", node as i64);
            logger.emit(record);
        }
    }
}

/// A context with a new span of OpenTelemetry's API.
fn api_span(id: u64) -> Context {
    let tracer = global::tracer("graphs");
    let span = tracer.span_builder("node").with_attributes([KeyValue::new("id", id as i64)]).start(&tracer);
    Context::current_with_span(span)
}

async fn work(id: u64, node: Node, expected: Expected) {
    say(id, node.api);
    tokio::task::yield_now().await;
    let mut children: Vec<_> =
        node.children.into_iter().map(|child| run(id, child, Arc::clone(&expected))).collect();
    while let Some(child) = children.pop() {
        let other = if node.together { children.pop() } else { None };
        match other {
            Some(other) => _ = tokio::join!(child, other),
            None => child.await,
        }
    }
    say(id, node.api);
}

fn run(parent: u64, mut node: Node, expected: Expected) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    Box::pin(async move {
        let (whose, how, api) = (node.whose, node.how, node.api);
        let has_work = !matches!(how, How::Blocking | How::Entered);
        if !has_work {
            node.children.clear();
        }
        expected.lock().unwrap().insert(id, (parent, if has_work { 2 } else { 1 }));
        match how {
            How::Future => in_span(whose, id, work(id, node, expected)).await,
            How::Spawned => tokio::spawn(in_span(whose, id, work(id, node, expected))).await.unwrap(),
            How::Stream => read(whose, id, stream::once(work(id, node, expected))).await,
            How::Blocking => tokio::task::spawn_blocking(entered(whose, id, api)).await.unwrap(),
            How::Entered => entered(whose, id, api)(),
        }
    })
}

/// The future in a new span of the node.
fn in_span(
    whose: Whose,
    id: u64,
    work: impl Future<Output = ()> + Send + 'static,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    match whose {
        Whose::Tracing => Box::pin(work.instrument(tracing::info_span!("node", id))),
        Whose::Ours => Box::pin(throughline::Instrument::instrument(work, throughline::span!("node", id))),
        Whose::OpenTelemetry => Box::pin(work.with_context(api_span(id))),
    }
}

/// Reads a stream in a new span of the node, which is not current in the reader.
async fn read(whose: Whose, id: u64, steps: impl stream::Stream<Item = ()> + Send + 'static) {
    let read = |()| std::future::ready(());
    match whose {
        // `tracing` has no streams in spans, so the span is that of the future that reads.
        Whose::Tracing => steps.for_each(read).instrument(tracing::info_span!("node", id)).await,
        Whose::Ours => {
            let steps = throughline::Instrument::instrument(steps, throughline::span!("node", id));
            steps.for_each(read).await;
        }
        Whose::OpenTelemetry => steps.with_context(api_span(id)).for_each(read).await,
    }
}

/// Code that logs in a new span of the node, on whatever thread it is called.
fn entered(whose: Whose, id: u64, api: u8) -> Box<dyn FnOnce() + Send> {
    match whose {
        Whose::Tracing => {
            let span = tracing::info_span!("node", id);
            Box::new(move || span.in_scope(|| say(id, api)))
        }
        Whose::Ours => {
            let span = throughline::span!("node", id).detach();
            Box::new(move || span.in_scope(|| say(id, api)))
        }
        Whose::OpenTelemetry => {
            let context = api_span(id);
            Box::new(move || {
                let _attached = context.attach();
                say(id, api);
            })
        }
    }
}

/// Ids of spans and of their parents by node, and the spans of the log records of each node.
#[derive(Default)]
struct Kept {
    spans: HashMap<u64, (SpanId, Option<SpanId>)>,
    logs: HashMap<u64, Vec<Option<SpanId>>>,
}

#[derive(Clone, Default)]
struct Keep(Arc<Mutex<Kept>>);

fn number<'a>(mut fields: impl Iterator<Item = (&'a str, Value<'a>)>, key: &str) -> u64 {
    match fields.find(|(name, _)| *name == key) {
        Some((_, Value::U64(n))) => n,
        Some((_, Value::I64(n))) => n as u64,
        other => panic!("{other:?}"),
    }
}

impl Exporter for Keep {
    fn wants(&self) -> Wants {
        Wants { spans: true, logs: true, ..Wants::NOTHING }
    }

    fn span(&mut self, span: &SpanView<'_>) {
        let id = number(span.fields.clone(), "id");
        let before = self.0.lock().unwrap().spans.insert(id, (span.span_id, span.parent_span_id));
        assert!(before.is_none(), "a span ends once");
    }

    fn log(&mut self, log: &LogView<'_>) {
        let node = number(log.fields.clone(), "node");
        self.0.lock().unwrap().logs.entry(node).or_default().push(log.span.map(|(_, span)| span));
    }

    fn flush(&mut self, _: &Deadline) -> Result<(), ExportError> {
        Ok(())
    }
}

/// `init` may be called once per process, so all cases share the program.
static PROGRAM: LazyLock<(Guard, Keep, Runtime)> = LazyLock::new(|| {
    let keep = Keep::default();
    let config = Config::new("graphs").without_otlp().exporter("keep", keep.clone()).bridges();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    (throughline_std::init(&config).unwrap(), keep, runtime)
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn every_record_is_in_its_span_and_every_span_below_its_parent(graph in node()) {
        let (guard, keep, runtime) = &*PROGRAM;
        let expected = Expected::default();
        runtime.block_on(run(0, graph, Arc::clone(&expected)));
        assert!(guard.flush(Duration::from_secs(30)));
        let kept = std::mem::take(&mut *keep.0.lock().unwrap());
        let expected = expected.lock().unwrap();
        prop_assert_eq!(kept.spans.len(), expected.len());
        for (id, (parent, records)) in expected.iter() {
            let (span, own_parent) = kept.spans[id];
            prop_assert_eq!(own_parent, kept.spans.get(parent).map(|(span, _)| *span), "the parent of {}", id);
            prop_assert_eq!(kept.logs.get(id).cloned().unwrap_or_default(), vec![Some(span); *records], "the records of {}", id);
        }
    }
}
