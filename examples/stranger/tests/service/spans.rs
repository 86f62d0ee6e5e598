//! The spans of shop and warehouse, one by one, beside those that `tracing-opentelemetry` with its defaults and the SDK
//! report for the same run, both as OTLP.
//!
//! What differs by design; [`of_ours`] and [`of_theirs`] bring both to one form, and nothing else is left out:
//!
//! | | here | `tracing-opentelemetry` |
//! |---|---|---|
//! | an event | a log record with the ids of its span, a severity and a body | an event of the span, with `level` and `target` as attributes |
//! | a record of `log` | a log record too | nothing, unless another logger passes it on |
//! | the target | `code.module.name`, in place of the module's path | `target`, beside the module's path |
//! | an event without a message | without a body | named after its place in the source |
//! | the error of `#[instrument(err)]` | a record with `error` | an event `exception` with `exception.message` |
//! | a failed span | `error.message`, beside the status | the status alone |
//! | an unsigned integer | an integer | text |
//! | a field that is recorded again | the last value | each value, under the same key |
//! | the thread on which a span began | nothing, because spans move between threads | `thread.id`, `thread.name` |
//! | the end | when the span is closed | when it was left for the last time |

use crate::support::in_own_process;
use crate::support::look::body;
use crate::support::receiver::{Receiver, attribute, int, text};
use crate::support::service::{LONG, config, start};
use crate::{ORDERS, block_on, parent, path};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use std::collections::BTreeMap;
use stranger_example::shop::{self, Plain};
use stranger_example::{serve, warehouse};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::prelude::*;

type Attributes = BTreeMap<String, Value>;

/// A span as both are compared: everything but ids and times.
#[derive(Debug, PartialEq)]
struct Told {
    path: String,
    kind: i32,
    /// Code and message.
    status: (i32, String),
    attributes: Attributes,
    /// Paths of the spans to which it is linked.
    links: Vec<String>,
    /// Name, level and attributes, in order.
    events: Vec<(String, String, Attributes)>,
}

/// Not the spans of h2, which last as long as connections; nor records of `log`.
fn of_service(target: &str) -> bool {
    target.starts_with("stranger") || target.starts_with("tower_http")
}

fn told(spans: &[Span], span: &Span) -> Told {
    let status = span.status.clone().unwrap_or_default();
    assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
    if let Some(parent) = parent(spans, span) {
        assert!(parent.start_time_unix_nano <= span.start_time_unix_nano, "{parent:?}\n{span:?}");
    }
    // Both tell how long a span was entered; their clocks are read at different moments.
    assert!(["busy_ns", "idle_ns"].iter().all(|key| int(&span.attributes, key) >= Some(0)), "{span:?}");
    Told {
        path: path(spans, span),
        kind: span.kind,
        status: (status.code, status.message),
        attributes: attributes(&span.attributes, &["busy_ns", "idle_ns"]),
        links: span
            .links
            .iter()
            .map(|link| {
                let linked = spans.iter().find(|other| other.span_id == link.span_id).expect("a span");
                assert_eq!(linked.trace_id, link.trace_id);
                assert!(link.attributes.is_empty() && link.trace_state.is_empty());
                path(spans, linked)
            })
            .collect(),
        events: Vec::new(),
    }
}

fn attributes(all: &[KeyValue], but: &[&str]) -> Attributes {
    let all = all.iter().filter(|kv| !but.contains(&&*kv.key));
    let all: Vec<_> =
        all.map(|kv| (kv.key.clone(), kv.value.clone().unwrap_or_default().value.unwrap())).collect();
    // The last value of a key counts.
    Attributes::from_iter(all)
}

/// Writes the unsigned integers as text.
fn unsigned_as_text(attributes: &mut Attributes) {
    for key in ["shelf"] {
        if let Some(Value::IntValue(n)) = attributes.get(key) {
            let text = Value::StringValue(n.to_string());
            attributes.insert(key.into(), text);
        }
    }
}

