//! `throughline insights`: files of services, of several ones, and of a device.

#[path = "../../decode/tests/common/mod.rs"]
mod common;
mod tool;

use serde_json::{Value, json};
use std::time::Duration;
use throughline::span;
use throughline_std::Config;
use tool::{Bench, healthy, said};

/// The findings of a kind in a report.
fn of_kind<'r>(report: &'r Value, kind: &str) -> Vec<&'r Value> {
    report["findings"].as_array().unwrap().iter().filter(|it| it["kind"] == kind).collect()
}

#[test]
fn what_a_service_wrote_is_looked_at() {
    let bench = Bench::new(b"");
    let file = bench.path("traces.jsonl");
    std::fs::write(bench.path("shop.toml"), format!("otlp.file.path = {file:?}\n")).unwrap();
    let config = Config::load(bench.path("shop.toml")).unwrap().terminal(false);
    let guard = throughline_std::init(&config).unwrap();
    let cart = {
        let _request = span!(root: true, kind: Server, "GET /cart");
        (0..9).for_each(|_| {
            drop(span!(kind: Client, "SELECT items", db.query.text = "SELECT name FROM items WHERE id = ?"))
        });
        throughline::current().unwrap().trace_id.to_string()
    };
    assert!(guard.shutdown(Duration::from_secs(30)).complete);

    let output = bench.run(&["insights", "--json", "traces.jsonl"]);
    let (code, out, err) = said(&output);
    assert_eq!((code, err), (0, ""));
    let report: Value = serde_json::from_str(out).unwrap();
    assert_eq!(report["spans"], 10);
    let [found] = of_kind(&report, "n_plus_one")[..] else { panic!("{report:#}") };
    assert_eq!((&found["subject"], &found["traces"]), (&"GET /cart → SELECT items".into(), &json!([cart])));
    let output = bench.run(&["insights", "traces.jsonl"]);
    let (code, out, _) = said(&output);
    assert_eq!(code, 0);
    assert!(
        out.contains(
            "n_plus_one: `GET /cart` ran `SELECT items` (`SELECT name FROM items WHERE id = ?`) 9 times"
        ),
        "{out}"
    );
    assert!(out.contains(&format!("traces {cart}\n")), "{out}");
}

/// The number of a span's trace, its id, parent, name, kind, start and end in milliseconds, and whether it failed.
type Made<'a> = (u32, u32, u32, &'a str, u32, u64, u64, bool);

