//! The shop's spans, one by one, beside those that `tracing-opentelemetry` and the SDK report for the same run, and those
//! of calls of OpenTelemetry's API beside the SDK's.

use adopted_example::{Shop, describe_metrics};
use opentelemetry::trace::{
    Link, Span as _, SpanKind, Status as ApiStatus, TraceContextExt as _, Tracer, TracerProvider as _,
    get_active_span, mark_span_as_active,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use throughline::adapter::record::{LINK_FIELD, NAME_FIELD};
use throughline::{Status, Value};
use throughline_std::message::{self, ValueText};
use throughline_std::view::{LogView, PointView, SpanView};
use throughline_std::{Config, Deadline, ExportError, Exporter};
use tracing_subscriber::prelude::*;

/// A span as both are compared: everything except ids and times.
#[derive(Clone, Debug, Default)]
struct Told {
    id: String,
    parent: String,
    name: String,
    kind: String,
    status: String,
    attributes: BTreeMap<String, String>,
    /// Ids of the spans that it is linked to.
    links: Vec<String>,
    /// Messages and attributes, in order.
    events: Vec<(String, BTreeMap<String, String>)>,
}

#[derive(Default)]
struct Kept {
    spans: Vec<Told>,
    /// Time, span id, message and attributes.
    logs: Vec<(u64, String, String, BTreeMap<String, String>)>,
    counted: BTreeMap<String, String>,
}

/// Keeps what throughline records.
#[derive(Clone, Default)]
struct Keep(Arc<Mutex<Kept>>);

impl Exporter for Keep {
    fn span(&mut self, span: &SpanView<'_>) {
        let mut told = Told {
            id: span.span_id.to_string(),
            parent: span.parent_span_id.map_or_else(String::new, |id| id.to_string()),
            name: span.name.into(),
            kind: format!("{:?}", span.kind),
            ..Told::default()
        };
        let mut description = String::new();
        for (name, value) in span.fields.clone() {
            match (name, value) {
                (NAME_FIELD, Value::Str { text, .. }) => told.name = text.into(),
                (LINK_FIELD, Value::Bytes { bytes, .. }) => {
                    told.links.push(bytes[16..24].iter().map(|byte| format!("{byte:02x}")).collect());
                }
                ("error.message", Value::Str { text, .. }) => description = text.into(),
                (_, Value::Absent) => {}
                (name, value) => _ = told.attributes.insert(name.into(), ValueText(&value).to_string()),
            }
        }
        told.status = match span.status {
            Status::Error => format!("Error {description}"),
            other => format!("{other:?}"),
        };
        self.0.lock().unwrap().spans.push(told);
    }

    fn log(&mut self, log: &LogView<'_>) {
        let (_, span) = log.span.expect("every record of the shop is in a span");
        let text = match log.event_name {
            "" | "exception" => message::render(log.message, log.fields.clone()),
            name => name.into(),
        };
        let fields = log.fields.clone().filter(|(name, value)| *name != "message" && *value != Value::Absent);
        let named = |name| if name == "exception.message" { "error" } else { name };
        let fields =
            fields.map(|(name, value)| (named(name).to_owned(), ValueText(&value).to_string())).collect();
        self.0.lock().unwrap().logs.push((log.time_unix_ns, span.to_string(), text.into_owned(), fields));
    }

    fn points(&mut self, points: &[PointView<'_>]) {
        let counted = points.iter().map(|point| {
            let labels: Vec<_> = point.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            (format!("{}{{{}}}", point.name, labels.join(",")), format!("{:?}", point.data))
        });
        self.0.lock().unwrap().counted = counted.collect();
    }

    fn flush(&mut self, _: &Deadline) -> Result<(), ExportError> {
        Ok(())
    }
}

/// A span of the SDK.
fn of_sdk(span: &SpanData) -> Told {
    let attributes = |all: &[opentelemetry::KeyValue]| -> BTreeMap<String, String> {
        // The SDK's layer also says what an exception is; here that is the field `error` itself.
        let all = all.iter().filter(|kv| {
            !["level", "target"].contains(&kv.key.as_str()) && !kv.key.as_str().starts_with("exception.")
        });
        all.map(|kv| (kv.key.to_string(), kv.value.to_string())).collect()
    };
    let parent = (span.parent_span_id != opentelemetry::trace::SpanId::INVALID)
        .then(|| span.parent_span_id.to_string());
    Told {
        id: span.span_context.span_id().to_string(),
        parent: parent.unwrap_or_default(),
        name: span.name.to_string(),
        kind: format!("{:?}", span.span_kind),
        status: match &span.status {
            opentelemetry::trace::Status::Error { description } => format!("Error {description}"),
            other => format!("{other:?}"),
        },
        attributes: attributes(&span.attributes),
        links: span.links.iter().map(|link| link.span_context.span_id().to_string()).collect(),
        events: span
            .events
            .iter()
            .map(|event| {
                let mut fields = attributes(&event.attributes);
                let thrown = event.attributes.iter().find(|kv| kv.key.as_str() == "exception.message");
                if let Some(thrown) = thrown {
                    fields.insert("error".into(), thrown.value.to_string());
                }
                let is_made_up = event.name == "exception" || event.name.starts_with("event ");
                (if is_made_up { String::new() } else { event.name.to_string() }, fields)
            })
            .collect(),
    }
}

/// Calls of the API, as a library makes them.
fn call<T: Tracer>(tracer: &T)
where
    T::Span: Send + Sync + 'static,
{
    let sender = tracer.start("sender");
    let sent = sender.span_context().clone();
    drop(sender);
    let route = tracer
        .span_builder("GET")
        .with_kind(SpanKind::Server)
        .with_attributes([KeyValue::new("customer", 7), KeyValue::new("secure", true)])
        .with_links(vec![Link::with_context(sent.clone())]);
    tracer.in_span_with_builder(route, |cx| {
        cx.span().update_name("GET /orders/{id}");
        cx.span().set_attribute(KeyValue::new("rows", 2.5));
        cx.span().set_attribute(KeyValue::new("customer", 8));
        cx.span().add_event("read", vec![KeyValue::new("table", "orders")]);
        let elsewhere = tracer.start_with_context("elsewhere", &Context::new());
        let there = Context::new().with_span(elsewhere);
        let mut query = tracer.span_builder("query").with_kind(SpanKind::Client).start(tracer);
        query.record_error(&std::io::Error::other("no answer"));
        query.set_status(ApiStatus::error("no answer"));
        query.set_status(ApiStatus::Unset);
        query.add_link(there.span().span_context().clone(), vec![]);
        query.end();
        query.set_attribute(KeyValue::new("too", "late"));
        let fine = mark_span_as_active(tracer.start("fine"));
        let inner = mark_span_as_active(tracer.start("inner"));
        drop(fine);
        get_active_span(|span| span.set_status(ApiStatus::Ok));
        get_active_span(|span| span.set_status(ApiStatus::error("ok is final")));
        drop(tracer.start("innermost"));
        drop(inner);
        drop(tracer.start("last"));
        let below =
            std::thread::spawn(move || there.span().set_attribute(KeyValue::new("thread", "another")));
        below.join().unwrap();
    });
}

/// All spans, each as a text with its path from the root and everything that is compared, in an order that does not
/// depend on ids.
fn compared(spans: &[Told]) -> Vec<String> {
    let by_id: BTreeMap<&str, &Told> = spans.iter().map(|span| (&*span.id, span)).collect();
    assert_eq!(by_id.len(), spans.len(), "each span has an id of its own");
    fn path<'s>(by_id: &BTreeMap<&str, &'s Told>, mut span: &'s Told) -> String {
        let mut path = vec![label(span)];
        while let Some(parent) = by_id.get(&*span.parent) {
            path.insert(0, label(parent));
            span = parent;
        }
        assert!(span.parent.is_empty(), "the parent {} is missing", span.parent);
        path.join(" > ")
    }
    let mut all: Vec<_> = spans
        .iter()
        .map(|span| {
            let links: Vec<_> = span.links.iter().map(|id| path(&by_id, by_id[&**id])).collect();
            let Told { kind, status, attributes, events, .. } = span;
            format!(
                "{}\n  {kind} {status} {attributes:?}\n  links {links:?}\n  events {events:#?}",
                path(&by_id, span)
            )
        })
        .collect();
    all.sort();
    all
}

/// A span's name, and what tells it from its siblings.
fn label(span: &Told) -> String {
    let mark = ["customer", "item"].iter().find_map(|key| span.attributes.get(*key));
    format!("{} {}", span.name, mark.map_or("", String::as_str))
}

/// The only test of this binary, because `init` may be called once per process.
#[test]
fn every_span_is_what_tracing_opentelemetry_reports() {
    let keep = Keep::default();
    let config =
        Config::new("shop").without_otlp().exporter("keep", keep.clone()).log_logger().metrics_recorder();
    let guard = throughline_std::init(&config).unwrap();
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let theirs = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("shop"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_level(false)
        .with_tracked_inactivity(false);
    let subscriber = tracing_subscriber::registry().with(throughline_std::tracing::layer()).with(theirs);
    tracing::subscriber::set_global_default(subscriber).unwrap();

    describe_metrics();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    runtime.block_on(Shop::open().serve(10));
    drop(runtime);
    call(&provider.tracer("calls"));
    call(&throughline_std::opentelemetry::TracerProvider.tracer("calls"));
    assert!(guard.shutdown(Duration::from_secs(30)).complete);
    provider.force_flush().unwrap();

    let mut kept = keep.0.lock().unwrap();
    let Kept { spans, logs, counted } = &mut *kept;
    let mut of_log = 0;
    // Those of one thread come before those of another.
    logs.sort_by_key(|(time, ..)| *time);
    for (_, id, message, fields) in logs.drain(..) {
        let span = spans.iter_mut().find(|span| span.id == id).expect("the span of a record");
        // Records of `log` are not given to the SDK's layer.
        if message.contains(" costs ") {
            of_log += 1;
            assert_eq!(span.name, "checkout", "the record is in the span that was current");
            assert_eq!(fields["item"], span.attributes["item"]);
        } else {
            span.events.push((message, fields));
        }
    }
    let (ours, theirs) = (
        compared(spans),
        compared(&exporter.get_finished_spans().unwrap().iter().map(of_sdk).collect::<Vec<_>>()),
    );
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs);
    }
    // A day, ten visits with a checkout each, eight payments, and six parcels that are packed and sent; and eight spans
    // of calls.
    assert_eq!((ours.len(), of_log), (1 + 2 * 10 + 8 + 2 * 6 + 8, 8), "{ours:#?}");
    assert_eq!(counted["orders{outcome=sold}"], "Counter(6)");
    assert_eq!(counted["orders{outcome=failed}"], "Counter(4)");
    assert_eq!(counted["checkouts.active{}"], "GaugeFloat(0.0)");
    assert!(counted["checkout.duration{}"].contains("Histogram"), "{counted:#?}");
}