fn of_ours(spans: &[Span], span: &Span, logs: &[LogRecord]) -> Told {
    let mut told = told(spans, span);
    unsigned_as_text(&mut told.attributes);
    if told.status.0 == 2 {
        let message = told.attributes.remove("error.message");
        assert_eq!(
            message.unwrap_or(Value::StringValue(String::new())),
            Value::StringValue(told.status.1.clone())
        );
    }
    let mut own: Vec<_> = logs.iter().filter(|log| log.span_id == span.span_id).collect();
    own.sort_by_key(|log| log.time_unix_nano);
    told.events = own
        .into_iter()
        .filter(|log| text(&log.attributes, "code.module.name").is_some_and(|target| of_service(&target)))
        .map(|log| {
            assert_eq!(log.trace_id, span.trace_id);
            let (from, to) = (span.start_time_unix_nano, span.end_time_unix_nano);
            assert!((from..=to).contains(&log.time_unix_nano), "{log:?} from {from} to {to}");
            let mut attributes = attributes(&log.attributes, &[]);
            unsigned_as_text(&mut attributes);
            let level = match log.severity_number {
                5 => "DEBUG",
                9 => "INFO",
                13 => "WARN",
                17 => "ERROR",
                other => panic!("severity {other}"),
            };
            (body(log), level.to_owned(), attributes)
        })
        .collect();
    told
}

fn of_theirs(spans: &[Span], span: &Span) -> Told {
    let mut told = told(spans, span);
    let threads = ["thread.id", "thread.name"].map(|key| told.attributes.remove(key));
    assert!(threads.iter().all(Option::is_some));
    let target_as_module = |attributes: &mut Attributes| {
        let target = attributes.remove("target").expect("a target");
        attributes.insert("code.module.name".into(), target);
    };
    target_as_module(&mut told.attributes);
    told.events = span
        .events
        .iter()
        .map(|event| {
            let mut attributes = attributes(&event.attributes, &[]);
            target_as_module(&mut attributes);
            let Some(Value::StringValue(level)) = attributes.remove("level") else { panic!("{event:?}") };
            let mut name = event.name.clone();
            if name.starts_with("event ") {
                name.clear();
            }
            if name == "exception" {
                name.clear();
                let Some(Value::StringValue(error)) = attributes.remove("exception.message") else {
                    panic!("{event:?}")
                };
                attributes.insert("error".into(), Value::StringValue(error));
            }
            (name, level, attributes)
        })
        .collect();
    told
}

/// In an order that does not depend on ids.
fn sorted(mut all: Vec<Told>) -> Vec<Told> {
    all.sort_by_cached_key(|told| format!("{told:?}"));
    all
}

#[test]
fn every_span_is_what_tracing_opentelemetry_reports() {
    in_own_process("spans::every_span_is_what_tracing_opentelemetry_reports", || {
        let receiver = Receiver::start([]);
        let guard = start(&config(&receiver).log_logger().metrics_recorder());
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        tracing_subscriber::registry()
            .with(filter_fn(|metadata| of_service(metadata.target())))
            .with(throughline_std::tracing::layer())
            .with(tracing_opentelemetry::layer().with_tracer(provider.tracer("shop")))
            .init();

        block_on(async {
            let warehouse = serve(warehouse::router()).await.unwrap();
            let db = shop::database().await.unwrap();
            let backends = Plain::connect(db, format!("http://{warehouse}")).await.unwrap();
            let shop = serve(shop::router(backends)).await.unwrap();
            for (item, status) in ORDERS {
                let client = reqwest::Client::new();
                let answer = client.post(format!("http://{shop}/orders/{item}")).send().await.unwrap();
                assert_eq!(answer.status(), status);
                answer.bytes().await.unwrap();
            }
        });
        assert!(guard.shutdown(LONG).complete);
        provider.force_flush().unwrap();

        let theirs: Vec<Span> = exporter.get_finished_spans().unwrap().into_iter().map(Span::from).collect();
        let theirs = sorted(theirs.iter().map(|span| of_theirs(&theirs, span)).collect());
        receiver.with(|r| {
            let ours = sorted(r.spans.iter().map(|span| of_ours(&r.spans, span, &r.logs)).collect());
            let paths = |all: &[Told]| all.iter().map(|told| told.path.clone()).collect::<Vec<_>>();
            assert_eq!(paths(&ours), paths(&theirs));
            for (ours, theirs) in ours.iter().zip(&theirs) {
                assert_eq!(ours, theirs);
            }
            // Three requests to the shop, each an order with a sale and a price; two ask for the rate and reserve, each
            // answered by a request and its handler; and one parcel is packed.
            assert_eq!(ours.len(), 3 * 4 + 2 * 2 * 3 + 1);
            let all = format!("{ours:?}");
            for (what, times) in [("links: [\"", 1), ("DoubleValue", 3), ("BoolValue", 4)] {
                assert!(all.matches(what).count() >= times, "{what} is compared: {ours:#?}");
            }
            assert!(r.spans.iter().all(|span| span.events.is_empty()), "events are log records");
            assert!(attribute(&r.spans[0].attributes, "code.file.path").is_some());
        });
    });
}
