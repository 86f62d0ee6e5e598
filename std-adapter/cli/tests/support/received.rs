//! The Collector's output as records: OTLP JSON, one message per line. It is strict: an unknown member fails
//! the test.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

use super::record::{Any, Record};

type Parts = BTreeMap<String, Any>;

/// Everything received from one service, each list in time order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Received {
    pub(crate) spans: Vec<Record>,
    pub(crate) logs: Vec<Record>,
    /// The points of metrics, one for each series and time.
    pub(crate) points: Vec<Record>,
}

impl Received {
    pub(crate) fn of_service(text: &str, service: &str) -> Received {
        let mut received = Received::default();
        for line in text.lines() {
            let mut message =
                Members::of(serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")));
            for (signal, resources, scopes, records) in SIGNALS {
                for mut resource in message.list(resources) {
                    let mut parts = Parts::new();
                    put_attributes(&mut parts, "resource.", &mut resource.object("resource"));
                    if parts.get("resource.service.name") != Some(&service.into()) {
                        continue;
                    }
                    for mut scope in resource.list(scopes) {
                        let mut parts = parts.clone();
                        let mut of = scope.object("scope");
                        put_texts(
                            &mut parts,
                            &mut of,
                            &[("name", "scope.name"), ("version", "scope.version")],
                        );
                        of.end();
                        scope.list(records).for_each(|record| received.take(signal, record, &parts));
                        scope.end();
                    }
                    resource.end();
                }
            }
            message.end();
        }
        received.spans.sort_by_key(|span| span.count("startTimeUnixNano"));
        received.logs.sort_by_key(|log| log.count("timeUnixNano"));
        received.points.sort_by_key(|point| point.count("timeUnixNano"));
        received
    }

    fn take(&mut self, signal: Signal, record: Members, parts: &Parts) {
        match signal {
            Signal::Spans => self.spans.push(span(record, parts.clone())),
            Signal::Logs => self.logs.push(log(record, parts.clone())),
            Signal::Metrics => points(record, parts, &mut self.points),
        }
    }
}

#[derive(Clone, Copy)]
enum Signal {
    Spans,
    Logs,
    Metrics,
}

const SIGNALS: [(Signal, &str, &str, &str); 3] = [
    (Signal::Spans, "resourceSpans", "scopeSpans", "spans"),
    (Signal::Logs, "resourceLogs", "scopeLogs", "logRecords"),
    (Signal::Metrics, "resourceMetrics", "scopeMetrics", "metrics"),
];

fn span(mut record: Members, mut parts: Parts) -> Record {
    let names = ["traceId", "spanId", "parentSpanId", "name"];
    put_texts(&mut parts, &mut record, &names.map(|name| (name, name)));
    put_times(&mut parts, &mut record, &["startTimeUnixNano", "endTimeUnixNano"]);
    parts.insert("kind".into(), Any::Int(record.number("kind")));
    parts.insert("flags".into(), Any::Int(record.number("flags")));
    let mut status = record.object("status");
    parts.insert("status.code".into(), Any::Int(status.number("code")));
    put_texts(&mut parts, &mut status, &[("message", "status.message")]);
    status.end();
    put_attributes(&mut parts, "", &mut record);
    record.end();
    let record = Record { key: String::new(), parts };
    Record { key: format!("span {}", record.text("spanId")), ..record }
}

fn log(mut record: Members, mut parts: Parts) -> Record {
    put_texts(&mut parts, &mut record, &["traceId", "spanId", "severityText"].map(|name| (name, name)));
    put_times(&mut parts, &mut record, &["timeUnixNano", "observedTimeUnixNano"]);
    parts.insert("severityNumber".into(), Any::Int(record.number("severityNumber")));
    parts.insert("flags".into(), Any::Int(record.number("flags")));
    parts.insert("body".into(), any(record.object("body")));
    put_attributes(&mut parts, "", &mut record);
    record.end();
    let record = Record { key: String::new(), parts };
    Record { key: log_key(record.text("body"), record.text("spanId")), ..record }
}

/// The key of a log record; `span` is empty outside of spans.
pub(crate) fn log_key(body: &str, span: &str) -> String {
    format!("log `{body}` in span `{span}`")
}

/// The key of a metric point, by its attributes in any order.
pub(crate) fn point_key(name: &str, attributes: &mut [(String, String)]) -> String {
    attributes.sort();
    let attributes: Vec<_> = attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
    format!("metric {name}{{{}}}", attributes.join(","))
}

fn points(mut metric: Members, parts: &Parts, out: &mut Vec<Record>) {
    let mut parts = parts.clone();
    put_texts(&mut parts, &mut metric, &["name", "unit", "description"].map(|name| (name, name)));
    for shape in ["sum", "gauge", "exponentialHistogram"] {
        let mut data = metric.object(shape);
        let mut parts = parts.clone();
        parts.insert("shape".into(), shape.into());
        if shape != "gauge" {
            parts.insert("aggregationTemporality".into(), Any::Int(data.number("aggregationTemporality")));
        }
        if shape == "sum" {
            let monotonic = data.0.remove("isMonotonic").is_some_and(|it| it == Value::Bool(true));
            parts.insert("isMonotonic".into(), Any::Bool(monotonic));
        }
        out.extend(data.list("dataPoints").map(|point| self::point(point, shape, parts.clone())));
        data.end();
    }
    metric.end();
}

fn point(mut point: Members, shape: &str, mut parts: Parts) -> Record {
    put_times(&mut parts, &mut point, &["startTimeUnixNano", "timeUnixNano"]);
    if shape == "exponentialHistogram" {
        let sum = point.0.remove("sum").and_then(|sum| sum.as_f64()).expect("a histogram's sum is a number");
        parts.insert("sum".into(), Any::Double(sum));
        parts.insert("scale".into(), Any::Int(point.number("scale")));
        for name in ["min", "max"] {
            let value = point.0.remove(name).map_or(0.0, |value| double(&value));
            parts.insert(name.into(), Any::Double(value));
        }
        for name in ["count", "zeroCount"] {
            parts.insert(name.into(), Any::Count(point.0.remove(name).map_or(0, unsigned)));
        }
        let mut positive = point.object("positive");
        parts.insert("offset".into(), Any::Int(positive.number("offset")));
        let buckets = positive.0.remove("bucketCounts").map_or(Vec::new(), values);
        parts.insert("bucketCounts".into(), Any::Counts(buckets.into_iter().map(unsigned).collect()));
        positive.end();
        point.object("negative").end();
    } else if let Some(value) = point.0.remove("asInt") {
        parts.insert("value".into(), Any::Int(signed(&value)));
    } else if let Some(value) = point.0.remove("asDouble") {
        parts.insert("value".into(), Any::Double(double(&value)));
    }
    put_attributes(&mut parts, "attributes.", &mut point);
    point.end();
    let mut attributes: Vec<(String, String)> = Vec::new();
    for (part, value) in &parts {
        if let Some(key) = part.strip_prefix("attributes.") {
            let text = match value {
                Any::Text(text) => text.clone(),
                Any::Bool(truth) => truth.to_string(),
                other => panic!("the attribute {key} of a metric is {other:?}"),
            };
            attributes.push((key.to_owned(), text));
        }
    }
    let record = Record { key: String::new(), parts };
    Record { key: point_key(record.text("name"), &mut attributes), ..record }
}

/// The members of a JSON object that have not been read yet.
struct Members(Map<String, Value>);

impl Members {
    fn of(value: Value) -> Members {
        match value {
            Value::Object(members) => Members(members),
            other => panic!("not an object: {other}"),
        }
    }

