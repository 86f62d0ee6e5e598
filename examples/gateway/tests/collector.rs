//! One trace through a microcontroller, the gateway and the house, as a real OpenTelemetry Collector has received it: the
//! context goes over the serial port in binary form, then over HTTP, and over gRPC.
//!
//! Run by `cargo xtask test --only collector`, which starts the Collector.

#![cfg(unix)]

#[path = "../../server/tests/support/mod.rs"]
#[allow(dead_code, reason = "metrics are not looked at here")]
mod support;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use support::{Collector, Received, attributes, integer};
use throughline::SpanKind;
use xtask::firmware::{Balance, Capture, Firmware, Tool, Variant, ensure_tools};
use xtask::qemu::{Machine, Options, Qemu, Serial};

/// The firmware's name for itself.
const DEVICE: &str = "room-sensor";
const GATEWAY: &str = "gateway";
const HOUSE: &str = "house";

/// The reports of the firmware: room, temperature, and the setpoint that it gets.
const REPORTS: [(i64, f64, i64); 2] = [(3, 18.37, 2000), (5, 20.71, 1900)];

/// Spans of a report in each process: one on the device; the gateway's own and its two requests; two in the house.
const SPANS: [(&str, usize); 3] = [(DEVICE, 1), (GATEWAY, 3), (HOUSE, 2)];

const BOOK: &str = "house.Ledger/Book";
const SETPOINT: &str = "GET /rooms/{room}/setpoint";

/// Far more time than anything here takes.
const LONG: Duration = Duration::from_secs(60);

#[test]
#[ignore = "needs a Collector: `cargo xtask test --only collector`"]
fn a_device_and_two_servers_form_one_trace_over_serial_http_and_grpc() {
    let collector = Collector::from_env();
    ensure_tools(&[Machine::Mps2An386]).unwrap();
    // The records go over RTT, because the serial port has the reports.
    let firmware = Firmware::build(Machine::Mps2An386, Variant::Rtt).unwrap();
    let tool = Tool::build().unwrap();

    let started = unix_ns();
    let capture = run(&firmware, &collector);
    let device = tool.forward(&capture, &collector.http, started).unwrap();
    let balance = Balance::of(&device).unwrap();
    assert_eq!(balance.decoded, balance.emitted, "nothing is lost on the device");

    let received = collector.wait(|received| {
        let spans = SPANS.iter().all(|(service, n)| received.spans_of(service).len() >= n * REPORTS.len());
        spans && received.logs_of(HOUSE).len() >= REPORTS.len()
    });
    for (service, n) in SPANS {
        assert_eq!(received.spans_of(service).len(), n * REPORTS.len(), "{service}");
    }
    let traces = REPORTS.map(|report| trace_of(&received, report));
    assert_ne!(traces[0], traces[1], "each report is a trace");
}

/// Boots the sensor and has its reports answered. Returns its records.
fn run(firmware: &Firmware, collector: &Collector) -> Capture {
    let mut house = Program::start(env!("CARGO_BIN_EXE_house"), &["--listen", "127.0.0.1:0"], collector);
    let listening = house.line();
    let address =
        listening.strip_prefix("listening on ").unwrap_or_else(|| panic!("the house says {listening}"));

    // Halted until the gateway has its serial port.
    let elf = firmware.elf("report");
    let options = Options { serial: Serial::Tcp, hold: true, limit: LONG, ..Options::default() };
    let mut qemu = Qemu::boot(Machine::Mps2An386, &elf, &options).unwrap();
    let port = qemu.serial_address().unwrap().to_string();
    let mut gateway =
        Program::start(env!("CARGO_BIN_EXE_gateway"), &["--device", &port, "--house", address], collector);
    qemu.wait_for_client(LONG).unwrap();
    let mut records = qemu.rtt(0).unwrap();
    qemu.resume().unwrap();
    let mut bytes = Vec::new();
    records.read_to_end(&mut bytes).unwrap();
    let outcome = qemu.wait().unwrap();
    assert!(outcome.is_success(), "{outcome:?}");

    // The gateway ends with the serial port.
    gateway.end();
    house.interrupt();
    house.end();
    Capture { elf, bytes, outcome }
}

