//! Tests OTLP over gRPC with an HTTP/2 server that gives prepared answers: delivery, metadata, compression,
//! status codes, RetryInfo, closed connections.

#![cfg(feature = "grpc")]

mod support;

use std::time::{Duration, SystemTime};
use support::grpc::{Reply, Server};
use throughline_export::Deadline;
use throughline_export::ledger::DropReason;
use throughline_export::otlp::{Client, ClientConfig, Protocol, SendError, Signal};
use throughline_export::profiles::{ProfileClient, ProfileFormat};

fn config(server: &Server) -> ClientConfig {
    let config = ClientConfig::new(&server.endpoint).unwrap().first_backoff(Duration::from_millis(1));
    config.header("x-key", "k1").protocol(Protocol::Grpc).unwrap()
}

#[test]
fn each_signal_has_its_method() {
    let server = Server::start([]);
    let mut client = Client::new(config(&server));
    for signal in Signal::ALL {
        client.send(signal, signal.as_str().as_bytes()).unwrap();
    }
    let calls = server.calls();
    let paths: Vec<_> = calls.iter().map(|call| &*call.path).collect();
    let service = |name: &str| format!("/opentelemetry.proto.collector.{name}/Export");
    let expected = ["trace.v1.TraceService", "logs.v1.LogsService", "metrics.v1.MetricsService"].map(service);
    assert_eq!(paths, expected);
    for (call, body) in calls.iter().zip(["traces", "logs", "metrics"]) {
        assert_eq!((call.is_compressed, &*call.body), (false, body.as_bytes()));
        let header = |name: &str| call.headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header("content-type"), Some("application/grpc"));
        assert_eq!(header("te"), Some("trailers"));
        assert_eq!(header("x-key"), Some("k1"));
        let timeout = header("grpc-timeout").unwrap().strip_suffix('m').unwrap();
        assert!(timeout.parse::<u32>().unwrap() <= 10_000, "{timeout}");
    }
}

#[test]
fn a_large_body_arrives_whole() {
    let server = Server::start([]);
    // The body is larger than the initial window of HTTP/2.
    let body: Vec<u8> = (0..1_000_000u32).map(|n| n as u8).collect();
    Client::new(config(&server)).send(Signal::Traces, &body).unwrap();
    assert!(server.calls()[0].body == body);
}

#[test]
fn partial_success_is_read() {
    // { 1: { 1: 3, 2: "too old" } }
    let answer = [&[0x0a, 11, 0x08, 3, 0x12, 7], &b"too old"[..]].concat();
    let server = Server::start([Reply::Message(answer)]);
    let delivered = Client::new(config(&server)).send(Signal::Logs, b"logs").unwrap();
    assert_eq!((delivered.rejected, &*delivered.message), (3, "too old"));
}

#[test]
fn tries_again_until_it_is_taken() {
    // google.rpc.Status { 3: Any { 1: "type.googleapis.com/google.rpc.RetryInfo", 2: { 1: {} } } }, as base64.
    let retry_info = "GiwKKHR5cGUuZ29vZ2xlYXBpcy5jb20vZ29vZ2xlLnJwYy5SZXRyeUluZm8SAgoA".replace("Giw", "Gi4");
    let server = Server::start([
        Reply::Status(14, "shutting down", String::new()),
        Reply::Status(8, "full", retry_info),
        Reply::Http(503),
        Reply::Close,
        Reply::Status(10, "", String::new()),
    ]);
    let mut client = Client::new(config(&server));
    client.send(Signal::Traces, b"spans").unwrap();
    let stats = client.stats();
    assert_eq!((stats.delivered, stats.failed), (1, 0));
    assert_eq!(server.calls().len(), 6);
}

#[test]
fn a_connection_that_was_closed_meanwhile_costs_no_attempt() {
    let server = Server::start([Reply::MessageAndClose]);
    let mut client = Client::new(config(&server).retry_for(Duration::ZERO));
    client.send(Signal::Traces, b"first").unwrap();
    client.send(Signal::Traces, b"second").unwrap();
    assert_eq!(client.stats().attempts, 2);
    assert_eq!(server.calls().len(), 2);
}

