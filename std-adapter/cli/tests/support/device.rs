//! A microcontroller's capture, which the tool reads and sends. Its JSON output says what should arrive.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::meters::CUMULATIVE;
use super::received::{log_key, point_key};
use super::record::{Any, Expected, Want};
use super::service::{CLIENT, CONSUMER, ERROR, INTERNAL, OK, PRODUCER, SERVER, UNSET, resource_of};
use super::{Collector, capture};

/// The source of the times.
#[derive(Clone, Copy)]
pub(crate) enum Times {
    /// The time of the first batch, in nanoseconds since 1970.
    Anchor(u64),
    /// Times of arrival, as for a live stream; each has an error bound.
    Arrival,
}

/// What was sent.
pub(crate) struct Sent {
    pub(crate) service: String,
    pub(crate) preamble: Value,
    pub(crate) spans: Vec<Value>,
    pub(crate) events: Vec<Value>,
    pub(crate) metrics: Vec<Value>,
    descriptions: BTreeMap<String, String>,
}

/// Sends the capture `NAME.bin` of the program `NAME.elf` as `service`.
pub(crate) fn send(collector: &Collector, name: &str, service: &str, times: Times) -> Sent {
    let (elf, bytes) = (capture(&format!("{name}.elf")), capture(&format!("{name}.bin")));
    let mut command = tool();
    command.args(["decode", "--format", "json", "--service-name", service, "--otlp", &collector.http]);
    command.arg("--elf").arg(&elf);
    let output = match times {
        Times::Anchor(ns) => command.args(["--anchor", &ns.to_string()]).arg(&bytes).output().unwrap(),
        Times::Arrival => {
            command.args(["--max-latency", "20ms", "-"]);
            let mut child =
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let mut input = child.stdin.take().unwrap();
            let bytes = std::fs::read(&bytes).unwrap();
            let writing = std::thread::spawn(move || input.write_all(&bytes).unwrap());
            let output = child.wait_with_output().unwrap();
            writing.join().unwrap();
            output
        }
    };
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "`throughline decode` says {}: {said}", output.status);
    let objects = lines(&output.stdout);
    let of_kind = |kinds: &[&str]| -> Vec<Value> {
        objects.iter().filter(|object| kinds.iter().any(|kind| object["kind"] == *kind)).cloned().collect()
    };
    let sent = Sent {
        service: service.to_owned(),
        preamble: of_kind(&["preamble"]).swap_remove(0),
        spans: of_kind(&["span"]),
        events: of_kind(&["event", "fields"]),
        metrics: of_kind(&["metric"]),
        descriptions: descriptions(name),
    };
    let summary = of_kind(&["summary"]).swap_remove(0);
    assert_eq!(
        (&summary["emitted"], &summary["boots"]),
        (&summary["decoded"], &1.into()),
        "{name}: {summary}"
    );
    let records = sent.spans.len() + sent.events.len() + sent.metrics.len();
    assert_eq!(said.trim(), format!("throughline: {records} records delivered, 0 rejected"), "{name}");
    sent
}

impl Sent {
    /// The first span with this name.
    pub(crate) fn span(&self, name: &str) -> &Value {
        let found = self.spans.iter().filter(|span| span["name"] == name);
        found.min_by_key(|span| span["start_ns"].as_u64()).unwrap_or_else(|| panic!("no span {name}"))
    }

    pub(crate) fn expected_spans(&self) -> Vec<Expected> {
        let spans = self.spans.iter().map(|span| self.expected_span(span));
        spans.collect()
    }

    /// In time order, like the received records.
    pub(crate) fn expected_logs(&self) -> Vec<Expected> {
        let mut events: Vec<_> = self.events.iter().collect();
        events.sort_by_key(|event| count(event, "time_ns"));
        events.into_iter().map(|event| self.expected_log(event)).collect()
    }

    pub(crate) fn expected_points(&self) -> Vec<Expected> {
        let mut metrics: Vec<_> = self.metrics.iter().collect();
        metrics.sort_by_key(|metric| count(metric, "time_ns"));
        metrics.into_iter().map(|metric| self.expected_point(metric)).collect()
    }

