//! Metrics of the crate `metrics`.

use super::recorded;
use super::support::look::{number, value};
use super::support::receiver::{attribute, text};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;

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

#[test]
fn every_form_of_the_macros_of_metrics_counts() {
    recorded(
        "counts::every_form_of_the_macros_of_metrics_counts",
        || {
            use metrics::{Level, Unit, counter, describe_counter, describe_gauge, gauge, histogram};
            let (name, key, value) = (String::from("dynamic"), String::from("k"), String::from("v"));
            counter!("forms").increment(1);
            counter!("forms", "a" => "1", "b" => "2").increment(1);
            counter!("forms", "b" => "2", "a" => "1").increment(1);
            counter!("forms", &[("a", "1"), ("b", "2")]).increment(1);
            counter!(target: "shop", level: Level::DEBUG, "forms", "a" => "1", "b" => "2").increment(1);
            counter!(name, key => value).increment(5);
            describe_counter!("forms", "Without a unit");
            describe_gauge!("described alone", Unit::Bytes, "Never set");
            let handle = counter!("handles");
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    let handle = handle.clone();
                    std::thread::spawn(move || (0..100).for_each(|_| handle.increment(1)))
                })
                .collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            histogram!("many").record_many(0.5, 10);
            histogram!("durations").record(std::time::Duration::from_millis(1500));
            gauge!("ups").increment(2.5);
            gauge!("ups").decrement(1);
            // A recorder that is set for a piece of code alone.
            metrics::with_local_recorder(&metrics::NoopRecorder, || counter!("handles").increment(1000));
            metrics::with_local_recorder(&throughline_std::metrics::Recorder, || {
                counter!("handles").increment(1)
            });
            assert!(metrics::set_global_recorder(metrics::NoopRecorder).is_err());
        },
        |_, _, all| {
            let of = |name: &str| all.iter().filter(|metric| metric.name == name).collect::<Vec<_>>();
            let forms = of("forms");
            assert!(
                forms.iter().all(|metric| metric.description == "Without a unit" && metric.unit.is_empty())
            );
            let points = forms.iter().flat_map(|metric| match &metric.data {
                Some(Data::Sum(sum)) => sum.data_points.clone(),
                other => panic!("{other:?}"),
            });
            let mut counted: Vec<_> = points
                .map(|point| (text(&point.attributes, "a"), text(&point.attributes, "b"), value(point.value)))
                .collect();
            counted.sort_by(|x, y| x.0.cmp(&y.0));
            assert_eq!(counted[0], (None, None, 1.0));
            let with_labels: f64 = counted[1..].iter().map(|(_, _, n)| n).sum();
            assert_eq!(with_labels, 4.0, "{counted:?}");
            assert!(
                counted[1..].iter().all(|(a, b, _)| (a.as_deref(), b.as_deref()) == (Some("1"), Some("2")))
            );
            for (name, expected) in [("dynamic", 5.0), ("handles", 401.0), ("ups", 1.5)] {
                assert_eq!(number(of(name)[0]), expected, "{name}");
            }
            assert!(of("described alone").is_empty());
            let histogram = |name: &str| match &of(name)[0].data {
                Some(Data::ExponentialHistogram(histogram)) => histogram.data_points[0].clone(),
                other => panic!("{other:?}"),
            };
            assert_eq!((histogram("many").count, histogram("many").sum), (10, Some(5.0)));
            assert_eq!(histogram("durations").sum, Some(1.5));
        },
    );
}
