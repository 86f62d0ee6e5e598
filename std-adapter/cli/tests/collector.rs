//! Tests against a real OpenTelemetry Collector: everything that a service and a microcontroller recorded
//! arrives, and nothing else, and one trace goes through both.
//!
//! Run by `cargo xtask test --only collector`, which starts the Collector and boots the firmware whose captures are sent on.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use support::device::{self, Sent, Times};
use support::received::Received;
use support::record::{Any, Record, Want, assert_same};
use support::service::{self, Emitted, SLACK_NS};
use support::{Collector, LONG, capture, in_own_process, meters, unique, unix_ns};
use throughline::adapter::IdKey;
use throughline::{SpanId, TraceContext, TraceId};
use throughline_std::{Config, Guard, Ledger};

#[test]
#[ignore = "needs a Collector: cargo xtask test --only collector"]
fn what_a_service_records_arrives() {
    in_own_process("what_a_service_records_arrives", || {
        let collector = Collector::from_env();
        let service = unique("service");
        let (before, guard) = (unix_ns(), init(&collector, &service));
        let remote = TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        let mut emitted = Emitted::new(&service);
        service::levels(&mut emitted, None);
        meters::count();
        // Take one snapshot of the metrics in the middle and one at the end.
        assert!(guard.flush(LONG), "the flush was not done in time");
        service::request(&mut emitted, remote);
        std::thread::spawn(meters::count).join().unwrap();
        let (emitted, ledger) = (emitted.done(), end(guard));

        let received = collector.received_of(&service);
        assert_same("spans", &emitted.spans, &received.spans);
        assert_same("log records", &emitted.logs, &received.logs);
        spans_nest(&received);
        busy_and_idle_add_up(&received);
        delivered_are_received(&ledger, &received);
        metrics_are(&service, &received, before);
    });
}

#[test]
#[ignore = "needs a Collector and captures: cargo xtask test --only collector"]
fn what_a_microcontroller_records_arrives() {
    let collector = Collector::from_env();
    for (name, times) in [("cortex-m4f", Times::Anchor(unix_ns())), ("cortex-m0", Times::Arrival)] {
        let sent = device::send(&collector, name, &unique(name), times);
        let received = collector.received_of(&sent.service);
        arrived(name, &sent, &received);
        let rounds = received.spans.iter().filter(|span| span.text("name") == "control.round").count();
        assert_eq!(rounds, 5, "{name}: rounds of the control loop");
        let key = key_of(&sent);
        ids_are_derived(&received, key);
        let bounded =
            received.spans.iter().filter(|s| s.parts.contains_key("attributes.throughline.time_error_ns"));
        let expected = if matches!(times, Times::Arrival) { received.spans.len() } else { 0 };
        assert_eq!(bounded.count(), expected, "{name}: spans with a bound of their time's error");
    }
}

#[test]
#[ignore = "needs a Collector and captures: cargo xtask test --only collector"]
fn one_trace_goes_through_microcontroller_and_service() {
    in_own_process("one_trace_goes_through_microcontroller_and_service", || {
        let collector = Collector::from_env();
        let anchor = Times::Anchor(unix_ns());
        // A trace that begins on the microcontroller. The caller's ids follow from the device id, its epoch
        // and the span's number.
        let began = device::send(&collector, "cortex-m4f", &unique("began"), anchor);
        let root = began.span("control.round");
        let number = local_id(key_of(&began), &id(&root["span_id"]));
        let from_root = TraceContext {
            trace_id: key_of(&began).trace_id(number),
            span_id: key_of(&began).span_id(number),
            flags: 1,
        };
        // A trace that goes through the microcontroller. It printed the caller's ids while it ran.
        let continued = device::send(&collector, "remote", &unique("continued"), anchor);
        let text = |name: &str| std::fs::read_to_string(capture(name)).unwrap();
        let from_command = TraceContext::parse(&text("remote.traceparent")).unwrap();
        let caller = TraceContext::parse(&text("remote.caller")).unwrap();

        let service = unique("service");
        let guard = init(&collector, &service);
        let mut emitted = Emitted::new(&service);
        let handled = [from_root, from_command].map(|from| service::request(&mut emitted, from));
        let (emitted, ledger) = (emitted.done(), end(guard));

        let of_service = collector.received_of(&service);
        assert_same("spans of the service", &emitted.spans, &of_service.spans);
        assert_same("log records of the service", &emitted.logs, &of_service.logs);
        delivered_are_received(&ledger, &of_service);
        let devices = [&began, &continued].map(|sent| {
            let received = collector.received_of(&sent.service);
            arrived(&sent.service, sent, &received);
            received
        });
        // Follow the parents up from the service: each is a span of the same trace that was received.
        let way = |from: &TraceContext, device: &Received| way_up(&[&of_service, device], from);
        assert_eq!(
            way(&handled[0], &devices[0]),
            ["request", "control.round"],
            "a trace that begins on the device"
        );
        let up = way(&handled[1], &devices[1]);
        assert_eq!(
            up,
            ["request", "command", &format!("{}", caller.span_id)],
            "a trace that goes through the device"
        );
        let isr = devices[1].spans.iter().find(|span| span.text("name") == "adc.isr").expect("an interrupt");
        assert_eq!(
            isr.text("traceId"),
            caller.trace_id.to_string(),
            "the interrupt is of the caller's trace"
        );
    });
}

