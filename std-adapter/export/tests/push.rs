//! Tests the documented protocols of Zipkin, Loki and Elasticsearch. A strict server in the test stands in
//! for each of them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use throughline::{Level, SpanId, SpanKind, Status, TraceId, Value};
use throughline_export::ledger::DropReason;
use throughline_export::log::{Elastic, Loki};
use throughline_export::view::{LogView, Scope, SpanView};
use throughline_export::zipkin::Zipkin;
use throughline_export::{Deadline, Exporter};

/// 2026-01-22T10:00:00.123456789Z
const TIME: u64 = 1_769_076_000_123_456_789;
const PATIENCE: Duration = Duration::from_secs(30);

/// A received request: the first line, the headers in lower case, and the body.
struct Request {
    line: String,
    headers: Vec<String>,
    body: String,
}

impl Request {
    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Answers the requests of all connections with `answers` in turn, and passes the requests to the test.
fn server(answers: &'static [&'static str]) -> (String, Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (requests, received) = channel();
    std::thread::spawn(move || {
        let mut answers = answers.iter();
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            loop {
                let mut head = Vec::new();
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                        break;
                    }
                    head.push(line.trim_end().to_owned());
                }
                if head.is_empty() {
                    break;
                }
                let headers: Vec<String> = head[1..].iter().map(|header| header.to_lowercase()).collect();
                let length =
                    headers.iter().find_map(|header| header.strip_prefix("content-length: ")).unwrap();
                let mut body = vec![0; length.parse().unwrap()];
                reader.read_exact(&mut body).unwrap();
                let body = String::from_utf8(body).unwrap();
                if requests.send(Request { line: head[0].clone(), headers, body }).is_err() {
                    return;
                }
                let Some(answer) = answers.next() else { return };
                let (status, body) = answer.split_once('\n').unwrap_or((answer, ""));
                let reply = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                reader.get_mut().write_all(reply.as_bytes()).unwrap();
            }
        }
    });
    (url, received)
}

fn ids() -> (TraceId, SpanId) {
    (TraceId::from_bytes([0xab; 16]).unwrap(), SpanId::from_bytes([0x12; 8]).unwrap())
}

fn text(text: &str) -> Value<'_> {
    Value::Str { text, truncated: false }
}

fn log<'a>(level: Level, message: &'a str, fields: &'a [(&'a str, Value<'a>)]) -> LogView<'a> {
    LogView {
        span: Some(ids()),
        time_unix_ns: TIME,
        level,
        message,
        event_name: "order.placed",
        trace_flags: 1,
        scope: Scope::OWN,
        target: "shop::events",
        file: "src/events.rs",
        line: 12,
        time_error_ns: None,
        fields: fields.into(),
    }
}

fn span<'a>(status: Status, fields: &'a [(&'a str, Value<'a>)]) -> SpanView<'a> {
    SpanView {
        trace_id: ids().0,
        span_id: ids().1,
        parent_span_id: SpanId::from_bytes([0x34; 8]),
        parent_is_remote: true,
        scope: Scope { name: "shop", version: "1.2.3" },
        name: "GET /",
        target: "shop::web",
        file: "",
        line: 0,
        kind: SpanKind::Server,
        level: Level::Info,
        status,
        start_unix_ns: TIME,
        end_unix_ns: TIME + 10,
        busy_ns: None,
        time_error_ns: None,
        fields: fields.into(),
    }
}

fn deadline() -> Deadline {
    Deadline::within(PATIENCE)
}

