//! Snapshots of metrics: over many frames, and from all callsites of a metric.

use throughline::{
    counter, counter_family, gauge, gauge_family, histogram, histogram_family, up_down_counter,
};
use throughline_decode::{Item, PointValue};
use throughline_embedded::{init, init_with_frame};

use crate::harness::{CONFIG, alone, decode, flush_all, recorder};

#[test]
fn a_snapshot_over_many_frames_adds_up() {
    let _alone = alone();
    let mut flusher = init_with_frame::<168>(recorder!(new, 64), CONFIG);
    counter!("c").add(300);
    gauge!("g").set(-5);
    let values: Vec<usize> = (0..400).map(|i| (i * i * 97 % 100_003) >> (i % 17)).collect();
    for value in &values {
        histogram!("h", scale = 4).record(*value);
    }
    for _ in 0..3 {
        histogram!("wide", scale = 0).record(u32::MAX as usize);
    }
    let queries = histogram_family!("q", labels = ["table"], capacity = 2, scale = 1);
    for (table, value) in [("a", 0), ("b", 0), ("b", 1), ("b", 4), ("c", 5), ("c", 0), ("c", 0)] {
        queries.record([table], value);
    }
    let family = counter_family!("f", labels = ["route", "status"], capacity = 2);
    for (route, n) in [("/a", 1), ("", 2), ("/c", 4), ("/d", 8)] {
        family.add([route, "200"], n);
    }
    let many = counter_family!("many", labels = ["n"], capacity = 64);
    for n in 0..60 {
        many.add([&format!("many-{n}")], 1000 + n);
    }
    up_down_counter!("u").add(-2);
    gauge!("half" as f32).set(0.5_f32);
    flusher.snapshot_metrics();
    let bytes = flush_all(&mut flusher);
    assert!(bytes.len() > 2 * 168, "{}", bytes.len());
    let mut snapshots = Vec::new();
    decode(&bytes, |_, item| {
        if let Item::Metrics(snapshot) = item {
            snapshots.push((
                snapshot.number,
                snapshot.complete,
                snapshot
                    .points
                    .iter()
                    .map(|p| (p.labels.iter().map(|l| l.1.clone()).collect::<Vec<_>>(), p.value.clone()))
                    .collect::<Vec<_>>(),
            ));
        }
    });
    let [(0, true, points)] = &snapshots[..] else { panic!("{snapshots:?}") };
    let values_of = |wanted: &[&str]| -> Vec<PointValue> {
        points.iter().filter(|(labels, _)| labels == wanted).map(|(_, value)| value.clone()).collect()
    };
    assert!(values_of(&[]).contains(&PointValue::Counter(300)));
    assert!(values_of(&[]).contains(&PointValue::GaugeInt(-5)));
    assert!(values_of(&[]).contains(&PointValue::UpDown(-2)));
    assert!(values_of(&[]).contains(&PointValue::GaugeFloat(0.5)));
    for n in 0..60 {
        assert_eq!(values_of(&[&format!("many-{n}")]), [PointValue::Counter(1000 + n)]);
    }
    assert_eq!(values_of(&["/a", "200"]), [PointValue::Counter(1)]);
    assert_eq!(values_of(&["", "200"]), [PointValue::Counter(2)]);
    assert!(values_of(&["true"]).contains(&PointValue::Counter(12)));
    let histograms = |labels: &[&str]| -> Vec<(u8, u64, u64, u64)> {
        let shown = values_of(labels).into_iter().filter_map(|value| match value {
            PointValue::Histogram { scale, sum, zeros, buckets, .. } => {
                Some((scale, sum, zeros, buckets.iter().sum::<u64>()))
            }
            _ => None,
        });
        shown.collect()
    };
    let zeros = values.iter().filter(|v| **v == 0).count() as u64;
    let all = (4, values.iter().sum::<usize>() as u64, zeros, 400 - zeros);
    let mut alone = histograms(&[]);
    // The histogram of the other test is there too if that test ran first.
    alone.retain(|(scale, ..)| *scale != 1);
    alone.sort_unstable();
    assert_eq!(alone, [(0, 3 * u64::from(u32::MAX), 0, 3), all]);
    assert_eq!(histograms(&["a"]), [(1, 0, 1, 0)]);
    assert_eq!(histograms(&["b"]), [(1, 5, 1, 2)]);
    assert_eq!(histograms(&["true"]), [(1, 5, 2, 1)]);
}

#[test]
fn metrics_of_every_kind_come_from_all_their_callsites_04_32() {
    let _alone = alone();
    let mut flusher = init(recorder!(new, 16), CONFIG);
    // Here callsites have no names from an ELF, so callsites that share a series show only in the small
    // number of points.
    gauge!("round.depth").set(17);
    gauge!("round.depth").set(-1_000_017);
    gauge!("round.level" as f64).set(1_000_000.25);
    gauge!("round.level" as f64).add(0.25);
    let _active = [gauge!("round.active"), gauge!("round.active")].map(|gauge| gauge.in_flight());
    gauge!("round.active").add(1_000_020);
    counter!("round.energy" as f64).add(1_000_000.125);
    counter!("round.energy" as f64).add(f64::NAN);
    histogram!("round.load" as f64, scale = 1, fraction_bits = 4).record(0.25);
    let rooms = || gauge_family!("round.rooms", labels = ["room"], capacity = 2);
    rooms().set(["round-hall"], 1_000_021);
    gauge_family!("round.rooms", labels = ["room"], capacity = 2).sub(["round-hall"], 1);
    let mut all = Vec::new();
    for _ in 0..2 {
        flusher.snapshot_metrics();
        decode(&flush_all(&mut flusher), |_, item| {
            if let Item::Metrics(snapshot) = item {
                all.push(snapshot.points.iter().map(|point| point.value.clone()).collect::<Vec<_>>());
            }
        });
    }
    let [first, second] = &all[..] else { panic!("two snapshots: {all:?}") };
    assert_eq!(first, second, "reading changes nothing");
    let once = |value: PointValue| {
        assert_eq!(first.iter().filter(|there| **there == value).count(), 1, "{value:?} in {first:?}");
    };
    once(PointValue::GaugeInt(-1_000_017));
    once(PointValue::GaugeFloat(1_000_000.5));
    once(PointValue::GaugeInt(1_000_022));
    once(PointValue::GaugeInt(1_000_020));
    once(PointValue::CounterFloat(1_000_000.125));
    let (scale, fraction_bits, sum, zeros) = (1, 4, 4, 0);
    // A quarter is four sixteenths: position 4, which is OTLP's index 4 - 1 - (4 << 1).
    once(PointValue::Histogram { scale, fraction_bits, sum, zeros, offset: -5, buckets: vec![1] });
    assert!(!first.contains(&PointValue::GaugeInt(17)));
}
