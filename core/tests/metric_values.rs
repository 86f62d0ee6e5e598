//! The number types that metrics accept and the values that readers get: numbers of every type, sums at their
//! limits, one gauge for all its callsites.
#![cfg(not(loom))]

use std::time::Duration;
use throughline::adapter::metrics::{self, Reading, Series};
use throughline::{
    Clock, Recorder, Slots, counter, counter_family, gauge, gauge_family, histogram, histogram_family,
    summary, up_down_counter, up_down_counter_family,
};

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

/// The value of the only series with that name.
fn read(name: &str) -> Reading {
    let all = series(name);
    assert_eq!(all.len(), 1, "{name}");
    all[0].read()
}

/// Sum, zeros and extremes of the only histogram with that name.
fn histogram_of(name: &str) -> (u64, u64, Option<(u64, u64)>) {
    match read(name) {
        Reading::Histogram(h) => (h.sum, h.zeros, h.extremes),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_gauge_is_what_was_set_last_by_whatever_callsite_04() {
    throughline::install(&RECORDER);
    gauge!("depth", unit = "{item}", queue = "mail", shard = "1").set(17);
    gauge!("depth", unit = "{item}", shard = "1", queue = "mail").set(0);
    assert_eq!(read("depth"), Reading::GaugeInt(0));
    let first = || gauge!("level" as f64);
    let second = || gauge!("level" as f64);
    for (n, gauge) in [first(), second(), first()].into_iter().enumerate() {
        gauge.set(n as f64 + 0.5);
        assert_eq!(read("level"), Reading::GaugeFloat(n as f64 + 0.5));
    }
    // A different unit, label or value type makes a different gauge.
    gauge!("apart").set(1);
    gauge!("apart", unit = "By").set(2);
    gauge!("apart", a = "b").set(3);
    gauge!("apart" as f64).set(4);
    assert_eq!(series("apart").len(), 4);
}

#[test]
fn a_gauge_is_what_was_set_last_by_whatever_thread_04() {
    throughline::install(&RECORDER);
    const THREADS: i64 = 8;
    let start = std::sync::Barrier::new(THREADS as usize);
    std::thread::scope(|scope| {
        for n in 0..THREADS {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                // Every thread uses two callsites first at the same time as all others.
                gauge!("shared").add(n);
                gauge!("shared").add(1);
            });
        }
    });
    assert_eq!(read("shared"), Reading::GaugeInt((0..THREADS).sum::<i64>() + THREADS));
    std::thread::spawn(|| gauge!("shared").set(-1)).join().unwrap();
    assert_eq!(read("shared"), Reading::GaugeInt(-1));
}

#[test]
fn gauges_and_up_down_counters_go_up_and_down() {
    throughline::install(&RECORDER);
    let depth = gauge!("moves");
    depth.set(usize::MAX);
    depth.set(10_u8);
    depth.add(5_i128);
    depth.sub(7_u16);
    depth.add(-1);
    assert_eq!(read("moves"), Reading::GaugeInt(7));
    let load = gauge!("load" as f64);
    load.set(1);
    load.add(0.5);
    load.sub(0.25_f32);
    assert_eq!(read("load"), Reading::GaugeFloat(1.25));
    {
        let _one = gauge!("active").in_flight();
        let _two = gauge!("active").in_flight();
        let _open = up_down_counter!("open").in_flight();
        assert_eq!((read("active"), read("open")), (Reading::GaugeInt(2), Reading::UpDown(1)));
    }
    assert_eq!((read("active"), read("open")), (Reading::GaugeInt(0), Reading::UpDown(0)));
}

#[test]
fn a_counter_takes_any_unsigned_integer() {
    throughline::install(&RECORDER);
    let all = counter!("every.width");
    all.add(1);
    all.add(2_u8);
    all.add(3_u16);
    all.add(4_u32);
    all.add(5_u64);
    all.add(6_u128);
    all.add([0; 7].len());
    assert_eq!(read("every.width"), Reading::Counter(28));
    counter!("negative").add(-1);
    assert_eq!(read("negative"), Reading::Counter(0));
}

#[test]
fn a_counter_of_fractions_never_goes_down() {
    throughline::install(&RECORDER);
    let energy = counter!("energy" as f64, unit = "J");
    for n in [0.25, 1.5, -7.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        energy.add(n);
    }
    energy.add(2);
    assert_eq!(read("energy"), Reading::CounterFloat(3.75));
    assert_eq!(read("energy"), Reading::CounterFloat(3.75), "reading changes nothing");
}

#[test]
fn sums_stay_at_their_ends_18() {
    throughline::install(&RECORDER);
    if metrics::Count::BITS < 64 {
        return;
    }
    let full = counter!("full");
    for n in [usize::MAX, usize::MAX, 3] {
        full.add(n);
        full.add(u64::MAX);
    }
    assert_eq!(read("full"), Reading::Counter(u64::MAX));
    up_down_counter!("top").add(i64::MAX);
    up_down_counter!("bottom").add(i64::MIN);
    let (top, bottom) = (up_down_counter!("full.up"), up_down_counter!("full.down"));
    for _ in 0..2 {
        top.add(i64::MAX);
        bottom.add(i64::MIN);
    }
    assert_eq!((read("full.up"), read("full.down")), (Reading::UpDown(i64::MAX), Reading::UpDown(i64::MIN)));
    let sum = histogram!("full.sum", scale = 0);
    sum.record(u64::MAX);
    sum.record(usize::MAX);
    sum.record(2);
    assert_eq!(histogram_of("full.sum"), (u64::MAX, 0, Some((2, u64::MAX))));
}

