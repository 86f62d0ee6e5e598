//! Destinations of the peers' records: each sink takes what it is given and does nothing with it.

use std::{cell::RefCell, fmt::Write as _, ops::ControlFlow, time::Duration};

use emit::Props as _;
use opentelemetry::{metrics::MeterProvider as _, trace::TracerProvider as _};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    logs::{LogBatch, LogExporter},
    metrics::{
        PeriodicReader, SdkMeterProvider, Temporality, data::ResourceMetrics, exporter::PushMetricExporter,
    },
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider, SpanData, SpanExporter,
    },
};
use tracing_subscriber::layer::SubscriberExt as _;

/// An exporter that discards everything.
#[derive(Debug)]
pub(super) struct Nowhere;

impl SpanExporter for Nowhere {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        drop(batch);
        Ok(())
    }
}

impl LogExporter for Nowhere {
    async fn export(&self, _batch: LogBatch<'_>) -> OTelSdkResult {
        Ok(())
    }
}

impl PushMetricExporter for Nowhere {
    async fn export(&self, _metrics: &ResourceMetrics) -> OTelSdkResult {
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

impl fastrace::collector::Reporter for Nowhere {
    fn report(&mut self, spans: Vec<fastrace::collector::SpanRecord>) {
        drop(spans);
    }
}

/// An OpenTelemetry tracer with a batch processor whose queue holds everything between two flushes.
pub(super) fn otel(sampler: Sampler) -> (SdkTracerProvider, SdkTracer) {
    let config =
        BatchConfigBuilder::default().with_max_queue_size(4096).with_max_export_batch_size(4096).build();
    let provider = SdkTracerProvider::builder()
        .with_sampler(sampler)
        .with_span_processor(BatchSpanProcessor::builder(Nowhere).with_batch_config(config).build())
        .build();
    let tracer = provider.tracer("bench");
    (provider, tracer)
}

/// `tracing` over [`otel`], as the global subscriber.
pub(super) fn tracing_otel(sampler: Sampler) -> SdkTracerProvider {
    let (provider, tracer) = otel(sampler);
    let layer = tracing_opentelemetry::layer().with_tracer(tracer);
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer))
        .expect("the first subscriber");
    provider
}

/// `tracing` over Throughline's layer, as the global subscriber.
pub(super) fn tracing_throughline() {
    crate::throughline::init();
    tracing::subscriber::set_global_default(
        tracing_subscriber::registry().with(throughline_std::tracing::layer()),
    )
    .expect("the first subscriber");
}

/// A tracer of OpenTelemetry's API that makes Throughline's spans.
pub(super) fn otel_throughline() -> throughline_std::opentelemetry::Tracer {
    crate::throughline::init();
    throughline_std::opentelemetry::TracerProvider.tracer("bench")
}

/// A meter of OpenTelemetry's API that makes Throughline's metrics.
pub(super) fn otel_meter() -> opentelemetry::metrics::Meter {
    crate::throughline::init();
    throughline_std::opentelemetry::MeterProvider.meter("bench")
}

/// An OpenTelemetry meter read every minute.
pub(super) fn otel_metrics() -> opentelemetry_sdk::metrics::MeterProviderBuilder {
    SdkMeterProvider::builder().with_reader(PeriodicReader::builder(Nowhere).build())
}

thread_local! {
    static LINES: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Writes a line into the thread's buffer, which starts over when it holds 64 KiB.
pub(super) fn line(write: impl FnOnce(&mut String)) {
    LINES.with_borrow_mut(|lines| {
        if lines.len() > 65_000 {
            lines.clear();
        }
        write(lines);
        lines.push('\n');
    });
}

/// Seconds and nanoseconds since 1970, as loggers put them in their lines.
pub(super) fn stamp(line: &mut String) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let _ = write!(line, "{}.{:09} ", now.as_secs(), now.subsec_nanos());
}

/// Sets `emit` up with an emitter that visits every property and formats nothing.
pub(super) fn emit_setup() {
    let init = emit::setup()
        .emit_to(emit::emitter::from_fn(|event| {
            std::hint::black_box((event.extent(), event.tpl()));
            let _ = event.props().for_each(|key, value| {
                std::hint::black_box((key, value));
                ControlFlow::Continue(())
            });
        }))
        .init();
    std::hint::black_box(init);
}
