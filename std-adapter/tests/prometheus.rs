//! What Prometheus scrapes of a running server, and pushing where nobody listens.
#![cfg(feature = "prometheus")]

mod support;

#[path = "../export/tests/support/client_model.rs"]
mod client_model;
#[path = "../export/tests/support/exposition.rs"]
mod exposition;
#[path = "../export/tests/support/scrape.rs"]
mod scrape;

use scrape::get;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use support::{free_address, in_own_process};
use throughline::{counter, counter_family, histogram, span};
use throughline_std::prometheus::{Prometheus, PrometheusOptions, PushgatewayOptions};
use throughline_std::{Config, observe};

fn config() -> Config {
    // No snapshot is made at an interval.
    Config::new("shop").without_otlp().terminal(false).metrics_every(Duration::MAX)
}

fn families(address: SocketAddr) -> std::collections::BTreeMap<String, exposition::Family> {
    exposition::parse(get(address, "/metrics", "").text(), false)
}

#[test]
fn a_scrape_sees_what_was_counted_just_now() {
    in_own_process("a_scrape_sees_what_was_counted_just_now", || {
        let prometheus = Prometheus::bind(&PrometheusOptions::default().port(0)).unwrap();
        let address = prometheus.address();
        let guard = throughline_std::init(&config().exporter("prometheus", prometheus)).unwrap();
        let mut asked = 0;
        observe::gauge("asked").with(move || (asked += 1, asked).1).keep();
        for n in 1..=3 {
            counter!("orders", unit = "{order}", description = "Orders taken").add(1);
            counter_family!("requests", labels = ["route"], capacity = 4).add(["/a"], 2);
            histogram!("wait", unit = "ms").record(20);
            counter_family!("seen", labels = ["n"], capacity = 2).add([&*n.to_string()], 1);
            let families = families(address);
            let value = |name: &str| families[name].samples[0].value;
            assert_eq!(families["orders_total"].help.as_deref(), Some("Orders taken"));
            assert_eq!((value("orders_total"), value("requests_total")), (f64::from(n), f64::from(2 * n)));
            assert_eq!(families["requests_total"].samples[0].labels["route"], "/a");
            // A label set is there from its first use on, and what finds no room in the overflow series.
            let seen = families["seen_total"].samples.iter().map(|sample| sample.labels.get("n").cloned());
            let expected = [Some("1"), Some("2"), None].map(|label| label.map(str::to_owned));
            let (mut seen, mut expected) = (seen.collect::<Vec<_>>(), expected[..n as usize].to_vec());
            seen.sort();
            expected.sort();
            assert_eq!(seen, expected);
            let scope = &families["orders_total"].samples[0].labels;
            assert_eq!(
                (&*scope["otel_scope_name"], &*scope["otel_scope_version"]),
                ("throughline-std", env!("CARGO_PKG_VERSION"))
            );
            let wait = families["wait_milliseconds"].samples.last().unwrap();
            assert_eq!((&*wait.name, wait.value), ("wait_milliseconds_count", f64::from(n)));
            assert_eq!(value("asked"), f64::from(n));
            assert_eq!(families["target_info"].samples[0].labels["service_name"], "shop");
        }
        assert!(guard.shutdown(Duration::from_secs(30)).complete);
    });
}

/// Reads a page with native histograms as Prometheus does.
fn protobuf(address: SocketAddr) -> Vec<client_model::MetricFamily> {
    let accept = "Accept: application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited\r\n";
    client_model::decode(&get(address, "/metrics", accept).body)
}

#[test]
fn an_exemplar_on_the_page_is_the_span_of_its_value() {
    in_own_process("an_exemplar_on_the_page_is_the_span_of_its_value", || {
        let prometheus = Prometheus::bind(&PrometheusOptions::default().port(0)).unwrap();
        let address = prometheus.address();
        let guard = throughline_std::init(&config().exporter("prometheus", prometheus)).unwrap();
        let record = |value: f64| {
            let _span = span!("request");
            histogram!("wait" as f64, unit = "s").record(value);
            let here = throughline::current().unwrap();
            (here.trace_id.to_string(), here.span_id.to_string())
        };
        let (slow, quick) = (record(3.0), record(0.25));
        let page = get(address, "/metrics", "Accept: application/openmetrics-text; version=1.0.0\r\n");
        let families = exposition::parse(page.text(), true);
        let told =
            |le: &str| {
                let bucket = families["wait_seconds"]
                    .samples
                    .iter()
                    .find(|s| s.labels.get("le").is_some_and(|it| it == le));
                bucket.unwrap().exemplar.clone().map(|(labels, value, _)| {
                    ((labels["trace_id"].clone(), labels["span_id"].clone()), value)
                })
            };
        assert_eq!((told("4.0"), told("0.25")), (Some((slow.clone(), 3.0)), Some((quick.clone(), 0.25))));
        assert_eq!((told("2.0"), told("+Inf")), (None, None));
        let families = protobuf(address);
        let wait = families.iter().find(|family| family.name() == "wait_seconds").unwrap();
        let mut native: Vec<_> = wait.metric[0]
            .histogram
            .as_ref()
            .unwrap()
            .exemplars
            .iter()
            .map(|exemplar| {
                let label = |at: usize| exemplar.label[at].value().to_owned();
                ((label(0), label(1)), exemplar.value())
            })
            .collect();
        native.sort_by(|a, b| a.1.total_cmp(&b.1));
        assert_eq!(native, [(quick, 0.25), (slow, 3.0)]);
        assert!(guard.shutdown(Duration::from_secs(30)).complete);
    });
}

