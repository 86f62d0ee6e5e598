//! Metrics in a thread's own cells: sums at their limits, exact extremes, and recorders with few cells, with
//! many, and with none.
#![cfg(all(not(loom), feature = "std", target_has_atomic = "64"))]

use std::cell::Cell as StdCell;
use throughline::adapter::metrics::{self, Cell, Reading};
use throughline::adapter::{recorder, ring::Mode, ring::Slot};
use throughline::{Clock, Recorder, counter, counter_family, histogram, histogram_family, up_down_counter};

thread_local! {
    /// How many cells this thread's recorder has.
    static CELLS: StdCell<usize> = const { StdCell::new(4096) };
}

fn hook() -> Option<&'static Recorder> {
    // A thread that ends here does not give it back, so threads with few cells leave none to those with many.
    recorder::acquire_thread(|| {
        let slots = Vec::leak((0..8).map(|_| Slot::new()).collect());
        let cells = Vec::leak((0..CELLS.get()).map(|_| Cell::new(0)).collect());
        Some(Box::leak(Box::new(Recorder::for_thread(slots, Mode::LocalOldest, Clock::mock(), cells))))
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
        // The first value comes before the metric has a place among the thread's cells.
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
        // Each site is used twice: first in cells that all threads share, then in the thread's own.
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
