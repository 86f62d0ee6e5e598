//! Metrics over time: counters extended over their wraps, the parts of split histograms merged, frames joined to snapshots.

use std::collections::{BTreeMap, HashMap};

use throughline::adapter::callsite::Kind;

use crate::callsite::{Callsite, Callsites};
use crate::metrics::{Cell, Entry};

/// Most series whose wraps are followed; the values of others are given as the device's cells have them.
pub const MAX_SERIES: usize = 4096;
/// Most histogram buckets followed, over all series.
pub const MAX_BUCKETS: usize = 1 << 16;
/// Most bytes of label values kept, over all series.
pub const MAX_LABEL_BYTES: usize = 1 << 20;
/// A histogram that spans more buckets is given at a lower scale.
const MAX_SPAN: u64 = 1 << 14;

/// All metrics of a device at one time, cumulative since its boot.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot<'elf> {
    /// Number of this snapshot in its boot.
    pub number: u64,
    /// Ticks since boot.
    pub time: u64,
    /// Whether all its frames arrived.
    pub complete: bool,
    /// Its series, in the order of the stream.
    pub points: Vec<Point<'elf>>,
}

/// One series.
#[derive(Clone, Debug, PartialEq)]
pub struct Point<'elf> {
    /// The metric.
    pub callsite: Callsite<'elf>,
    /// Labels: constant ones, then run-time ones. The overflow series of a family has the one label
    /// `otel.metric.overflow` = `true` instead of the latter.
    pub labels: Vec<(&'elf str, String)>,
    /// What was read.
    pub value: PointValue,
}

/// The value of a [`Point`].
#[derive(Clone, Debug, PartialEq)]
pub enum PointValue {
    /// A monotonic sum, extended over wraps.
    Counter(u64),
    /// A sum that may go down.
    UpDown(i64),
    /// A last value.
    GaugeInt(i64),
    /// A last value.
    GaugeFloat(f64),
    /// A base-2 exponential histogram of non-negative integers, every bucket extended over wraps.
    Histogram {
        /// Buckets per power of two are 2^scale.
        scale: u8,
        /// Sum of all values, modulo 2^64.
        sum: u64,
        /// How many values were zero.
        zeros: u64,
        /// OTLP index of `buckets[0]`; -1 holds the value one.
        offset: i32,
        /// Counts of consecutive buckets.
        buckets: Vec<u64>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    callsite: u64,
    labels: Vec<String>,
    overflow: bool,
}

/// What a cell was, and what it adds up to.
#[derive(Clone, Copy, Debug, Default)]
struct Extended {
    last: u64,
    total: u64,
}

impl Extended {
    fn to(self, cell: u64, mask: u64) -> Extended {
        Extended { last: cell, total: self.total.wrapping_add(cell.wrapping_sub(self.last) & mask) }
    }
}

#[derive(Clone, Debug, Default)]
struct Series {
    counter: Extended,
    zeros: Extended,
    buckets: BTreeMap<u64, Extended>,
}

/// The values of one series in the snapshot being received, its parts merged.
#[derive(Clone, Debug)]
enum Merged {
    Plain(Cell),
    Histogram { scale: u8, sum: u64, zeros: u64, buckets: BTreeMap<u64, u64> },
}

/// Follows the metrics of one boot.
#[derive(Clone, Debug, Default)]
pub(crate) struct SeriesTable {
    series: HashMap<Key, Series>,
    buckets: usize,
    label_bytes: usize,
    open: Option<Open>,
}

#[derive(Clone, Debug, Default)]
struct Open {
    number: u64,
    time: u64,
    complete: bool,
    entries: Vec<(Key, Merged)>,
    index: HashMap<Key, usize>,
    weight: usize,
}

impl SeriesTable {
    /// Frames are missing: a snapshot in progress may lack a part.
    pub(crate) fn gap(&mut self) {
        if let Some(open) = &mut self.open {
            open.complete = false;
        }
    }

