//! Whatever the encoders write is read back by the types of `opentelemetry-proto`, field by field, for any
//! span, log and metric.

#[path = "support/values.rs"]
mod values;

use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
        trace::v1::ExportTraceServiceRequest,
    },
    common::v1::{AnyValue, KeyValue, any_value},
    logs::v1::LogRecord,
    metrics::v1::{
        ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Metric, NumberDataPoint, Sum, Summary,
        SummaryDataPoint, exponential_histogram_data_point::Buckets, metric, number_data_point,
        summary_data_point::ValueAtQuantile,
    },
    trace::v1::{ScopeSpans, Span, Status as OtlpStatus},
};
use proptest::prelude::*;
use prost::Message;
use throughline::adapter::callsite;
use throughline::{Level, SpanId, SpanKind, Status, TraceId, Value};
use throughline_export::{
    Resource, message,
    otlp::{LogEncoder, MetricEncoder, Options, Site, TraceEncoder},
    view::{HistogramView, LogView, PointData, PointView, Scope, SpanView, SummaryView},
};
use values::{Owned, fields, int, kv, text};

#[derive(Clone, Debug)]
struct Callsite {
    name: String,
    target: String,
    file: String,
    line: u32,
    level: Level,
    kind: SpanKind,
}

fn site() -> impl Strategy<Value = Callsite> {
    (
        ".{0,20}|.{120,200}",
        "[a-z:]{0,30}|(one|two)::[a-z]{0,5}",
        "[a-z/.]{0,30}",
        any::<u32>(),
        1u8..=5,
        0u8..=4,
    )
        .prop_map(|(name, target, file, line, level, kind)| Callsite {
            name,
            target,
            file,
            line,
            level: Level::from_u8(level).unwrap(),
            kind: SpanKind::from_u8(kind),
        })
}

impl Callsite {
    /// The blob's package is "", so the scope is the crate at the start of the module path.
    fn scope(&self) -> Scope<'_> {
        Scope::of("", "", &self.target)
    }

    fn attributes(&self) -> Vec<KeyValue> {
        let mut all = Vec::new();
        if !self.target.is_empty() {
            all.push(text("code.module.name", &self.target));
        }
        if !self.file.is_empty() {
            all.push(text("code.file.path", &self.file));
            all.push(int("code.line.number", i64::from(self.line)));
        }
        all
    }

    /// The blob that a macro would make of this callsite with these field names.
    fn blob(&self, kind: callsite::Kind, unit: &str, names: &[&str]) -> Vec<u8> {
        let mut b = vec![0xA1, kind as u8, self.level as u8 | (self.kind as u8) << 4, 0, 0, 0];
        b.extend_from_slice(&self.line.to_le_bytes());
        b.extend_from_slice(&[names.len() as u8, 0]);
        for s in [&*self.name, &*self.target, &*self.file, unit, ""].iter().chain(names) {
            b.extend_from_slice(&(s.len() as u16).to_le_bytes());
            b.extend_from_slice(s.as_bytes());
        }
        let len = (b.len() as u16).to_le_bytes();
        b[4..6].copy_from_slice(&len);
        b
    }
}

/// The attributes that are sent: the exporter's own ones unless a field has the same name, and the last field
/// of each name.
fn unique(own_first: Vec<KeyValue>, fields: &[(String, Owned)], own_last: Vec<KeyValue>) -> Vec<KeyValue> {
    let named = |name: &str| fields.iter().any(|(k, _)| k == name);
    let is_first = |i: usize| !fields[..i].iter().any(|(earlier, _)| *earlier == fields[i].0);
    let last = |name: &str| fields.iter().rev().find(|(k, _)| k == name).map(|(_, v)| v).unwrap();
    let of_fields = fields.iter().enumerate().filter(|(i, _)| is_first(*i)).flat_map(|(_, (name, _))| {
        let mut attributes = last(name).attributes(name);
        if named(&format!("{name}.truncated")) {
            attributes.truncate(1);
        }
        attributes
    });
    let own = |list: Vec<KeyValue>| list.into_iter().filter(|kv| !named(&kv.key)).collect::<Vec<_>>();
    own(own_first).into_iter().chain(of_fields).chain(own(own_last)).collect()
}