fn init(collector: &Collector, service: &str) -> Guard {
    throughline_std::init(&Config::new(service).otlp(&collector.http).unwrap()).unwrap()
}

fn end(guard: Guard) -> Ledger {
    let report = guard.shutdown(LONG);
    assert!(report.complete && report.last_error.is_none(), "not all was delivered: {report:?}");
    report.ledger
}

fn arrived(name: &str, sent: &Sent, received: &Received) {
    assert_same(&format!("{name}: spans"), &sent.expected_spans(), &received.spans);
    assert_same(&format!("{name}: log records"), &sent.expected_logs(), &received.logs);
    // The tool adds its own ledger of the records.
    let is_devices = |point: &&Record| !point.text("name").starts_with("throughline.");
    let points: Vec<_> = received.points.iter().filter(is_devices).cloned().collect();
    assert_same(&format!("{name}: points of metrics"), &sent.expected_points(), &points);
    assert!(points.len() < received.points.len(), "{name}: no account of where the records went");
    for shape in ["sum", "gauge", "exponentialHistogram"] {
        assert!(received.points.iter().any(|point| point.text("shape") == shape), "{name}: no {shape}");
    }
}

/// The ledger of every hop adds up, nothing is dropped, and the number delivered is the number received.
fn delivered_are_received(ledger: &Ledger, received: &Received) {
    let records = (received.spans.len() + received.logs.len()) as u64;
    assert_eq!(ledger.exporter("otlp").output, records, "records delivered and records received: {ledger}");
    for (name, hop) in [("ring", &ledger.ring), ("pump", &ledger.pump), ("otlp", &ledger.exporter("otlp"))] {
        assert_eq!(hop.dropped_total() + hop.pending, 0, "dropped or pending at {name}: {ledger}");
        assert_eq!(hop.input, hop.output + hop.absorbed, "in and out of {name}: {ledger}");
    }
    assert_eq!(
        (ledger.ring.output, ledger.pump.output),
        (ledger.pump.input, ledger.exporter("otlp").input),
        "{ledger}"
    );
}

/// Each span lies within its parent, and each log record within its span.
fn spans_nest(received: &Received) {
    let times = |span: &Record| (span.count("startTimeUnixNano"), span.count("endTimeUnixNano"));
    let spans: BTreeMap<&str, &Record> =
        received.spans.iter().map(|span| (span.text("spanId"), span)).collect();
    let mut nested = 0;
    for span in &received.spans {
        let (start, end) = times(span);
        assert!(start <= end, "`{}` ends at {end}, before it began at {start}", span.text("name"));
        let Some(parent) = spans.get(span.text("parentSpanId")) else { continue };
        let (from, to) = times(parent);
        let (name, parent) = (span.text("name"), parent.text("name"));
        assert!(from <= start && end <= to, "`{name}` {start}..{end} is not within `{parent}` {from}..{to}");
        nested += 1;
    }
    for log in &received.logs {
        let (time, Some(span)) = (log.count("timeUnixNano"), spans.get(log.text("spanId"))) else { continue };
        let (from, to) = times(span);
        assert!((from..=to).contains(&time), "{} at {time} is not within {from}..{to}", log.key);
        nested += 1;
    }
    assert!(nested > 10, "only {nested} records lie in another");
}

