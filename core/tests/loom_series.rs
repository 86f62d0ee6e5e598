//! The table of label sets under the model checker: whatever the interleaving, an addition lands in a series with its own labels, and
//! none is lost in sum. Run with `cargo xtask test --only loom`.
#![cfg(loom)]

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use std::sync::Arc;
use throughline::series::{SeriesKey, find};

const PLACES: usize = 2;

struct Family {
    keys: Vec<SeriesKey>,
    counts: Vec<AtomicUsize>,
}

impl Family {
    fn new() -> Arc<Family> {
        Arc::new(Family {
            keys: (0..PLACES).map(|_| SeriesKey::new()).collect(),
            counts: (0..=PLACES).map(|_| AtomicUsize::new(0)).collect(),
        })
    }

    fn add(&self, label: &str) {
        self.counts[find(&self.keys, &[label])].fetch_add(1, Ordering::Relaxed);
    }

    /// (label, count) of every series in use; "" is the overflow.
    fn read(&self) -> Vec<(String, usize)> {
        let mut all = vec![];
        for (i, count) in self.counts.iter().enumerate() {
            let mut out = [0; SeriesKey::BYTES];
            let used = self.keys.get(i).map_or(0, |k| k.read(&mut out));
            let label = String::from_utf8(out[used.min(1)..used].to_vec()).unwrap();
            let count = count.load(Ordering::Relaxed);
            if count > 0 {
                all.push((label, count));
            }
        }
        all
    }
}

fn total(all: &[(String, usize)], label: &str) -> usize {
    all.iter().filter(|(l, _)| l == label).map(|(_, n)| n).sum()
}

#[test]
fn two_bring_the_same_new_labels() {
    loom::model(|| {
        let family = Family::new();
        let other = {
            let family = family.clone();
            thread::spawn(move || {
                family.add("a");
                family.add("a")
            })
        };
        family.add("a");
        other.join().unwrap();
        let all = family.read();
        assert_eq!(total(&all, "a") + total(&all, ""), 3, "{all:?}");
        assert_eq!(total(&all, ""), 0, "there was room: {all:?}");
    });
}

#[test]
fn two_bring_different_labels_and_the_table_overflows_without_loss() {
    loom::model(|| {
        let family = Family::new();
        family.add("a");
        let other = {
            let family = family.clone();
            thread::spawn(move || family.add("b"))
        };
        family.add("c");
        family.add("a");
        other.join().unwrap();
        let all = family.read();
        assert_eq!(total(&all, "a"), 2, "{all:?}");
        assert_eq!(total(&all, "b") + total(&all, "c"), 1, "one found a place: {all:?}");
        assert_eq!(total(&all, ""), 1, "the other is in the overflow: {all:?}");
    });
}
