//! Sends records to real servers and checks what they stored: Jaeger, Kafka, the newest Prometheus, VictoriaMetrics, Zipkin,
//! and VictoriaLogs in place of Loki and Elasticsearch. `cargo xtask interop` installs and starts the servers, and passes their addresses
//! in variables.
#![cfg(all(feature = "grpc", feature = "prometheus"))]

#[cfg(all(feature = "events-kafka", unix))]
#[path = "interop/kafka.rs"]
mod kafka;
#[path = "../export/tests/support/scrape.rs"]
mod scrape;
#[path = "support/servers.rs"]
mod servers;
mod support;

use servers::Server;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use support::in_own_process;
use throughline::{Context, Status, counter, counter_family, gauge, histogram, info, span, warn};
use throughline_std::log::{Elastic, Loki};
use throughline_std::otlp::{ClientConfig, Protocol};
use throughline_std::prometheus::{Prometheus, PrometheusOptions, RemoteWrite, RemoteWriteVersion};
use throughline_std::zipkin::Zipkin;
use throughline_std::{Config, Deadline, Exporter};

const LONG: Duration = Duration::from_secs(30);

fn address(variable: &str) -> SocketAddr {
    let at = std::env::var(variable).unwrap_or_default();
    at.parse().unwrap_or_else(|_| panic!("{variable} is `{at}`: run `cargo xtask interop`"))
}

/// Runs `work` with only this exporter. All of its records must have been delivered at the end.
fn with_exporter<R>(exporter: impl Exporter + 'static, work: impl FnOnce() -> R) -> R {
    let config = Config::new("interop").without_otlp().exporter("partner", exporter);
    let guard = throughline_std::init(&config).unwrap();
    let result = work();
    let report = guard.shutdown(LONG);
    let hop = report.ledger.exporter("partner");
    assert!(report.complete && hop.dropped_total() == 0 && hop.input > 0, "{}", report.ledger);
    result
}

/// Repeats the request until the answer is complete.
fn ask(address: SocketAddr, path: &str, is_complete: impl Fn(&str) -> bool) -> String {
    let deadline = Deadline::within(LONG);
    loop {
        let answer = scrape::get(address, path, "Connection: close\r\nAccept-Encoding: identity\r\n");
        let text = unchunked(&answer);
        if answer.status == 200 && is_complete(&text) {
            return text;
        }
        assert!(deadline.pause(Duration::from_millis(100)), "{path} answers {}: {text}", answer.status);
    }
}

/// The body of the answer. Chunks are joined.
fn unchunked(answer: &scrape::Answer) -> String {
    if !answer
        .headers
        .iter()
        .any(|(name, value)| name.eq_ignore_ascii_case("transfer-encoding") && value == "chunked")
    {
        return answer.text().to_owned();
    }
    let (mut rest, mut body) = (answer.text(), String::new());
    while let Some((length, tail)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        body += &tail[..length];
        rest = tail[length..].trim_start_matches("\r\n");
    }
    body
}

/// A word that no earlier run has used, because servers may keep older records.
fn unique() -> String {
    format!("w{}", SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos())
}

#[test]
#[ignore = "needs Zipkin: `cargo xtask interop`"]
fn zipkin_shows_the_trace() {
    in_own_process("zipkin_shows_the_trace", || {
        let address = address("THROUGHLINE_ZIPKIN");
        let zipkin = Zipkin::new(&format!("http://{address}"), "shop").unwrap();
        let trace_id = with_exporter(zipkin, || {
            let mut outer = span!(kind: Server, "GET /orders", user = "ann\"\n", n = 7);
            outer.set_status(Status::Error);
            let _inner = span!(kind: Client, "query");
            Context::current().trace_context().unwrap().trace_id.to_string()
        });
        let trace = ask(address, &format!("/api/v2/trace/{trace_id}"), |text| text.contains("query"));
        let spans: Vec<serde_json::Value> = serde_json::from_str(&trace).unwrap();
        let named = |name: &str| spans.iter().find(|span| span["name"] == name).unwrap();
        // Zipkin converts names to lower case.
        let (outer, inner) = (named("get /orders"), named("query"));
        assert_eq!((&outer["kind"], &inner["kind"]), (&"SERVER".into(), &"CLIENT".into()));
        assert_eq!((&inner["parentId"], &outer["parentId"]), (&outer["id"], &serde_json::Value::Null));
        assert_eq!((&outer["tags"]["user"], &outer["tags"]["n"]), (&"ann\"\n".into(), &"7".into()));
        assert_eq!(outer["tags"]["otel.status_code"], "ERROR");
        assert_eq!(outer["localEndpoint"]["serviceName"], "shop");
        assert!(outer["duration"].as_u64() >= inner["duration"].as_u64());
    });
}