    fn expected_span(&self, span: &Value) -> Expected {
        let kinds = [
            ("internal", INTERNAL),
            ("server", SERVER),
            ("client", CLIENT),
            ("producer", PRODUCER),
            ("consumer", CONSUMER),
        ];
        let statuses = [("unset", UNSET), ("ok", OK), ("error", ERROR), ("cancelled", UNSET)];
        let (start, took) = (count(span, "start_ns"), count(span, "duration_ns"));
        let mut expected = self
            .resource(Expected::new(format!("span {}", text(span, "span_id"))), span)
            .texts([
                ("traceId", text(span, "trace_id")),
                ("spanId", text(span, "span_id")),
                ("parentSpanId", span["parent_span_id"].as_str().unwrap_or_default()),
                ("name", text(span, "name")),
            ])
            .is("kind", number(&kinds, text(span, "span_kind")))
            .is("flags", if span["parent_is_remote"] == true { 0x301_i64 } else { 0x101 })
            .is("status.code", number(&statuses, text(span, "status")))
            .is("startTimeUnixNano", start)
            .is("endTimeUnixNano", start + took);
        if let (Some(message), "error") = (span["fields"]["error.message"].as_str(), text(span, "status")) {
            expected.want("status.message", Want::Is(message.into()));
        }
        if let Some(busy) = span["busy_ns"].as_u64() {
            expected.want("attributes.busy_ns", Want::Within(busy..=busy));
            expected.want("attributes.idle_ns", Want::Within(took - busy..=took - busy));
        }
        if span["status"] == "cancelled" {
            expected.want("attributes.throughline.cancelled", Want::Is(true.into()));
        }
        attributes(&mut expected, span);
        expected
    }

    fn expected_log(&self, event: &Value) -> Expected {
        let levels = [("TRACE", 1), ("DEBUG", 5), ("INFO", 9), ("WARN", 13), ("ERROR", 17)];
        let span = event["span_id"].as_str().unwrap_or_default();
        let time = count(event, "time_ns");
        let mut expected = self
            .resource(Expected::new(log_key(text(event, "message"), span)), event)
            .texts([("traceId", event["trace_id"].as_str().unwrap_or_default()), ("spanId", span)])
            .is("flags", i64::from(!span.is_empty()))
            .is("severityText", text(event, "level"))
            .is("severityNumber", number(&levels, text(event, "level")))
            .is("body", text(event, "message"))
            .is("timeUnixNano", time)
            .is("observedTimeUnixNano", time);
        attributes(&mut expected, event);
        expected
    }

    fn expected_point(&self, metric: &Value) -> Expected {
        let labels = metric["labels"].as_object().unwrap();
        let mut texts: Vec<_> =
            labels.iter().map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned())).collect();
        let name = text(metric, "name");
        let mut expected = self
            .resource(Expected::new(point_key(name, &mut texts)), metric)
            .texts([
                ("name", name),
                ("unit", text(metric, "unit")),
                ("description", &self.descriptions[name]),
            ])
            .is("timeUnixNano", count(metric, "time_ns"))
            // Counting began when the device booted, before it recorded anything.
            .within("startTimeUnixNano", 1..=self.spans.iter().map(|s| count(s, "start_ns")).min().unwrap());
        for (key, value) in texts {
            let value = if key == "otel.metric.overflow" { Any::Bool(value == "true") } else { value.into() };
            expected.want(&format!("attributes.{key}"), Want::Is(value));
        }
        let value = &metric["value"];
        match text(metric, "shape") {
            "histogram" => expected
                .is("shape", "exponentialHistogram")
                .is("aggregationTemporality", CUMULATIVE)
                .is("count", count(value, "count"))
                .is("sum", value["sum"].as_f64().unwrap())
                .is("min", extremes(value).0)
                .is("max", extremes(value).1)
                .is("scale", value["scale"].as_i64().unwrap())
                .is("zeroCount", count(value, "zeros"))
                .is("offset", value["offset"].as_i64().unwrap())
                .is(
                    "bucketCounts",
                    value["buckets"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|n| n.as_u64().unwrap())
                        .collect::<Vec<_>>(),
                ),
            "gauge" => {
                expected = expected.is("shape", "gauge");
                expected.want("value", scalar(value));
                expected
            }
            shape => expected
                .is("shape", "sum")
                .is("aggregationTemporality", CUMULATIVE)
                .is("isMonotonic", shape == "counter")
                .is("value", value.as_i64().unwrap()),
        }
    }

    fn resource(&self, expected: Expected, object: &Value) -> Expected {
        let id = text(&self.preamble, "device_id");
        // The thermostat's logic, which has all the metrics, and the firmware around it are separate
        // packages.
        let of_logic = object["target"].as_str().is_none_or(|target| target.starts_with("shared_logic"));
        resource_of(expected, &self.service)
            .is("scope.name", if of_logic { "shared-logic" } else { "firmware-example" })
            .is("resource.device.id", id)
            .is("resource.service.instance.id", format!("{id}-{}", self.preamble["epoch"]))
            .texts([("resource.service.version", text(&self.preamble, "build_id"))])
    }
}