    /// Begins (or goes on with) a snapshot. Gives back another one that never saw its last frame.
    pub(crate) fn part<'elf>(
        &mut self,
        (number, time): (u64, u64),
        mask: u64,
        callsites: &Callsites<'elf>,
    ) -> Option<Snapshot<'elf>> {
        let stale = self.open.as_ref().is_some_and(|open| open.number != number);
        let stale = if stale { self.finish(false, mask, callsites) } else { None };
        self.open.get_or_insert_with(|| Open { number, time, complete: true, ..Open::default() });
        stale
    }

    /// Adds an entry to the snapshot in progress. Gives that back, incomplete, when it grows beyond all bounds.
    pub(crate) fn entry<'elf>(
        &mut self,
        entry: Entry,
        mask: u64,
        callsites: &Callsites<'elf>,
    ) -> Option<Snapshot<'elf>> {
        let open = self.open.get_or_insert_with(Open::default);
        let key = Key { callsite: entry.callsite, labels: entry.labels, overflow: entry.overflow };
        open.weight += 1 + key.labels.iter().map(|l| 1 + l.len() / 16).sum::<usize>();
        let merged = match entry.cell {
            Cell::Histogram { scale, sum, zeros, first, buckets } => {
                open.weight += buckets.len();
                Merged::Histogram { scale, sum, zeros, buckets: (first..).zip(buckets).collect() }
            }
            cell => Merged::Plain(cell),
        };
        match open.index.get(&key).and_then(|at| open.entries.get_mut(*at)) {
            Some((_, there)) => there.merge(merged, mask),
            None => {
                open.index.insert(key.clone(), open.entries.len());
                open.entries.push((key, merged));
            }
        }
        if open.weight > MAX_BUCKETS + MAX_SERIES { self.finish(false, mask, callsites) } else { None }
    }

    /// Ends the snapshot in progress.
    pub(crate) fn finish<'elf>(
        &mut self,
        whole: bool,
        mask: u64,
        callsites: &Callsites<'elf>,
    ) -> Option<Snapshot<'elf>> {
        let open = self.open.take()?;
        let points = open.entries.into_iter().map(|(key, merged)| {
            let (callsite, names) = callsites.get(key.callsite, |kind| kind as u8 >= Kind::Counter as u8);
            let constant = callsite.blob.into_iter().flat_map(|b| b.labels());
            let mut labels: Vec<_> = constant.map(|(k, v)| (k, v.to_owned())).collect();
            if key.overflow {
                labels.push(("otel.metric.overflow", "true".to_owned()));
            } else {
                let name = |i: usize| names.get(i).copied().unwrap_or("label");
                labels.extend(key.labels.iter().enumerate().map(|(i, value)| (name(i), value.clone())));
            }
            Point { callsite, labels, value: self.extend(key, merged, mask) }
        });
        let points = points.collect();
        Some(Snapshot { number: open.number, time: open.time, complete: whole && open.complete, points })
    }

    fn extend(&mut self, key: Key, merged: Merged, mask: u64) -> PointValue {
        match merged {
            Merged::Plain(Cell::UpDown(n)) => PointValue::UpDown(n),
            Merged::Plain(Cell::GaugeInt(n)) => PointValue::GaugeInt(n),
            Merged::Plain(Cell::GaugeFloat(x)) => PointValue::GaugeFloat(x),
            Merged::Plain(Cell::Counter(cell)) => {
                PointValue::Counter(match self.room(key, &BTreeMap::new()) {
                    Some(series) => {
                        series.counter = series.counter.to(cell, mask);
                        series.counter.total
                    }
                    None => cell,
                })
            }
            Merged::Plain(Cell::Histogram { .. }) => PointValue::Counter(0),
            Merged::Histogram { scale, sum, zeros, mut buckets } => {
                // An empty bucket is nothing to follow, unless it was not empty before: then its cell wrapped to zero.
                let known = self.series.get(&key);
                buckets.retain(|at, n| *n > 0 || known.is_some_and(|s| s.buckets.contains_key(at)));
                match self.room(key, &buckets) {
                    Some(series) => {
                        series.zeros = series.zeros.to(zeros, mask);
                        for (position, cell) in buckets {
                            let slot = series.buckets.entry(position).or_default();
                            *slot = slot.to(cell, mask);
                        }
                        let totals = series.buckets.iter().map(|(at, slot)| (*at, slot.total));
                        histogram(scale, sum, series.zeros.total, totals.collect())
                    }
                    None => histogram(scale, sum, zeros, buckets),
                }
            }
        }
    }

    /// The series with this key, unless following it, with these buckets, would take more than the bounds allow.
    fn room(&mut self, key: Key, buckets: &BTreeMap<u64, u64>) -> Option<&mut Series> {
        let known = self.series.get(&key);
        let new = |at: &&u64| known.is_none_or(|s| !s.buckets.contains_key(at));
        let more = buckets.keys().filter(new).count();
        if self.buckets + more > MAX_BUCKETS {
            return None;
        }
        if known.is_none() {
            let bytes = key.labels.iter().map(String::len).sum::<usize>();
            if self.series.len() >= MAX_SERIES || self.label_bytes + bytes > MAX_LABEL_BYTES {
                return None;
            }
            self.label_bytes += bytes;
        }
        self.buckets += more;
        Some(self.series.entry(key).or_default())
    }
}

impl Merged {
    fn merge(&mut self, part: Merged, mask: u64) {
        match (self, part) {
            (
                Merged::Histogram { scale, sum, zeros, buckets },
                Merged::Histogram { scale: s, sum: more, zeros: z, buckets: b },
            ) if *scale == s => {
                *sum = sum.wrapping_add(more);
                *zeros = zeros.wrapping_add(z) & mask;
                for (position, count) in b {
                    let slot = buckets.entry(position).or_default();
                    *slot = slot.wrapping_add(count) & mask;
                }
            }
            // A series that came twice and is no histogram: the later reading is the newer.
            (this, other) => *this = other,
        }
    }
}

/// Dense buckets from sparse ones. Where few counts lie far apart the scale is lowered, which merges buckets without error:
/// position p of one scale lies wholly in position ⌈p / 2⌉ of the next.
fn histogram(mut scale: u8, sum: u64, zeros: u64, mut counts: BTreeMap<u64, u64>) -> PointValue {
    // Of more than 2^64 values no device knows; without this a forged count would overflow whoever adds them up.
    let mut left = u64::MAX - zeros;
    for count in counts.values_mut() {
        *count = left.min(*count);
        left -= *count;
    }
    let ends = |m: &BTreeMap<u64, u64>| Some((*m.first_key_value()?.0, *m.last_key_value()?.0));
    loop {
        let Some((first, last)) = ends(&counts) else {
            return PointValue::Histogram { scale, sum, zeros, offset: 0, buckets: Vec::new() };
        };
        if last - first < MAX_SPAN || scale == 0 {
            let dense = (first..=last).map(|at| counts.get(&at).copied().unwrap_or(0));
            let offset = i32::try_from(first).unwrap_or(i32::MAX) - 1;
            return PointValue::Histogram { scale, sum, zeros, offset, buckets: dense.collect() };
        }
        scale -= 1;
        let mut coarse = BTreeMap::new();
        for (at, count) in counts {
            let slot: &mut u64 = coarse.entry(at.div_ceil(2)).or_default();
            *slot += count;
        }
        counts = coarse;
    }
}
