//! Metrics of a server as a collector receives them: each metric is one series, whatever thread and callsite
//! counted, and correct at its limits.

mod support;

use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogramDataPoint, Metric, NumberDataPoint, SummaryDataPoint, exemplar,
    metric::Data,
};
use std::time::Duration;
use support::receiver::{Answer, Receiver};
use support::{in_own_process, until};
use throughline::{
    TraceContext, attach, counter, counter_family, gauge, gauge_family, histogram, histogram_family, info,
    span, summary, up_down_counter, up_down_counter_family,
};
use throughline_std::{Config, observe, otlp::ClientConfig};

/// The metrics that a collector has at the end of a process that runs `body`.
fn exported(body: impl FnOnce()) -> Vec<Metric> {
    let receiver = Receiver::start([]);
    let client = ClientConfig::new(&receiver.endpoint).unwrap().timeout(Duration::from_secs(30));
    let config = Config::new("svc").otlp_client(client).report_errors(false);
    let guard = throughline_std::init(&config).unwrap();
    body();
    let report = guard.shutdown(Duration::from_secs(30));
    assert!(report.complete, "{report:?}");
    receiver.with(|r| r.metrics.last().unwrap().clone())
}

/// The data of the only metric of that name.
fn data<'m>(metrics: &'m [Metric], name: &str) -> &'m Data {
    let mut found = metrics.iter().filter(|m| m.name == name);
    let metric = found.next().unwrap_or_else(|| panic!("no metric {name}"));
    assert!(found.next().is_none(), "{name} comes twice");
    metric.data.as_ref().unwrap()
}

/// For a sum, whether it is monotonic; then the values and labels of its points. The same for a gauge,
/// without the first.
fn numbers(metrics: &[Metric], name: &str) -> (Option<bool>, Vec<(Value, Vec<String>)>) {
    let (monotonic, points) = match data(metrics, name) {
        Data::Sum(sum) => (Some(sum.is_monotonic), &sum.data_points),
        Data::Gauge(gauge) => (None, &gauge.data_points),
        other => panic!("{other:?}"),
    };
    (monotonic, points.iter().map(|p| (p.value.unwrap(), labels(p))).collect())
}

fn labels(point: &NumberDataPoint) -> Vec<String> {
    let text = |value: &any_value::Value| match value {
        any_value::Value::StringValue(text) => text.clone(),
        other => format!("{other:?}"),
    };
    let value = |kv: &opentelemetry_proto::tonic::common::v1::KeyValue| {
        text(kv.value.as_ref().unwrap().value.as_ref().unwrap())
    };
    point.attributes.iter().map(|kv| format!("{}={}", kv.key, value(kv))).collect()
}

/// The only point of a sum or gauge.
fn number(metrics: &[Metric], name: &str) -> Value {
    let (_, points) = numbers(metrics, name);
    assert_eq!(points.len(), 1, "{name} is one series: {points:?}");
    points[0].0
}

fn histogram_of<'m>(metrics: &'m [Metric], name: &str) -> &'m ExponentialHistogramDataPoint {
    let Data::ExponentialHistogram(histogram) = data(metrics, name) else { panic!("{name}") };
    assert_eq!(histogram.aggregation_temporality, 2, "cumulative");
    assert_eq!(histogram.data_points.len(), 1, "{name} is one series");
    &histogram.data_points[0]
}

fn summary_of<'m>(metrics: &'m [Metric], name: &str) -> &'m SummaryDataPoint {
    let Data::Summary(summary) = data(metrics, name) else { panic!("{name}") };
    assert_eq!(summary.data_points.len(), 1, "{name} is one series");
    &summary.data_points[0]
}

/// Runs `f` to its end in a thread.
fn in_thread(f: impl FnOnce() + Send) {
    std::thread::scope(|scope| scope.spawn(f).join().unwrap());
}

