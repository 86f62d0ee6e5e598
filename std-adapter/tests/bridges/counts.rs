//! Metrics of the crate `metrics`.

use super::recorded;
use super::support::receiver::{attribute, text};
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data, number_data_point};

#[test]
fn metrics_arrive_with_unit_description_and_labels() {
    recorded(
        "counts::metrics_arrive_with_unit_description_and_labels",
        || {
            metrics::describe_counter!("orders", metrics::Unit::Count, "Orders placed");
            let orders = metrics::counter!("orders", "shop" => "north");
            orders.increment(2);
            metrics::counter!("orders", "shop" => "north").increment(3);
            std::thread::spawn(move || orders.increment(1)).join().unwrap();
            metrics::counter!("orders", "shop" => "south").absolute(7);
            metrics::counter!("orders", "shop" => "south").absolute(5);
            metrics::counter!("orders", "shop" => "south").absolute(9);
            let load = metrics::gauge!("load");
            load.set(1.5);
            load.increment(0.5);
            load.decrement(0.25);
            for seconds in [0.001, 0.002, 3.0] {
                metrics::histogram!("took_seconds").record(seconds);
            }
            metrics::describe_histogram!("took_seconds", metrics::Unit::Seconds, "Described late");
        },
        |_, _, all| {
            let find = |name: &str| all.iter().find(|metric| metric.name == name).unwrap();
            let orders = find("orders");
            assert_eq!((&*orders.unit, &*orders.description), ("1", "Orders placed"));
            let Some(Data::Sum(sum)) = &orders.data else { panic!("{orders:?}") };
            let mut points: Vec<_> = sum
                .data_points
                .iter()
                .map(|point| (text(&point.attributes, "shop").unwrap(), value(point.value)))
                .collect();
            points.sort_by(|a, b| a.0.cmp(&b.0));
            assert_eq!(points, [("north".into(), 6.0), ("south".into(), 9.0)]);
            assert!(sum.is_monotonic);
            assert_eq!(number(find("load")), 1.75);
            let took = find("took_seconds");
            assert_eq!((&*took.unit, &*took.description), ("s", "Described late"));
            let Some(Data::ExponentialHistogram(histogram)) = &took.data else { panic!("{took:?}") };
            let point = &histogram.data_points[0];
            assert_eq!(point.count, 3);
            assert!((point.sum.unwrap() - 3.003).abs() < 1e-6);
        },
    );
}

#[test]
fn label_sets_beyond_the_limit_are_counted_together_and_nothing_is_lost() {
    const SETS: u64 = 5000;
    recorded(
        "counts::label_sets_beyond_the_limit_are_counted_together_and_nothing_is_lost",
        || {
            for user in 0..SETS {
                metrics::counter!("logins", "user" => user.to_string()).increment(1);
            }
            metrics::counter!("other").increment(1);
        },
        |_, _, all| {
            let logins = all.iter().find(|metric| metric.name == "logins").unwrap();
            let Some(Data::Sum(sum)) = &logins.data else { panic!() };
            let total: f64 = sum.data_points.iter().map(|point| value(point.value)).sum();
            assert_eq!(total, SETS as f64);
            let overflow =
                |key| sum.data_points.iter().find(|point| attribute(&point.attributes, key).is_some());
            let overflow = value(overflow("otel.metric.overflow").unwrap().value);
            assert!(overflow > 1000.0 && overflow < 3000.0, "{overflow}");
            assert_eq!(number(all.iter().find(|metric| metric.name == "other").unwrap()), 1.0);
            let refused = all.iter().find(|metric| metric.name == "throughline.bridge.refused").unwrap();
            assert_eq!(number(refused), overflow + 1.0, "and the one of the other name");
        },
    );
}

pub(super) fn value(value: Option<number_data_point::Value>) -> f64 {
    match value {
        Some(number_data_point::Value::AsInt(n)) => n as f64,
        Some(number_data_point::Value::AsDouble(x)) => x,
        None => panic!("no value"),
    }
}

/// The value of the only point of a metric.
pub(super) fn number(metric: &Metric) -> f64 {
    let points = match &metric.data {
        Some(Data::Sum(sum)) => &sum.data_points,
        Some(Data::Gauge(gauge)) => &gauge.data_points,
        other => panic!("{other:?}"),
    };
    assert_eq!(points.len(), 1);
    value(points[0].value)
}