#[test]
fn spans_as_the_documented_api_of_zipkin_has_them() {
    let (url, received) = server(&["202 Accepted"]);
    let mut zipkin = Zipkin::new(&url, "shop").unwrap().header("x-key", "k");
    let fields = [
        ("n", Value::U64(7)),
        ("error.message", text("no stock")),
        ("error", Value::Bool(true)),
        ("gone", Value::Absent),
    ];
    zipkin.span(&span(Status::Error, &fields));
    zipkin.span(&span(Status::Unset, &[]));
    zipkin.flush(&deadline()).unwrap();
    let request = received.recv_timeout(PATIENCE).unwrap();
    assert_eq!(request.line, "POST /api/v2/spans HTTP/1.1");
    assert!(request.headers.contains(&"content-type: application/json".into()), "{:?}", request.headers);
    assert!(request.headers.contains(&"x-key: k".into()), "{:?}", request.headers);
    let spans = request.json();
    assert_eq!(
        spans[0],
        serde_json::json!({
            "traceId": "abababababababababababababababab",
            "id": "1212121212121212",
            "parentId": "3434343434343434",
            "name": "GET /",
            "kind": "SERVER",
            "timestamp": 1_769_076_000_123_456_u64,
            "duration": 1,
            "localEndpoint": {"serviceName": "shop"},
            "tags": {
                "n": "7",
                "error.message": "no stock",
                "otel.status_code": "ERROR",
                "error": "no stock",
                "otel.scope.name": "shop",
                "otel.scope.version": "1.2.3",
            },
        })
    );
    assert_eq!(
        spans[1]["tags"],
        serde_json::json!({"otel.scope.name": "shop", "otel.scope.version": "1.2.3"})
    );
    assert_eq!((spans.as_array().unwrap().len(), zipkin.held()), (2, 0));
}

#[test]
fn a_push_as_the_documented_api_of_loki_has_it() {
    let (url, received) = server(&["204 No Content", "204 No Content"]);
    let loki = Loki::new(&url, "shop").unwrap().label("env-name", "prod").tenant("store").batch_size(3);
    let mut loki = loki.filter("info".parse().unwrap());
    assert!(!loki.log_filter().takes("a", Level::Debug));
    let fields = [("user.id", Value::U64(7)), ("9th", text("x\"y"))];
    loki.log(&log(Level::Warn, "left {user.id}\n", &fields));
    loki.log(&log(Level::Info, "a", &[]));
    loki.log(&log(Level::Warn, "b", &[]));
    loki.log(&log(Level::Warn, "c", &[]));
    loki.flush(&deadline()).unwrap();
    let request = received.recv_timeout(PATIENCE).unwrap();
    assert_eq!(request.line, "POST /loki/api/v1/push HTTP/1.1");
    assert!(request.headers.contains(&"x-scope-orgid: store".into()), "{:?}", request.headers);
    let time = TIME.to_string();
    let metadata = serde_json::json!({
        "trace_id": "abababababababababababababababab",
        "span_id": "1212121212121212",
        "target": "shop::events",
        "event_name": "order.placed",
    });
    let mut first = metadata.clone();
    (first["user_id"], first["_9th"]) = ("7".into(), "x\"y".into());
    assert_eq!(
        request.json(),
        serde_json::json!({"streams": [
            {"stream": {"env_name": "prod", "service_name": "shop", "level": "info"}, "values": [[time, "a", metadata]]},
            {"stream": {"env_name": "prod", "service_name": "shop", "level": "warn"},
             "values": [[time, "left 7\n", first], [time, "b", metadata]]},
        ]})
    );
    let second = received.recv_timeout(PATIENCE).unwrap().json();
    assert_eq!(second["streams"][0]["values"][0][1], "c");
}

