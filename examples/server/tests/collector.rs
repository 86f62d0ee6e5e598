//! Test against a real OpenTelemetry Collector: everything that a server and a microcontroller recorded
//! arrives, in one trace.
//!
//! Run by `cargo xtask test --only collector`, which starts the Collector.

#![cfg(unix)]

mod support;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use support::{Collector, Received, attributes, integer, list};
use throughline::{
    SpanKind, Status, TraceContext, counter, error, gauge, histogram, histogram_family, info, record, span,
    up_down_counter,
};
use throughline_std::Config;
use xtask::firmware::{Balance, Capture, Firmware, Tool, Variant, ensure_tools};
use xtask::qemu::Machine;

const SERVER: &str = "collector-test-server";
/// The firmware's name for itself.
const DEVICE: &str = "thermostat";

/// Numbers in OTLP.
const KIND_SERVER: i64 = SpanKind::Server as i64 + 1;
const KIND_CLIENT: i64 = SpanKind::Client as i64 + 1;
const STATUS_ERROR: i64 = 2;
const SEVERITY_INFO: i64 = 9;
const SEVERITY_ERROR: i64 = 17;
const CUMULATIVE: i64 = 2;

#[test]
#[ignore = "needs a Collector: `cargo xtask test --only collector`"]
fn what_was_recorded_arrives() {
    let collector = Collector::from_env();
    ensure_tools(&[Machine::Mps2An386]).unwrap();
    let firmware = Firmware::build(Machine::Mps2An386, Variant::Serial).unwrap();
    let tool = Tool::build().unwrap();

    let guard = throughline_std::init(&Config::new(SERVER).otlp(&collector.http).unwrap()).unwrap();
    let emitted = emit_on_server(&firmware);
    let report = guard.shutdown(Duration::from_secs(20));
    assert!(report.complete, "{report:?}");
    assert_eq!(report.ledger.exporter("otlp").output, 4, "two spans and two logs: {}", report.ledger);

    let device = tool.forward(&emitted.capture, &collector.http, emitted.interval.0).unwrap();
    let balance = Balance::of(&device).unwrap();
    assert_eq!(balance.decoded, balance.emitted);
    let count = |kind: &str| device.iter().filter(|object| object["kind"] == kind).count();

    let received = collector.wait(|received| {
        let metrics_of = |service: &str| received.metrics.iter().any(|metric| metric["service"] == service);
        received.spans_of(SERVER).len() >= 2
            && received.logs_of(SERVER).len() >= 2
            && received.spans_of(DEVICE).len() >= count("span")
            && received.logs_of(DEVICE).len() >= count("event")
            && metrics_of(SERVER)
            && metrics_of(DEVICE)
    });
    server_traces_and_logs(&received, &emitted);
    server_metrics(&received, emitted.interval);
    device_traces_and_logs(&received, &device, &emitted);
    device_metrics(&received, &device);
}

/// What the server recorded, according to itself.
struct Emitted {
    checkout: TraceContext,
    charge: TraceContext,
    /// What the microcontroller recorded below `charge`.
    capture: Capture,
    /// Times before and after the run, in nanoseconds since 1970.
    interval: (u64, u64),
}

fn emit_on_server(firmware: &Firmware) -> Emitted {
    let before = unix_ns();
    let here = || throughline::current().expect("there is a span");
    let (checkout, charge, capture);
    {
        let _checkout = span!(kind: Server, "checkout", customer = "eve", items = 3_u32, price = 12.5, paid = true, delta = -4_i64);
        checkout = here();
        info!(name: "order.taken", "order {order} taken", order = 42_u64);
        let mut span = span!(kind: Client, "charge");
        charge = here();
        record!(span, attempt = 2_u8);
        error!("declined");
        span.set_status(Status::Error);
        // The microcontroller works while the span is open.
        let command = format!("{}\n", charge.traceparent());
        capture = firmware.run("remote", command.as_bytes(), |_| Ok(())).unwrap();
    }
    counter!("orders", unit = "{order}", description = "orders taken", shop = "main").add(7);
    up_down_counter!("orders.open").add(5);
    up_down_counter!("orders.open.change").add(-2);
    gauge!("shelf.temperature" as f32, unit = "Cel").set(4.25);
    for value in [0, 1, 2, 1000, 1000] {
        histogram!("order.size", unit = "{item}", scale = 1).record(value);
    }
    histogram_family!("query.duration", labels = ["table"], capacity = 4, unit = "us").record(["users"], 320);
    Emitted { checkout, charge, capture, interval: (before, unix_ns()) }
}

