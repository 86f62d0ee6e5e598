//! A real Prometheus scrapes a running server, with and without native histograms, and answers queries; a real Pushgateway takes what is pushed. `cargo xtask test --only prometheus` installs
//! Debian's packages and runs these.
#![cfg(feature = "prometheus")]

mod support;

#[path = "../export/tests/support/points.rs"]
mod points;
#[path = "../export/tests/support/scrape.rs"]
mod scrape;
#[path = "support/servers.rs"]
mod servers;

use points::point;
use servers::{Server, encoded};
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;
use support::in_own_process;
use throughline::{
    SpanId, TraceId, counter, counter_family, gauge, histogram, span, summary, up_down_counter,
};
use throughline_std::prometheus::{
    PageOptions, Prometheus, PrometheusOptions, PushgatewayOptions, RemoteWrite, RemoteWriteVersion,
};
use throughline_std::view::{ExemplarView, HistogramView, PointData};
use throughline_std::{Config, Exporter, Guard, Host, ReadMetrics, Resource};

/// Latencies in seconds, 100 µs to 200 ms, most of them short, ascending.
fn latencies() -> Vec<f64> {
    (0..2000).map(|n| 1e-4 * (f64::from(n) / 263.0).exp2().powf(1.45)).collect()
}

fn started() -> (Guard, SocketAddr) {
    let prometheus = Prometheus::bind(&PrometheusOptions::default().port(0)).unwrap();
    let address = prometheus.address();
    let config = Config::new("shop").without_otlp().terminal(false).exporter("prometheus", prometheus);
    let guard = throughline_std::init(&config).unwrap();
    count();
    (guard, address)
}

fn count() {
    counter!("orders", unit = "{order}", description = "Orders taken").add(41);
    counter_family!("http.requests", labels = ["http.route"], capacity = 4, description = "Requests")
        .add(["/a\"b\\c\nd é\0"], 7);
    up_down_counter!("queue.depth", unit = "{item}", description = "Jobs that wait").add(-2);
    gauge!("room.temperature" as f64, unit = "Cel", description = "In the room").set(18.25);
    summary!("job.size", unit = "By", description = "Bytes of a job").record(4096);
    for seconds in latencies() {
        histogram!("request.duration" as f64, unit = "s", scale = 3, description = "How long requests take")
            .record(seconds);
    }
}

fn quantile(of: &[f64], q: f64) -> f64 {
    of[(q * of.len() as f64).ceil() as usize - 1]
}

#[test]
#[ignore = "needs Prometheus: cargo xtask test --only prometheus"]
fn a_quantile_of_a_native_histogram_is_within_the_stated_error() {
    in_own_process("a_quantile_of_a_native_histogram_is_within_the_stated_error", || {
        let (guard, address) = started();
        let mut prometheus = Server::prometheus("native", address, "native-histograms");
        for q in [0.05, 0.5, 0.9, 0.99, 0.999] {
            let estimate = prometheus.value(&format!("histogram_quantile({q}, request_duration_seconds)"));
            let exact = quantile(&latencies(), q);
            // Estimate and value are in one bucket, whose bounds are 2^(1/8) apart at scale 3.
            let off = (estimate / exact).max(exact / estimate);
            assert!(off <= 2_f64.powf(1.0 / 8.0), "{q}: {estimate} for {exact}, off by {off}");
            println!("native: q {q}: {estimate:.6} for {exact:.6}, off by a factor of {off:.4}");
        }
        assert_eq!(prometheus.value("histogram_count(request_duration_seconds)"), 2000.0);
        let sum: f64 = latencies().iter().sum();
        let scraped = prometheus.value("histogram_sum(request_duration_seconds)");
        assert!((scraped - sum).abs() < sum * 1e-3, "{scraped} for {sum}");
        assert_eq!(
            prometheus.query("request_duration_seconds_bucket"),
            [],
            "a native histogram is kept as one series"
        );
        series(&mut prometheus);
        assert!(guard.shutdown(Duration::from_secs(30)).complete);
    });
}