#[test]
fn scrapes_go_on_while_metrics_are_counted_and_exported() {
    in_own_process("scrapes_go_on_while_metrics_are_counted_and_exported", || {
        let prometheus = Prometheus::bind(&PrometheusOptions::default().port(0)).unwrap();
        let address = prometheus.address();
        let config = config().metrics_every(Duration::from_millis(1)).exporter("prometheus", prometheus);
        let guard = throughline_std::init(&config.exporter("other", Nothing)).unwrap();
        const THREADS: u32 = 3;
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| (0..20_000).for_each(|_| counter!("busy").add(1)));
            }
            let mut before = 0.0;
            for _ in 0..20 {
                let families = families(address);
                let now = families.get("busy_total").map_or(0.0, |family| family.samples[0].value);
                assert!(now >= before, "{now} after {before}");
                before = now;
            }
        });
        assert_eq!(families(address)["busy_total"].samples[0].value, f64::from(THREADS * 20_000));
        assert!(guard.shutdown(Duration::from_secs(30)).complete);
    });
}

struct Nothing;

impl throughline_std::Exporter for Nothing {
    fn flush(&mut self, _: &throughline_std::Deadline) -> Result<(), throughline_std::ExportError> {
        Ok(())
    }
}

#[test]
fn a_port_that_is_taken_is_an_error_of_init_and_nothing_has_begun() {
    in_own_process("a_port_that_is_taken_is_an_error_of_init_and_nothing_has_begun", || {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let options = PrometheusOptions::default().port(taken.local_addr().unwrap().port());
        let config = config().prometheus(options);
        let error = throughline_std::init(&config).unwrap_err().to_string();
        assert!(error.contains("another program listens there"), "{error}");
        let address = taken.local_addr().unwrap();
        drop(taken);
        let guard = throughline_std::init(&config).unwrap();
        counter!("n").add(1);
        assert_eq!(families(address)["n_total"].samples[0].value, 1.0);
        assert!(guard.shutdown(Duration::from_secs(30)).complete);
    });
}

/// Answers every request with this status line and body; gives back its address and the requests.
fn answering(status: &'static str, body: &'static str) -> (SocketAddr, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, requests) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut request, mut bytes) = (Vec::new(), [0; 65_536]);
            loop {
                let text = String::from_utf8_lossy(&request);
                let length = text
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
                if let Some((head, body)) = text.split_once("\r\n\r\n")
                    && body.len() >= length.unwrap_or(0)
                {
                    let _ = sender.send(head.to_owned());
                    break;
                }
                match stream.read(&mut bytes).unwrap() {
                    0 => break,
                    n => request.extend_from_slice(&bytes[..n]),
                }
            }
            write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            )
            .unwrap();
        }
    });
    (address, requests)
}

#[test]
fn pushes_that_fail_are_told_and_cost_nothing_else() {
    in_own_process("pushes_that_fail_are_told_and_cost_nothing_else", || {
        let nobody = free_address();
        let (refusing, requests) = answering("400 Bad Request", "inconsistent");
        let url = |address| format!("http://{address}");
        let options = |address| PushgatewayOptions::new(&url(address)).unwrap().header("X-Scope", "a");
        let config =
            config().report_errors(false).pushgateway(options(refusing).replace(false).job("backup"));
        let second = throughline_std::prometheus::Pushgateway::new(&options(nobody)).unwrap();
        let guard = throughline_std::init(&config.exporter("second", second)).unwrap();
        counter!("n").add(1);
        assert!(guard.flush(Duration::from_secs(30)));
        let request = requests.recv().unwrap().to_lowercase();
        assert!(request.starts_with("post /metrics/job/backup http/1.1\r\n"), "{request}");
        assert!(
            request.contains("\r\nx-scope: a")
                && request.contains("\r\ncontent-type: text/plain; version=0.0.4"),
            "{request}"
        );
        let error = guard.last_error().unwrap();
        let begin = format!(
            "http://{refusing}/metrics/job/backup answered 400 (inconsistent): it does not take these"
        );
        assert!(error.starts_with(&begin), "{error}");
        let report = guard.shutdown(Duration::from_millis(400));
        assert!(report.ledger.is_settled(), "{report:?}");
    });
}

#[test]
fn pages_of_one_place_share_a_server_and_its_token() {
    use throughline_std::admin::{AdminOptions, AdminServer, Response, Route};

    in_own_process("pages_of_one_place_share_a_server_and_its_token", || {
        // A port that is free now.
        let port = AdminServer::bind(&AdminOptions::default().port(0)).unwrap().address().port();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let text = format!(
            "terminal.enabled = false\nmetrics.prometheus.port = {port}\nadmin = {{ port = {port}, token = \"s3cret\" }}\n"
        );
        let path = std::env::temp_dir().join(format!("throughline-pages-{port}.toml"));
        std::fs::write(&path, text).unwrap();
        let config = Config::load(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(!format!("{config:?}").contains("s3cret"));
        let version = Route::new("/version", |_| Response::text(200, "1.2.3"));
        let guard = throughline_std::init(&config.without_otlp().page(version)).unwrap();
        assert_eq!(get(address, "/version", "").status, 401);
        assert_eq!(get(address, "/metrics", "").status, 401);
        let token = "Authorization: Bearer s3cret\r\n";
        assert_eq!(get(address, "/version", token).text(), "1.2.3");
        assert!(get(address, "/metrics", token).text().contains("target_info"));
        assert_eq!(get(address, "/", token).text(), "there is nothing here; there are /version, /metrics\n");
        assert!(guard.shutdown(Duration::from_secs(30)).complete);
        // Nothing listens any more.
        assert!((0..100_000).any(|_| TcpListener::bind(address).is_ok()));
    });
}