fn server_traces_and_logs(received: &Received, emitted: &Emitted) {
    let spans = received.spans_of(SERVER);
    assert_eq!(spans.len(), 2, "{spans:#?}");
    let (checkout, charge) = (named(&spans, "checkout"), named(&spans, "charge"));
    for (span, context) in [(checkout, &emitted.checkout), (charge, &emitted.charge)] {
        assert_eq!(span["traceId"], context.trace_id.to_string());
        assert_eq!(span["spanId"], context.span_id.to_string());
        let (start, end) =
            (integer(&span["startTimeUnixNano"]) as u64, integer(&span["endTimeUnixNano"]) as u64);
        assert!(
            emitted.interval.0 <= start && start <= end && end <= emitted.interval.1,
            "{:?}: {span}",
            emitted.interval
        );
    }
    assert_eq!(emitted.checkout.trace_id, emitted.charge.trace_id);
    assert_eq!(checkout["parentSpanId"].as_str().unwrap_or(""), "");
    assert_eq!(charge["parentSpanId"], checkout["spanId"]);
    assert_eq!((&checkout["kind"], &charge["kind"]), (&json!(KIND_SERVER), &json!(KIND_CLIENT)));
    assert_eq!(checkout["status"]["code"].as_i64().unwrap_or(0), 0);
    assert_eq!(charge["status"]["code"], STATUS_ERROR);
    let found = attributes(checkout);
    for (key, value) in [
        ("customer", json!("eve")),
        ("items", json!(3)),
        ("price", json!(12.5)),
        ("paid", json!(true)),
        ("delta", json!(-4)),
    ] {
        assert_eq!(found[key], value, "{key} of {checkout}");
    }
    assert_eq!(attributes(charge)["attempt"], 2);

    let logs = received.logs_of(SERVER);
    assert_eq!(logs.len(), 2, "{logs:#?}");
    for (text, name, severity, span) in
        [("order 42 taken", "order.taken", SEVERITY_INFO, checkout), ("declined", "", SEVERITY_ERROR, charge)]
    {
        let log = logs.iter().find(|log| log["body"]["stringValue"] == text);
        let log = log.unwrap_or_else(|| panic!("no log `{text}`: {logs:#?}"));
        assert_eq!(log["severityNumber"], severity);
        assert_eq!(log["eventName"].as_str().unwrap_or(""), name);
        assert_eq!(
            (&log["traceId"], &log["spanId"]),
            (&span["traceId"], &span["spanId"]),
            "the log's link to its span"
        );
        let time = integer(&log["timeUnixNano"]);
        assert!(
            (integer(&span["startTimeUnixNano"])..=integer(&span["endTimeUnixNano"])).contains(&time),
            "{log}"
        );
    }
    assert_eq!(
        attributes(logs.iter().find(|log| log["severityNumber"] == SEVERITY_INFO).unwrap())["order"],
        42
    );
}

