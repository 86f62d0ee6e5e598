//! A strict OTLP/HTTP receiver: accepts only what the specification allows, decodes with the types of
//! `opentelemetry-proto`, and answers as a test asks.

use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::ExportLogsServiceRequest,
        metrics::v1::ExportMetricsServiceRequest,
        trace::v1::{ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse},
    },
    common::v1::{InstrumentationScope, KeyValue, any_value},
    logs::v1::LogRecord,
    metrics::v1::Metric,
    trace::v1::Span,
};
use prost::Message;
use std::collections::{HashSet, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How to answer a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Answers with this status, header and body; the request is not kept.
    Status(u16, &'static str, Vec<u8>),
    /// Answers with this status and this body of JSON; the request, in JSON too, is not kept.
    Json(u16, Vec<u8>),
    /// Accepts the request except for this many spans.
    Partial(i64, &'static str),
    /// Accepts the request after this time.
    Slow(Duration),
    /// Closes the connection without an answer.
    Close,
    /// Never answers.
    Hang,
}

/// Everything received.
#[derive(Debug, Default)]
pub struct Received {
    pub spans: Vec<Span>,
    pub logs: Vec<LogRecord>,
    /// The metrics of each request, newest last.
    pub metrics: Vec<Vec<Metric>>,
    pub resource: Vec<KeyValue>,
    /// The scope of each span, log record and metric, by its name; for a log record, by its body.
    pub scopes: Vec<(String, InstrumentationScope)>,
    pub headers: Vec<String>,
    pub last_body: Vec<u8>,
    pub requests: usize,
    /// What the specification forbids but the client did.
    pub violations: Vec<String>,
}

/// The receiver, listening on a free port of the loopback interface.
pub struct Receiver {
    pub endpoint: String,
    received: Arc<Mutex<Received>>,
}

impl Receiver {
    /// Answers the first requests with `answers`, and all others with success.
    pub fn start(answers: impl IntoIterator<Item = Answer>) -> Receiver {
        Self::hanging_at("", answers)
    }

    /// Like [`start`](Self::start), but never answers requests to `path`.
    pub fn hanging_at(path: &'static str, answers: impl IntoIterator<Item = Answer>) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Received::default()));
        let answers = Arc::new(Mutex::new(answers.into_iter().collect::<VecDeque<_>>()));
        let shared = Arc::clone(&received);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (received, answers) = (Arc::clone(&shared), Arc::clone(&answers));
                std::thread::spawn(move || serve(stream, path, &received, &answers));
            }
        });
        Receiver { endpoint, received }
    }

    /// Gives access to what has been received.
    pub fn with<R>(&self, look: impl FnOnce(&Received) -> R) -> R {
        let received = self.received.lock().unwrap();
        assert_eq!(received.violations, [""; 0], "the receiver is strict");
        look(&received)
    }
}

fn serve(stream: TcpStream, hangs: &str, received: &Mutex<Received>, answers: &Mutex<VecDeque<Answer>>) {
    let mut reader = BufReader::new(stream);
    while let Some((path, headers, body)) = read_request(&mut reader) {
        let answer = if path == hangs {
            Some(Answer::Hang)
        } else {
            // Each signal has its own connection, so requests come in any order. An answer about spans waits
            // for a request with spans.
            let fits = |answer: &mut Answer| path == "/v1/traces" || !matches!(answer, Answer::Partial(..));
            answers.lock().unwrap().pop_front_if(fits)
        };
        if let Some(Answer::Slow(pause)) = answer {
            std::thread::sleep(pause);
        }
        let mut reply = (200, "", Vec::new());
        let mut content_type = "application/x-protobuf";
        {
            let mut received = received.lock().unwrap();
            received.requests += 1;
            received.headers = headers;
            received.last_body.clone_from(&body);
            match answer {
                None | Some(Answer::Slow(_)) => received.take(&path, &body),
                Some(Answer::Partial(rejected_spans, message)) => {
                    received.take(&path, &body);
                    let partial = ExportTracePartialSuccess { rejected_spans, error_message: message.into() };
                    reply.2 = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
                }
                Some(Answer::Status(status, header, body)) => reply = (status, header, body),
                Some(Answer::Json(status, body)) => {
                    content_type = "application/json";
                    reply = (status, "", body);
                }
                Some(Answer::Close) => return,
                Some(Answer::Hang) => {
                    drop(received);
                    loop {
                        std::thread::park();
                    }
                }
            }
        }
        let (status, header, body) = reply;
        let stream = reader.get_mut();
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\n{header}content-length: {}\r\n\r\n",
            body.len()
        );
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).is_err() {
            return;
        }
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<(String, Vec<String>, Vec<u8>)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let path = line.strip_prefix("POST ").and_then(|l| l.strip_suffix(" HTTP/1.1\r\n"));
    let path = path.unwrap_or_else(|| panic!("not a POST: {line}")).to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end() {
            "" => break,
            header => headers.push(header.to_lowercase()),
        }
    }
    let is_known =
        |h: &String| h == "content-type: application/x-protobuf" || h == "content-type: application/json";
    assert!(headers.iter().any(is_known), "{headers:?}");
    let length =
        headers.iter().find_map(|h| h.strip_prefix("content-length: ")).expect("a length").parse().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((path, headers, body))
}

