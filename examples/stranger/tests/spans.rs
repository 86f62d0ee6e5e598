//! The spans of shop and warehouse, one by one, beside those that `tracing-opentelemetry` reports for the same run.

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use stranger_example::shop::{self, Plain};
use stranger_example::{serve, warehouse};
use throughline::Value;
use throughline_std::message::ValueText;
use throughline_std::view::SpanView;
use throughline_std::{Config, Deadline, ExportError, Exporter};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::prelude::*;

/// A span: id, parent, name, and attributes.
type Told = (String, String, String, BTreeMap<String, String>);

#[derive(Clone, Default)]
struct Keep(Arc<Mutex<Vec<Told>>>);

impl Exporter for Keep {
    fn span(&mut self, span: &SpanView<'_>) {
        let fields =
            span.fields.clone().filter(|(name, value)| *name != "error.message" && *value != Value::Absent);
        let fields = fields.map(|(name, value)| (name.to_owned(), ValueText(&value).to_string())).collect();
        let parent = span.parent_span_id.map_or_else(String::new, |id| id.to_string());
        self.0.lock().unwrap().push((span.span_id.to_string(), parent, span.name.into(), fields));
    }

    fn flush(&mut self, _: &Deadline) -> Result<(), ExportError> {
        Ok(())
    }
}

/// Each span with the names of those around it, in an order that does not depend on ids.
fn compared(spans: &[Told]) -> Vec<String> {
    let mut all: Vec<_> = spans
        .iter()
        .map(|(_, parent, name, attributes)| {
            let (mut path, mut parent) = (name.clone(), parent);
            while let Some((_, next, name, _)) = spans.iter().find(|span| span.0 == *parent) {
                (path, parent) = (format!("{name} > {path}"), next);
            }
            assert!(!parent.chars().any(|digit| digit != '0'), "the parent {parent} is missing");
            format!("{path} {attributes:?}")
        })
        .collect();
    all.sort();
    all
}

#[test]
fn every_span_is_what_tracing_opentelemetry_reports() {
    let keep = Keep::default();
    let config = Config::new("shop").without_otlp().exporter("keep", keep.clone());
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
    // Not the spans of h2, which last as long as connections.
    let ours = |target: &str| target.starts_with("stranger") || target.starts_with("tower_http");
    tracing_subscriber::registry()
        .with(filter_fn(move |metadata| ours(metadata.target())))
        .with(throughline_std::tracing::layer())
        .with(theirs)
        .init();

    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(
        async {
            let partners = Plain::connect(format!("http://{}", serve(warehouse::router()).await.unwrap()))
                .await
                .unwrap();
            let shop = serve(shop::router(shop::database().await.unwrap(), partners)).await.unwrap();
            for (item, status) in [("lamp", 200), ("unicorn", 503), ("moon", 404)] {
                let answer =
                    reqwest::Client::new().post(format!("http://{shop}/orders/{item}")).send().await.unwrap();
                assert_eq!(answer.status(), status);
                answer.bytes().await.unwrap();
            }
        },
    );
    assert!(guard.shutdown(Duration::from_secs(30)).complete);
    provider.force_flush().unwrap();

    let of_sdk: Vec<Told> = exporter
        .get_finished_spans()
        .unwrap()
        .iter()
        .map(|span| {
            let attributes =
                span.attributes.iter().map(|kv| (kv.key.to_string(), kv.value.to_string())).collect();
            (
                span.span_context.span_id().to_string(),
                span.parent_span_id.to_string(),
                span.name.to_string(),
                attributes,
            )
        })
        .collect();
    let ours = compared(&keep.0.lock().unwrap());
    assert_eq!(ours, compared(&of_sdk));
    assert_eq!(
        ours.iter().filter(|span| span.starts_with("request > order > price")).count(),
        3,
        "{ours:#?}"
    );
}
