//! A service's metrics: one of each kind, counted from two threads, and the points that should arrive.

use throughline::{counter, counter_family, gauge, histogram, histogram_family, up_down_counter};

use super::received::point_key;
use super::record::{Any, Expected};
use super::service::resource;

/// OTLP's number.
pub(crate) const CUMULATIVE: i64 = 2;

/// Values on bucket boundaries, next to them, and far from them.
const VALUES: [usize; 14] = [0, 1, 1, 2, 3, 4, 5, 7, 8, 1000, 1023, 1024, 1025, 3_000_000_000];

/// Counts everything once.
pub(crate) fn count() {
    counter!("orders", unit = "{order}", description = "orders taken", shop = "main", till = "2").add(7);
    counter!("orders", unit = "{order}", description = "orders taken", shop = "side", till = "1").add(1);
    counter!("never").add(0);
    // One series, counted at two callsites.
    counter!("retries").add(2);
    counter!("retries").add(40);
    up_down_counter!("queue.change").add(-5);
    up_down_counter!("queue.open", unit = "{item}").add(3);
    gauge!("depth", unit = "m").set(-11_034);
    gauge!("temperature" as f32, unit = "Cel", room = "attic").set(21.3_f32);
    gauge!("ratio" as f32).set(0.1_f64);
    for value in VALUES {
        histogram!("size.0", scale = 0).record(value);
        histogram!("size.1", scale = 1).record(value);
        histogram!("size.2", unit = "By", description = "sizes of replies").record(value);
        histogram!("size.3", scale = 3, part = "body").record(value);
        histogram!("size.4", scale = 4).record(value);
    }
    histogram!("zeros").record(0);
    let requests =
        counter_family!("requests", labels = ["route", "status"], capacity = 2, unit = "{request}");
    requests.add(["/", "200"], 5);
    requests.add(["/ä", ""], 6);
    // The family has no room for these two.
    requests.add(["/late", "200"], 10);
    requests.add(["/later", "404"], 20);
    let latency = histogram_family!("latency", labels = ["table"], capacity = 1, unit = "us", scale = 1);
    latency.record(["users"], 320);
    latency.record(["orders"], 5);
}

/// The points expected after `times` calls of [`count`]. Gauges have the values of the last call.
pub(crate) fn expected(service: &str, times: u64) -> Vec<Expected> {
    let n = i64::try_from(times).unwrap();
    let point = |name: &str, texts: [&str; 2], labels: &[(&str, Any)]| {
        let mut texted: Vec<_> = labels.iter().map(|(key, value)| ((*key).to_owned(), text(value))).collect();
        let mut point = resource(Expected::new(point_key(name, &mut texted)), service)
            .is("name", name)
            .texts([("unit", texts[0]), ("description", texts[1])]);
        for (key, value) in labels {
            point = point.is(&format!("attributes.{key}"), value.clone());
        }
        point
    };
    let sum = |point: Expected, monotonic: bool, value: i64| {
        let point = point.is("shape", "sum").is("isMonotonic", monotonic);
        point.is("aggregationTemporality", CUMULATIVE).is("value", value)
    };
    let distribution = |point: Expected, scale: u32, values: &[usize]| {
        let (offset, buckets) = buckets(values, scale);
        point
            .is("shape", "exponentialHistogram")
            .is("aggregationTemporality", CUMULATIVE)
            .is("count", times * values.len() as u64)
            .is("sum", (times * values.iter().sum::<usize>() as u64) as f64)
            .is("min", values.iter().min().map_or(0.0, |least| *least as f64))
            .is("max", values.iter().max().map_or(0.0, |greatest| *greatest as f64))
            .is("scale", i64::from(scale))
            .is("zeroCount", times * values.iter().filter(|v| **v == 0).count() as u64)
            .is("offset", offset)
            .is("bucketCounts", buckets.iter().map(|n| n * times).collect::<Vec<_>>())
    };
    let gauge = |point: Expected, value: Any| point.is("shape", "gauge").is("value", value);
    let overflow = [("otel.metric.overflow", Any::Bool(true))];
    let orders = |shop: &str, till: &str| {
        point("orders", ["{order}", "orders taken"], &[("shop", shop.into()), ("till", till.into())])
    };
    let requests = |labels: &[(&str, Any)]| point("requests", ["{request}", ""], labels);
    let latency = |labels: &[(&str, Any)]| point("latency", ["us", ""], labels);
    vec![
        sum(orders("main", "2"), true, 7 * n),
        sum(orders("side", "1"), true, n),
        sum(point("never", ["", ""], &[]), true, 0),
        sum(point("retries", ["", ""], &[]), true, 42 * n),
        sum(point("queue.change", ["", ""], &[]), false, -5 * n),
        sum(point("queue.open", ["{item}", ""], &[]), false, 3 * n),
        gauge(point("depth", ["m", ""], &[]), Any::Int(-11_034)),
        gauge(point("temperature", ["Cel", ""], &[("room", "attic".into())]), f64::from(21.3_f32).into()),
        gauge(point("ratio", ["", ""], &[]), Any::Double(0.1)),
        distribution(point("size.0", ["", ""], &[]), 0, &VALUES),
        distribution(point("size.1", ["", ""], &[]), 1, &VALUES),
        distribution(point("size.2", ["By", "sizes of replies"], &[]), 2, &VALUES),
        distribution(point("size.3", ["", ""], &[("part", "body".into())]), 3, &VALUES),
        distribution(point("size.4", ["", ""], &[]), 4, &VALUES),
        distribution(point("zeros", ["", ""], &[]), 2, &[0]),
        sum(requests(&[("route", "/".into()), ("status", "200".into())]), true, 5 * n),
        sum(requests(&[("route", "/ä".into()), ("status", "".into())]), true, 6 * n),
        sum(requests(&overflow), true, 30 * n),
        distribution(latency(&[("table", "users".into())]), 1, &[320]),
        distribution(latency(&overflow), 1, &[5]),
    ]
}

fn text(value: &Any) -> String {
    match value {
        Any::Text(text) => text.clone(),
        Any::Bool(truth) => truth.to_string(),
        other => panic!("a label is text or a truth value, not {other:?}"),
    }
}

/// Index of the first bucket that is not empty, and the counts from there to the last one, computed from the
/// definition in floating point.
fn buckets(values: &[usize], scale: u32) -> (i64, Vec<u64>) {
    // The bucket with index i holds values above 2^(i / 2^scale) up to and including 2^((i + 1) / 2^scale).
    let index = |value: usize| {
        let buckets = f64::from(1_u32 << scale) * (value as f64).log2();
        // Boundaries that are integers are powers of two, whose logarithm is exact.
        if value.is_power_of_two() { buckets as i64 - 1 } else { buckets.floor() as i64 }
    };
    let indices: Vec<i64> = values.iter().filter(|value| **value > 0).map(|value| index(*value)).collect();
    // Without values, a histogram begins at its first bucket.
    let Some((first, last)) = indices.iter().min().zip(indices.iter().max()) else { return (-1, Vec::new()) };
    let mut counts = vec![0; usize::try_from(last - first).unwrap() + 1];
    indices.iter().for_each(|index| counts[usize::try_from(index - first).unwrap()] += 1);
    (*first, counts)
}

#[test]
fn buckets_by_hand() {
    assert_eq!(buckets(&[0, 1, 2, 3, 4], 0), (-1, vec![1, 1, 2]));
    // 1000 = 2^9.966 is above 2^9.5 and up to 2^10: index 19.
    assert_eq!(buckets(&[1000, 1024, 1025], 1), (19, vec![2, 1]));
}