#[test]
fn a_gauge_stays_at_its_ends_18() {
    throughline::install(&RECORDER);
    let (least, greatest) =
        if metrics::Count::BITS < 64 { (i32::MIN.into(), i32::MAX.into()) } else { (i64::MIN, i64::MAX) };
    let (up, down) = (gauge!("filled"), gauge!("emptied"));
    up.set(greatest - 1);
    down.set(least + 1);
    for _ in 0..3 {
        up.add(1);
        down.sub(1);
    }
    assert_eq!((read("filled"), read("emptied")), (Reading::GaugeInt(greatest), Reading::GaugeInt(least)));
    up.sub(1);
    down.sub(least);
    assert_eq!((read("filled"), read("emptied")), (Reading::GaugeInt(greatest - 1), Reading::GaugeInt(-1)));
    let family = gauge_family!("filled.family", labels = ["n"], capacity = 1);
    family.set(["a"], greatest);
    family.add(["a"], 1);
    assert_eq!(read("filled.family"), Reading::GaugeInt(greatest));
    family.sub(["a"], 1);
    assert_eq!(read("filled.family"), Reading::GaugeInt(greatest - 1));
}

#[test]
fn a_histogram_takes_any_number_and_durations() {
    throughline::install(&RECORDER);
    let all = histogram!("numbers");
    all.record(1_u8);
    all.record(2_i64);
    all.record(3.4);
    all.record(4_u128);
    all.record(-5);
    all.record(f32::NAN);
    assert_eq!(histogram_of("numbers"), (10, 2, Some((0, 4))));
    let time = Duration::from_micros(2_500);
    histogram!("us", unit = "us").record(time);
    histogram!("ms", unit = "ms").record(time);
    histogram!("s", unit = "s").record(time);
    histogram!("none").record(time);
    let sums = ["us", "ms", "s", "none"].map(|name| histogram_of(name).0);
    assert_eq!(sums, [2_500, 2, 0, 2_500_000]);
    histogram_family!("family", labels = ["a"], capacity = 2, unit = "ms").record(["x"], time);
    assert_eq!(histogram_of("family").0, 2);
}

#[test]
fn a_histogram_of_fractions_counts_multiples_of_a_step() {
    throughline::install(&RECORDER);
    histogram!("load.average" as f64, scale = 0, fraction_bits = 2).record(0.75);
    histogram!("load.average" as f64, scale = 0, fraction_bits = 2).record(2);
    let all = series("load.average");
    let Reading::Histogram(read) = all[1].read() else { panic!("a histogram") };
    // The newest callsite comes first: 2 is eight quarters, whose bucket is the fourth.
    assert_eq!((all.len(), read.fraction_bits, read.scale, read.is_summary), (2, 2, 0, false));
    let sums: Vec<_> = all.iter().map(|s| (s.bucket(2), s.bucket(3))).collect();
    assert_eq!(sums, [(0, 1), (1, 0)]);
    let seconds = summary!("duration" as f64, unit = "s");
    seconds.record(Duration::from_millis(1_500));
    let Reading::Histogram(read) = series("duration")[0].read() else { panic!("a histogram") };
    assert_eq!((read.sum, read.fraction_bits, read.is_summary), (3 << 19, 20, true));
}

#[test]
fn the_least_and_the_greatest_value_are_kept_45() {
    throughline::install(&RECORDER);
    let all = histogram!("extremes");
    for value in [700_u32, 30, 50_000, 31] {
        all.record(value);
    }
    assert_eq!(histogram_of("extremes").2, Some((30, 50_000)));
    histogram!("only.zero").record(0);
    assert_eq!(histogram_of("only.zero").2, Some((0, 0)));
    histogram!("only.greatest").record(u64::MAX);
    assert_eq!(histogram_of("only.greatest").2, Some((u64::MAX, u64::MAX)));
}

#[test]
fn families_of_every_kind_count_by_label() {
    throughline::install(&RECORDER);
    let depth =
        |labels, value: i64| gauge_family!("depths", labels = ["queue"], capacity = 2).set(labels, value);
    depth(["mail"], 3);
    depth(["jobs"], 4);
    // Another callsite of the same family. Label sets without a slot share one series.
    let other = gauge_family!("depths", labels = ["queue"], capacity = 2);
    other.set(["mail"], 5_u8);
    other.add(["jobs"], 2);
    other.sub(["jobs"], 1);
    other.set(["third"], 9);
    let mut read: Vec<_> = series("depths").iter().map(|s| (s.is_overflow(), s.read())).collect();
    read.sort_by_key(|(overflow, value)| (*overflow, format!("{value:?}")));
    assert_eq!(
        read,
        [(false, Reading::GaugeInt(5)), (false, Reading::GaugeInt(5)), (true, Reading::GaugeInt(9)),]
    );
    let open = up_down_counter_family!("opened", labels = ["peer"], capacity = 4);
    open.add(["a"], 3);
    open.add(["a"], -5);
    assert_eq!(series("opened").iter().map(Series::read).collect::<Vec<_>>(), [Reading::UpDown(-2)]);
    counter_family!("any", capacity = 4, unit = "By", labels = ["a"]).add(["x"], 7_u16);
    assert_eq!(series("any").iter().map(Series::read).collect::<Vec<_>>(), [Reading::Counter(7)]);
}