#[derive(Clone, Debug)]
struct SpanModel {
    site: Callsite,
    trace: u128,
    span: u64,
    parent: Option<u64>,
    parent_is_remote: bool,
    status: u8,
    times: (u64, u64),
    busy: Option<u64>,
    error: Option<u64>,
    fields: Vec<(String, Owned)>,
}

prop_compose! {
    fn span_model()(
        site in site(), trace in 1u128.., span in 1u64.., parent in proptest::option::of(1u64..), parent_is_remote in any::<bool>(), status in 0u8..4,
        times in any::<(u64, u64)>(), busy in proptest::option::of(0..=i64::MAX as u64),
        error in proptest::option::of(0..=i64::MAX as u64), fields in fields(),
    ) -> SpanModel {
        SpanModel { site, trace, span, parent, parent_is_remote, status, times, busy, error, fields }
    }
}

impl SpanModel {
    fn expected(&self) -> Span {
        let mut attributes = Vec::new();
        if let Some(busy) = self.busy {
            attributes.push(int("busy_ns", busy as i64));
            let idle = self.times.1.saturating_sub(self.times.0).saturating_sub(busy);
            attributes.push(match i64::try_from(idle) {
                Ok(idle) => int("idle_ns", idle),
                Err(_) => text("idle_ns", &idle.to_string()),
            });
        }
        if let Some(error) = self.error {
            attributes.push(int("throughline.time_error_ns", error as i64));
        }
        if self.status == 3 {
            attributes.push(kv("throughline.cancelled", any_value::Value::BoolValue(true)));
        }
        let attributes = unique(self.site.attributes(), &self.fields, attributes);
        // The last value of a key wins, whatever its type, but only a text can be a status message.
        let message = self.fields.iter().rev().find(|(k, _)| k == "error.message");
        let message = message.map_or(String::new(), |(_, v)| match v {
            Owned::Str(text, _) => text.clone(),
            _ => String::new(),
        });
        Span {
            flags: if self.parent_is_remote { 0x301 } else { 0x101 },
            trace_id: self.trace.to_be_bytes().into(),
            span_id: self.span.to_be_bytes().into(),
            parent_span_id: self.parent.map_or(Vec::new(), |p| p.to_be_bytes().into()),
            name: self.site.name.clone(),
            kind: self.site.kind as i32 + 1,
            start_time_unix_nano: self.times.0,
            end_time_unix_nano: self.times.1,
            attributes,
            status: matches!(self.status, 1 | 2).then(|| OtlpStatus {
                code: i32::from(self.status),
                message: if self.status == 2 { message } else { String::new() },
            }),
            ..Default::default()
        }
    }

    fn encode(&self, encoder: &mut TraceEncoder, blob: Option<&callsite::Blob<'_>>) {
        let name = |i: usize| match blob {
            Some(blob) => blob.fields().nth(i).unwrap(),
            None => &*self.fields[i].0,
        };
        let fields: Vec<_> = self.fields.iter().enumerate().map(|(i, (_, v))| (name(i), v.value())).collect();
        let view = SpanView {
            trace_id: TraceId::from_bytes(self.trace.to_be_bytes()).unwrap(),
            span_id: SpanId::from_bytes(self.span.to_be_bytes()).unwrap(),
            parent_span_id: self.parent.and_then(|p| SpanId::from_bytes(p.to_be_bytes())),
            parent_is_remote: self.parent_is_remote,
            scope: self.site.scope(),
            name: &self.site.name,
            target: &self.site.target,
            file: &self.site.file,
            line: self.site.line,
            kind: self.site.kind,
            level: self.site.level,
            status: Status::from_u8(self.status),
            start_unix_ns: self.times.0,
            end_unix_ns: self.times.1,
            busy_ns: self.busy,
            time_error_ns: self.error,
            fields: fields.iter().copied(),
        };
        match blob {
            Some(blob) => encoder.span_at(&Site::new(blob, Options::default()), &view),
            None => encoder.span(&view),
        }
    }
}

fn resource() -> Resource {
    Resource::new("svc").with("zone", "é")
}

