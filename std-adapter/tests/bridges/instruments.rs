//! Instruments of the API of OpenTelemetry.

use super::recorded;
use super::support::look::{number, value};
use super::support::receiver::{attribute, text};
use opentelemetry::{InstrumentationScope, KeyValue, global};
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint, metric::Data};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

fn meter() -> opentelemetry::metrics::Meter {
    global::meter_with_scope(InstrumentationScope::builder("shop").with_version("1.2").build())
}

fn find<'m>(all: &'m [Metric], name: &str) -> &'m Metric {
    all.iter().find(|metric| metric.name == name).unwrap_or_else(|| panic!("no metric {name}"))
}

fn points(metric: &Metric) -> &[NumberDataPoint] {
    match &metric.data {
        Some(Data::Sum(sum)) => &sum.data_points,
        Some(Data::Gauge(gauge)) => &gauge.data_points,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_instrument_arrives_with_unit_description_and_attributes() {
    recorded(
        "instruments::every_instrument_arrives_with_unit_description_and_attributes",
        || {
            let orders =
                meter().u64_counter("orders").with_unit("{order}").with_description("Orders placed").build();
            let sold = [KeyValue::new("outcome", "sold"), KeyValue::new("shop", 7)];
            orders.add(2, &sold);
            // The order of attributes does not matter, nor which handle counts, nor on which thread.
            let [outcome, shop] = sold.clone();
            let again =
                meter().u64_counter("orders").with_unit("{order}").with_description("Orders placed").build();
            std::thread::spawn(move || again.add(3, &[shop, outcome])).join().unwrap();
            orders.bind(&sold).add(5);
            orders.add(1, &[]);
            meter().f64_counter("paid").build().add(2.5, &[]);
            let open = meter().i64_up_down_counter("open").build();
            open.add(5, &[]);
            open.add(-3, &[]);
            let balance = meter().f64_up_down_counter("balance").build();
            balance.add(5.0, &[]);
            balance.add(-7.5, &[]);
            meter().u64_gauge("depth").build().record(4, &[]);
            meter().i64_gauge("degrees").build().record(-4, &[]);
            meter().f64_gauge("load").build().record(0.5, &[]);
            meter().u64_histogram("size").with_unit("By").build().record(1000, &[]);
            let took = meter().f64_histogram("took").with_unit("s").with_boundaries(vec![1.0]).build();
            [0.001, 0.002, 3.0].into_iter().for_each(|seconds| took.record(seconds, &[]));
        },
        |_, _, all| {
            let orders = find(all, "orders");
            assert_eq!((&*orders.unit, &*orders.description), ("{order}", "Orders placed"));
            let Some(Data::Sum(sum)) = &orders.data else { panic!("{orders:?}") };
            assert!(sum.is_monotonic);
            let mut counted: Vec<_> = sum
                .data_points
                .iter()
                .map(|point| (text(&point.attributes, "shop"), value(point.value)))
                .collect();
            counted.sort_by(|a, b| a.0.cmp(&b.0));
            assert_eq!(counted, [(None, 1.0), (Some("7".into()), 10.0)]);
            let numbers =
                ["paid", "open", "balance", "depth", "degrees", "load"].map(|name| number(find(all, name)));
            assert_eq!(numbers, [2.5, 2.0, -2.5, 4.0, -4.0, 0.5]);
            assert!(matches!(&find(all, "open").data, Some(Data::Sum(sum)) if !sum.is_monotonic));
            let histogram = |name| match &find(all, name).data {
                Some(Data::ExponentialHistogram(histogram)) => histogram.data_points[0].clone(),
                other => panic!("{other:?}"),
            };
            assert_eq!((histogram("size").count, histogram("size").sum), (1, Some(1000.0)));
            assert_eq!(histogram("took").count, 3);
            assert!((histogram("took").sum.unwrap() - 3.003).abs() < 1e-6);
        },
    );
}

#[test]
fn callbacks_are_asked_when_metrics_are_read() {
    recorded(
        "instruments::callbacks_are_asked_when_metrics_are_read",
        || {
            let total = AtomicI64::new(0);
            let total = move || total.fetch_add(5, Ordering::Relaxed) + 5;
            let is_first = AtomicBool::new(true);
            let _ = meter()
                .u64_observable_counter("bytes")
                .with_callback(move |observer| {
                    let total = u64::try_from(total()).unwrap();
                    observer.observe(total, &[KeyValue::new("way", "in")]);
                    observer.observe(7, &[KeyValue::new("way", "out")]);
                })
                .build();
            let _ =
                meter().f64_observable_counter("seconds").with_callback(|it| it.observe(1.5, &[])).build();
            let _ = meter()
                .i64_observable_up_down_counter("threads")
                .with_callback(|it| it.observe(3, &[]))
                .build();
            let _ = meter()
                .f64_observable_up_down_counter("net")
                .with_callback(|it| it.observe(-1.5, &[]))
                .build();
            let _ = meter().i64_observable_gauge("degrees").with_callback(|it| it.observe(-4, &[])).build();
            let _ = meter().u64_observable_gauge("depth").with_callback(|it| it.observe(4, &[])).build();
            let _ = meter()
                .f64_observable_gauge("broken")
                .with_callback(move |it| {
                    it.observe(0.5, &[]);
                    assert!(is_first.swap(false, Ordering::Relaxed), "as the test wants it");
                    panic!("as the test wants it");
                })
                .build();
        },
        |_, _, all| {
            let bytes = points(find(all, "bytes"));
            let way = |way: &str| {
                let point = bytes.iter().find(|point| text(&point.attributes, "way").unwrap() == way);
                value(point.unwrap().value)
            };
            assert!(way("in") >= 5.0 && way("in") % 5.0 == 0.0);
            assert_eq!(way("out"), 7.0);
            let numbers = ["seconds", "threads", "net", "degrees", "depth", "broken"]
                .map(|name| number(find(all, name)));
            assert_eq!(numbers, [1.5, 3.0, -1.5, -4.0, 4.0, 0.5]);
        },
    );
}

#[test]
fn attribute_sets_beyond_the_limit_are_counted_together_and_nothing_is_lost() {
    const SETS: u64 = 4000;
    recorded(
        "instruments::attribute_sets_beyond_the_limit_are_counted_together_and_nothing_is_lost",
        || {
            let logins = meter().u64_counter("logins").build();
            for user in 0..SETS as i64 {
                logins.add(1, &[KeyValue::new("user", user)]);
            }
            logins.bind(&[KeyValue::new("user", -1)]).add(10);
            let kept = Arc::new(meter().u64_counter("other").build());
            kept.add(1, &[KeyValue::new("k", "v")]);
            for n in 0..600 {
                meter().u64_counter(format!("counter {n}")).build().add(1, &[]);
            }
            for _ in 0..1100 {
                let _ = meter().u64_observable_gauge("callbacks").with_callback(|_| ()).build();
            }
        },
        |_, _, all| {
            let logins = points(find(all, "logins"));
            assert_eq!(logins.iter().map(|point| value(point.value)).sum::<f64>(), SETS as f64 + 10.0);
            let overflow =
                logins.iter().find(|point| attribute(&point.attributes, "otel.metric.overflow").is_some());
            let overflow = value(overflow.unwrap().value);
            assert!(overflow > 400.0 && overflow < 1500.0, "{overflow}");
            assert_eq!(number(find(all, "other")), 1.0);
            let names = all.iter().filter(|metric| metric.name.starts_with("counter ")).count();
            assert!(names > 400 && names < 512, "{names}");
            let refused = number(find(all, "throughline.bridge.refused"));
            assert!(refused > overflow - 10.0 + 600.0 - 512.0, "{refused}");
        },
    );
}