fn busy_and_idle_add_up(received: &Received) {
    let is_async = |span: &&Record| span.parts.contains_key("attributes.busy_ns");
    let measured: Vec<_> = received.spans.iter().filter(is_async).collect();
    assert_eq!(measured.len(), 2, "async spans: {measured:?}");
    for span in measured {
        let sum = span.int("attributes.busy_ns") + span.int("attributes.idle_ns");
        let took = span.count("endTimeUnixNano") - span.count("startTimeUnixNano");
        assert_eq!(
            u64::try_from(sum).unwrap(),
            took,
            "`{}`: busy and idle against how long it took",
            span.text("name")
        );
    }
}

/// There are two snapshots: the first after one call of [`meters::count`], the second after another call in a
/// thread that has ended.
fn metrics_are(service: &str, received: &Received, before: u64) {
    let (own, of_service): (Vec<_>, Vec<_>) =
        received.points.iter().cloned().partition(|point| point.text("name").starts_with("throughline."));
    let times: BTreeSet<u64> = received.points.iter().map(|point| point.count("timeUnixNano")).collect();
    assert_eq!(times.len(), 2, "snapshots of the metrics: {times:?}");
    let starts: BTreeSet<u64> =
        received.points.iter().map(|point| point.count("startTimeUnixNano")).collect();
    assert_eq!(starts.len(), 1, "counting began once: {starts:?}");
    for (time, calls) in times.iter().zip(1..) {
        let found: Vec<_> =
            of_service.iter().filter(|point| point.count("timeUnixNano") == *time).cloned().collect();
        let mut expected = meters::expected(service, calls);
        let first = *starts.first().unwrap();
        for point in &mut expected {
            point.want("startTimeUnixNano", Want::Within(before - SLACK_NS..=first));
            point.want("timeUnixNano", Want::Within(first..=unix_ns() + SLACK_NS));
        }
        assert_same(&format!("metrics after {calls} call(s)"), &expected, &found);
    }
    // The library's own metrics say where the records are.
    let last = own.iter().filter(|point| Some(&point.count("timeUnixNano")) == times.last());
    let received = Any::Int((received.spans.len() + received.logs.len()) as i64);
    let pumped: Vec<_> = last
        .filter(|point| {
            point.text("attributes.hop") == "pump" && point.text("attributes.outcome") == "output"
        })
        .collect();
    assert_eq!(pumped.len(), 1, "series of what the pump put out: {own:?}");
    assert_eq!(pumped[0].parts["value"], received, "records the pump put out, by its own metric");
}

/// The key of a device's ids, from its preamble.
fn key_of(sent: &Sent) -> IdKey {
    let preamble = &sent.preamble;
    let id = preamble["device_id"].as_str().and_then(|id| u64::from_str_radix(id, 16).ok());
    let epoch = preamble["epoch"].as_u64().and_then(|epoch| u32::try_from(epoch).ok());
    IdKey::new(id.expect("a device has an id"), epoch.expect("a device has an epoch"))
}

/// The number of a span on its device, which never sends the derived id.
fn local_id(key: IdKey, span: &SpanId) -> u64 {
    (1..100_000)
        .find(|id| key.span_id(*id) == *span)
        .unwrap_or_else(|| panic!("{span} is no id of this device"))
}

/// The ids are those that the wire format derives from the device id, the epoch and the span's number.
fn ids_are_derived(received: &Received, key: IdKey) {
    for span in &received.spans {
        let number = local_id(key, &SpanId::from_hex(span.text("spanId")).unwrap());
        if span.text("parentSpanId").is_empty() {
            let trace = TraceId::from_hex(span.text("traceId"));
            assert_eq!(trace, Some(key.trace_id(number)), "the trace of the root `{}`", span.text("name"));
        }
    }
}

fn id(value: &serde_json::Value) -> SpanId {
    value.as_str().and_then(SpanId::from_hex).unwrap_or_else(|| panic!("{value} is no span id"))
}

/// Names from a span up to the root of its trace; at the end the id of a parent that was not received, if
/// there is one.
fn way_up(received: &[&Received], from: &TraceContext) -> Vec<String> {
    let trace = from.trace_id.to_string();
    let mut names = Vec::new();
    let mut next = from.span_id.to_string();
    while !next.is_empty() {
        let spans = received.iter().flat_map(|received| &received.spans);
        let Some(span) = spans.into_iter().find(|span| span.text("spanId") == next) else {
            names.push(next);
            break;
        };
        assert_eq!(span.text("traceId"), trace, "`{}` is of another trace", span.text("name"));
        names.push(span.text("name").to_owned());
        next = span.text("parentSpanId").to_owned();
    }
    names
}