/// The spans of each scope.
fn spans(bytes: &[u8]) -> Vec<(String, Vec<Span>)> {
    let mut request = ExportTraceServiceRequest::decode(bytes).unwrap();
    assert_eq!(request.resource_spans.len(), 1);
    let resource_spans = request.resource_spans.remove(0);
    let attributes = resource_spans.resource.unwrap().attributes;
    assert!(attributes.contains(&text("service.name", "svc")) && attributes.contains(&text("zone", "é")));
    let of_scope = |scope_spans: ScopeSpans| (scope_spans.scope.unwrap().name, scope_spans.spans);
    resource_spans.scope_spans.into_iter().map(of_scope).collect()
}

/// The expected spans of the models: scopes in the order of their first spans, and the spans of each scope in
/// order.
fn expected_spans(models: &[SpanModel]) -> Vec<(String, Vec<Span>)> {
    let mut scopes: Vec<(String, Vec<Span>)> = Vec::new();
    for model in models {
        let name = model.site.scope().name;
        match scopes.iter_mut().find(|(known, _)| known == name) {
            Some((_, spans)) => spans.push(model.expected()),
            None => scopes.push((name.into(), vec![model.expected()])),
        }
    }
    if scopes.is_empty() {
        scopes.push((Scope::OWN.name.into(), vec![]));
    }
    scopes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn spans_mean_the_same(models in proptest::collection::vec(span_model(), 0..6)) {
        let mut encoder = TraceEncoder::new(&resource(), Options::default());
        // Encode twice with a batch in between, because a reused buffer must start clean.
        for _ in 0..2 {
            let (before, after) = models.split_at(models.len() / 2);
            before.iter().for_each(|m| m.encode(&mut encoder, None));
            prop_assert_eq!(spans(encoder.finish()), expected_spans(before));
            after.iter().for_each(|m| m.encode(&mut encoder, None));
            prop_assert_eq!(encoder.count(), models.len());
            let whole = encoder.finish().to_vec();
            prop_assert_eq!(spans(&whole), expected_spans(&models));
            prop_assert_eq!(encoder.take(vec![7; 100]), whole);
            prop_assert_eq!((encoder.count(), encoder.record_bytes()), (0, 0));
        }
    }

    #[test]
    fn a_prepared_callsite_changes_nothing(model in span_model()) {
        let names: Vec<_> = model.fields.iter().map(|(name, _)| &**name).collect();
        let blob = model.site.blob(callsite::Kind::Span, "", &names);
        let blob = callsite::Blob::parse(&blob).unwrap();
        let (mut plain, mut prepared) = (TraceEncoder::new(&resource(), Options::default()), TraceEncoder::new(&resource(), Options::default()));
        model.encode(&mut plain, None);
        model.encode(&mut prepared, Some(&blob));
        prop_assert_eq!(plain.finish(), prepared.finish());
    }

    #[test]
    fn logs_mean_the_same(
        site in site(), message in "[a-z ]{0,10}(\\{\\}){0,2}[a-z]{0,5}", ids in proptest::option::of((1u128.., 1u64..)), time in any::<u64>(),
        error in proptest::option::of(0..=i64::MAX as u64), fields in fields(), prepared in any::<bool>(), event_name in "|[a-z.]{1,200}",
    ) {
        let site = Callsite { name: message, kind: SpanKind::Internal, ..site };
        let names: Vec<_> = fields.iter().map(|(name, _)| &**name).collect();
        let blob = site.blob(callsite::Kind::Event, &event_name, &names);
        let blob = callsite::Blob::parse(&blob).unwrap();
        let values: Vec<_> = blob.fields().zip(fields.iter().map(|(_, v)| v.value())).collect();
        let view = LogView {
            span: ids.map(|(t, s)| (TraceId::from_bytes(t.to_be_bytes()).unwrap(), SpanId::from_bytes(s.to_be_bytes()).unwrap())),
            time_unix_ns: time,
            level: site.level,
            message: &site.name,
            event_name: &event_name,
            trace_flags: 1,
            scope: site.scope(),
            target: &site.target,
            file: &site.file,
            line: site.line,
            time_error_ns: error,
            fields: values.iter().copied(),
        };
        let mut encoder = LogEncoder::new(&resource(), Options::default());
        if prepared {
            encoder.log_at(&Site::new(&blob, Options::default()), &view);
        } else {
            encoder.log(&view);
        }
        let request = ExportLogsServiceRequest::decode(encoder.finish()).unwrap();
        let error = error.map(|e| int("throughline.time_error_ns", e as i64));
        // A message that is one field and nothing else, as `{}`, shows that field, unless a part of it is missing.
        let is_all = |(name, value): &(String, Owned)| site.name == format!("{{{name}}}") && !value.value().is_truncated();
        let beside: Vec<_> = fields.iter().filter(|field| !is_all(field)).cloned().collect();
        let attributes = unique(site.attributes(), &beside, error.into_iter().collect());
        let body = message::render(&site.name, values.iter().copied()).into_owned();
        let expected = LogRecord {
            time_unix_nano: time,
            observed_time_unix_nano: time,
            severity_number: 4 * (site.level as i32) - 3,
            severity_text: site.level.as_str().into(),
            body: Some(AnyValue { value: Some(any_value::Value::StringValue(body)) }),
            attributes,
            flags: u32::from(ids.is_some()),
            trace_id: ids.map_or(Vec::new(), |(t, _)| t.to_be_bytes().into()),
            span_id: ids.map_or(Vec::new(), |(_, s)| s.to_be_bytes().into()),
            event_name: event_name.clone(),
            ..Default::default()
        };
        prop_assert_eq!(&request.resource_logs[0].scope_logs[0].log_records[..], &[expected][..]);
    }

    #[test]
    fn metrics_mean_the_same(
        values in proptest::collection::vec((0u8..3, any::<u64>(), any::<i64>(), -1e300f64..1e300), 0..12),
        buckets in proptest::collection::vec(0u64..1 << 40, 0..200), scale in 0u8..9, sum in any::<u64>(), zeros in 0u64..1 << 40, offset in any::<i32>(),
        label in ".{0,9}",
    ) {
        let mut encoder = MetricEncoder::new(&resource());
        let mut expected: Vec<Metric> = Vec::new();
        let labels = [("k", &*label), ("otel.metric.overflow", "true")];
        let attributes = vec![text("k", &label), kv("otel.metric.overflow", any_value::Value::BoolValue(true))];
        let mut point = |name: &str, data: PointData<'_>| {
            let point = number(&attributes, &data);
            let (unit, description) = ("By", "what it is");
            encoder.point(&PointView { id: 0, name, unit, description, scope: Scope::OWN, target: "t", start_unix_ns: 5, time_unix_ns: 6, labels: &labels, data: data.clone() });
            let temporality = 2;
            let fresh = match data {
                PointData::Counter(_) | PointData::CounterFloat(_) => metric::Data::Sum(Sum { data_points: vec![point], aggregation_temporality: temporality, is_monotonic: true }),
                PointData::UpDown(_) | PointData::UpDownFloat(_) => metric::Data::Sum(Sum { data_points: vec![point], aggregation_temporality: temporality, is_monotonic: false }),
                PointData::GaugeInt(_) | PointData::GaugeFloat(_) => metric::Data::Gauge(Gauge { data_points: vec![point] }),
                PointData::Histogram(h) => metric::Data::ExponentialHistogram(ExponentialHistogram {
                    data_points: vec![ExponentialHistogramDataPoint {
                        attributes: attributes.clone(), start_time_unix_nano: 5, time_unix_nano: 6, count: h.count(),
                        sum: Some(h.sum), scale: i32::from(h.scale), zero_count: h.zeros,
                        min: h.extremes.map(|(min, _)| min), max: h.extremes.map(|(_, max)| max),
                        positive: Some(Buckets { offset: h.offset, bucket_counts: h.buckets.to_vec() }), ..Default::default()
                    }],
                    aggregation_temporality: temporality,
                }),
                PointData::Summary(s) => metric::Data::Summary(Summary {
                    data_points: vec![SummaryDataPoint {
                        attributes: attributes.clone(), start_time_unix_nano: 5, time_unix_nano: 6, count: s.count, sum: s.sum,
                        quantile_values: s.quantiles.iter().map(|&(quantile, value)| ValueAtQuantile { quantile, value }).collect(),
                        ..Default::default()
                    }],
                }),
                other => panic!("no such kind: {other:?}"),
            };
            // Consecutive points of one metric become one metric.
            match (expected.last_mut().filter(|m| m.name == name).and_then(|m| m.data.as_mut()), fresh) {
                (Some(metric::Data::Sum(last)), metric::Data::Sum(fresh)) if last.is_monotonic == fresh.is_monotonic => last.data_points.extend(fresh.data_points),
                (Some(metric::Data::Gauge(last)), metric::Data::Gauge(fresh)) => last.data_points.extend(fresh.data_points),
                (_, fresh) => expected.push(Metric { name: name.into(), description: description.into(), unit: unit.into(), data: Some(fresh), metadata: vec![] }),
            }
        };
        for &(name, n, i, x) in &values {
            let name = ["a", "b", "c"][usize::from(name)];
            point(name, match n % 6 {
                0 => PointData::Counter(n),
                4 => PointData::CounterFloat(x),
                5 => PointData::UpDownFloat(x),
                1 => PointData::UpDown(i),
                2 => PointData::GaugeInt(i),
                _ => PointData::GaugeFloat(x),
            });
        }
        let histogram = HistogramView::new(scale, sum as f64, zeros, offset, &buckets);
        let extremes = (sum % 3 > 0).then_some((sum as f64 / 2.0, sum as f64));
        point("h", PointData::Histogram(histogram.with_extremes(extremes)));
        let quantiles: Vec<_> = values.iter().map(|(_, n, _, x)| (*n as f64, *x)).collect();
        point("s", PointData::Summary(SummaryView { count: zeros, sum: sum as f64, quantiles: &quantiles }));
        let request = ExportMetricsServiceRequest::decode(encoder.finish()).unwrap();
        prop_assert_eq!(&request.resource_metrics[0].scope_metrics[0].metrics, &expected);
        prop_assert_eq!(encoder.count(), values.len() + 2);
    }
}