fn server_metrics(received: &Received, interval: (u64, u64)) {
    let orders = received.metric(SERVER, "orders");
    assert_eq!((&orders["unit"], &orders["description"]), (&json!("{order}"), &json!("orders taken")));
    assert_eq!(
        (&orders["sum"]["isMonotonic"], &orders["sum"]["aggregationTemporality"]),
        (&json!(true), &json!(CUMULATIVE))
    );
    let point = only_point(&orders["sum"]);
    assert_eq!((integer(&point["asInt"]), &attributes(point)["shop"]), (7, &json!("main")));
    assert!(integer(&point["timeUnixNano"]) as u64 >= interval.0);
    assert!(
        integer(&point["startTimeUnixNano"]) as u64 <= interval.0,
        "counting began before the first count"
    );

    for (name, value) in [("orders.open", 5), ("orders.open.change", -2)] {
        let metric = received.metric(SERVER, name);
        assert!(!metric["sum"]["isMonotonic"].as_bool().unwrap_or(false), "{metric}");
        assert_eq!(integer(&only_point(&metric["sum"])["asInt"]), value);
    }
    assert_eq!(only_point(&received.metric(SERVER, "shelf.temperature")["gauge"])["asDouble"], 4.25);

    // 0, 1, 2 and twice 1000 at scale 1, whose buckets grow by √2: 1 is in (0.7, 1] at index -1, 2 is in
    // (1.4, 2] at index 1, and 1000 is in (724, 1024] at index 19.
    let sizes = &received.metric(SERVER, "order.size")["exponentialHistogram"];
    assert_eq!(sizes["aggregationTemporality"], CUMULATIVE);
    let point = only_point(sizes);
    assert_eq!(
        (integer(&point["count"]), integer(&point["zeroCount"]), point["scale"].as_i64()),
        (5, 1, Some(1))
    );
    assert_eq!(point["sum"].as_f64(), Some(2003.0));
    assert_eq!((point["min"].as_f64().unwrap_or(0.0), point["max"].as_f64()), (0.0, Some(1000.0)));
    assert_eq!(buckets(point), [(-1, 1), (1, 1), (19, 2)]);

    let durations = received.metric(SERVER, "query.duration");
    let point = only_point(&durations["exponentialHistogram"]);
    assert_eq!(attributes(point), json!({ "table": "users" }));
    assert_eq!((integer(&point["count"]), point["sum"].as_f64()), (1, Some(320.0)));
}

fn device_traces_and_logs(received: &Received, device: &[Value], emitted: &Emitted) {
    let trace = emitted.charge.trace_id.to_string();
    let spans = received.spans_of(DEVICE);
    let sent: Vec<&Value> = device.iter().filter(|object| object["kind"] == "span").collect();
    assert_eq!(spans.len(), sent.len());
    for sent in sent {
        let found = spans.iter().find(|span| span["spanId"] == sent["span_id"]);
        let found = found.unwrap_or_else(|| panic!("{sent} didn't arrive"));
        assert_eq!(found["name"], sent["name"]);
        assert_eq!(found["traceId"], trace, "of the server's trace: {found}");
        assert_eq!(found["parentSpanId"], sent["parent_span_id"]);
        assert_eq!(integer(&found["startTimeUnixNano"]), integer(&sent["start_ns"]));
        let took = integer(&found["endTimeUnixNano"]) - integer(&found["startTimeUnixNano"]);
        assert_eq!(took, integer(&sent["duration_ns"]));
        assert_eq!(found["status"]["code"].as_i64() == Some(STATUS_ERROR), sent["status"] == "error");
        same_fields(found, sent);
    }
    // The trace that joins them, according to the server, the microcontroller and the Collector.
    let command = named(&spans, "command");
    assert_eq!(command["parentSpanId"], emitted.charge.span_id.to_string());
    assert_eq!(command["parentSpanId"], named(&received.spans_of(SERVER), "charge")["spanId"]);
    let said = emitted.capture.said("traceparent").unwrap().join(" ");
    assert_eq!(said, format!("00-{trace}-{}-01", command["spanId"].as_str().unwrap()));
    // The trace goes down to the interrupt.
    let isr = named(&spans, "adc.isr");
    assert_eq!(isr["parentSpanId"], named(&spans, "control.round")["spanId"]);

    let logs = received.logs_of(DEVICE);
    let sent: Vec<&Value> = device.iter().filter(|object| object["kind"] == "event").collect();
    assert_eq!(logs.len(), sent.len());
    for sent in sent {
        let time = sent["time_ns"].to_string();
        let same = |log: &&&Value| log["timeUnixNano"] == time.as_str() && log["spanId"] == sent["span_id"];
        let found = logs.iter().find(same).unwrap_or_else(|| panic!("{sent} didn't arrive"));
        assert_eq!(found["body"]["stringValue"], sent["message"]);
        assert_eq!(found["traceId"], trace);
        assert!(
            spans.iter().any(|span| span["spanId"] == found["spanId"]),
            "a log's span arrived too: {found}"
        );
        same_fields(found, sent);
    }
}