#[test]
#[ignore = "needs Prometheus: cargo xtask test --only prometheus"]
fn a_quantile_of_classic_buckets_is_within_a_factor_of_two() {
    in_own_process("a_quantile_of_classic_buckets_is_within_a_factor_of_two", || {
        let (guard, address) = started();
        let mut prometheus = Server::prometheus("classic", address, "");
        for q in [0.05, 0.5, 0.9, 0.99, 0.999] {
            let estimate =
                prometheus.value(&format!("histogram_quantile({q}, request_duration_seconds_bucket)"));
            let exact = quantile(&latencies(), q);
            let off = (estimate / exact).max(exact / estimate);
            assert!(off <= 2.0, "{q}: {estimate} for {exact}, off by {off}");
            println!("classic: q {q}: {estimate:.6} for {exact:.6}, off by a factor of {off:.4}");
        }
        assert_eq!(prometheus.value("request_duration_seconds_count"), 2000.0);
        series(&mut prometheus);
        assert!(guard.shutdown(Duration::from_secs(30)).complete);
    });
}

/// Looks at the series that every format has.
fn series(prometheus: &mut Server) {
    assert_eq!(prometheus.value("up"), 1.0);
    values(prometheus);
    let metadata = prometheus.api("/api/v1/metadata?metric=orders_total");
    let metadata = if metadata["orders_total"].is_null() {
        prometheus.api("/api/v1/metadata?metric=orders")
    } else {
        metadata
    };
    let metadata = metadata.as_object().unwrap().values().next().unwrap()[0].clone();
    assert_eq!(
        (metadata["type"].as_str(), metadata["help"].as_str()),
        (Some("counter"), Some("Orders taken"))
    );
}

/// Looks at the values that [`count`] made.
fn values(prometheus: &mut Server) {
    assert_eq!(prometheus.value("orders_total"), 41.0);
    assert_eq!(prometheus.value("queue_depth"), -2.0);
    assert_eq!(prometheus.value("room_temperature_celsius"), 18.25);
    assert_eq!(prometheus.value("job_size_bytes{quantile=\"0.5\"}"), 4096.0);
    assert_eq!(prometheus.value("job_size_bytes_count"), 1.0);
    let (labels, value) = prometheus.query("http_requests_total").remove(0);
    assert_eq!((labels["http_route"].as_str(), value), (Some("/a\"b\\c\nd é\0"), 7.0));
    assert_eq!(labels["otel_scope_name"], "throughline-std");
    assert!(prometheus.value("process_resident_memory_bytes") > 1e5);
    assert!(prometheus.value("time() - process_start_time_seconds") < 7200.0);
    assert_eq!(prometheus.query("target_info")[0].0["service_name"], "shop");
}

#[test]
#[ignore = "needs Prometheus: cargo xtask test --only prometheus"]
fn promtool_finds_nothing_wrong_with_the_page() {
    in_own_process("promtool_finds_nothing_wrong_with_the_page", || {
        let (guard, address) = started();
        let page = scrape::get(address, "/metrics", "").body;
        let mut promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        promtool.stdin.take().unwrap().write_all(&page).unwrap();
        let output = promtool.wait_with_output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success() && said.is_empty(), "{said}\n{}", String::from_utf8_lossy(&page));
        assert!(guard.shutdown(Duration::from_secs(30)).complete);
    });
}

fn spawn(name: &str, run: Box<dyn FnOnce() + Send>) -> std::io::Result<()> {
    std::thread::Builder::new().name(name.into()).spawn(run).map(drop)
}

#[test]
#[ignore = "needs Prometheus: cargo xtask test --only prometheus"]
fn an_exemplar_leads_to_its_trace() {
    let exemplars = [ExemplarView {
        value: 3.0,
        time_unix_ns: std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64,
        trace_id: TraceId::from_bytes([0x4b; 16]).unwrap(),
        span_id: SpanId::from_bytes([0x0f; 8]).unwrap(),
        fields: None,
    }];
    let read = ReadMetrics::new(move |look| {
        let histogram = HistogramView::new(0, 5.0, 0, 0, &[1, 1]).with_exemplars(&exemplars);
        look(&[point("wait", "s", &[], PointData::Histogram(histogram))]);
    });
    let mut exporter = Prometheus::bind(&PrometheusOptions::default().port(0)).unwrap();
    exporter.begin(&Host::new(&Resource::new("shop"), &spawn).with_metrics(&read)).unwrap();
    for features in ["exemplar-storage", "exemplar-storage,native-histograms"] {
        let mut prometheus = Server::prometheus("exemplars", exporter.address(), features);
        let found = exemplar(&mut prometheus, "wait_seconds");
        assert_eq!(found["labels"]["trace_id"], "4b".repeat(16));
        assert_eq!(found["labels"]["span_id"], "0f".repeat(8));
    }
}

