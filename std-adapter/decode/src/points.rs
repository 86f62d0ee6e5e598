//! The result of a metrics snapshot: its series, with those merged that several callsites share.

use std::collections::{BTreeMap, HashMap};

use crate::callsite::Callsite;

/// A histogram with more buckets than this is converted to a lower scale.
const MAX_SPAN: u64 = 1 << 14;

/// All metrics of a device at one time, cumulative since its boot.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Snapshot<'elf> {
    /// Number of this snapshot in its boot.
    pub number: u64,
    /// Time of the reading, in ticks since boot.
    pub time: u64,
    /// Whether all its frames arrived.
    pub complete: bool,
    /// Its series, in stream order. Callsites with the same name, unit, labels and kind are one series:
    /// counts are added up, and the last gauge in the stream counts.
    pub points: Vec<Point<'elf>>,
}

/// One series.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Point<'elf> {
    /// The callsite of the metric; the first in the stream if several share the series.
    pub callsite: Callsite<'elf>,
    /// Labels: constant ones, then run-time ones. The overflow series of a family has the label
    /// `otel.metric.overflow` = `true` instead of run-time labels. No key comes twice.
    pub labels: Vec<(&'elf str, String)>,
    /// The value.
    pub value: PointValue,
}

/// The value of a [`Point`].
#[derive(Clone, Debug, PartialEq)]
pub enum PointValue {
    /// A monotonic sum, extended over wraps. It saturates at `u64::MAX`.
    Counter(u64),
    /// A monotonic floating-point sum.
    CounterFloat(f64),
    /// A sum that may go down, extended over wraps.
    UpDown(i64),
    /// An integer gauge.
    GaugeInt(i64),
    /// A floating-point gauge.
    GaugeFloat(f64),
    /// A base-2 exponential histogram of non-negative numbers, every bucket extended over wraps.
    Histogram {
        /// A power of two has 2^scale buckets.
        scale: u8,
        /// All values are multiples of 2^-`fraction_bits`; 0 means that they are integers.
        fraction_bits: u8,
        /// Sum of all values as a multiple of 2^-`fraction_bits`. It saturates at `u64::MAX`.
        sum: u64,
        /// Number of values that were zero.
        zeros: u64,
        /// OTLP index of `buckets[0]`. The value 1 is in the bucket with index -1.
        offset: i32,
        /// Counts of consecutive buckets.
        buckets: Vec<u64>,
    },
}

/// The reading of one callsite, before callsites of one series are merged.
#[derive(Clone, Debug)]
pub(crate) enum Reading {
    Plain(PointValue),
    Histogram(Sparse),
}

/// A histogram whose empty buckets take no memory: counts by position, which is OTLP's index + 1.
#[derive(Clone, Debug)]
pub(crate) struct Sparse {
    pub(crate) scale: u8,
    pub(crate) fraction_bits: u8,
    pub(crate) sum: u64,
    pub(crate) zeros: u64,
    pub(crate) counts: BTreeMap<u64, u64>,
}

/// Collects the series of a snapshot.
#[derive(Debug, Default)]
pub(crate) struct Points<'elf> {
    points: Vec<(Callsite<'elf>, Labels<'elf>, Reading)>,
    /// Index of each series in `points`.
    by_identity: HashMap<Identity<'elf>, usize>,
}

pub(crate) type Labels<'elf> = Vec<(&'elf str, String)>;

/// Callsites with the same identity are one series.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Identity<'elf> {
    name: &'elf str,
    unit: &'elf str,
    labels: Labels<'elf>,
    kind: u8,
}

impl<'elf> Points<'elf> {
    /// Adds the reading of a callsite. Callsites that the ELF does not have are kept apart, because they have
    /// no name to share.
    pub(crate) fn push(&mut self, callsite: Callsite<'elf>, labels: Labels<'elf>, reading: Reading) {
        let labels = unique(labels);
        if let Some(blob) = callsite.blob {
            let mut sorted = labels.clone();
            sorted.sort();
            let kind = reading.kind();
            let identity = Identity { name: blob.name, unit: blob.unit, labels: sorted, kind };
            let at = *self.by_identity.entry(identity).or_insert(self.points.len());
            if let Some((_, _, there)) = self.points.get_mut(at) {
                return there.merge(reading);
            }
        }
        self.points.push((callsite, labels, reading));
    }

    pub(crate) fn finish(self) -> Vec<Point<'elf>> {
        let point = |(callsite, labels, reading): (_, _, Reading)| Point {
            callsite,
            labels,
            value: match reading {
                Reading::Plain(value) => value,
                Reading::Histogram(sparse) => sparse.dense(),
            },
        };
        self.points.into_iter().map(point).collect()
    }
}

