//! Metrics in a thread's own cells: sums at their limits, exact extremes, exemplars, and recorders with few
//! cells, with many, and with none.
#![cfg(all(not(loom), feature = "std", target_has_atomic = "64"))]

use std::cell::Cell as StdCell;
use throughline::adapter::metrics::{self, Cell, Exemplar, Exemplars, Reading, Series};
use throughline::adapter::{recorder, ring::Mode, ring::Slot};
use throughline::{
    Clock, Recorder, TraceContext, attach, counter, counter_family, current, histogram, histogram_family,
    span, up_down_counter,
};

thread_local! {
    /// How many cells this thread's recorder has.
    static CELLS: StdCell<usize> = const { StdCell::new(4096) };
}

fn hook() -> Option<&'static Recorder> {
    // A thread that ends here does not give it back, so threads with few cells leave none to those with many.
    recorder::acquire_thread(|| {
        let slots = Vec::leak((0..8).map(|_| Slot::new()).collect());
        let cells = Vec::leak((0..CELLS.get()).map(|_| Cell::new(0)).collect());
        let recorder = Recorder::for_thread(slots, Mode::LocalOldest, Clock::mock(), cells);
        let keeping = recorder.keeping(Box::leak(Box::new(Exemplars::new())));
        Some(Box::leak(Box::new(keeping)))
    })
}

/// Runs `work` on a thread whose recorder has `cells` cells.
fn on_thread(cells: usize, work: impl FnOnce() + Send) {
    recorder::set_thread_hook(hook);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            CELLS.set(cells);
            work();
        });
    });
}

fn read(name: &str) -> Vec<Reading> {
    let mut found = vec![];
    metrics::for_each(|series| {
        if series.blob().is_some_and(|blob| blob.name == name) {
            found.push(series.read());
        }
    });
    found
}