fn device_metrics(received: &Received, device: &[Value]) {
    let sent: Vec<&Value> = device.iter().filter(|object| object["kind"] == "metric").collect();
    assert!(sent.iter().any(|metric| metric["shape"] == "histogram"), "the firmware has a histogram");
    for sent in sent {
        let metric = received.metric(DEVICE, sent["name"].as_str().unwrap());
        assert_eq!(metric["unit"].as_str().unwrap_or(""), sent["unit"]);
        let shape = ["sum", "gauge", "exponentialHistogram"]
            .into_iter()
            .find(|shape| metric[shape].is_object())
            .unwrap();
        let points = list(&metric[shape]["dataPoints"]);
        let point = points.iter().find(|point| attributes(point) == sent["labels"]);
        let point = point.unwrap_or_else(|| panic!("{sent} didn't arrive: {metric}"));
        let value = &sent["value"];
        match sent["shape"].as_str().unwrap() {
            "histogram" => {
                assert_eq!(integer(&point["count"]), integer(&value["count"]));
                assert_eq!(point["sum"].as_f64(), value["sum"].as_f64());
                assert_eq!(point["scale"].as_i64().unwrap_or(0), integer(&value["scale"]));
                let offset = integer(&value["offset"]);
                let counts = list(&value["buckets"])
                    .iter()
                    .zip(offset..)
                    .map(|(count, index)| (index, integer(count)));
                assert_eq!(buckets(point), counts.filter(|(_, count)| *count > 0).collect::<Vec<_>>());
            }
            _ if point["asDouble"].is_number() => assert_eq!(point["asDouble"].as_f64(), value.as_f64()),
            _ => assert_eq!(integer(&point["asInt"]), integer(value)),
        }
    }
}

/// The first span with this name, by time.
fn named<'a>(spans: &[&'a Value], name: &str) -> &'a Value {
    let found = spans.iter().filter(|span| span["name"] == name);
    let first = found.min_by_key(|span| integer(&span["startTimeUnixNano"]));
    first.unwrap_or_else(|| panic!("no span {name}: {spans:#?}"))
}

fn only_point(data: &Value) -> &Value {
    match list(&data["dataPoints"]) {
        [point] => point,
        points => panic!("not one point: {points:#?}"),
    }
}

/// Index and count of a point's buckets that are not empty.
fn buckets(point: &Value) -> Vec<(i64, i64)> {
    let positive = &point["positive"];
    let offset = positive["offset"].as_i64().unwrap_or(0);
    let counts = list(&positive["bucketCounts"]).iter().map(integer);
    (offset..).zip(counts).filter(|(_, count)| *count > 0).collect()
}

/// Every field that the host tool read must be an attribute.
fn same_fields(found: &Value, sent: &Value) {
    let attributes = attributes(found);
    for (key, value) in sent["fields"].as_object().unwrap() {
        let same = match (attributes[key].as_f64(), value.as_f64()) {
            (Some(a), Some(b)) => a as f32 == b as f32,
            _ => attributes[key] == *value,
        };
        assert!(same, "{key} is {} and not {value}: {found}", attributes[key]);
    }
}

fn unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is past 1970");
    u64::try_from(since.as_nanos()).expect("it is before 2554")
}
