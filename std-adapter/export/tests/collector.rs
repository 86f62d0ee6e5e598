//! Against a real OpenTelemetry Collector: every protocol, with every compression, in the clear, over TLS and with a client's certificate. What it writes is what was
//! sent.
//!
//! Run by `cargo xtask test --only collector`, which builds the Collector.

#![cfg(all(feature = "grpc-tls", feature = "gzip", feature = "zstd"))]

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/otlp_json.rs"]
mod otlp_json;

use otlp_json::message;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use throughline::{Level, SpanId, SpanKind, Status, TraceId};
use throughline_export::Resource;
use throughline_export::otlp::{
    Client, ClientConfig, Compression, LogEncoder, MetricEncoder, Options, Protocol, Signal, TraceEncoder,
    to_json,
};
use throughline_export::view::{HistogramView, LogView, PointData, PointView, Scope, SpanView};

/// The step that sets it; it holds the path of the Collector's program.
const PROGRAM: &str = "THROUGHLINE_COLLECTOR_PROGRAM";
const LONG: Duration = Duration::from_secs(60);

/// How a connection is protected.
#[derive(Clone, Copy, Debug)]
enum Security {
    None,
    Tls,
    MutualTls,
}

const SECURITIES: [Security; 3] = [Security::None, Security::Tls, Security::MutualTls];
const PROTOCOLS: [Protocol; 3] = [Protocol::HttpProtobuf, Protocol::HttpJson, Protocol::Grpc];
const COMPRESSIONS: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Zstd];

/// A Collector that is running, with an OTLP receiver for each [`Security`]; killed when dropped.
struct Collector {
    child: Child,
    folder: PathBuf,
    /// Of HTTP and of gRPC, for each security.
    ports: [[u16; 2]; 3],
}