#[test]
fn a_gauge_is_the_last_value_of_any_thread_and_callsite_04() {
    in_own_process("a_gauge_is_the_last_value_of_any_thread_and_callsite_04", || {
        let metrics = exported(|| {
            in_thread(|| gauge!("depth", queue = "mail").set(17));
            in_thread(|| gauge!("depth", queue = "mail").set(0));
            in_thread(|| gauge!("level" as f64).set(2.5));
            gauge!("level" as f64).add(0.25);
            // Two callsites alternate, each of which was used before.
            let set = |n: i64| match n % 2 {
                0 => gauge!("turns").set(n),
                _ => gauge!("turns").set(n),
            };
            (0..=6).for_each(set);
            let family = |n: i64| gauge_family!("depths", labels = ["queue"], capacity = 4).set(["jobs"], n);
            in_thread(|| family(5));
            gauge_family!("depths", labels = ["queue"], capacity = 4).sub(["jobs"], 1);
            let _active = gauge!("active").in_flight();
            in_thread(|| drop(gauge!("active").in_flight()));
            std::mem::forget(gauge!("active").in_flight());
            drop(_active);
        });
        assert_eq!(number(&metrics, "depth"), Value::AsInt(0));
        assert_eq!(number(&metrics, "level"), Value::AsDouble(2.75));
        assert_eq!(number(&metrics, "turns"), Value::AsInt(6));
        assert_eq!(number(&metrics, "active"), Value::AsInt(1));
        assert_eq!(
            numbers(&metrics, "depths"),
            (None, vec![(Value::AsInt(4), vec!["queue=jobs".to_owned()])])
        );
    });
}

#[test]
fn no_monotonic_sum_goes_down_18() {
    in_own_process("no_monotonic_sum_goes_down_18", || {
        let metrics = exported(|| {
            let full = || {
                counter!("full").add(u64::MAX);
                counter!("full").add(9);
            };
            full();
            in_thread(full);
            counter!("beyond").add(i64::MAX as u64);
            counter!("beyond").add(1);
            counter!("to.the.end").add(i64::MAX as u64);
            let up = || up_down_counter!("up").add(i64::MAX);
            let down = || up_down_counter!("down").add(i64::MIN);
            for _ in 0..3 {
                up();
                down();
                in_thread(up);
                in_thread(down);
            }
            let sums = || histogram!("sum", scale = 0).record(u64::MAX);
            sums();
            sums();
            in_thread(sums);
        });
        assert_eq!(number(&metrics, "full"), Value::AsDouble(u64::MAX as f64));
        assert_eq!(number(&metrics, "beyond"), Value::AsDouble((1_u64 << 63) as f64));
        assert_eq!(number(&metrics, "to.the.end"), Value::AsInt(i64::MAX));
        assert_eq!(number(&metrics, "up"), Value::AsInt(i64::MAX));
        assert_eq!(number(&metrics, "down"), Value::AsInt(i64::MIN));
        let sum = histogram_of(&metrics, "sum");
        assert_eq!((sum.count, sum.sum), (3, Some(u64::MAX as f64)));
    });
}

#[test]
fn labels_without_room_are_counted_in_the_series_that_says_so_46() {
    in_own_process("labels_without_room_are_counted_in_the_series_that_says_so_46", || {
        let long = "l".repeat(200);
        let metrics = exported(|| {
            let family = || counter_family!("requests", labels = ["route"], capacity = 4);
            family().add(["/short"], 1);
            family().add([&long], 2);
            family().add([&long[1..]], 4);
        });
        let (_, mut requests) = numbers(&metrics, "requests");
        requests.sort_by_key(|(_, labels)| labels.clone());
        let marked = vec!["otel.metric.overflow=BoolValue(true)".to_owned()];
        assert_eq!(requests, [(Value::AsInt(6), marked), (Value::AsInt(1), vec!["route=/short".to_owned()])]);
    });
}

#[test]
fn callsites_and_threads_of_one_counter_are_one_sum_32() {
    in_own_process("callsites_and_threads_of_one_counter_are_one_sum_32", || {
        let metrics = exported(|| {
            counter!("c", a = "1", b = "2").add(1_u8);
            counter!("c", b = "2", a = "1").add(2_u128);
            in_thread(|| counter!("c", a = "1", b = "2").add(4_usize));
            counter!("energy" as f64).add(0.5);
            in_thread(|| counter!("energy" as f64).add(1));
            counter!("mixed").add(1);
            counter!("mixed" as f64).add(0.5);
            counter_family!("f", labels = ["code"], capacity = 2).add(["200"], 8_u32);
            in_thread(|| counter_family!("f", labels = ["code"], capacity = 2).add(["200"], 16));
            up_down_counter_family!("u", labels = ["code"], capacity = 2).add(["200"], -3);
        });
        let labels = vec!["a=1".to_owned(), "b=2".to_owned()];
        assert_eq!(numbers(&metrics, "c"), (Some(true), vec![(Value::AsInt(7), labels)]));
        assert_eq!(numbers(&metrics, "energy"), (Some(true), vec![(Value::AsDouble(1.5), vec![])]));
        assert_eq!(number(&metrics, "mixed"), Value::AsDouble(1.5));
        assert_eq!(number(&metrics, "f"), Value::AsInt(24));
        assert_eq!(
            numbers(&metrics, "u"),
            (Some(false), vec![(Value::AsInt(-3), vec!["code=200".to_owned()])])
        );
    });
}