/// Fields, code location and time error of a span or event.
fn attributes(expected: &mut Expected, object: &Value) {
    for (name, value) in object["fields"].as_object().unwrap() {
        expected.want(&format!("attributes.{name}"), scalar(value));
    }
    for name in object["truncated"].as_array().into_iter().flatten() {
        expected.want(&format!("attributes.{}.truncated", name.as_str().unwrap()), Want::Is(true.into()));
    }
    for (part, name) in [("code.module.name", "target"), ("code.file.path", "file")] {
        expected.want(&format!("attributes.{part}"), Want::Is(text(object, name).into()));
    }
    expected.want("attributes.code.line.number", Want::Is(object["line"].as_i64().unwrap().into()));
    if let Some(error) = object["time_error_ns"].as_u64() {
        expected.want("attributes.throughline.time_error_ns", Want::Within(error..=error));
    }
}

/// A field or a gauge. The tool prints an `f32` in its shortest decimal form.
fn scalar(value: &Value) -> Want {
    match value {
        Value::Bool(truth) => Want::Is((*truth).into()),
        Value::String(text) => Want::Is(text.as_str().into()),
        Value::Number(n) if n.is_f64() => Want::Reads(n.as_f64().unwrap()),
        Value::Number(n) => Want::Is(n.as_i64().map_or_else(|| n.to_string().into(), Any::Int)),
        other => panic!("a field is {other}"),
    }
}

/// The description of each metric of a program.
fn descriptions(name: &str) -> BTreeMap<String, String> {
    let mut command = tool();
    let output =
        command.args(["callsites", "--json", "--elf"]).arg(capture(&format!("{name}.elf"))).output().unwrap();
    assert!(output.status.success(), "`throughline callsites` says {}", output.status);
    let callsites = lines(&output.stdout);
    callsites.iter().map(|c| (text(c, "name").to_owned(), text(c, "description").to_owned())).collect()
}

fn tool() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_throughline"));
    command.env("NO_PROXY", "127.0.0.1");
    command
}

fn lines(json: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(json).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap_or_else(|| panic!("no text `{name}` in {object}"))
}

fn count(object: &Value, name: &str) -> u64 {
    object[name].as_u64().unwrap_or_else(|| panic!("no count `{name}` in {object}"))
}

fn number(numbers: &[(&str, i64)], word: &str) -> i64 {
    let found = numbers.iter().find(|(name, _)| *name == word);
    found.unwrap_or_else(|| panic!("`{word}` is none of {numbers:?}")).1
}

/// The least and the greatest integer that the outermost buckets can hold, because a device does not keep the
/// extremes.
fn extremes(histogram: &Value) -> (f64, f64) {
    let (offset, scale) = (histogram["offset"].as_i64().unwrap(), histogram["scale"].as_i64().unwrap());
    let counted = histogram["buckets"].as_array().unwrap().iter().zip(offset..);
    let indices: Vec<i64> = counted.filter(|(n, _)| n.as_u64() != Some(0)).map(|(_, index)| index).collect();
    let bound = |index: i64| 2_f64.powf(index as f64 / 2_f64.powi(scale as i32)).floor();
    let least = match indices.first() {
        Some(index) if *index >= 0 => bound(*index) + 1.0,
        Some(_) => 1.0,
        None => 0.0,
    };
    let zeros = count(histogram, "zeros") > 0;
    (if zeros { 0.0 } else { least }, indices.last().map_or(0.0, |index| bound(index + 1)))
}