impl Collector {
    fn start() -> Collector {
        let program = std::env::var(PROGRAM)
            .unwrap_or_else(|_| panic!("{PROGRAM} is not set: run `cargo xtask test --only collector`"));
        let folder = std::env::temp_dir().join(format!("throughline-collector-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        certificates::write(&folder, "localhost");
        let listeners = [(); 6].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let port = |i: usize| listeners[i].local_addr().unwrap().port();
        let ports = [[port(0), port(1)], [port(2), port(3)], [port(4), port(5)]];
        std::fs::write(folder.join("config.yaml"), configuration(&folder, &ports)).unwrap();
        drop(listeners);
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let mut command = Command::new(program);
        command.arg("--config").arg(folder.join("config.yaml")).stdout(log.try_clone().unwrap()).stderr(log);
        let mut collector = Collector { child: command.spawn().unwrap(), folder, ports };
        for port in ports.into_iter().flatten() {
            collector.until("it does not listen", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        }
        collector
    }

    fn until(&mut self, what: &str, mut is_so: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            let log = || std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(self.child.try_wait().unwrap().is_none(), "it has ended: {}", log());
            assert!(begun.elapsed() < LONG, "{what}: {}", log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn config(&self, protocol: Protocol, security: Security) -> ClientConfig {
        let port = self.ports[security as usize][usize::from(protocol == Protocol::Grpc)];
        let scheme = if matches!(security, Security::None) { "http" } else { "https" };
        let config = ClientConfig::new(&format!("{scheme}://localhost:{port}")).unwrap();
        let config = config.protocol(protocol).unwrap().retry_for(Duration::ZERO);
        let file = |name: &str| self.folder.join(name);
        match security {
            Security::None => config,
            Security::Tls => config.ca_certificate(file("ca.pem")).unwrap(),
            Security::MutualTls => {
                let config = config.ca_certificate(file("ca.pem")).unwrap();
                config.client_certificate(file("client.pem"), file("client.key")).unwrap()
            }
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The requests in the Collector's file by now, of the service of this name.
fn written(file: &Path, service: &str) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    // What follows the last line break is being written.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let name = format!("\"{service}\"");
    whole.lines().filter(|line| line.contains(&name)).map(str::to_owned).collect()
}

fn configuration(folder: &Path, ports: &[[u16; 2]; 3]) -> String {
    let file = |name: &str| format!("{:?}", folder.join(name));
    let own = format!("cert_file: {}, key_file: {}", file("server.pem"), file("server.key"));
    let tls = [
        String::new(),
        format!(", tls: {{{own}}}"),
        format!(", tls: {{{own}, client_ca_file: {}}}", file("ca.pem")),
    ];
    let receivers: String = (0..3)
        .map(|i| {
            let [http, grpc] = ports[i].map(|port| format!("{{endpoint: \"localhost:{port}\"{}}}", tls[i]));
            format!("  otlp/{i}: {{protocols: {{http: {http}, grpc: {grpc}}}}}\n")
        })
        .collect();
    let pipelines: String = Signal::ALL
        .map(|signal| {
            let signal = signal.as_str();
            format!("    {signal}: {{receivers: [otlp/0, otlp/1, otlp/2], exporters: [file]}}\n")
        })
        .concat();
    format!(
        "receivers:\n{receivers}exporters:\n  file: {{path: {}, flush_interval: 10ms}}\nservice:\n  telemetry:\n    metrics: {{level: none}}\n    logs: {{level: warn}}\n  pipelines:\n{pipelines}",
        file("out.jsonl")
    )
}

/// A request of each signal, with as many kinds of values as they have.
fn bodies(service: &str) -> [Vec<u8>; 3] {
    let resource = Resource::new(service);
    let scope = Scope { name: "shop", version: "1.2.3" };
    let text = throughline::Value::Str { text: "\"ä\n\u{1}", truncated: false };
    let bytes = throughline::Value::Bytes { bytes: &[0, 255, 7], truncated: false };
    let fields = [
        ("text", text),
        ("bytes", bytes),
        ("int", throughline::Value::I64(i64::MIN)),
        ("float", throughline::Value::F64(0.1)),
        ("yes", throughline::Value::Bool(true)),
    ];
    let ids = (TraceId::from_bytes([0xab; 16]).unwrap(), SpanId::from_bytes([0xcd; 8]).unwrap());
    let mut traces = TraceEncoder::new(&resource, Options::default());
    traces.span(&SpanView {
        trace_id: ids.0,
        span_id: ids.1,
        parent_span_id: SpanId::from_bytes([1; 8]),
        parent_is_remote: true,
        name: "work",
        scope,
        target: "shop::work",
        file: "src/work.rs",
        line: 7,
        kind: SpanKind::Server,
        level: Level::Info,
        status: Status::Error,
        start_unix_ns: 1_700_000_000_123_456_789,
        end_unix_ns: 1_700_000_001_123_456_789,
        busy_ns: None,
        time_error_ns: None,
        fields: fields.iter().copied(),
    });
    let mut logs = LogEncoder::new(&resource, Options::default());
    logs.log(&LogView {
        span: Some(ids),
        time_unix_ns: 1_700_000_000_200_000_000,
        level: Level::Warn,
        message: "low on \u{e4}pples",
        event_name: "stock.low",
        trace_flags: 1,
        scope,
        target: "shop::work",
        file: "src/work.rs",
        line: 8,
        time_error_ns: None,
        fields: fields.iter().copied(),
    });
    let mut metrics = MetricEncoder::new(&resource);
    let histogram = HistogramView::new(3, 17.5, 2, -5, &[1, 0, 300]).with_extremes(Some((0.0, 9.0)));
    let all = [
        ("a.count", PointData::Counter(7)),
        ("b.level", PointData::GaugeFloat(-0.25)),
        ("c.open", PointData::UpDown(-3)),
        ("d.size", PointData::Histogram(histogram)),
    ];
    for (name, data) in all {
        metrics.point(&PointView {
            id: 0,
            name,
            unit: "By",
            description: "what it is",
            scope,
            target: "shop::work",
            start_unix_ns: 1_700_000_000_000_000_000,
            time_unix_ns: 1_700_000_001_000_000_000,
            labels: &[("route", "/a")],
            data,
        });
    }
    [traces.finish().to_vec(), logs.finish().to_vec(), metrics.finish().to_vec()]
}

#[test]
#[ignore = "needs a Collector: cargo xtask test --only collector"]
fn every_way_of_sending_arrives_whole() {
    let mut collector = Collector::start();
    for security in SECURITIES {
        for protocol in PROTOCOLS {
            for compression in COMPRESSIONS {
                let service = format!("{security:?} {} {}", protocol.as_str(), compression.as_str());
                let config = collector.config(protocol, security).compression(compression).unwrap();
                let mut client = Client::new(config);
                let bodies = bodies(&service);
                for (signal, body) in Signal::ALL.into_iter().zip(&bodies) {
                    let delivered = client.send(signal, body).unwrap_or_else(|e| panic!("{service}: {e}"));
                    assert!(delivered.is_whole(), "{service}: {delivered}");
                }
                let output = collector.folder.join("out.jsonl");
                let mut lines = Vec::new();
                collector.until("it does not write what it took", || {
                    lines = written(&output, &service);
                    lines.len() == bodies.len()
                });
                let received: Vec<_> = lines.iter().map(|line| message(line)).collect();
                for (signal, body) in Signal::ALL.into_iter().zip(&bodies) {
                    let sent = message(&to_json(signal, body));
                    assert!(received.contains(&sent), "{service}: no {sent} in {received:?}");
                }
            }
        }
    }
    strangers_are_told(&collector);
}

/// Clients that do not know the Collector's authority.
fn strangers_are_told(collector: &Collector) {
    let [_, [http, grpc], _] = collector.ports;
    for protocol in PROTOCOLS {
        let port = if protocol == Protocol::Grpc { grpc } else { http };
        let stranger = ClientConfig::new(&format!("https://localhost:{port}")).unwrap();
        let stranger = stranger.protocol(protocol).unwrap().retry_for(Duration::ZERO);
        let error = Client::new(stranger).send(Signal::Traces, b"").unwrap_err().to_string();
        assert!(error.contains("OTEL_EXPORTER_OTLP_CERTIFICATE"), "{error}");
    }
}
