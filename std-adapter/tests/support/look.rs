//! Finds things in what a collector got.

use super::receiver::text;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogramDataPoint, Metric, metric::Data, number_data_point,
};
use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode};

/// The status of a span.
pub fn status(span: &Span) -> StatusCode {
    span.status.as_ref().map_or(StatusCode::Unset, |status| status.code())
}

/// The text of a log record; "" if it has none.
pub fn body(log: &LogRecord) -> String {
    match log.body.as_ref().and_then(|body| body.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        None => String::new(),
        other => panic!("{other:?}"),
    }
}

/// The one log record with this text.
pub fn log<'l>(logs: &'l [LogRecord], message: &str) -> &'l LogRecord {
    let mut found = logs.iter().filter(|log| body(log) == message);
    let log = found.next().unwrap_or_else(|| panic!("no log {message}"));
    assert!(found.next().is_none(), "two logs {message}");
    log
}

/// The labels of each point of a histogram of seconds with its count, in order, and the span ids of its exemplars.
pub fn points(metrics: &[Metric], name: &str) -> Vec<(String, u64, Vec<Vec<u8>>)> {
    let mut points: Vec<_> = histogram(metrics, name)
        .iter()
        .map(|point| {
            let spans = point.exemplars.iter().map(|exemplar| exemplar.span_id.clone()).collect();
            (labels(&point.attributes), point.count, spans)
        })
        .collect();
    points.sort();
    points
}

/// The points of a histogram of seconds; none if there is no such metric.
pub fn histogram<'m>(metrics: &'m [Metric], name: &str) -> &'m [ExponentialHistogramDataPoint] {
    let Some(metric) = metrics.iter().find(|metric| metric.name == name) else { return &[] };
    let Some(Data::ExponentialHistogram(histogram)) = &metric.data else { panic!("{metric:?}") };
    assert_eq!(metric.unit, "s");
    &histogram.data_points
}

/// Labels as `key=value`, in order.
pub fn labels(attributes: &[KeyValue]) -> String {
    let label = |key: &str| match key {
        "otel.metric.overflow" => Some("true".into()),
        key => text(attributes, key),
    };
    let mut labels: Vec<_> =
        attributes.iter().map(|kv| format!("{}={}", kv.key, label(&kv.key).unwrap())).collect();
    labels.sort();
    labels.join(" ")
}

/// A number of a point.
pub fn value(value: Option<number_data_point::Value>) -> f64 {
    match value {
        Some(number_data_point::Value::AsInt(n)) => n as f64,
        Some(number_data_point::Value::AsDouble(x)) => x,
        None => panic!("no value"),
    }
}

/// The value of the only point of a metric.
pub fn number(metric: &Metric) -> f64 {
    let points = match &metric.data {
        Some(Data::Sum(sum)) => &sum.data_points,
        Some(Data::Gauge(gauge)) => &gauge.data_points,
        other => panic!("{other:?}"),
    };
    assert_eq!(points.len(), 1);
    value(points[0].value)
}
