//! Metrics: what is counted can be read, histograms are what OTLP says, families are bounded.
#![cfg(not(loom))]

use proptest::prelude::*;
use throughline::metrics::{self, MAX_SCALE, Series, SeriesKey, bucket_count, position, upper_bound};
use throughline::{Clock, Recorder, Slots};

static SLOTS: Slots<8> = Slots::new();
static RECORDER: Recorder = Recorder::new(&SLOTS, Clock::mock());

fn series(name: &str) -> Vec<Series> {
    let mut found = vec![];
    metrics::for_each(|s| {
        if s.blob().is_some_and(|b| b.name == name) {
            found.push(s);
        }
    });
    found
}

#[test]
fn counts_can_be_read() {
    throughline::install(&RECORDER);
    for n in 1..=3 {
        throughline::counter!("frames", unit = "{frame}", description = "Seen", bus = "can0").add(n);
        throughline::up_down_counter!("open").add(-(n as isize));
        throughline::gauge!("depth").set(-(n as isize));
        throughline::gauge!("celsius" as f32).set(n as f32 / 2.0);
        throughline::histogram!("latency", scale = 1, unit = "us").record(n - 1);
    }
    let [frames] = series("frames").try_into().unwrap();
    let blob = frames.blob().unwrap();
    assert_eq!((frames.cell(0), blob.unit, blob.description), (6, "{frame}", "Seen"));
    assert_eq!(blob.labels().collect::<Vec<_>>(), [("bus", "can0")]);
    assert_eq!(series("open")[0].cell(0) as isize, -6);
    assert_eq!(series("depth")[0].cell(0) as isize, -3);
    if usize::BITS == 64 {
        assert_eq!(f64::from_bits(series("celsius")[0].cell(0) as u64), 1.5);
    } else {
        assert_eq!(f32::from_bits(series("celsius")[0].cell(0) as u32), 1.5);
    }
    let [latency] = series("latency").try_into().unwrap();
    assert_eq!((latency.kind(), latency.param()), (6, 1));
    let first_bucket = latency.len() - bucket_count(1);
    assert_eq!((latency.cell(0), latency.cell(1)), (1, 3), "zeros and sum");
    assert_eq!((latency.cell(first_bucket), latency.cell(first_bucket + 2)), (1, 1), "one and two");
}

#[test]
fn a_family_is_bounded_and_loses_nothing() {
    throughline::install(&RECORDER);
    let family = throughline::counter_family!("requests", labels = ["route", "status"], capacity = 4);
    for route in 0..10 {
        for _ in 0..=route {
            family.add([&format!("/r{route}"), "200"], 1);
        }
    }
    family.add(["a route longer than any place for it, by far, as some clients will send", "404"], 5);
    let all = series("requests");
    let (overflow, own): (Vec<Series>, Vec<Series>) = all.iter().copied().partition(Series::is_overflow);
    assert_eq!((own.len(), overflow.len()), (4, 1));
    assert_eq!(all.iter().map(|s| s.cell(0)).sum::<usize>(), 55 + 5);
    for s in own {
        let mut key = [0; SeriesKey::BYTES];
        s.labels(&mut key);
        let route = std::str::from_utf8(&key[1..=key[0] as usize]).unwrap();
        assert_eq!(s.cell(0), route.strip_prefix("/r").unwrap().parse::<usize>().unwrap() + 1);
    }
}

/// OTLP's index + 1 by its definition, in floating point; right but for values within an ulp of a boundary.
fn by_logarithm(value: u64, scale: u32) -> f64 {
    (value as f64).log2() * f64::from(1 << scale)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 8 } else { 4096 }, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn positions_are_otlps(bits in 0_u32..usize::BITS, low in any::<usize>(), scale in 0..=MAX_SCALE) {
        let value = 1 << bits | low & ((1 << bits) - 1);
        let exact = by_logarithm(value as u64, scale);
        let p = position(value, scale);
        prop_assert!(p < bucket_count(scale));
        prop_assert!((p as f64) > exact - 1e-9 && (p as f64) < exact + 1.0 + 1e-9, "{value} at scale {scale}: {p}, log {exact}");
        prop_assert!(value as u64 <= upper_bound(p, scale));
        prop_assert!(p == 0 || value as u64 > upper_bound(p - 1, scale), "{value} at scale {scale}: {p}");
    }

    #[test]
    fn positions_grow_with_values_and_powers_end_their_bucket(bits in 0..usize::BITS, scale in 0..=MAX_SCALE) {
        let power = 1_usize << bits;
        prop_assert_eq!(position(power, scale), (bits as usize) << scale);
        // From 256 on, neighbours are nearer than the finest bucket is wide.
        if bits >= 8 {
            prop_assert_eq!(position(power + 1, scale), ((bits as usize) << scale) + 1);
        }
    }
}

/// The table in `metrics/histogram.rs` says what the code does.
#[test]
fn the_table_of_errors_and_sizes_is_true() {
    let source = include_str!("../src/metrics/histogram.rs");
    for scale in 0..=MAX_SCALE {
        let base = 2_f64.powf(1.0 / f64::from(1 << scale));
        let error = (base - 1.0) / (base + 1.0) * 100.0;
        let (narrow, wide) = (3 + (32 << scale) + 1, 2 + (64 << scale) + 1);
        let row = format!("| {scale} | {error:.2} % | {narrow} | {} | {wide} | {} |", narrow * 4, wide * 8);
        assert!(source.contains(&row), "no such row: {row}");
        let here = if usize::BITS == 64 { wide } else { narrow };
        assert_eq!(metrics::histogram_cells(scale), here);
    }
}