fn number(attributes: &[KeyValue], data: &PointData<'_>) -> NumberDataPoint {
    let value = match *data {
        PointData::Counter(n) if n > i64::MAX as u64 => number_data_point::Value::AsDouble(n as f64),
        PointData::Counter(n) => number_data_point::Value::AsInt(n as i64),
        PointData::UpDown(n) | PointData::GaugeInt(n) => number_data_point::Value::AsInt(n),
        PointData::GaugeFloat(x) | PointData::CounterFloat(x) | PointData::UpDownFloat(x) => {
            number_data_point::Value::AsDouble(x)
        }
        _ => number_data_point::Value::AsInt(0),
    };
    NumberDataPoint {
        attributes: attributes.to_vec(),
        start_time_unix_nano: 5,
        time_unix_nano: 6,
        value: Some(value),
        ..Default::default()
    }
}

#[test]
fn nan_keeps_its_bits_and_locations_can_be_left_out() {
    let mut options = Options::default();
    options.code_location = false;
    let mut encoder = TraceEncoder::new(&resource(), options);
    let nan = f64::from_bits(0x7ff8_dead_beef_0001);
    let fields = [("x", Value::F64(nan))];
    encoder.span(&SpanView {
        trace_id: TraceId::from_bytes([1; 16]).unwrap(),
        span_id: SpanId::from_bytes([2; 8]).unwrap(),
        parent_span_id: None,
        parent_is_remote: false,
        scope: Scope::OWN,
        name: "n",
        target: "t",
        file: "f",
        line: 1,
        kind: SpanKind::Internal,
        level: Level::Info,
        status: Status::Unset,
        start_unix_ns: 1,
        end_unix_ns: 2,
        busy_ns: None,
        time_error_ns: None,
        fields: fields.into_iter(),
    });
    let spans = &spans(encoder.finish())[0].1;
    assert_eq!(spans[0].attributes.len(), 1);
    let Some(any_value::Value::DoubleValue(x)) = spans[0].attributes[0].value.as_ref().unwrap().value else {
        panic!("not a double")
    };
    assert_eq!(x.to_bits(), nan.to_bits());
}
