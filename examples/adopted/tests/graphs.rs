//! Random graphs of tasks: whatever spans they use and wherever they run, every log record has the ids of the span that
//! its code is in, and every span the right parent.

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

/// What a node of the graph does.
#[derive(Clone, Copy, Debug)]
enum How {
    /// A span of `tracing` around a future.
    Tracing,
    /// A span of throughline around a future.
    Ours,
    /// A task of its own in a span of `tracing`, or of throughline.
    Spawned,
    SpawnedOurs,
    /// A closure on a thread for blocking work.
    Blocking,
    /// A stretch of code without an `await`, in a guard of either.
    Entered,
    EnteredOurs,
}

#[derive(Clone, Debug)]
struct Node {
    how: How,
    /// Which library logs.
    api: u8,
    /// Whether the children run at the same time.
    together: bool,
    children: Vec<Node>,
}

fn node() -> impl Strategy<Value = Node> {
    let how = prop_oneof![
        Just(How::Tracing),
        Just(How::Ours),
        Just(How::Spawned),
        Just(How::SpawnedOurs),
        Just(How::Blocking),
        Just(How::Entered),
        Just(How::EnteredOurs),
    ];
    let leaf = (how, 0..3u8, any::<bool>());
    let leaf = leaf.prop_map(|(how, api, together)| Node { how, api, together, children: vec![] });
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
        _ => throughline::info!("said", node),
    }
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
        let (how, api) = (node.how, node.api);
        let has_work = !matches!(how, How::Blocking | How::Entered | How::EnteredOurs);
        if !has_work {
            node.children.clear();
        }
        expected.lock().unwrap().insert(id, (parent, if has_work { 2 } else { 1 }));
        let work = work(id, node, expected);
        match how {
            How::Tracing => work.instrument(tracing::info_span!("node", id)).await,
            How::Ours => throughline::Instrument::instrument(work, throughline::span!("node", id)).await,
            How::Spawned => tokio::spawn(work.instrument(tracing::info_span!("node", id))).await.unwrap(),
            How::SpawnedOurs => {
                let work = throughline::Instrument::instrument(work, throughline::span!("node", id));
                tokio::spawn(work).await.unwrap();
            }
            How::Blocking => {
                let span = tracing::info_span!("node", id);
                tokio::task::spawn_blocking(move || span.in_scope(|| say(id, api))).await.unwrap();
            }
            How::Entered => tracing::info_span!("node", id).in_scope(|| say(id, api)),
            How::EnteredOurs => {
                let _span = throughline::span!("node", id);
                say(id, api);
            }
        }
    })
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
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

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
