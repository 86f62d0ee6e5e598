//! Metrics over time: extends counters over their wraps, merges the parts of split histograms, and joins
//! frames into snapshots.

use std::collections::{BTreeMap, HashMap};

use throughline::adapter::callsite::Kind;

use crate::callsite::Callsites;
use crate::metrics::{Cell, Entry};
use crate::points::{PointValue, Points, Reading, Snapshot, Sparse};

/// Most series whose wraps are followed. Values of further series are returned as in the device's cells.
pub const MAX_SERIES: usize = 4096;
/// Most histogram buckets that are followed, in all series.
pub const MAX_BUCKETS: usize = 1 << 16;
/// Most bytes of label values that are kept, for all series.
pub const MAX_LABEL_BYTES: usize = 1 << 20;
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    callsite: u64,
    labels: Vec<String>,
    overflow: bool,
}

/// A cell that wraps: its last reading and the sum of all its changes.
#[derive(Clone, Copy, Debug, Default)]
struct Extended {
    last: u64,
    total: u64,
}

impl Extended {
    fn to(self, cell: u64, mask: u64) -> Extended {
        Extended { last: cell, total: self.total.saturating_add(cell.wrapping_sub(self.last) & mask) }
    }
}

/// The same for a cell that may also go down: its change is the difference as a signed word of the device.
#[derive(Clone, Copy, Debug, Default)]
struct SignedExtended {
    last: i64,
    total: i64,
}

impl SignedExtended {
    fn to(self, cell: i64, mask: u64) -> SignedExtended {
        let unused = mask.leading_zeros();
        let change = cell.wrapping_sub(self.last) << unused >> unused;
        SignedExtended { last: cell, total: self.total.saturating_add(change) }
    }
}

#[derive(Clone, Debug, Default)]
struct Series {
    counter: Extended,
    up_down: SignedExtended,
    zeros: Extended,
    buckets: BTreeMap<u64, Extended>,
}

/// The reading of one series in the present snapshot, with its parts merged.
#[derive(Clone, Debug)]
enum Merged {
    Plain(Cell),
    Histogram { scale: u8, fraction_bits: u8, sum: u64, zeros: u64, buckets: BTreeMap<u64, u64> },
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
    /// Notes that frames are missing, so that a snapshot in progress may lack a part.
    pub(crate) fn gap(&mut self) {
        if let Some(open) = &mut self.open {
            open.complete = false;
        }
    }

    /// Begins or continues a snapshot. Returns the snapshot before it if that is unfinished, because its last
    /// frame is missing.
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

    /// Adds an entry to the present snapshot. Returns the snapshot, marked incomplete, if it outgrows its
    /// limit.
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
            Cell::Histogram { scale, fraction_bits, sum, zeros, first, buckets } => {
                open.weight += buckets.len();
                let buckets = (first..).zip(buckets).collect();
                Merged::Histogram { scale, fraction_bits, sum, zeros, buckets }
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

    /// Ends the present snapshot.
    pub(crate) fn finish<'elf>(
        &mut self,
        whole: bool,
        mask: u64,
        callsites: &Callsites<'elf>,
    ) -> Option<Snapshot<'elf>> {
        let open = self.open.take()?;
        let mut points = Points::default();
        for (key, merged) in open.entries {
            let (callsite, names) = callsites.get(key.callsite, |kind| kind as u8 >= Kind::Counter as u8);
            let constant = callsite.blob.into_iter().flat_map(|b| b.labels());
            let mut labels: Vec<_> = constant.map(|(k, v)| (k, v.to_owned())).collect();
            if key.overflow {
                labels.push(("otel.metric.overflow", "true".to_owned()));
            } else {
                let name = |i: usize| names.get(i).copied().unwrap_or("label");
                labels.extend(key.labels.iter().enumerate().map(|(i, value)| (name(i), value.clone())));
            }
            points.push(callsite, labels, self.extend(key, merged, mask));
        }
        let (number, time, complete) = (open.number, open.time, whole && open.complete);
        Some(Snapshot { number, time, complete, points: points.finish() })
    }

    fn extend(&mut self, key: Key, merged: Merged, mask: u64) -> Reading {
        let cell = match merged {
            Merged::Plain(cell) => cell,
            Merged::Histogram { scale, fraction_bits, sum, zeros, mut buckets } => {
                // Drop empty buckets, except those that had counts before: their cells have wrapped to zero.
                let known = self.series.get(&key);
                buckets.retain(|at, n| *n > 0 || known.is_some_and(|s| s.buckets.contains_key(at)));
                let Some(series) = self.room(key, &buckets) else {
                    return Reading::Histogram(Sparse { scale, fraction_bits, sum, zeros, counts: buckets });
                };
                series.zeros = series.zeros.to(zeros, mask);
                for (position, cell) in buckets {
                    let slot = series.buckets.entry(position).or_default();
                    *slot = slot.to(cell, mask);
                }
                let counts = series.buckets.iter().map(|(at, slot)| (*at, slot.total)).collect();
                let zeros = series.zeros.total;
                return Reading::Histogram(Sparse { scale, fraction_bits, sum, zeros, counts });
            }
        };
        Reading::Plain(match cell {
            Cell::Counter(cell) => PointValue::Counter(match self.room(key, &BTreeMap::new()) {
                Some(series) => {
                    series.counter = series.counter.to(cell, mask);
                    series.counter.total
                }
                None => cell,
            }),
            Cell::UpDown(cell) => PointValue::UpDown(match self.room(key, &BTreeMap::new()) {
                Some(series) => {
                    series.up_down = series.up_down.to(cell, mask);
                    series.up_down.total
                }
                None => cell,
            }),
            Cell::CounterFloat(x) => PointValue::CounterFloat(x),
            Cell::GaugeInt(n) => PointValue::GaugeInt(n),
            Cell::GaugeFloat(x) => PointValue::GaugeFloat(x),
            // Histograms are always merged, so they were handled above.
            Cell::Histogram { .. } => PointValue::Counter(0),
        })
    }

    /// The series with this key; `None` if following it with these buckets would exceed the limits.
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
                Merged::Histogram { scale, fraction_bits, sum, zeros, buckets },
                Merged::Histogram { scale: s, fraction_bits: f, sum: more, zeros: z, buckets: b },
            ) if (*scale, *fraction_bits) == (s, f) => {
                *sum = sum.saturating_add(more);
                *zeros = zeros.wrapping_add(z) & mask;
                for (position, count) in b {
                    let slot = buckets.entry(position).or_default();
                    *slot = slot.wrapping_add(count) & mask;
                }
            }
            // A series other than a histogram came twice: keep the later reading.
            (this, other) => *this = other,
        }
    }
}