impl Received {
    fn take(&mut self, path: &str, body: &[u8]) {
        match path {
            "/v1/traces" => {
                let request = ExportTraceServiceRequest::decode(body).unwrap();
                for rs in request.resource_spans {
                    self.resource = rs.resource.unwrap().attributes;
                    let spans = rs.scope_spans.into_iter().flat_map(|s| {
                        let scope = s.scope.unwrap();
                        s.spans.into_iter().map(move |span| (scope.clone(), span))
                    });
                    for (scope, span) in spans {
                        self.check_span(&span);
                        self.scopes.push((span.name.clone(), scope));
                        self.spans.push(span);
                    }
                }
            }
            "/v1/logs" => {
                let request = ExportLogsServiceRequest::decode(body).unwrap();
                let logs = request.resource_logs.into_iter().flat_map(|r| r.scope_logs).flat_map(|s| {
                    let scope = s.scope.unwrap();
                    s.log_records.into_iter().map(move |log| (scope.clone(), log))
                });
                for (scope, log) in logs {
                    let body = log.body.clone().and_then(|body| body.value);
                    if let Some(any_value::Value::StringValue(body)) = body {
                        self.scopes.push((body, scope));
                    }
                    self.unless(
                        [0, 16].contains(&log.trace_id.len()) && [0, 8].contains(&log.span_id.len()),
                        "ids of a log",
                    );
                    self.unless(
                        log.time_unix_nano > 0 && (1..=24).contains(&log.severity_number),
                        "time, severity of a log",
                    );
                    self.check_keys(&log.attributes);
                    self.logs.push(log);
                }
            }
            "/v1/metrics" => {
                let request = ExportMetricsServiceRequest::decode(body).unwrap();
                let metrics =
                    request.resource_metrics.into_iter().flat_map(|r| r.scope_metrics).flat_map(|s| {
                        let scope = s.scope.unwrap();
                        let names = s.metrics.iter().map(|metric| (metric.name.clone(), scope.clone()));
                        self.scopes.extend(names);
                        s.metrics
                    });
                let metrics: Vec<_> = metrics.collect();
                let names: HashSet<_> = metrics.iter().map(|m| &m.name).collect();
                self.unless(
                    names.len() == metrics.len() && !names.contains(&String::new()),
                    "one metric a name",
                );
                self.metrics.push(metrics);
            }
            _ => self.violations.push(format!("path {path}")),
        }
    }

    fn check_span(&mut self, span: &Span) {
        let zero = |id: &[u8]| id.iter().all(|b| *b == 0);
        self.unless(span.trace_id.len() == 16 && !zero(&span.trace_id), "trace id");
        self.unless(span.span_id.len() == 8 && !zero(&span.span_id), "span id");
        self.unless([0, 8].contains(&span.parent_span_id.len()), "parent id");
        self.unless(!span.name.is_empty() && (1..=5).contains(&span.kind), "name, kind");
        self.unless(
            span.start_time_unix_nano > 0 && span.start_time_unix_nano <= span.end_time_unix_nano,
            "times",
        );
        self.check_keys(&span.attributes);
    }

    fn check_keys(&mut self, attributes: &[KeyValue]) {
        let keys: HashSet<_> = attributes.iter().map(|kv| &kv.key).collect();
        self.unless(keys.len() == attributes.len() && !keys.contains(&String::new()), "keys are unique");
    }

    fn unless(&mut self, fine: bool, what: &str) {
        if !fine {
            self.violations.push(what.into());
        }
    }
}

impl Received {
    /// Name and version of the scope of the span, log record or metric of this name.
    pub fn scope(&self, name: &str) -> (&str, &str) {
        let mut found = self.scopes.iter().filter(|(known, _)| known == name).map(|(_, scope)| scope);
        let scope = found.next().unwrap_or_else(|| panic!("nothing is named {name}"));
        assert!(found.all(|other| other == scope), "{name} has several scopes");
        (&scope.name, &scope.version)
    }
}

/// The value of an attribute.
pub fn attribute(attributes: &[KeyValue], key: &str) -> Option<any_value::Value> {
    attributes.iter().find(|kv| kv.key == key)?.value.clone()?.value
}

/// The value of a text attribute.
pub fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    match attribute(attributes, key)? {
        any_value::Value::StringValue(text) => Some(text),
        other => panic!("{key} is {other:?}"),
    }
}

/// The value of an integer attribute.
pub fn int(attributes: &[KeyValue], key: &str) -> Option<i64> {
    match attribute(attributes, key)? {
        any_value::Value::IntValue(n) => Some(n),
        other => panic!("{key} is {other:?}"),
    }
}

/// The value of a floating-point attribute.
pub fn double(attributes: &[KeyValue], key: &str) -> Option<f64> {
    match attribute(attributes, key)? {
        any_value::Value::DoubleValue(x) => Some(x),
        other => panic!("{key} is {other:?}"),
    }
}