/// Keeps every key once, with its last value.
fn unique<'elf>(labels: Labels<'elf>) -> Labels<'elf> {
    let mut out: Labels<'elf> = Vec::with_capacity(labels.len());
    for (key, value) in labels {
        match out.iter_mut().find(|(there, _)| *there == key) {
            Some((_, there)) => *there = value,
            None => out.push((key, value)),
        }
    }
    out
}

impl Reading {
    fn kind(&self) -> u8 {
        match self {
            Reading::Plain(PointValue::Counter(_) | PointValue::CounterFloat(_)) => 0,
            Reading::Plain(PointValue::UpDown(_)) => 1,
            Reading::Plain(PointValue::GaugeInt(_)) => 2,
            Reading::Plain(PointValue::GaugeFloat(_)) => 3,
            Reading::Plain(PointValue::Histogram { .. }) | Reading::Histogram(_) => 4,
        }
    }

    fn merge(&mut self, other: Reading) {
        match (self, other) {
            (Reading::Plain(PointValue::Counter(a)), Reading::Plain(PointValue::Counter(b))) => {
                *a = a.saturating_add(b);
            }
            (Reading::Plain(PointValue::CounterFloat(a)), Reading::Plain(PointValue::CounterFloat(b))) => {
                *a += b;
            }
            (Reading::Plain(PointValue::CounterFloat(a)), Reading::Plain(PointValue::Counter(b))) => {
                *a += b as f64;
            }
            (Reading::Plain(a @ PointValue::Counter(_)), Reading::Plain(PointValue::CounterFloat(b))) => {
                let PointValue::Counter(n) = *a else { return };
                *a = PointValue::CounterFloat(n as f64 + b);
            }
            (Reading::Plain(PointValue::UpDown(a)), Reading::Plain(PointValue::UpDown(b))) => {
                *a = a.saturating_add(b);
            }
            (Reading::Histogram(a), Reading::Histogram(b)) => a.merge(b),
            // Current firmware gives all callsites of a gauge one cell. Older firmware does not tell which
            // one was set last.
            (this, other) => *this = other,
        }
    }
}

impl Sparse {
    /// Adds another histogram, at the coarser scale and in the finer steps of the two. Both conversions are
    /// exact.
    fn merge(&mut self, mut other: Sparse) {
        let fraction_bits = self.fraction_bits.max(other.fraction_bits);
        while self.scale > other.scale {
            self.coarsen();
        }
        while other.scale > self.scale {
            other.coarsen();
        }
        self.refine_to(fraction_bits);
        other.refine_to(fraction_bits);
        self.sum = self.sum.saturating_add(other.sum);
        self.zeros = self.zeros.saturating_add(other.zeros);
        for (position, n) in other.counts {
            let slot = self.counts.entry(position).or_default();
            *slot = slot.saturating_add(n);
        }
    }

    /// Converts to smaller steps, of which every value is a larger multiple.
    fn refine_to(&mut self, fraction_bits: u8) {
        let by = fraction_bits - self.fraction_bits;
        if by > 0 {
            let up = u64::from(by) << self.scale;
            self.counts = self.counts.iter().map(|(position, n)| (position + up, *n)).collect();
            self.sum = self.sum.saturating_mul(1 << by);
            self.fraction_bits = fraction_bits;
        }
    }

    /// Lowers the scale by one. This is exact, because position p of a scale lies entirely in position ⌈p /
    /// 2⌉ of the next lower one.
    fn coarsen(&mut self) {
        let mut coarse = BTreeMap::new();
        for (position, n) in &self.counts {
            let slot: &mut u64 = coarse.entry(position.div_ceil(2)).or_default();
            *slot = slot.saturating_add(*n);
        }
        self.counts = coarse;
        self.scale -= 1;
    }

    /// Converts to consecutive buckets. If few counts are far apart, the scale is lowered until they span few
    /// buckets.
    fn dense(mut self) -> PointValue {
        // No device counts more than 2^64 values. Without this limit, a forged count could overflow the sum
        // of all buckets.
        let mut left = u64::MAX - self.zeros;
        for n in self.counts.values_mut() {
            *n = left.min(*n);
            left -= *n;
        }
        loop {
            let ends = self.counts.first_key_value().zip(self.counts.last_key_value());
            let (first, last) = ends.map_or((1, 0), |((first, _), (last, _))| (*first, *last));
            if last.saturating_sub(first) >= MAX_SPAN && self.scale > 0 {
                self.coarsen();
                continue;
            }
            let Sparse { scale, fraction_bits, sum, zeros, counts } = self;
            let buckets = (first..=last).map(|at| counts.get(&at).copied().unwrap_or(0)).collect();
            let offset = i32::try_from(first).unwrap_or(i32::MAX) - 1 - (i32::from(fraction_bits) << scale);
            return PointValue::Histogram { scale, fraction_bits, sum, zeros, offset, buckets };
        }
    }
}