#[test]
fn histograms_send_their_least_and_greatest_value_45() {
    in_own_process("histograms_send_their_least_and_greatest_value_45", || {
        let metrics = exported(|| {
            let took = |value: Duration| histogram!("took", unit = "us", scale = 0).record(value);
            took(Duration::from_micros(700));
            in_thread(|| took(Duration::from_micros(33)));
            in_thread(|| histogram!("took", unit = "us", scale = 0).record(5_000));
            let seconds = histogram!("seconds" as f64, unit = "s", scale = 0);
            seconds.record(Duration::from_millis(1_500));
            seconds.record(0.25);
        });
        let took = histogram_of(&metrics, "took");
        assert_eq!((took.count, took.sum, took.min, took.max), (3, Some(5_733.0), Some(33.0), Some(5_000.0)));
        let seconds = histogram_of(&metrics, "seconds");
        assert_eq!((seconds.sum, seconds.min, seconds.max), (Some(1.75), Some(0.25), Some(1.5)));
        // OTLP's bucket i holds values above 2^i up to 2^(i + 1): 1/4 is in -3 and 3/2 in 0.
        let buckets = Buckets { offset: -3, bucket_counts: vec![1, 0, 0, 1] };
        assert_eq!(seconds.positive, Some(buckets));
    });
}

#[test]
fn a_summary_sends_quantiles() {
    in_own_process("a_summary_sends_quantiles", || {
        let metrics = exported(|| {
            (1..=100).for_each(|n: u32| summary!("job", unit = "ms", scale = 4).record(n));
        });
        let job = summary_of(&metrics, "job");
        assert_eq!((job.count, job.sum), (100, 5_050.0));
        let quantiles: Vec<f64> = job.quantile_values.iter().map(|q| q.quantile).collect();
        assert_eq!(quantiles, [0.0, 0.5, 0.9, 0.95, 0.99, 1.0]);
        for at in &job.quantile_values {
            let exact = (at.quantile * 100.0).max(1.0);
            let width = 2_f64.powf(1.0 / 16.0);
            assert!(at.value >= exact && at.value <= exact * width, "{at:?}, {exact}");
        }
        assert_eq!((job.quantile_values[0].value, job.quantile_values[5].value), (1.0, 100.0));
    });
}

#[test]
fn observed_metrics_are_asked_for_when_they_are_read() {
    in_own_process("observed_metrics_are_asked_for_when_they_are_read", || {
        let metrics = exported(|| {
            observe::gauge("depth").unit("{item}").label("queue", "mail").with(|| 17_usize).keep();
            observe::gauge("load").with(|| Some(0.5)).keep();
            observe::gauge("absent").with(|| None::<i64>).keep();
            observe::up_down_counter("open").with(|| -4).keep();
            observe::up_down_counter("credit").with(|| -0.5).keep();
            observe::counter("cpu.time").with(|| 1.25).keep();
            // Observed counters are added to counted ones of the same name.
            observe::counter("both").with(|| 5).keep();
            counter!("both").add(2);
            drop(observe::gauge("gone").with(|| 1));
            observe::gauge("broken").with(|| -> i64 { panic!("as the test wants it") }).keep();
        });
        let labels = vec!["queue=mail".to_owned()];
        assert_eq!(numbers(&metrics, "depth"), (None, vec![(Value::AsInt(17), labels)]));
        assert_eq!(number(&metrics, "load"), Value::AsDouble(0.5));
        assert_eq!(numbers(&metrics, "open"), (Some(false), vec![(Value::AsInt(-4), vec![])]));
        assert_eq!(numbers(&metrics, "credit"), (Some(false), vec![(Value::AsDouble(-0.5), vec![])]));
        assert_eq!(numbers(&metrics, "cpu.time"), (Some(true), vec![(Value::AsDouble(1.25), vec![])]));
        assert_eq!(number(&metrics, "both"), Value::AsInt(7));
        for name in ["absent", "gone", "broken"] {
            assert!(metrics.iter().all(|m| m.name != name), "{name}");
        }
    });
}

