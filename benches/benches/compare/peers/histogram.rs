//! `histogram`: record a value, keeping count, sum and buckets.

use opentelemetry::{KeyValue, metrics::MeterProvider as _};
use opentelemetry_sdk::metrics::{Aggregation, Instrument, Stream};
use prometheus_client::metrics::histogram::NativeHistogramConfig;

use super::{
    counter::{metrics_setup, throughline_setup},
    sinks::{otel_meter, otel_metrics},
};
use crate::{
    Subject,
    harness::Bench,
    work::{LATENCIES, latency},
};

pub(super) const SUBJECTS: &[Subject] = &[
    ("prometheus", |bench| {
        let buckets = bounds().to_vec();
        let histogram = prometheus::register_histogram!("latency", "Latency", buckets).expect("a valid name");
        each(bench, |value| histogram.observe(value as f64));
    }),
    ("prometheus-client", |bench| {
        let histogram = prometheus_client::metrics::histogram::Histogram::new(bounds());
        register(histogram.clone());
        each(bench, |value| histogram.observe(value as f64));
    }),
    ("prometheus-client (native)", |bench| {
        let config = NativeHistogramConfig::with_schema(3);
        let histogram = prometheus_client::metrics::histogram::Histogram::new_native(config);
        register(histogram.clone());
        each(bench, |value| histogram.observe(value as f64));
    }),
    ("metrics (handle)", |bench| {
        let recorder = metrics_setup();
        let histogram = metrics::histogram!("latency");
        // The handle keeps every value until the recorder's upkeep reads them.
        bench.drained(
            |_| &*LATENCIES,
            |values, n| {
                for i in 0..n {
                    histogram.record(latency(values, i) as f64);
                }
            },
            |_| recorder.run_upkeep(),
        );
    }),
    ("measured", |bench| {
        let thresholds = measured::metric::histogram::Thresholds::<BUCKETS>::with_buckets(bounds());
        let histogram = measured::Histogram::with_metadata(thresholds);
        each(bench, |value| histogram.observe(value as f64));
    }),
    ("metriken (no sum)", |bench| {
        #[metriken::metric(name = "latency")]
        static LATENCY: metriken::AtomicCounterHistogram = metriken::AtomicCounterHistogram::new(3, 64);
        each(bench, |value| {
            let _ = LATENCY.increment(value);
        });
    }),
    ("metriken (sharded, no sum)", |bench| {
        #[metriken::metric(name = "sharded_latency")]
        static LATENCY: metriken::ShardedCounterHistogram = metriken::ShardedCounterHistogram::new(3, 64);
        each(bench, |value| {
            let _ = LATENCY.increment(value);
        });
    }),
    ("fastmetrics", |bench| {
        let histogram = fastmetrics::metrics::histogram::Histogram::new(bounds());
        each(bench, |value| histogram.observe(value as f64));
    }),
    ("opentelemetry (exponential)", |bench| {
        let provider = exponential().build();
        let histogram = provider.meter("bench").u64_histogram("latency").build();
        each(bench, |value| histogram.record(value, &[KeyValue::new("route", "/api")]));
    }),
    ("opentelemetry (exponential, bound)", |bench| {
        let provider = exponential().build();
        let histogram = provider.meter("bench").u64_histogram("latency").build();
        let bound = histogram.bind(&[KeyValue::new("route", "/api")]);
        each(bench, |value| bound.record(value));
    }),
    ("throughline (metrics, handle)", |bench| {
        throughline_setup();
        let histogram = metrics::histogram!("latency");
        each(bench, |value| histogram.record(value as f64));
    }),
    ("throughline (opentelemetry)", |bench| {
        let histogram = otel_meter().u64_histogram("latency").build();
        each(bench, |value| histogram.record(value, &[KeyValue::new("route", "/api")]));
    }),
    ("throughline (opentelemetry, bound)", |bench| {
        let bound = otel_meter().u64_histogram("latency").build().bind(&[KeyValue::new("route", "/api")]);
        each(bench, |value| bound.record(value));
    }),
];

/// As many buckets as the Prometheus libraries have by default.
const BUCKETS: usize = 11;

/// Bounds spread over the recorded values: 100 ns to 10 ms.
fn bounds() -> [f64; BUCKETS] {
    std::array::from_fn(|at| 100.0 * 10_f64.powf(at as f64 / 2.0))
}

fn register(histogram: prometheus_client::metrics::histogram::Histogram) {
    prometheus_client::registry::Registry::default().register("latency", "Latency", histogram);
}

fn exponential() -> opentelemetry_sdk::metrics::MeterProviderBuilder {
    otel_metrics().with_view(|instrument: &Instrument| {
        let aggregation =
            Aggregation::Base2ExponentialHistogram { max_size: 160, max_scale: 20, record_min_max: true };
        (instrument.name() == "latency")
            .then(|| Stream::builder().with_aggregation(aggregation).build().expect("a valid stream"))
    })
}

fn each(bench: &mut Bench<'_>, op: impl Fn(u64) + Sync) {
    bench.steady(
        |_| &*LATENCIES,
        |values, n| {
            for i in 0..n {
                op(latency(values, i));
            }
        },
    );
}
