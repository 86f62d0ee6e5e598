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

#[test]
fn every_unit_has_its_name_in_ucum() {
    use metrics::Unit;
    const UNITS: [(&str, Unit, &str); 17] = [
        ("count", Unit::Count, "1"),
        ("percent", Unit::Percent, "%"),
        ("seconds", Unit::Seconds, "s"),
        ("milliseconds", Unit::Milliseconds, "ms"),
        ("microseconds", Unit::Microseconds, "us"),
        ("nanoseconds", Unit::Nanoseconds, "ns"),
        ("tebibytes", Unit::Tebibytes, "TiBy"),
        ("gibibytes", Unit::Gibibytes, "GiBy"),
        ("mebibytes", Unit::Mebibytes, "MiBy"),
        ("kibibytes", Unit::Kibibytes, "KiBy"),
        ("bytes", Unit::Bytes, "By"),
        ("terabits", Unit::TerabitsPerSecond, "Tbit/s"),
        ("gigabits", Unit::GigabitsPerSecond, "Gbit/s"),
        ("megabits", Unit::MegabitsPerSecond, "Mbit/s"),
        ("kilobits", Unit::KilobitsPerSecond, "kbit/s"),
        ("bits", Unit::BitsPerSecond, "bit/s"),
        ("rate", Unit::CountPerSecond, "1/s"),
    ];
    recorded(
        "counts::every_unit_has_its_name_in_ucum",
        || {
            for (name, unit, _) in UNITS {
                metrics::describe_gauge!(name, unit, "A quantity");
                metrics::gauge!(name).set(1);
            }
        },
        |_, _, all| {
            for (name, _, expected) in UNITS {
                let metric = all.iter().find(|metric| metric.name == name).unwrap();
                assert_eq!((&*metric.unit, &*metric.description), (expected, "A quantity"), "{name}");
            }
        },
    );
}

#[test]
fn numbers_of_every_type_count_and_none_does_harm() {
    recorded(
        "counts::numbers_of_every_type_count_and_none_does_harm",
        || {
            let (gauge, histogram) = (metrics::gauge!("sum"), metrics::histogram!("sizes"));
            gauge.increment(1_u8);
            gauge.increment(2_i8);
            gauge.increment(4_u16);
            gauge.increment(8_i16);
            gauge.increment(16_u32);
            gauge.increment(-32_i32);
            gauge.increment(0.5_f32);
            gauge.increment(std::time::Duration::from_millis(250));
            histogram.record(1_u8);
            histogram.record(2_i32);
            histogram.record(0.5_f32);
            let odd = metrics::histogram!("odd");
            [f64::NAN, -1.0, f64::NEG_INFINITY].iter().for_each(|number| odd.record(*number));
            odd.record_many(2.0, 0);
            odd.record(4.0);
            metrics::counter!("great").increment(u64::MAX);
            let absolute = metrics::counter!("absolute");
            [5, 3, 5, 8].iter().for_each(|number| absolute.absolute(*number));
            absolute.increment(2);
        },
        |_, _, all| {
            let find = |name: &str| all.iter().find(|metric| metric.name == name).unwrap();
            assert_eq!(number(find("sum")), -0.25);
            assert_eq!(number(find("absolute")), 10.0);
            let point = |name| match &find(name).data {
                Some(Data::ExponentialHistogram(histogram)) => histogram.data_points[0].clone(),
                other => panic!("{other:?}"),
            };
            assert_eq!((point("sizes").count, point("sizes").sum), (3, Some(3.5)));
            // What is less than nothing, and what is no number, counts as zero.
            assert_eq!((point("odd").count, point("odd").zero_count, point("odd").sum), (4, 3, Some(4.0)));
            assert_eq!(number(find("throughline.bridge.refused")), 3.0);
            assert!(number(find("great")) > 0.0);
        },
    );
}

#[test]
fn recorders_of_a_thread_nest_and_may_be_shared() {
    use metrics::{NoopRecorder, Recorder as _, set_default_local_recorder, with_local_recorder};
    use std::sync::Arc;
    use throughline_std::metrics::Recorder;
    recorded(
        "counts::recorders_of_a_thread_nest_and_may_be_shared",
        || {
            let count = |n| metrics::counter!("nested").increment(n);
            {
                let _none = set_default_local_recorder(&NoopRecorder);
                count(1000);
                {
                    let _ours = set_default_local_recorder(&Recorder);
                    count(1);
                    std::thread::spawn(move || count(2)).join().unwrap();
                }
                count(1000);
            }
            count(4);
            with_local_recorder(&Arc::new(Recorder), || count(8));
            with_local_recorder(&(Box::new(Recorder) as Box<dyn metrics::Recorder>), || count(16));
            // Keys are equal by their texts, wherever these are.
            let owned = vec![metrics::Label::new(String::from("k"), String::from("v"))];
            let metadata = metrics::Metadata::new("shop", metrics::Level::INFO, None);
            Recorder
                .register_counter(&metrics::Key::from_parts("keys", owned.clone()), &metadata)
                .increment(1);
            Recorder
                .register_counter(&metrics::Key::from_parts(String::from("keys"), owned), &metadata)
                .increment(2);
            metrics::counter!("keys", "k" => "v").increment(4);
            metrics::counter!("keys", vec![metrics::Label::new("k", "v")]).increment(8);
        },
        |_, _, all| {
            let find = |name: &str| all.iter().find(|metric| metric.name == name).unwrap();
            assert_eq!((number(find("nested")), number(find("keys"))), (31.0, 15.0));
        },
    );
}