#[test]
fn a_histogram_leads_to_the_traces_of_its_values() {
    in_own_process("a_histogram_leads_to_the_traces_of_its_values", || {
        let receiver = Receiver::start([]);
        let client = ClientConfig::new(&receiver.endpoint).unwrap().timeout(Duration::from_secs(30));
        let guard = throughline_std::init(&Config::new("svc").otlp_client(client)).unwrap();
        let remote = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let unsampled = "00-5bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
        let wait = |seconds: f64| histogram!("wait" as f64, unit = "s").record(seconds);
        let by_route = |route: &str, ms: u64| {
            histogram_family!("took", labels = ["route"], capacity = 4, unit = "ms").record([route], ms);
        };
        wait(4.0);
        {
            let _span = span!("quick");
            wait(0.25);
            by_route("/quick", 3);
        }
        {
            let _span = span!("middling");
            wait(0.5);
        }
        {
            let _there = attach(TraceContext::parse(remote).unwrap());
            let _span = span!("slow");
            wait(8.0);
            by_route("/slow", 9);
        }
        {
            let _nowhere = attach(TraceContext::parse(unsampled).unwrap());
            wait(100.0);
        }
        // The next reading asks for exemplars anew.
        assert!(guard.flush(Duration::from_secs(30)));
        {
            let _span = span!("again");
            wait(0.375);
        }
        assert!(guard.shutdown(Duration::from_secs(30)).complete);
        receiver.with(|r| {
            let spans: Vec<_> = r.spans.iter().map(|s| (&*s.name, &s.trace_id, &s.span_id)).collect();
            let named = |exemplar: &Exemplar| {
                let at = |(_, trace, span): &&(&str, _, _)| {
                    (trace, span) == (&&exemplar.trace_id, &&exemplar.span_id)
                };
                let Some(exemplar::Value::AsDouble(value)) = exemplar.value else { panic!("{exemplar:?}") };
                let span = spans.iter().find(at).unwrap_or_else(|| panic!("{exemplar:?} in {spans:?}"));
                (span.0.to_owned(), value)
            };
            let of = |name: &str| {
                let metrics = r.metrics.last().unwrap();
                let Data::ExponentialHistogram(histogram) = data(metrics, name) else { panic!() };
                let points = histogram.data_points.iter().map(|point| {
                    let mut all: Vec<_> = point.exemplars.iter().map(named).collect();
                    all.sort_by(|a, b| a.1.total_cmp(&b.1));
                    all
                });
                points.collect::<Vec<_>>()
            };
            // 0.5 is neither the least nor the greatest value of its time, and 0.375 replaces none: it has another power of two.
            let span = |name: &str, value: f64| (name.to_owned(), value);
            assert_eq!(of("wait"), [vec![span("quick", 0.25), span("again", 0.375), span("slow", 8.0)]]);
            assert_eq!(of("took"), [vec![span("quick", 3.0)], vec![span("slow", 9.0)]]);
            let slow = spans.iter().find(|(name, ..)| *name == "slow").unwrap();
            let trace: String = slow.1.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(trace, remote[3..35]);
            assert!(r.violations.is_empty(), "{:?}", r.violations);
        });
    });
}

#[test]
fn exemplars_can_be_turned_off() {
    in_own_process("exemplars_can_be_turned_off", || {
        let receiver = Receiver::start([]);
        let client = ClientConfig::new(&receiver.endpoint).unwrap().timeout(Duration::from_secs(30));
        let config = Config::new("svc").otlp_client(client).exemplars(false);
        let guard = throughline_std::init(&config).unwrap();
        {
            let _span = span!("here");
            (1..100_u64).for_each(|n| histogram!("wait").record(n));
        }
        assert!(guard.flush(Duration::from_secs(30)));
        (1..100_u64).for_each(|n| histogram!("wait").record(n));
        assert!(guard.shutdown(Duration::from_secs(30)).complete);
        receiver.with(|r| {
            let Data::ExponentialHistogram(histogram) = data(r.metrics.last().unwrap(), "wait") else {
                panic!()
            };
            assert_eq!(histogram.data_points[0].exemplars, []);
        });
    });
}

