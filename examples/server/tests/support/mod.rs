//! The Collector's output, which is lines of OTLP JSON, as flat lists.

use std::time::{Duration, Instant};
use std::{env, fs, thread};

use serde_json::{Map, Value};

/// How long the Collector may take to write what it received.
const LIMIT: Duration = Duration::from_secs(30);

/// The Collector's address and its output file.
pub(crate) struct Collector {
    /// Address for OTLP over HTTP.
    pub(crate) http: String,
    file: String,
}

impl Collector {
    /// The Collector that `cargo xtask test --only collector` has started.
    pub(crate) fn from_env() -> Collector {
        let var = |name| {
            env::var(name)
                .unwrap_or_else(|_| panic!("{name} is not set: run `cargo xtask test --only collector`"))
        };
        Collector { http: var("THROUGHLINE_COLLECTOR_HTTP"), file: var("THROUGHLINE_COLLECTOR_FILE") }
    }

    /// Waits until the received data satisfies `enough`.
    pub(crate) fn wait(&self, enough: impl Fn(&Received) -> bool) -> Received {
        let deadline = Instant::now() + LIMIT;
        loop {
            let received =
                Received::parse(&fs::read_to_string(&self.file).expect("the Collector's file is there"));
            if enough(&received) {
                return received;
            }
            assert!(Instant::now() < deadline, "the Collector has written no more than this: {received:#?}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Everything received. Each object has the name of its service as `service`.
#[derive(Debug, Default)]
pub(crate) struct Received {
    pub(crate) spans: Vec<Value>,
    pub(crate) logs: Vec<Value>,
    pub(crate) metrics: Vec<Value>,
}

impl Received {
    fn parse(text: &str) -> Received {
        let mut received = Received::default();
        // A last line without a line break is still being written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for line in whole.lines() {
            let message: Value = serde_json::from_str(line).expect("the Collector writes JSON");
            for (resources, scopes, items, to) in [
                ("resourceSpans", "scopeSpans", "spans", &mut received.spans),
                ("resourceLogs", "scopeLogs", "logRecords", &mut received.logs),
                ("resourceMetrics", "scopeMetrics", "metrics", &mut received.metrics),
            ] {
                for resource in list(&message[resources]) {
                    let service = &attributes(&resource["resource"])["service.name"];
                    for scope in list(&resource[scopes]) {
                        for item in list(&scope[items]) {
                            let mut item = item.clone();
                            item["service"] = service.clone();
                            to.push(item);
                        }
                    }
                }
            }
        }
        received
    }

    /// The spans of a service.
    pub(crate) fn spans_of<'a>(&'a self, service: &str) -> Vec<&'a Value> {
        self.spans.iter().filter(|span| span["service"] == service).collect()
    }

    /// The logs of a service.
    pub(crate) fn logs_of<'a>(&'a self, service: &str) -> Vec<&'a Value> {
        self.logs.iter().filter(|log| log["service"] == service).collect()
    }

    /// The newest data points of a service's metric.
    pub(crate) fn metric<'a>(&'a self, service: &str, name: &str) -> &'a Value {
        let mut found =
            self.metrics.iter().filter(|metric| metric["service"] == service && metric["name"] == name);
        found.next_back().unwrap_or_else(|| panic!("no metric {name} of {service}"))
    }
}

/// The elements of a JSON array; empty if it is something else.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Attributes as an object: strings, numbers and booleans by their key, 64-bit integers as numbers.
pub(crate) fn attributes(of: &Value) -> Value {
    let pairs = list(&of["attributes"]).iter().map(|attribute| {
        let key = attribute["key"].as_str().expect("an attribute has a key").to_owned();
        (key, any_value(&attribute["value"]))
    });
    Value::Object(pairs.collect::<Map<_, _>>())
}

fn any_value(value: &Value) -> Value {
    let (kind, inner) =
        value.as_object().and_then(|object| object.iter().next()).expect("a value has a kind");
    match kind.as_str() {
        "intValue" => Value::from(integer(inner)),
        _ => inner.clone(),
    }
}

/// A 64-bit integer, which is a string in OTLP JSON.
pub(crate) fn integer(value: &Value) -> i64 {
    let text = value.as_str().map(str::to_owned).unwrap_or_else(|| value.to_string());
    text.parse().unwrap_or_else(|_| panic!("no integer: {value}"))
}