#[test]
#[ignore = "needs Prometheus: cargo xtask test --only prometheus"]
fn a_recorded_value_leads_to_its_trace() {
    in_own_process("a_recorded_value_leads_to_its_trace", || {
        let exporter = Prometheus::bind(&PrometheusOptions::default().port(0)).unwrap();
        let address = exporter.address();
        let config = Config::new("shop").without_otlp().terminal(false).exporter("prometheus", exporter);
        let guard = throughline_std::init(&config).unwrap();
        let trace = {
            let _span = span!("request");
            histogram!("wait" as f64, unit = "s").record(3.0);
            throughline::current().unwrap()
        };
        for features in ["exemplar-storage", "exemplar-storage,native-histograms"] {
            let mut prometheus = Server::prometheus("recorded", address, features);
            let found = exemplar(&mut prometheus, "wait_seconds");
            assert_eq!(found["labels"]["trace_id"], trace.trace_id.to_string());
            assert_eq!(found["labels"]["span_id"], trace.span_id.to_string());
            assert_eq!(found["value"], "3");
        }
        assert!(guard.shutdown(Duration::from_secs(30)).complete);
    });
}

#[test]
#[ignore = "needs Prometheus: cargo xtask test --only prometheus"]
fn what_is_sent_by_remote_write_can_be_queried() {
    in_own_process("what_is_sent_by_remote_write_can_be_queried", || {
        written(false, |prometheus| {
            let exact = quantile(&latencies(), 0.9);
            let estimate = prometheus.value("histogram_quantile(0.9, request_duration_seconds_bucket)");
            assert!((estimate / exact).max(exact / estimate) <= 2.0, "{estimate} for {exact}");
            assert_eq!(prometheus.value("request_duration_seconds_count"), 2000.0);
        });
    });
}

#[test]
#[ignore = "needs Prometheus: cargo xtask test --only prometheus"]
fn native_histograms_sent_by_remote_write_can_be_queried() {
    in_own_process("native_histograms_sent_by_remote_write_can_be_queried", || {
        written(true, |prometheus| {
            let exact = quantile(&latencies(), 0.9);
            let estimate = prometheus.value("histogram_quantile(0.9, request_duration_seconds)");
            let off = (estimate / exact).max(exact / estimate);
            assert!(off <= 2_f64.powf(1.0 / 8.0), "{estimate} for {exact}");
            assert_eq!(prometheus.value("histogram_count(request_duration_seconds)"), 2000.0);
        });
    });
}

/// Debian's Prometheus takes version 1 alone, and answers that all is well.
#[test]
#[ignore = "needs Prometheus: cargo xtask test --only prometheus"]
fn a_prometheus_that_is_too_old_for_remote_write_2_is_told() {
    in_own_process("a_prometheus_that_is_too_old_for_remote_write_2_is_told", || {
        let prometheus = Server::receiving_prometheus("old", "");
        let writer = RemoteWrite::new(&format!("http://{}", prometheus.address)).unwrap();
        let writer = writer.version(RemoteWriteVersion::V2);
        let config = Config::new("shop").without_otlp().terminal(false).report_errors(false);
        let guard = throughline_std::init(&config.exporter("remote-write", writer)).unwrap();
        count();
        assert!(guard.flush(Duration::from_secs(30)));
        let error = guard.last_error().unwrap();
        assert!(error.contains("metrics.remote_write.version"), "{error}");
        assert!(guard.shutdown(Duration::from_secs(30)).in_time);
    });
}

/// Runs a configured service that sends its metrics to a Prometheus; `look` looks at those of its own.
fn written(native: bool, look: impl FnOnce(&mut Server)) {
    let features = if native { "exemplar-storage,native-histograms" } else { "exemplar-storage" };
    let mut prometheus = Server::receiving_prometheus("written", features);
    let folder = servers::Folder::new("service");
    let file = folder.path().join("shop.toml");
    let text = format!(
        "service = {{ name = 'shop', version = '1' }}\nterminal.enabled = false\n\
         metrics = {{ interval = '200ms', remote_write.endpoint = 'http://{}', remote_write.native_histograms = {native} }}\n",
        prometheus.address
    );
    std::fs::write(&file, text).unwrap();
    let guard = throughline_std::init(&Config::load(&file).unwrap()).unwrap();
    count();
    let slow = {
        let _span = span!("slow");
        histogram!("wait" as f64, unit = "s").record(3.0);
        throughline::current().unwrap()
    };
    values(&mut prometheus);
    look(&mut prometheus);
    let (labels, _) = prometheus.query("orders_total").remove(0);
    assert_eq!(labels["job"], "shop");
    assert!(!labels["instance"].as_str().unwrap().is_empty());
    let found = exemplar(&mut prometheus, "wait_seconds");
    assert_eq!(found["labels"]["trace_id"], slow.trace_id.to_string());
    assert_eq!(guard.last_error(), None);
    assert!(guard.shutdown(Duration::from_secs(30)).complete);
    prometheus
        .wait_for("the end of the series", |server| server.query("orders_total").is_empty().then_some(()));
}