/// Logs two records with this word, the second one in a span. Returns the span's trace id.
fn log_two(word: &str) -> String {
    warn!("lone {n} of {word}", n = 1, word = word);
    let _span = span!("request");
    info!("left {n} of {word}", n = 7, word = word);
    Context::current().trace_context().unwrap().trace_id.to_string()
}

/// The two records that VictoriaLogs returns for a query, once it has both.
fn stored(address: SocketAddr, query: &str) -> Vec<serde_json::Value> {
    let path = format!("/select/logsql/query?query={}", query.replace(' ', "%20").replace('|', "%7C"));
    let text = ask(address, &path, |text| text.lines().count() == 2);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
#[ignore = "needs VictoriaLogs: `cargo xtask interop`"]
fn victoria_logs_takes_what_loki_gets() {
    in_own_process("victoria_logs_takes_what_loki_gets", || {
        let address = address("THROUGHLINE_VICTORIA_LOGS");
        let loki = Loki::new(&format!("http://{address}/insert/loki/api/v1/push"), "shop").unwrap();
        let word = unique();
        let trace_id = with_exporter(loki.label("env", "test"), || log_two(&word));
        let lines = stored(address, &format!("word:{word} | sort by (_time)"));
        assert_eq!(lines[0]["_msg"], format!("lone 1 of {word}"));
        assert_eq!(lines[0]["trace_id"], serde_json::Value::Null);
        assert_eq!(lines[1]["_msg"], format!("left 7 of {word}"));
        assert_eq!((&lines[1]["trace_id"], &lines[1]["n"]), (&trace_id.into(), &"7".into()));
        let stream = lines[1]["_stream"].as_str().unwrap();
        assert!(stream.contains("service_name=\"shop\"") && stream.contains("level=\"info\""), "{stream}");
    });
}

#[test]
#[ignore = "needs VictoriaLogs: `cargo xtask interop`"]
fn victoria_logs_takes_what_elasticsearch_gets() {
    in_own_process("victoria_logs_takes_what_elasticsearch_gets", || {
        let address = address("THROUGHLINE_VICTORIA_LOGS");
        let options = "_msg_field=message&_time_field=@timestamp&_stream_fields=service.name";
        let url = format!("http://{address}/insert/elasticsearch/_bulk?{options}");
        let elastic = Elastic::new(&url, "logs-shop-default", "shop").unwrap();
        let word = unique();
        let trace_id = with_exporter(elastic, || log_two(&word));
        let lines = stored(address, &format!("labels.word:{word} | sort by (_time)"));
        assert_eq!(lines[0]["_msg"], format!("lone 1 of {word}"));
        assert_eq!(
            (&lines[0]["log.level"], &lines[0]["trace.id"]),
            (&"warn".into(), &serde_json::Value::Null)
        );
        assert_eq!((&lines[1]["trace.id"], &lines[1]["labels.n"]), (&trace_id.into(), &"7".into()));
        assert_eq!(lines[1]["log.origin.file.name"], file!());
    });
}

/// Sends a trace of a server's and a client's span to Jaeger by this protocol, and looks at what it shows.
fn jaeger_shows_a_trace_sent_by(protocol: Protocol, variable: &str) {
    let otlp =
        ClientConfig::new(&format!("http://{}", address(variable))).unwrap().protocol(protocol).unwrap();
    let guard = throughline_std::init(&Config::new("shop").otlp_client(otlp).terminal(false)).unwrap();
    let trace_id = {
        let mut outer = span!(kind: Server, "GET /orders", user = "ann\"\n", n = 7, ratio = 0.5, paid = true);
        outer.set_status(Status::Error);
        warn!("stock is low", left = 3);
        let _inner = span!(kind: Client, "query");
        Context::current().trace_context().unwrap().trace_id.to_string()
    };
    let report = guard.shutdown(LONG);
    let traces = report.ledger.exporter("otlp.traces");
    assert!(traces.output >= 2 && traces.dropped_total() == 0, "{}", report.ledger);
    let path = format!("/api/traces/{trace_id}");
    let answer = ask(address("THROUGHLINE_JAEGER"), &path, |text| text.contains("query"));
    let trace = serde_json::from_str::<serde_json::Value>(&answer).unwrap()["data"][0].clone();
    assert_eq!(
        (&trace["traceID"], trace["spans"].as_array().unwrap().len()),
        (&trace_id.into(), 2),
        "{trace}"
    );
    let named = |name: &str| {
        let spans = trace["spans"].as_array().unwrap();
        spans.iter().find(|span| span["operationName"] == name).unwrap().clone()
    };
    let (outer, inner) = (named("GET /orders"), named("query"));
    let tag = |of: &serde_json::Value, key: &str| {
        let tags = of["tags"].as_array().unwrap();
        tags.iter().find(|tag| tag["key"] == key).map_or(serde_json::Value::Null, |tag| tag["value"].clone())
    };
    assert_eq!(outer["references"].as_array().map(Vec::len), Some(0), "{outer}");
    assert_eq!(inner["references"][0]["refType"], "CHILD_OF");
    assert_eq!(inner["references"][0]["spanID"], outer["spanID"]);
    assert_eq!((tag(&outer, "span.kind"), tag(&inner, "span.kind")), ("server".into(), "client".into()));
    assert_eq!((tag(&outer, "user"), tag(&outer, "n")), ("ann\"\n".into(), 7.into()));
    assert_eq!((tag(&outer, "ratio"), tag(&outer, "paid")), (0.5.into(), true.into()));
    assert_eq!((tag(&outer, "otel.status_code"), tag(&outer, "error")), ("ERROR".into(), true.into()));
    assert_eq!(tag(&outer, "otel.scope.name"), "throughline-std");
    assert!(outer["duration"].as_u64() >= inner["duration"].as_u64());
    let process = &trace["processes"][outer["processID"].as_str().unwrap()];
    assert_eq!(process["serviceName"], "shop");
    assert_eq!(tag(process, "telemetry.sdk.language"), "rust");
}

#[test]
#[ignore = "needs Jaeger: `cargo xtask interop`"]
fn jaeger_shows_a_trace_sent_over_http() {
    in_own_process("jaeger_shows_a_trace_sent_over_http", || {
        jaeger_shows_a_trace_sent_by(Protocol::HttpProtobuf, "THROUGHLINE_JAEGER_OTLP_HTTP");
    });
}

#[test]
#[ignore = "needs Jaeger: `cargo xtask interop`"]
fn jaeger_shows_a_trace_sent_over_grpc() {
    in_own_process("jaeger_shows_a_trace_sent_over_grpc", || {
        jaeger_shows_a_trace_sent_by(Protocol::Grpc, "THROUGHLINE_JAEGER_OTLP_GRPC");
    });
}

#[test]
#[ignore = "needs VictoriaMetrics: `cargo xtask interop`"]
fn victoria_metrics_scrapes_the_page() {
    in_own_process("victoria_metrics_scrapes_the_page", || {
        let page = Prometheus::bind(&PrometheusOptions::default().port(0)).unwrap();
        let target = page.address();
        let config = Config::new("shop").without_otlp().terminal(false).exporter("prometheus", page);
        let guard = throughline_std::init(&config).unwrap();
        counter!("orders", unit = "{order}", description = "Orders taken").add(41);
        counter_family!("http.requests", labels = ["http.route"], capacity = 4).add(["/a\"b\\c\nd é"], 7);
        gauge!("room.temperature" as f64, unit = "Cel").set(18.25);
        for n in 1..=100 {
            histogram!("request.duration" as f64, unit = "s").record(f64::from(n) / 100.0);
        }
        let mut server = Server::victoria_metrics("scraped", target);
        assert_eq!(server.value("orders_total"), 41.0);
        assert_eq!(server.value("room_temperature_celsius"), 18.25);
        assert_eq!(server.value("request_duration_seconds_count"), 100.0);
        let (labels, value) = server.query("http_requests_total").remove(0);
        assert_eq!((labels["http_route"].as_str(), value), (Some("/a\"b\\c\nd é"), 7.0));
        assert_eq!((labels["job"].as_str(), server.value("up")), (Some("shop"), 1.0));
        let median = server.value("histogram_quantile(0.5, request_duration_seconds_bucket)");
        // Classic buckets end at powers of two.
        assert!((0.25..=1.0).contains(&median), "{median}");
        assert!(guard.shutdown(LONG).complete);
    });
}

#[test]
#[ignore = "needs VictoriaMetrics: `cargo xtask interop`"]
fn victoria_metrics_takes_metrics_over_otlp() {
    in_own_process("victoria_metrics_takes_metrics_over_otlp", || {
        let nothing = SocketAddr::from(([127, 0, 0, 1], 1));
        let mut server = Server::victoria_metrics("otlp", nothing);
        let otlp = ClientConfig::new(&format!("http://{}/opentelemetry", server.address)).unwrap();
        let only_metrics = otlp.without_signal(throughline_std::otlp::Signal::Traces);
        let only_metrics = only_metrics.without_signal(throughline_std::otlp::Signal::Logs);
        let config = Config::new("shop").otlp_client(only_metrics).terminal(false);
        let guard = throughline_std::init(&config).unwrap();
        counter!("orders").add(41);
        for n in 1..=100 {
            histogram!("request.duration" as f64, unit = "s").record(f64::from(n) / 100.0);
        }
        let report = guard.shutdown(LONG);
        assert!(report.complete, "{}", report.ledger);
        assert_eq!(server.value("{__name__=\"orders\"}"), 41.0);
        assert_eq!(server.value("{__name__=\"request.duration_count\"}"), 100.0);
        let (labels, _) = server.query("{__name__=\"orders\"}").remove(0);
        assert_eq!(labels["service.name"], "shop");
    });
}

#[test]
#[ignore = "needs VictoriaMetrics: `cargo xtask interop`"]
fn victoria_metrics_takes_remote_write_and_sees_the_end_of_the_series() {
    in_own_process("victoria_metrics_takes_remote_write_and_sees_the_end_of_the_series", || {
        let nothing = SocketAddr::from(([127, 0, 0, 1], 1));
        let mut server = Server::victoria_metrics("written", nothing);
        let writer = RemoteWrite::new(&format!("http://{}", server.address)).unwrap();
        let config = Config::new("shop").without_otlp().terminal(false).exporter("remote-write", writer);
        let guard = throughline_std::init(&config).unwrap();
        counter!("orders", unit = "{order}", description = "Orders taken").add(41);
        counter_family!("http.requests", labels = ["http.route"], capacity = 4).add(["/a\"b\\c\nd é"], 7);
        gauge!("room.temperature" as f64, unit = "Cel").set(18.25);
        for n in 1..=100 {
            histogram!("request.duration" as f64, unit = "s").record(f64::from(n) / 100.0);
        }
        assert!(guard.flush(LONG));
        assert_eq!(guard.last_error(), None);
        assert_eq!(server.value("orders_total"), 41.0);
        assert_eq!(server.value("room_temperature_celsius"), 18.25);
        assert_eq!(server.value("request_duration_seconds_count"), 100.0);
        let (labels, value) = server.query("http_requests_total").remove(0);
        assert_eq!((labels["http_route"].as_str(), value), (Some("/a\"b\\c\nd é"), 7.0));
        assert_eq!(labels["job"].as_str(), Some("shop"));
        let median = server.value("histogram_quantile(0.5, request_duration_seconds_bucket)");
        // Classic buckets end at powers of two.
        assert!((0.25..=1.0).contains(&median), "{median}");
        assert!(guard.shutdown(LONG).complete);
        server.wait_for("the end of the series", |server| {
            server.query("orders_total").is_empty().then_some(())
        });
    });
}

#[test]
#[ignore = "needs the newest Prometheus: `cargo xtask interop`"]
fn prometheus_takes_remote_write_2_with_native_histograms() {
    in_own_process("prometheus_takes_remote_write_2_with_native_histograms", || {
        let mut server = Server::newest_prometheus("newest");
        let writer = RemoteWrite::new(&format!("http://{}", server.address)).unwrap();
        let writer = writer.version(RemoteWriteVersion::V2).native_histograms(true);
        let config = Config::new("shop").without_otlp().terminal(false).exporter("remote-write", writer);
        let guard = throughline_std::init(&config).unwrap();
        counter!("orders", unit = "{order}", description = "Orders taken").add(41);
        counter_family!("http.requests", labels = ["http.route"], capacity = 4).add(["/a\"b\\c\nd é"], 7);
        gauge!("room.temperature" as f64, unit = "Cel").set(18.25);
        let trace_id = {
            let _span = span!("request");
            for n in 1..=100 {
                histogram!("request.duration" as f64, unit = "s", scale = 3).record(f64::from(n) / 100.0);
            }
            Context::current().trace_context().unwrap().trace_id.to_string()
        };
        assert!(guard.flush(LONG));
        assert_eq!(guard.last_error(), None);
        assert_eq!(server.value("orders_total"), 41.0);
        assert_eq!(server.value("room_temperature_celsius"), 18.25);
        assert_eq!(server.value("histogram_count(request_duration_seconds)"), 100.0);
        let median = server.value("histogram_quantile(0.5, request_duration_seconds)");
        // The bounds of a bucket are 2^(1/8) apart at scale 3.
        assert!((median / 0.5).max(0.5 / median) <= 2_f64.powf(1.0 / 8.0), "{median}");
        let (labels, value) = server.query("http_requests_total").remove(0);
        assert_eq!((labels["http_route"].as_str(), value), (Some("/a\"b\\c\nd é"), 7.0));
        assert_eq!(labels["job"].as_str(), Some("shop"));
        let exemplars = "/api/v1/query_exemplars?query=request_duration_seconds&start=0&end=9999999999";
        let found = server.wait_for("an exemplar", |server| {
            server.api(exemplars)[0]["exemplars"].as_array().map(|exemplars| exemplars[0].clone())
        });
        assert_eq!(found["labels"]["trace_id"], trace_id);
        // It refuses what it has already.
        assert!(guard.flush(LONG));
        assert_eq!(guard.last_error(), None);
        assert!(guard.shutdown(LONG).complete);
        server.wait_for("the end of the series", |server| {
            server.query("orders_total").is_empty().then_some(())
        });
    });
}
