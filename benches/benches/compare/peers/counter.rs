//! `counter`: add one; the label values are constants of the program.

use std::sync::{
    LazyLock,
    atomic::{AtomicU64, Ordering},
};

use opentelemetry::{KeyValue, metrics::MeterProvider as _};

use super::sinks::{otel_meter, otel_metrics};
use crate::{Subject, harness::Bench};

pub(super) const SUBJECTS: &[Subject] = &[
    ("one shared atomic", |bench| {
        static CELL: AtomicU64 = AtomicU64::new(0);
        each(bench, || {
            CELL.fetch_add(1, Ordering::Relaxed);
        });
    }),
    ("prometheus", |bench| {
        static COUNTER: LazyLock<prometheus::IntCounter> = LazyLock::new(|| {
            let vec = prometheus::register_int_counter_vec!("requests", "Requests", &["route"])
                .expect("a valid name");
            vec.with_label_values(&["/api"])
        });
        each(bench, || COUNTER.inc());
    }),
    ("prometheus-client", |bench| {
        let counter = prometheus_client::metrics::counter::Counter::<u64>::default();
        let mut registry = prometheus_client::registry::Registry::default();
        registry.register("requests", "Requests", counter.clone());
        each(bench, || {
            counter.inc();
        });
    }),
    ("metrics (handle)", |bench| {
        metrics_setup();
        let counter = metrics::counter!("requests", "route" => "/api");
        each(bench, || counter.increment(1));
    }),
    ("metrics (macro)", |bench| {
        metrics_setup();
        each(bench, || metrics::counter!("requests", "route" => "/api").increment(1));
    }),
    ("throughline (metrics, handle)", |bench| {
        throughline_setup();
        let counter = metrics::counter!("requests", "route" => "/api");
        each(bench, || counter.increment(1));
    }),
    ("throughline (metrics, macro)", |bench| {
        throughline_setup();
        each(bench, || metrics::counter!("requests", "route" => "/api").increment(1));
    }),
    ("measured", |bench| {
        let counter = measured::Counter::new();
        each(bench, || counter.inc());
    }),
    ("metriken", |bench| {
        #[metriken::metric(name = "requests", metadata = { route = "/api" })]
        static REQUESTS: metriken::Counter = metriken::Counter::new();
        each(bench, || {
            REQUESTS.increment();
        });
    }),
    ("metriken (sharded)", |bench| {
        #[metriken::metric(name = "sharded_requests")]
        static REQUESTS: metriken::ShardedCounterGroup = metriken::ShardedCounterGroup::new(1);
        each(bench, || {
            REQUESTS.increment(0);
        });
    }),
    ("fastmetrics", |bench| {
        let counter = fastmetrics::metrics::counter::Counter::<u64>::default();
        let mut registry = fastmetrics::registry::Registry::default();
        registry.register("requests", "Requests", counter.clone()).expect("a valid name");
        each(bench, || {
            counter.inc();
        });
    }),
    ("opentelemetry", |bench| {
        let provider = otel_metrics().build();
        let counter = provider.meter("bench").u64_counter("requests").build();
        each(bench, || counter.add(1, &[KeyValue::new("route", "/api")]));
    }),
    ("opentelemetry (bound)", |bench| {
        let provider = otel_metrics().build();
        let counter = provider.meter("bench").u64_counter("requests").build();
        let bound = counter.bind(&[KeyValue::new("route", "/api")]);
        each(bench, || bound.add(1));
    }),
    ("throughline (opentelemetry)", |bench| {
        let counter = otel_meter().u64_counter("requests").build();
        each(bench, || counter.add(1, &[KeyValue::new("route", "/api")]));
    }),
    ("throughline (opentelemetry, bound)", |bench| {
        let bound = otel_meter().u64_counter("requests").build().bind(&[KeyValue::new("route", "/api")]);
        each(bench, || bound.add(1));
    }),
];

/// Installs Throughline's recorder.
pub(super) fn throughline_setup() {
    crate::throughline::init();
    metrics::set_global_recorder(throughline_std::metrics::Recorder).expect("the first recorder");
}

/// Installs the Prometheus recorder.
pub(super) fn metrics_setup() -> metrics_exporter_prometheus::PrometheusHandle {
    metrics_exporter_prometheus::PrometheusBuilder::new().install_recorder().expect("the first recorder")
}

fn each(bench: &mut Bench<'_>, op: impl Fn() + Sync) {
    bench.steady(
        |_| (),
        |(), n| {
            for _ in 0..n {
                op();
            }
        },
    );
}