/// The first exemplar that a Prometheus has of a histogram, once it has one.
fn exemplar(prometheus: &mut Server, name: &str) -> serde_json::Value {
    let query = encoded(&format!("{{__name__=~\"{name}.*\"}}"));
    let path = format!("/api/v1/query_exemplars?query={query}&start=0&end=9999999999");
    prometheus.wait_for("an exemplar", |server| {
        server.api(&path)[0]["exemplars"].as_array().map(|exemplars| exemplars[0].clone())
    })
}

/// The samples of the Pushgateway's page with this name: labels as they stand, and the value.
fn pushed(gateway: &Server, name: &str) -> Vec<(String, String)> {
    let (_, page) = gateway.get("/metrics").unwrap();
    let lines = page.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.rsplit_once("} "));
    lines.map(|(labels, value)| (labels.to_owned(), value.to_owned())).collect()
}

#[test]
#[ignore = "needs a Pushgateway: cargo xtask test --only prometheus"]
fn a_pushgateway_takes_what_a_job_pushes_and_keeps_the_last() {
    in_own_process("a_pushgateway_takes_what_a_job_pushes_and_keeps_the_last", || {
        let gateway = Server::pushgateway("pushed");
        let options = PushgatewayOptions::new(&format!("http://{}", gateway.address))
            .unwrap()
            .grouping("path", "/var/tmp é")
            .grouping("instance", "")
            .page(PageOptions::default().scope_labels(false));
        let config = Config::new("nightly/backup").without_otlp().terminal(false).pushgateway(options);
        let guard = throughline_std::init(&config).unwrap();
        counter!("files", description = "Files kept").add(3);
        histogram!("wait" as f64, unit = "s").record(0.25);
        assert!(guard.flush(Duration::from_secs(30)));
        assert_eq!(guard.last_error(), None);
        let group = "instance=\"\",job=\"nightly/backup\",path=\"/var/tmp é\"";
        assert_eq!(pushed(&gateway, "files_total"), [(group.to_owned(), "3".to_owned())]);
        assert_eq!(pushed(&gateway, "wait_seconds_count")[0].1, "1");
        assert_eq!(pushed(&gateway, "process_threads").len(), 1);
        counter!("files", description = "Files kept").add(1);
        assert!(guard.shutdown(Duration::from_secs(30)).complete);
        assert_eq!(pushed(&gateway, "files_total"), [(group.to_owned(), "4".to_owned())]);
        assert_eq!(pushed(&gateway, "push_failure_time_seconds")[0].1, "0");
    });
}

#[test]
#[ignore = "needs a Pushgateway: cargo xtask test --only prometheus"]
fn a_push_replaces_its_group_or_adds_to_it_and_may_delete_it_at_the_end() {
    let gateway = Server::pushgateway("groups");
    let deadline = throughline_std::Deadline::within(Duration::from_secs(30));
    let push = |names: &[&str], options: PushgatewayOptions| {
        let mut pusher = throughline_std::prometheus::Pushgateway::new(&options).unwrap();
        pusher.begin(&Host::new(&Resource::new("job"), &spawn)).unwrap();
        let points: Vec<_> = names.iter().map(|name| point(name, "", &[], PointData::Counter(1))).collect();
        pusher.points(&points);
        pusher.flush(&deadline).unwrap();
        pusher
    };
    let there = |name: &str| !pushed(&gateway, name).is_empty();
    let options = PushgatewayOptions::new(&format!("http://{}", gateway.address)).unwrap();
    push(&["a", "b"], options.clone());
    push(&["b", "c"], options.clone().replace(false));
    assert!(there("a_total") && there("b_total") && there("c_total"));
    push(&["d"], options.clone());
    assert!(!there("a_total") && !there("b_total") && there("d_total"));
    let mut last = push(&["e"], options.clone().delete_on_exit(true));
    assert!(there("e_total"));
    last.finish(&deadline).unwrap();
    assert!(!there("e_total") && !there("push_time_seconds"));
}
