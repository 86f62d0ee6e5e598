//! `encode`: spans with four attributes as an OTLP request, per span of a request with 512 spans.

use std::{
    hint::black_box,
    time::{Duration, SystemTime},
};

use opentelemetry::{
    InstrumentationScope, KeyValue,
    trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState},
};
use opentelemetry_proto::{
    tonic::collector::trace::v1::ExportTraceServiceRequest,
    transform::{
        common::tonic::ResourceAttributesWithSchema, trace::tonic::group_spans_by_resource_and_scope,
    },
};
use opentelemetry_sdk::{
    Resource,
    trace::{SpanData, SpanEvents, SpanLinks},
};
use prost::Message as _;

use crate::{Subject, harness::Bench};

pub(super) const SUBJECTS: &[Subject] =
    &[("prost (whole request)", whole_request), ("opentelemetry", opentelemetry)];

const SPANS: u32 = 512;

/// The limit: `prost` encodes spans that were built beforehand into a reused buffer.
pub(crate) fn limit(bench: &mut Bench<'_>) {
    let request = request(spans());
    let spans = &request.resource_spans[0].scope_spans[0].spans;
    bench.bytes(request.encoded_len() as f64 / f64::from(SPANS));
    bench.bulk(
        SPANS,
        || Vec::with_capacity(request.encoded_len()),
        |buffer| {
            buffer.clear();
            for span in black_box(spans) {
                span.encode_length_delimited(buffer).expect("a growing buffer");
            }
            black_box(buffer);
        },
    );
}

/// The same with the messages around the spans; computing their lengths needs the length of every span again
/// for each level.
fn whole_request(bench: &mut Bench<'_>) {
    let request = request(spans());
    bench.bulk(
        SPANS,
        || Vec::with_capacity(request.encoded_len()),
        |buffer| {
            buffer.clear();
            black_box(&request).encode(buffer).expect("a growing buffer");
            black_box(buffer);
        },
    );
}

/// The steps of an OTLP exporter with a batch: clone, transform, encode.
fn opentelemetry(bench: &mut Bench<'_>) {
    let spans = spans();
    bench.bytes(request(spans.clone()).encoded_len() as f64 / f64::from(SPANS));
    bench.bulk(
        SPANS,
        || (),
        |()| {
            black_box(request(black_box(&spans).clone()).encode_to_vec());
        },
    );
}

fn request(spans: Vec<SpanData>) -> ExportTraceServiceRequest {
    let resource = Resource::builder().with_service_name("bench").build();
    let resource = ResourceAttributesWithSchema::from(&resource);
    ExportTraceServiceRequest { resource_spans: group_spans_by_resource_and_scope(spans, &resource) }
}

fn spans() -> Vec<SpanData> {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
    let span = |i: u64| SpanData {
        span_context: SpanContext::new(
            TraceId::from(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c + u128::from(i / 64)),
            SpanId::from(0xb7ad_6b71_6920_3331 + i),
            TraceFlags::SAMPLED,
            false,
            TraceState::default(),
        ),
        parent_span_id: SpanId::from(0xb7ad_6b71_6920_3331 + i / 64 * 64),
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: "read block".into(),
        start_time: start + Duration::from_nanos(i * 1_000),
        end_time: start + Duration::from_nanos(i * 1_000 + 750),
        attributes: vec![
            KeyValue::new("bytes", 4_096 + i as i64),
            KeyValue::new("attempt", 3_i64),
            KeyValue::new("hit", i.is_multiple_of(2)),
            KeyValue::new("route", "/api/v1/blocks"),
        ],
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("bench").build(),
    };
    (0..u64::from(SPANS)).map(span).collect()
}
