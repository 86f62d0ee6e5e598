//! `export` and `export_grpc`: from a producer at full speed to a receiver, over OTLP/HTTP with protobuf and over gRPC.

use std::{hint::black_box, thread};

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
    receiver::{Receiver, Transport},
};

pub(super) const SUBJECTS: &[Subject] = &[
    ("opentelemetry", |bench| opentelemetry(bench, Transport::Http)),
    ("fastrace", |bench| fastrace(bench, Transport::Http)),
];

pub(super) const GRPC_SUBJECTS: &[Subject] = &[
    ("opentelemetry", |bench| opentelemetry(bench, Transport::Grpc)),
    ("fastrace", |bench| fastrace(bench, Transport::Grpc)),
];

/// The SDK's batch processor and exporter at their defaults.
fn opentelemetry(bench: &mut Bench<'_>, transport: Transport) {
    let receiver = Receiver::start(transport).expect("the loopback interface");
    let provider = SdkTracerProvider::builder()
        .with_resource(resource())
        .with_batch_exporter(exporter(&receiver, transport))
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
fn fastrace(bench: &mut Bench<'_>, transport: Transport) {
    let receiver = Receiver::start(transport).expect("the loopback interface");
    let scope = InstrumentationScope::builder("bench").build();
    let reporter = OpenTelemetryReporter::new(
        exporter(&receiver, transport),
        std::borrow::Cow::Owned(resource()),
        scope,
    );
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

fn exporter(receiver: &Receiver, transport: Transport) -> SpanExporter {
    match transport {
        Transport::Http => SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", receiver.endpoint))
            .build(),
        Transport::Grpc => {
            // tonic's connection needs a runtime of tokio for as long as it lives; here a thread of its own.
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let handle = runtime.handle().clone();
            thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
            let _inside = handle.enter();
            SpanExporter::builder().with_tonic().with_endpoint(&receiver.endpoint).build()
        }
    }
    .expect("an endpoint")
}

fn resource() -> Resource {
    Resource::builder().with_service_name("bench").build()
}
