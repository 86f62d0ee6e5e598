//! The table of label sets under the model checker: in every interleaving an addition goes to a series with
//! its own labels, and the sum of all series loses nothing. Also the list of gauges: all callsites of one
//! gauge agree on the one whose cells they use. Run with `cargo xtask test --only loom`.
#![cfg(loom)]

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use std::sync::Arc;
use throughline::list::{Link, Linked, List};
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

    /// The label and count of every series in use. The label "" is the overflow series.
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

/// A callsite of the gauge `name`.
struct Gauge {
    name: u8,
    link: Link<Gauge>,
}

impl Linked for Gauge {
    fn link(&self) -> &Link<Gauge> {
        &self.link
    }
}

#[test]
fn all_callsites_of_a_gauge_agree_on_one_of_them() {
    loom::model(|| {
        let gauge = |name| -> &'static Gauge { Box::leak(Box::new(Gauge { name, link: Link::new() })) };
        // Two callsites of one gauge, and one of another gauge. Two threads use the first callsite at the
        // same time.
        let (a, same, other) = (gauge(1), gauge(1), gauge(2));
        let list: &'static List<Gauge> = Box::leak(Box::new(List::new()));
        let home = move |gauge: &'static Gauge| -> &'static Gauge {
            list.find_or_append(gauge, |there| there.name == gauge.name)
        };
        let threads = [[a, other], [same, a]].map(|[first, second]| {
            thread::spawn(move || [home(first), home(second)].map(|gauge| core::ptr::from_ref(gauge).addr()))
        });
        let [[a_1, other_1], [same_2, a_2]] = threads.map(|thread| thread.join().unwrap());
        assert_eq!(a_1, a_2, "one callsite has one home in all threads");
        assert_eq!(a_1, same_2, "callsites of one gauge have one home");
        assert_eq!(other_1, core::ptr::from_ref(other).addr());
        let in_list: Vec<_> = list.iter().map(|gauge| gauge.name).collect();
        assert!(in_list == [1, 2] || in_list == [2, 1], "each gauge once: {in_list:?}");
    });
}
