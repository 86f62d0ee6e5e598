//! Tests that OTLP/JSON says the same as the protobuf request. `opentelemetry-proto`'s own JSON types read
//! the same values from it, and the text matches the specification's examples.

mod support;

use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
        trace::v1::ExportTraceServiceRequest,
    },
    common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    metrics::v1::{
        Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint,
        Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar,
        exponential_histogram_data_point::Buckets, metric::Data, number_data_point,
        summary_data_point::ValueAtQuantile,
    },
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span},
};
use proptest::prelude::*;
use prost::Message;
use support::receiver::{Answer, Receiver};
use throughline_export::otlp::{Client, ClientConfig, Protocol, Signal, to_json};

fn known(value: Value) -> Option<AnyValue> {
    Some(AnyValue { value: Some(value) })
}

fn kv(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: known(value), ..Default::default() }
}

fn attributes(text: &str, n: i64) -> Vec<KeyValue> {
    let list = ArrayValue { values: vec![AnyValue { value: Some(Value::IntValue(n)) }] };
    let map = KeyValueList { values: vec![kv("inner", Value::StringValue(text.into()))] };
    vec![
        kv("text", Value::StringValue(text.into())),
        kv("int", Value::IntValue(n)),
        kv("bool", Value::BoolValue(n > 0)),
        kv("double", Value::DoubleValue(n as f64 / 7.0)),
        kv("list", Value::ArrayValue(list)),
        kv("map", Value::KvlistValue(map)),
    ]
}

fn resource(text: &str) -> Option<Resource> {
    Some(Resource { attributes: attributes(text, 1), dropped_attributes_count: 2, ..Default::default() })
}

fn scope(text: &str) -> Option<InstrumentationScope> {
    let (name, version) = (text.into(), "1.0".into());
    Some(InstrumentationScope { name, version, attributes: vec![], dropped_attributes_count: 1 })
}

/// A request with every field that a span can have.
fn traces(text: &str, n: u64) -> ExportTraceServiceRequest {
    let span = Span {
        trace_id: n.to_be_bytes().repeat(2),
        span_id: n.to_be_bytes().to_vec(),
        trace_state: "k=v".into(),
        parent_span_id: vec![7; 8],
        flags: 0x301,
        name: text.into(),
        kind: 3,
        start_time_unix_nano: n,
        end_time_unix_nano: u64::MAX,
        attributes: attributes(text, n as i64),
        dropped_attributes_count: 3,
        events: vec![span::Event {
            time_unix_nano: n,
            name: text.into(),
            attributes: attributes(text, -1),
            dropped_attributes_count: 4,
        }],
        dropped_events_count: 5,
        links: vec![span::Link {
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            trace_state: "a=b".into(),
            attributes: vec![],
            dropped_attributes_count: 6,
            flags: 1,
        }],
        dropped_links_count: 7,
        status: Some(Status { message: text.into(), code: 2 }),
    };
    let spans = vec![span.clone(), span];
    let of_scope = ScopeSpans { scope: scope(text), spans, schema_url: "s".into() };
    let resource = ResourceSpans {
        resource: resource(text),
        scope_spans: vec![of_scope.clone(), of_scope],
        schema_url: "r".into(),
    };
    ExportTraceServiceRequest { resource_spans: vec![resource] }
}

fn logs(text: &str, n: u64) -> ExportLogsServiceRequest {
    let log = LogRecord {
        time_unix_nano: n,
        observed_time_unix_nano: n,
        severity_number: 17,
        severity_text: "ERROR".into(),
        body: known(Value::StringValue(text.into())),
        attributes: attributes(text, n as i64),
        dropped_attributes_count: 1,
        flags: 1,
        trace_id: vec![0xab; 16],
        span_id: vec![0xcd; 8],
        event_name: text.into(),
    };
    let of_scope = ScopeLogs { scope: scope(text), log_records: vec![log], schema_url: "s".into() };
    let resource =
        ResourceLogs { resource: resource(text), scope_logs: vec![of_scope], schema_url: "r".into() };
    ExportLogsServiceRequest { resource_logs: vec![resource] }
}