/// Checks the spans of a report, from the device down. Returns its trace id.
fn trace_of(received: &Received, (room, celsius, setpoint): (i64, f64, i64)) -> String {
    let of_room = |span: &&&Value| attributes(span)["room"] == room;
    let device = *received.spans_of(DEVICE).iter().find(of_room).expect("the device's span");
    assert_eq!(device["name"], "report");
    assert_eq!(device["parentSpanId"].as_str().unwrap_or(""), "", "the device begins the trace");
    assert_eq!(attributes(device)["setpoint"], setpoint, "the answer came back to the device");
    let trace = device["traceId"].as_str().unwrap();

    // All spans of the trace, which are all of this report.
    let spans: Vec<&Value> = received.spans.iter().filter(|span| span["traceId"] == trace).collect();
    assert_eq!(spans.len(), SPANS.iter().map(|(_, n)| n).sum::<usize>(), "{spans:#?}");
    let child = |parent: &Value, service: &str, kind: SpanKind, name: &str| {
        let is_it = |span: &&&Value| span["parentSpanId"] == parent["spanId"] && span["name"] == name;
        let found: Vec<&&Value> = spans.iter().filter(is_it).collect();
        let [span] = found[..] else { panic!("not one {name} below {parent}: {spans:#?}") };
        assert_eq!(span["service"], service, "{span}");
        assert_eq!(span["kind"], json!(kind as i64 + 1), "{span}");
        assert_eq!(span["status"]["code"].as_i64().unwrap_or(0), 0, "{span}");
        assert!(integer(&span["startTimeUnixNano"]) <= integer(&span["endTimeUnixNano"]), "{span}");
        (*span).clone()
    };
    assert_eq!(device["kind"], json!(SpanKind::Client as i64 + 1));
    let report = child(device, GATEWAY, SpanKind::Server, "sensor.report");
    let told = attributes(&report)["celsius"].as_f64().unwrap();
    assert!((told - celsius).abs() < 1e-4, "the payload behind the context: {report}");

    let asks = child(&report, GATEWAY, SpanKind::Client, SETPOINT);
    let answers = child(&asks, HOUSE, SpanKind::Server, SETPOINT);
    assert_eq!(attributes(&answers)["url.path"], format!("/rooms/{room}/setpoint"));
    assert_eq!(attributes(&answers)["http.response.status_code"], 200);
    assert_eq!(attributes(&answers)["network.protocol.version"], "1.1");

    let books = child(&report, GATEWAY, SpanKind::Client, BOOK);
    let booked = child(&books, HOUSE, SpanKind::Server, BOOK);
    for span in [&books, &booked] {
        let attributes = attributes(span);
        assert_eq!(attributes["rpc.system.name"], "grpc");
        assert_eq!(attributes["rpc.response.status_code"], "OK", "from the trailers: {span}");
        assert_eq!(attributes["server.address"], "127.0.0.1", "{span}");
    }
    // What the house logs within the call is of its span.
    let of_call = |log: &&&Value| log["spanId"] == booked["spanId"];
    let logs = received.logs_of(HOUSE);
    let log = logs.iter().find(of_call).unwrap_or_else(|| panic!("no log of {booked}: {logs:#?}"));
    assert_eq!((&log["traceId"], &log["body"]["stringValue"]), (&json!(trace), &json!("booked")));
    trace.to_owned()
}

/// A server that sends to the Collector. Dropping it ends it.
struct Program {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Program {
    fn start(program: &str, args: &[&str], collector: &Collector) -> Program {
        let mut command = Command::new(program);
        for (key, _) in std::env::vars().filter(|(key, _)| key.starts_with("OTEL_")) {
            command.env_remove(key);
        }
        command.args(args).env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.http).env("NO_PROXY", "127.0.0.1");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Program { child, output }
    }

    /// The next line that it prints.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// What Ctrl-C does.
    fn interrupt(&self) {
        let told = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(told.success());
    }

    /// Waits for its end, and that all was delivered.
    fn end(&mut self) {
        let deadline = Instant::now() + LONG;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            thread::sleep(Duration::from_millis(10));
        };
        assert!(status.success(), "{status}");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both calls fail only if the process has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is past 1970");
    u64::try_from(since.as_nanos()).expect("it is before 2554")
}
