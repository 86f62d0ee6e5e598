//! `export`: from a producer at full speed to a receiver, over OTLP/HTTP with protobuf.

use std::hint::black_box;

use fastrace::{Span, collector::SpanContext, local::LocalSpan};
use fastrace_opentelemetry::OpenTelemetryReporter;
use opentelemetry::{
    InstrumentationScope, KeyValue,
    trace::{SpanBuilder, Tracer as _, TracerProvider as _},
};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};

use crate::{
    Subject,
    export::run,
    harness::{Bench, SPANS_PER_TRACE},
    receiver::Receiver,
};

pub(super) const SUBJECTS: &[Subject] = &[("opentelemetry", opentelemetry), ("fastrace", fastrace)];

/// The SDK's batch processor and HTTP exporter at their defaults.
fn opentelemetry(bench: &mut Bench<'_>) {
    let receiver = Receiver::start().expect("the loopback interface");
    let provider = SdkTracerProvider::builder()
        .with_resource(resource())
        .with_batch_exporter(exporter(&receiver))
        .build();
    let tracer = provider.tracer("bench");
    let trace = || {
        tracer.in_span("root", |_| {
            for i in 1..SPANS_PER_TRACE as i64 {
                let span = SpanBuilder::from_name("child")
                    .with_attributes([KeyValue::new("bytes", i), KeyValue::new("attempt", black_box(3_i64))]);
                tracer.in_span_with_builder(span, |_| black_box(()));
            }
        });
    };
    run(bench, &receiver, trace, |_| provider.shutdown().expect("a receiver that takes all"));
}

/// The reporter that fastrace's documentation names, over OpenTelemetry's exporter. Its queue has no limit:
/// spans that have not been delivered at the end are in memory, and delivering them would take longer than
/// the run.
fn fastrace(bench: &mut Bench<'_>) {
    let receiver = Receiver::start().expect("the loopback interface");
    let scope = InstrumentationScope::builder("bench").build();
    let reporter =
        OpenTelemetryReporter::new(exporter(&receiver), std::borrow::Cow::Owned(resource()), scope);
    fastrace::set_reporter(reporter, fastrace::collector::Config::default());
    let trace = || {
        let root = Span::root("root", SpanContext::random());
        let _parent = root.set_local_parent();
        for i in 1..SPANS_PER_TRACE {
            let properties = || [("bytes", i.to_string()), ("attempt", black_box(3_u64).to_string())];
            drop(LocalSpan::enter_with_local_parent("child").with_properties(properties));
        }
    };
    run(bench, &receiver, trace, |_| ());
}

fn exporter(receiver: &Receiver) -> SpanExporter {
    SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", receiver.endpoint))
        .build()
        .expect("an endpoint")
}

fn resource() -> Resource {
    Resource::builder().with_service_name("bench").build()
}