#[test]
fn documents_as_the_documented_bulk_api_of_elasticsearch_has_them_and_refusals_are_counted() {
    const ANSWER: &str = "200 OK\n{\"took\":1,\"errors\":true,\"items\":[{\"create\":{\"status\":201}},\
        {\"create\":{\"status\":400,\"error\":{\"type\":\"mapper\",\"reason\":\"no number\"}}}]}";
    let (url, received) = server(&[ANSWER]);
    let mut elastic = Elastic::new(&url, "logs-shop-default", "shop").unwrap().api_key("secret");
    elastic.log(&log(Level::Warn, "left {n}", &[("n", Value::U64(7)), ("took", Value::F64(0.5))]));
    elastic.log(&log(Level::Info, "b", &[]));
    let error = elastic.flush(&deadline()).unwrap_err();
    assert_eq!((error.reason, error.lost, elastic.held()), (DropReason::Rejected, 1, 0));
    assert!(error.message.contains("no number") && error.message.ends_with("the index's mapping"), "{error}");
    let request = received.recv_timeout(PATIENCE).unwrap();
    assert_eq!(request.line, "POST /_bulk HTTP/1.1");
    assert!(request.headers.contains(&"authorization: apikey secret".into()), "{:?}", request.headers);
    assert!(!format!("{elastic:?}").contains("secret"));
    assert!(request.body.ends_with('\n'));
    let lines: Vec<serde_json::Value> =
        request.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[0], serde_json::json!({"create": {"_index": "logs-shop-default"}}));
    assert_eq!(
        lines[1],
        serde_json::json!({
            "@timestamp": "2026-01-22T10:00:00.123456789Z",
            "message": "left 7",
            "log.level": "warn",
            "log.logger": "shop::events",
            "log.origin.file.name": "src/events.rs",
            "log.origin.file.line": 12,
            "service.name": "shop",
            "event.action": "order.placed",
            "trace.id": "abababababababababababababababab",
            "span.id": "1212121212121212",
            "labels": {"n": 7, "took": 0.5},
        })
    );
}

#[test]
fn what_a_backend_does_not_take_waits_or_is_counted_and_says_why() {
    let (url, received) = server(&["503 Busy", "400 Bad\nno \u{1b}[2J such field", "204 No Content"]);
    let mut loki = Loki::new(&url, "shop").unwrap();
    loki.log(&log(Level::Info, "a", &[]));
    let error = loki.flush(&deadline()).unwrap_err();
    assert_eq!((error.reason, error.lost, loki.held()), (DropReason::Unreachable, 0, 1));
    assert!(
        error.message.contains("status 503") && error.message.ends_with("check that Loki listens there"),
        "{error}"
    );
    loki.log(&log(Level::Info, "b", &[]));
    let error = loki.finish(&deadline()).unwrap_err();
    assert_eq!((error.reason, error.lost, loki.held()), (DropReason::Refused, 1, 0));
    let expected = format!("{url}/loki/api/v1/push answered 400 (no \\u{{1b}}[2J such field): see its log");
    assert_eq!(error.message, expected);
    let lines: Vec<String> = (0..3).map(|_| received.recv_timeout(PATIENCE).unwrap().body).collect();
    assert!(lines[0] == lines[1] && lines[2].contains("\"b\""), "{lines:?}");
}

#[test]
fn no_message_shows_the_secrets_of_a_url() {
    // Nothing listens on port 1.
    let url = "http://u:hunter2@127.0.0.1:1/in?api_key=hunter2";
    let mut loki = Loki::new(url, "shop").unwrap();
    loki.log(&log(Level::Info, "x", &[]));
    let error = loki.flush(&deadline()).unwrap_err().message;
    assert!(error.starts_with("http://[REDACTED]@127.0.0.1:1/in?api_key=[REDACTED] did not take"), "{error}");
    assert!(!format!("{error} {loki:?}").contains("hunter2"), "{error} {loki:?}");
    let error = Loki::new("htp://u:hunter2@h", "shop").unwrap_err().to_string();
    assert!(error.starts_with("`htp://[REDACTED]@h` is not"), "{error}");
}

#[test]
fn urls_that_cannot_work_are_refused() {
    for url in ["localhost:9411", "ftp://a", "", "http://", "http:///x"] {
        let error = Zipkin::new(url, "shop").unwrap_err().to_string();
        let hint = "is not an http:// or https:// URL; give one such as http://localhost:9411/api/v2/spans";
        assert_eq!(error, format!("`{url}` {hint}"));
    }
    if !cfg!(feature = "tls") {
        let error = Zipkin::new("https://a", "shop").unwrap_err().to_string();
        assert_eq!(
            error,
            "`https://a` wants TLS; build throughline-std with the feature `tls`, or use http://"
        );
    }
}