    /// The object with this name; empty if there is none.
    fn object(&mut self, name: &str) -> Members {
        self.0.remove(name).map_or_else(|| Members(Map::new()), Members::of)
    }

    fn list(&mut self, name: &str) -> impl Iterator<Item = Members> + use<> {
        self.0.remove(name).map_or(Vec::new(), values).into_iter().map(Members::of)
    }

    /// A small number, which proto3 leaves out if it is zero.
    fn number(&mut self, name: &str) -> i64 {
        self.0.remove(name).map_or(0, |value| value.as_i64().unwrap_or_else(|| panic!("{name} is {value}")))
    }

    fn end(self) {
        assert!(self.0.is_empty(), "the Collector wrote members that no test looks at: {:?}", self.0);
    }
}

fn put_texts(parts: &mut Parts, from: &mut Members, names: &[(&str, &str)]) {
    for (name, part) in names {
        match from.0.remove(*name) {
            Some(Value::String(text)) if !text.is_empty() => {
                _ = parts.insert((*part).into(), Any::Text(text))
            }
            Some(Value::String(_)) | None => {}
            Some(other) => panic!("{name} is {other}, no text"),
        }
    }
}

fn put_times(parts: &mut Parts, from: &mut Members, names: &[&str]) {
    for name in names {
        parts.insert((*name).into(), Any::Count(from.0.remove(*name).map_or(0, unsigned)));
    }
}

fn put_attributes(parts: &mut Parts, prefix: &str, from: &mut Members) {
    let prefix = if prefix.is_empty() { "attributes." } else { prefix };
    for mut attribute in from.list("attributes") {
        let key = attribute.0.remove("key").expect("an attribute has a key");
        let key = format!("{prefix}{}", key.as_str().expect("a key is text"));
        let value = any(attribute.object("value"));
        attribute.end();
        assert!(parts.insert(key.clone(), value).is_none(), "{key} is there twice: {parts:?}");
    }
}

/// An `AnyValue`.
fn any(value: Members) -> Any {
    let mut members = value.0.into_iter();
    let (Some((kind, value)), None) = (members.next(), members.next()) else {
        panic!("an attribute has not one value");
    };
    match (kind.as_str(), value) {
        ("stringValue", Value::String(text)) => Any::Text(text),
        ("boolValue", Value::Bool(truth)) => Any::Bool(truth),
        ("intValue", value) => Any::Int(signed(&value)),
        ("doubleValue", value) => Any::Double(double(&value)),
        ("bytesValue", Value::String(text)) => Any::Bytes(BASE64_STANDARD.decode(text).expect("base64")),
        (kind, value) => panic!("an attribute is {kind} {value}"),
    }
}

fn values(value: Value) -> Vec<Value> {
    match value {
        Value::Array(values) => values,
        other => panic!("not an array: {other}"),
    }
}

/// 64-bit integers are strings in OTLP JSON.
fn unsigned(value: Value) -> u64 {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{value} is no count"))
}

fn signed(value: &Value) -> i64 {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{value} is no integer"))
}

/// A number without a JSON form is a string.
fn double(value: &Value) -> f64 {
    let number = value.as_f64().or_else(|| value.as_str()?.parse().ok());
    number.unwrap_or_else(|| panic!("{value} is no double"))
}