/// A request of traces of a service.
fn request(service: &str, spans: &[Made<'_>]) -> String {
    let spans: Vec<Value> = spans
        .iter()
        .map(|(trace, id, parent, name, kind, start, end, failed)| {
            json!({
                "traceId": format!("{trace:032x}"),
                "spanId": format!("{id:016x}"),
                "parentSpanId": if *parent == 0 { String::new() } else { format!("{parent:016x}") },
                "name": name,
                "kind": kind,
                "startTimeUnixNano": (start * 1_000_000).to_string(),
                "endTimeUnixNano": (end * 1_000_000).to_string(),
                "status": if *failed { json!({"code": 2}) } else { json!({}) },
            })
        })
        .collect();
    let attributes = json!([{"key": "service.name", "value": {"stringValue": service}}]);
    json!({"resourceSpans": [{"resource": {"attributes": attributes}, "scopeSpans": [{"spans": spans}]}]})
        .to_string()
}

#[test]
fn several_services_and_their_queues_are_looked_at_in_any_order() {
    let bench = Bench::new(b"");
    // The shop's file came first, although the spans of the bank end before it.
    let shop: Vec<_> = (1..=3)
        .flat_map(|trace| {
            let begin = u64::from(trace) * 10_000;
            let root = (trace, 1, 0, "POST /pay", 2, begin, begin + 5000, false);
            let calls = (0..5).map(move |n| {
                let start = begin + u64::from(n) * 1000;
                (trace, 10 + n, 1, "POST bank", 3, start, start + 100, true)
            });
            std::iter::once(root).chain(calls)
        })
        .collect();
    let bank: Vec<_> = shop
        .iter()
        .filter(|it| it.1 >= 10)
        .map(|it| (it.0, it.1 + 100, it.1, "POST bank", 2, it.5 + 10, it.6 - 10, false))
        .collect();
    let depth = |second: u64| {
        let point = json!({"timeUnixNano": (second * 1_000_000_000).to_string(), "asInt": (second * 10).to_string(), "attributes": []});
        let limit = json!({"timeUnixNano": (second * 1_000_000_000).to_string(), "asDouble": 1000.0, "attributes": []});
        let metrics = json!([
            {"name": "jobs.queue.depth", "unit": "{job}", "gauge": {"dataPoints": [point]}},
            {"name": "jobs.queue.limit", "unit": "{job}", "gauge": {"dataPoints": [limit]}},
            {"name": "queue.total", "sum": {"isMonotonic": true, "dataPoints": [point]}},
        ]);
        json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}).to_string()
    };
    let metrics: Vec<String> = (10..35).map(depth).collect();
    bench.put("shop.jsonl", [request("shop", &shop), metrics.join("\n")].join("\n").as_bytes());
    bench.put("bank.jsonl", request("bank", &bank).as_bytes());
    let output = bench.run(&["insights", "--json", "shop.jsonl", "bank.jsonl"]);
    let (code, out, err) = said(&output);
    assert_eq!((code, err), (0, ""));
    let report: Value = serde_json::from_str(out).unwrap();
    let [retries] = of_kind(&report, "retry_storm")[..] else { panic!("{report:#}") };
    assert_eq!(
        (&retries["subject"], &retries["figures"]["attempts"]),
        (&"shop: POST bank".into(), &15.into())
    );
    let [queue] = of_kind(&report, "queue_growth")[..] else { panic!("{report:#}") };
    // 340 of 1000, and 10 more each second.
    let left = queue["figures"]["expected_seconds"].as_f64().unwrap();
    assert!(queue["subject"] == "jobs.queue.depth" && (left - 66.0).abs() < 1e-6, "{queue:#}");
    let names: Vec<&str> =
        report["operations"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"bank: POST bank") && names.contains(&"shop: POST /pay"), "{names:?}");
    assert_eq!(report["findings"].as_array().unwrap().len(), 2, "{report:#}");
}

#[test]
fn a_device_s_capture_is_looked_at() {
    let bench = Bench::new(&healthy().wire);
    let output = bench.run(&["insights", "--elf", "fw.elf", "--json", "capture.bin"]);
    let (code, out, err) = said(&output);
    assert_eq!((code, err), (0, ""));
    let report: Value = serde_json::from_str(out).unwrap();
    let names: Vec<&str> =
        report["operations"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    // Of 3.72 ms the converter takes 1.815.
    assert_eq!((names, &report["spans"]), (vec!["measure", "adc"], &9.into()));
    let output = bench.run(&["insights", "capture.bin"]);
    assert_eq!(said(&output).0, 1);
    assert!(said(&output).2.contains("throughline insights --elf ELF capture.bin"), "{}", said(&output).2);
}

#[test]
fn what_cannot_be_looked_at_is_told_once_with_what_to_pass() {
    let bench = Bench::new(b"");
    let error = |args: &[&str]| {
        let output = bench.run(&[&["insights"], args].concat());
        let (code, out, err) = said(&output);
        assert_eq!((code, out), (1, ""), "{err}");
        err.to_owned()
    };
    let absent = error(&["absent.jsonl"]);
    assert!(
        absent.contains("cannot read absent.jsonl") && absent.contains("pass a file of OTLP in JSON"),
        "{absent}"
    );

    bench.put("empty.jsonl", br#"{"resourceSpans": []}"#);
    let nothing = error(&["empty.jsonl"]);
    assert!(nothing.contains("empty.jsonl has neither spans nor gauges"), "{nothing}");

    // The file is read twice.
    let one = request("shop", &[(1, 1, 0, "GET /", 2, 1000, 1005, false)]);
    bench.put("cut.jsonl", format!("{one}\n{}", &one[..40]).as_bytes());
    let output = bench.run(&["insights", "cut.jsonl"]);
    let (code, _, err) = said(&output);
    assert_eq!((code, err), (0, "throughline: cut.jsonl: 1 lines or spans are damaged and left out\n"));
}