/// Sum, zeros, and least and greatest value of the only histogram of that name.
fn histogram_of(name: &str) -> (u64, u64, Option<(u64, u64)>) {
    match read(name)[..] {
        [Reading::Histogram(h)] => (h.sum, h.zeros, h.extremes),
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn the_extremes_of_any_sequence_are_exact() {
    on_thread(4096, || {
        let all = histogram!("any");
        let record = |value: u64| all.record(value);
        record(1 << 40);
        let (mut least, mut greatest, mut state) = (1 << 40, 1 << 40, 0x9E37_79B9_7F4A_7C15_u64);
        for round in (0..2_000_u32).step_by(if cfg!(miri) { 99 } else { 1 }) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            // Values spread over all powers of two, later ones further from the first.
            let value = if round % 2 == 0 {
                (1 << 40) + (state >> (64 - (round / 50).min(63)).min(63))
            } else {
                (1 << 40) - (state >> 24 >> (40 - (round / 50).min(40)))
            };
            record(value);
            (least, greatest) = (least.min(value), greatest.max(value));
            assert_eq!(histogram_of("any").2, Some((least, greatest)), "after {value}");
        }
        assert!(least < 1 << 40 && greatest > 1 << 40, "values went both ways");
        record(u64::MAX);
        assert_eq!(histogram_of("any").2, Some((least, u64::MAX)));
        record(0);
        assert_eq!(histogram_of("any").2, Some((0, u64::MAX)));
        assert_eq!((histogram_of("any").0, histogram_of("any").1), (u64::MAX, 1), "the sum is full");
        record(5);
        assert_eq!((histogram_of("any").0, histogram_of("any").2), (u64::MAX, Some((0, u64::MAX))));
    });
}

#[test]
fn a_single_value_is_both_extremes_whatever_it_is() {
    on_thread(4096, || {
        let zero = || histogram!("zero").record(0_u64);
        let greatest = || histogram!("greatest").record(u64::MAX);
        for _ in 0..2 {
            zero();
            greatest();
            assert_eq!(histogram_of("zero").2, Some((0, 0)));
            assert_eq!(histogram_of("greatest").2, Some((u64::MAX, u64::MAX)));
        }
    });
}

fn series_of(name: &str) -> Series {
    let mut found = None;
    metrics::for_each(|series| {
        if series.blob().is_some_and(|blob| blob.name == name) && series.is_in_use() {
            found = Some(series);
        }
    });
    found.unwrap()
}

/// The exemplars of this series. Only one test takes any, as it takes all.
fn taken(series: &Series) -> Vec<Exemplar> {
    let mut taken = Vec::new();
    metrics::take_exemplars(|exemplar| taken.push(exemplar));
    taken.retain(|exemplar| Some(exemplar.first_cell) == series.first_cell());
    taken
}

#[test]
fn values_that_stand_out_since_the_last_reading_are_exemplars() {
    on_thread(4096, || {
        let record = |value: u64| histogram!("told").record(value);
        let values = |series: &Series| taken(series).iter().map(|it| it.value).collect::<Vec<_>>();
        let remote = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0";
        let parse = |flags| TraceContext::parse(&format!("{remote}{flags}")).unwrap();
        {
            let _span = span!("of this process");
            [10, 10, 20, 15, 5, 10, 20, 5].into_iter().for_each(record);
            let here = current().unwrap();
            let told = taken(&series_of("told"));
            assert_eq!(told.iter().map(|it| it.value).collect::<Vec<_>>(), [10, 20, 5]);
            assert!(told.iter().all(|it| (it.trace_id, it.span_id) == (here.trace_id, here.span_id)));
        }
        let told = series_of("told");
        {
            let _unsampled = attach(parse(0));
            record(2);
        }
        record(1);
        assert_eq!(values(&told), [], "without a recorded trace there is none");
        let _remote = attach(parse(1));
        (21..=100).for_each(record);
        assert_eq!(values(&told), [21, 22, 23, 24, 25], "what may be spent is limited");
        [0, 200].into_iter().for_each(record);
        assert_eq!(values(&told), []);
        assert_eq!(histogram_of("told").2, Some((0, 200)));
        told.ask_for_exemplars();
        [50, 50, 60, 55, 40, 201].into_iter().for_each(record);
        let again = taken(&told);
        assert_eq!(again.iter().map(|it| it.value).collect::<Vec<_>>(), [50, 60, 40, 201]);
        assert!(again.iter().all(|it| (it.trace_id, it.span_id) == (parse(1).trace_id, parse(1).span_id)));
        assert_eq!(histogram_of("told").2, Some((0, 201)));
        // The thread holds 64 for the reader, and no more.
        for _ in 0..20 {
            told.ask_for_exemplars();
            (1..=8).for_each(record);
        }
        assert_eq!(values(&told), (0..64).map(|n| n % 8 + 1).collect::<Vec<_>>());
        // Series of a family are told apart.
        let family = |label: &str, value: u64| {
            histogram_family!("told.by.label", labels = ["n"], capacity = 4).record([label], value);
        };
        family("a", 1);
        family("b", 2);
        let mut by_series = Vec::new();
        metrics::take_exemplars(|exemplar| by_series.push((exemplar.first_cell, exemplar.value)));
        let mut found = 0;
        metrics::for_each(|series| {
            let Reading::Histogram(h) = series.read() else { return };
            if series.blob().is_some_and(|blob| blob.name == "told.by.label") {
                let its = (series.first_cell().unwrap(), h.sum);
                assert!(by_series.contains(&its), "{its:?} in {by_series:?}");
                found += 1;
            }
        });
        assert_eq!(found, 2);
    });
}

#[test]
fn a_reader_that_keeps_a_list_of_all_series_learns_of_new_ones() {
    on_thread(4096, || {
        let count = |label: &str| counter_family!("learnt", labels = ["n"], capacity = 2).add([label], 1);
        let possible = || {
            let mut all = Vec::new();
            metrics::for_each_possible(|series| {
                if series.blob().is_some_and(|blob| blob.name == "learnt") {
                    all.push(series.is_in_use());
                }
            });
            all
        };
        let before = metrics::changes();
        count("a");
        let after = metrics::changes();
        assert!(after > before);
        assert_eq!(possible(), [true, false], "the overflow series may come to be used");
        count("b");
        assert!(metrics::changes() > after);
        count("c");
        assert_eq!(possible(), [true; 3]);
    });
}

#[test]
fn buckets_are_the_same_one_by_one_and_all_at_once() {
    let count = || {
        let values = [0, 1, 7, 1 << 20, u64::MAX];
        values.into_iter().for_each(|value| histogram!("counted", scale = 3).record(value));
    };
    [4096, 0, 4096].into_iter().for_each(|cells| on_thread(cells, count));
    let series = series_of("counted");
    let one_by_one: Vec<u64> = (0..series.bucket_count()).map(|position| series.bucket(position)).collect();
    let mut at_once = vec![0; series.bucket_count()];
    series.add_buckets(&mut at_once);
    assert_eq!(at_once, one_by_one);
    assert_eq!(at_once.iter().sum::<u64>(), 3 * 4);
}

#[test]
fn sums_stay_at_their_ends() {
    on_thread(4096, || {
        let up = |n: u64| counter!("full").add(n);
        let both = |n: i64| up_down_counter!("balance").add(n);
        up(1);
        both(1);
        for _ in 0..3 {
            up(u64::MAX - 1);
            both(i64::MAX);
        }
        assert_eq!(read("full"), [Reading::Counter(u64::MAX)]);
        up(7);
        assert_eq!(read("full"), [Reading::Counter(u64::MAX)]);
        assert_eq!(read("balance"), [Reading::UpDown(i64::MAX)]);
    });
}

#[test]
fn what_finds_no_cells_of_its_thread_counts_in_those_that_all_share() {
    let count = || {
        for n in 1..=4_u64 {
            counter!("anywhere").add(1);
            histogram!("anywhere.sizes", scale = 4).record(n);
            counter_family!("anywhere.labelled", labels = ["n"], capacity = 4)
                .add([["a", "b"][n as usize % 2]], n);
            histogram_family!("anywhere.sizes.labelled", labels = ["n"], capacity = 2).record(["x"], n);
        }
    };
    for cells in [0, 1, 2, 7, 500, 4096, 0] {
        on_thread(cells, count);
    }
    assert_eq!(read("anywhere"), [Reading::Counter(7 * 4)]);
    assert_eq!(histogram_of("anywhere.sizes"), (7 * 10, 0, Some((1, 4))));
    let mut labelled = read("anywhere.labelled");
    labelled.sort_by_key(|reading| format!("{reading:?}"));
    assert_eq!(labelled[..2], [Reading::Counter(7 * 4), Reading::Counter(7 * 6)]);
    assert!(read("anywhere.sizes.labelled").iter().any(|reading| match reading {
        Reading::Histogram(h) => (h.sum, h.extremes) == (7 * 10, Some((1, 4))),
        _ => false,
    }));
}

#[test]
fn a_thread_that_left_its_recorder_counts_on_in_the_next_one() {
    on_thread(4096, || {
        let count = || counter!("again").add(1);
        for _ in 0..5 {
            count();
            count();
            recorder::release_thread();
        }
        assert_eq!(read("again"), [Reading::Counter(10)]);
    });
}