#[test]
fn a_refusal_is_final_and_says_what_to_do() {
    let server = Server::start([
        Reply::Status(16, "no%20token", String::new()),
        Reply::Status(12, "", String::new()),
        Reply::Status(8, "too large", String::new()),
    ]);
    let mut client = Client::new(config(&server));
    let mut error = || client.send(Signal::Traces, b"spans").unwrap_err().to_string();
    let unauthenticated = error();
    assert!(
        unauthenticated.contains("answered UNAUTHENTICATED (no token): set the cred"),
        "{unauthenticated}"
    );
    assert!(error().contains("check the port (usually 4317)"));
    assert!(error().contains("RESOURCE_EXHAUSTED (too large): make batches smaller"));
    assert_eq!(client.stats().attempts, 3);
}

#[test]
fn a_hanging_collector_is_left_at_the_deadline() {
    let server = Server::start([Reply::Hang]);
    let mut client = Client::new(config(&server).timeout(Duration::from_secs(3600)));
    let deadline = Deadline::within(Duration::from_millis(50));
    let error = client.send_until(Signal::Traces, b"spans", &deadline).unwrap_err();
    let SendError::Deadline { ref last, .. } = error else { panic!("{error}") };
    assert!(last.contains("timeout"), "{last}");
    // The next call opens a new connection.
    client.send(Signal::Traces, b"more").unwrap();
}

#[test]
fn who_does_not_speak_it_is_told_with_what_to_check() {
    let http = support::receiver::Receiver::start([]);
    let nobody = ClientConfig::new("http://127.0.0.1:1").unwrap();
    let no_name = ClientConfig::new("http://no.such.host.invalid:4317").unwrap();
    for config in [ClientConfig::new(&http.endpoint).unwrap(), nobody, no_name] {
        let config = config.protocol(Protocol::Grpc).unwrap().retry_for(Duration::ZERO);
        let error = Client::new(config).send(Signal::Traces, b"spans").unwrap_err();
        assert!(matches!(error, SendError::Deadline { attempts: 1, .. }), "{error}");
        assert!(
            error.to_string().contains("check that a collector listens there, for this protocol"),
            "{error}"
        );
    }
}

#[cfg(feature = "gzip")]
#[test]
fn messages_are_compressed() {
    use std::io::Read;
    let server = Server::start([]);
    let config = config(&server).compression(throughline_export::otlp::Compression::Gzip).unwrap();
    Client::new(config).send(Signal::Traces, &[7; 10_000]).unwrap();
    let calls = server.calls();
    assert!(calls[0].is_compressed);
    assert_eq!(calls[0].headers["grpc-encoding"], "gzip");
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&*calls[0].body).read_to_end(&mut plain).unwrap();
    assert_eq!(plain, [7; 10_000]);
}

#[test]
fn profiles_have_a_method_of_their_own_and_are_sent_again() {
    let server = Server::start([Reply::Status(14, "busy", String::new())]);
    let client = ProfileClient::otlp_with(config(&server)).unwrap().header("x-tenant", "7");
    assert_eq!((client.name(), client.format()), ("profiles.otlp", ProfileFormat::Otlp));
    let deadline = Deadline::within(Duration::from_secs(30));
    client.send(b"profile", SystemTime::now(), Duration::from_secs(1), &deadline).unwrap();
    // A clone goes on with the same connection.
    client.clone().send(b"next", SystemTime::now(), Duration::from_secs(1), &deadline).unwrap();
    let calls = server.calls();
    let bodies: Vec<_> = calls.iter().map(|call| &*call.body).collect();
    assert_eq!(bodies, [&b"profile"[..], b"profile", b"next"]);
    for call in calls.iter() {
        let method = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export";
        assert_eq!(call.path, method);
        let header = |name: &str| call.headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!((header("x-key"), header("x-tenant")), (Some("k1"), Some("7")));
        assert_eq!(header("otlp-profiles-development-version"), Some("1"));
    }
}

#[test]
fn profiles_that_a_server_does_not_know_are_refused_with_advice() {
    let server = Server::start([Reply::Status(12, "unknown service", String::new())]);
    let client = ProfileClient::otlp_with(config(&server)).unwrap();
    let deadline = Deadline::within(Duration::from_secs(30));
    let error = client.send(b"profile", SystemTime::now(), Duration::ZERO, &deadline).unwrap_err();
    assert_eq!(error.reason, DropReason::Refused);
    assert!(error.message.contains("unknown service"), "{}", error.message);
    assert!(
        error.message.ends_with("a Collector needs the gate service.profilesSupport"),
        "{}",
        error.message
    );
    let json = ClientConfig::new("http://localhost:4318").unwrap().protocol(Protocol::HttpJson).unwrap();
    let error = ProfileClient::otlp_with(json).unwrap_err().to_string();
    assert_eq!(error, "the protocol of profiles `http/json` is not known; use http/protobuf or grpc");
}