fn metrics(text: &str, n: u64) -> ExportMetricsServiceRequest {
    let attributes = attributes(text, n as i64);
    let point = |value| NumberDataPoint {
        attributes: attributes.clone(),
        start_time_unix_nano: n,
        time_unix_nano: n,
        exemplars: vec![],
        flags: 1,
        value: Some(value),
    };
    let points = vec![
        point(number_data_point::Value::AsInt(n as i64)),
        point(number_data_point::Value::AsDouble(1e300)),
    ];
    let exemplar = |value| Exemplar {
        filtered_attributes: attributes.clone(),
        time_unix_nano: n,
        span_id: vec![0xa7; 8],
        trace_id: vec![0x4b; 16],
        value: Some(value),
    };
    let exemplars =
        vec![exemplar(exemplar::Value::AsDouble(0.25)), exemplar(exemplar::Value::AsInt(n as i64))];
    let histogram = HistogramDataPoint {
        attributes: attributes.clone(),
        start_time_unix_nano: n,
        time_unix_nano: n,
        count: n,
        sum: Some(0.1),
        bucket_counts: vec![n, 1, 2],
        explicit_bounds: vec![0.5, 1e-9],
        exemplars: exemplars.clone(),
        flags: 1,
        min: Some(-0.5),
        max: Some(f64::MAX),
    };
    let exponential = ExponentialHistogramDataPoint {
        attributes: attributes.clone(),
        start_time_unix_nano: n,
        time_unix_nano: n,
        count: n,
        sum: Some(1.5),
        scale: -3,
        zero_count: 9,
        positive: Some(Buckets { offset: -7, bucket_counts: vec![n, 300, 0] }),
        negative: Some(Buckets { offset: i32::MAX, bucket_counts: vec![1] }),
        flags: 1,
        exemplars,
        min: Some(0.0),
        max: Some(2.0),
        zero_threshold: 0.25,
    };
    let summary = SummaryDataPoint {
        attributes: attributes.clone(),
        start_time_unix_nano: n,
        time_unix_nano: n,
        count: n,
        sum: 3.0,
        quantile_values: vec![ValueAtQuantile { quantile: 0.5, value: 2.0 }],
        flags: 1,
    };
    let all = [
        Data::Gauge(Gauge { data_points: points.clone() }),
        Data::Sum(Sum { data_points: points, aggregation_temporality: 2, is_monotonic: true }),
        Data::Histogram(Histogram { data_points: vec![histogram], aggregation_temporality: 1 }),
        Data::ExponentialHistogram(ExponentialHistogram {
            data_points: vec![exponential],
            aggregation_temporality: 2,
        }),
        Data::Summary(Summary { data_points: vec![summary] }),
    ];
    let metric = |data| Metric {
        name: text.into(),
        description: text.into(),
        unit: "By".into(),
        metadata: attributes.clone(),
        data: Some(data),
    };
    let metrics = all.map(metric).to_vec();
    let of_scope = ScopeMetrics { scope: scope(text), metrics, schema_url: "s".into() };
    let resource =
        ResourceMetrics { resource: resource(text), scope_metrics: vec![of_scope], schema_url: "r".into() };
    ExportMetricsServiceRequest { resource_metrics: vec![resource] }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn json_reads_as_the_protobuf_does(text in ".{0,30}", n in prop_oneof![any::<u64>(), 0u64..300]) {
        let (traces, logs, metrics) = (traces(&text, n), logs(&text, n), metrics(&text, n));
        let json = to_json(Signal::Traces, &traces.encode_to_vec());
        prop_assert!(serde_json::from_str::<ExportTraceServiceRequest>(&json).unwrap() == traces, "{}", json);
        let json = to_json(Signal::Logs, &logs.encode_to_vec());
        prop_assert!(serde_json::from_str::<ExportLogsServiceRequest>(&json).unwrap() == logs, "{}", json);
        let json = to_json(Signal::Metrics, &metrics.encode_to_vec());
        prop_assert!(serde_json::from_str::<ExportMetricsServiceRequest>(&json).unwrap() == metrics, "{}", json);
    }

    #[test]
    fn any_bytes_give_json(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for signal in Signal::ALL {
            serde_json::from_str::<serde_json::Value>(&to_json(signal, &bytes)).unwrap();
        }
    }
}

#[test]
fn the_text_is_as_the_specification_shows() {
    let span = Span {
        trace_id: vec![0x5b; 16],
        span_id: vec![0xee; 8],
        name: "I\"m\n".into(),
        kind: 2,
        start_time_unix_nano: 1_544_712_660_000_000_000,
        attributes: vec![
            kv("bytes", Value::BytesValue(vec![0xfb, 0xff])),
            kv("nan", Value::DoubleValue(f64::NAN)),
            kv("down", Value::DoubleValue(f64::NEG_INFINITY)),
            kv("int", Value::IntValue(-1)),
        ],
        ..Default::default()
    };
    let of_scope = ScopeSpans { spans: vec![span], ..Default::default() };
    let resource = ResourceSpans { scope_spans: vec![of_scope], ..Default::default() };
    let request = ExportTraceServiceRequest { resource_spans: vec![resource] };
    let expected = concat!(
        r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b","#,
        r#""spanId":"eeeeeeeeeeeeeeee","name":"I\"m\u000a","kind":2,"startTimeUnixNano":"1544712660000000000","#,
        r#""attributes":[{"key":"bytes","value":{"bytesValue":"+/8="}},{"key":"nan","value":{"doubleValue":"NaN"}},"#,
        r#"{"key":"down","value":{"doubleValue":"-Infinity"}},{"key":"int","value":{"intValue":"-1"}}]}]}]}]}"#,
    );
    assert_eq!(to_json(Signal::Traces, &request.encode_to_vec()), expected);
}

#[test]
fn the_client_sends_json_and_reads_the_answer_in_json() {
    let partial = br#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}}"#;
    let receiver = Receiver::start([
        Answer::Json(200, partial.to_vec()),
        Answer::Json(400, br#"{"code":3,"message":"no spans"}"#.to_vec()),
    ]);
    let config = ClientConfig::new(&receiver.endpoint).unwrap().protocol(Protocol::HttpJson).unwrap();
    let mut client = Client::new(config);
    let body = traces("work", 7).encode_to_vec();
    let delivered = client.send_traces(&body).unwrap();
    assert_eq!((delivered.rejected, &*delivered.message), (2, "too old"));
    receiver.with(|r| {
        assert!(r.headers.contains(&"content-type: application/json".to_owned()), "{:?}", r.headers);
        assert_eq!(r.last_body, to_json(Signal::Traces, &body).as_bytes());
    });
    let error = client.send_traces(&body).unwrap_err().to_string();
    assert!(error.contains("answered 400 (no spans)"), "{error}");
}