#[test]
fn the_pump_and_the_exporters_report_about_themselves() {
    in_own_process("the_pump_and_the_exporters_report_about_themselves", || {
        // One request is repeated. Logs wait for ever.
        let receiver = Receiver::hanging_at("/v1/logs", [Answer::Status(503, "", vec![])]);
        let client = ClientConfig::new(&receiver.endpoint).unwrap().timeout(Duration::from_secs(3600));
        let client = client.first_backoff(Duration::from_millis(1));
        let config = Config::new("svc").otlp_client(client).report_errors(false).queue(2);
        let config = config.batch(1, Duration::ZERO).metrics_every(Duration::from_millis(5));
        let guard = throughline_std::init(&config).unwrap();
        for n in 0..10 {
            drop(span!("work", n));
            until("it is sent", || guard.ledger().exporter("otlp.traces").output == n + 1);
        }
        for n in 0..5 {
            info!("stuck");
            until("it is taken", || guard.ledger().exporter("otlp.logs").input == n + 1);
        }
        let of = |metrics: &[Metric], name: &str, labels: &[&str]| {
            let (_, points) = numbers(metrics, &format!("throughline.pump.{name}"));
            points.into_iter().find(|(_, found)| *found == labels).map(|(value, _)| value)
        };
        let logs = &["exporter=otlp.logs"][..];
        let last = || receiver.with(|r| r.metrics.last().cloned().unwrap_or_default());
        let full = &["exporter=otlp.logs", "reason=queue_full"][..];
        until("the depth of the queue and the last loss are sent", || {
            let metrics = last();
            let lost = guard.ledger().exporter("otlp.logs").dropped_total() as i64;
            lost > 0
                && metrics.iter().any(|metric| metric.name == "throughline.pump.dropped")
                && of(&metrics, "dropped", full) == Some(Value::AsInt(lost))
                && of(&metrics, "queue.records", logs) == Some(Value::AsInt(2))
        });
        let metrics = last();
        let traces = &["exporter=otlp.traces"][..];
        assert_eq!(of(&metrics, "batches", traces), Some(Value::AsInt(10)));
        assert_eq!(of(&metrics, "queue.records", traces), Some(Value::AsInt(0)));
        let positive = |value| matches!(value, Some(Value::AsInt(n)) if n > 0);
        assert!(positive(of(&metrics, "queue.size", logs)) && positive(of(&metrics, "sent", traces)));
        let lost = guard.ledger().exporter("otlp.logs").dropped_total();
        let reported = of(&metrics, "dropped", full);
        assert_eq!(reported, Some(Value::AsInt(lost as i64)));
        let (monotonic, retries) = numbers(&metrics, "throughline.pump.retries");
        let total: i64 = retries.iter().map(|(n, _)| if let Value::AsInt(n) = n { *n } else { 0 }).sum();
        assert_eq!((monotonic, total), (Some(true), 1));
        let Value::AsDouble(fill) = number(&metrics, "throughline.pump.ring.fill") else { panic!() };
        assert!((0.0..=1.0).contains(&fill), "{fill}");
        let drains = histogram_of(&metrics, "throughline.pump.drain.duration");
        assert!(drains.count >= 15 && drains.sum.unwrap() > 0.0, "{drains:?}");
        let Data::ExponentialHistogram(requests) = data(&metrics, "throughline.pump.request.duration") else {
            panic!()
        };
        let of_traces: Vec<_> = requests
            .data_points
            .iter()
            .filter(|point| {
                support::receiver::text(&point.attributes, "exporter").as_deref() == Some("otlp.traces")
            })
            .collect();
        let repeated = retries.iter().any(|(n, labels)| labels == traces && *n == Value::AsInt(1));
        assert_eq!(of_traces[0].count, 10 + u64::from(repeated), "{of_traces:?}");
        assert!(!guard.shutdown(Duration::from_millis(50)).complete, "logs hang");
    });
}
