//! What a metrics snapshot gives: its series, those that several callsites share made one.

use std::collections::{BTreeMap, HashMap};

use crate::callsite::Callsite;

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
    /// Its series, in the order of the stream. Callsites with the same name, unit, labels and kind are one series: counts add up, and of gauges the
    /// one that comes last in the stream is given.
    pub points: Vec<Point<'elf>>,
}

/// One series.
#[derive(Clone, Debug, PartialEq)]
pub struct Point<'elf> {
    /// The metric; the first in the stream of those that share the series.
    pub callsite: Callsite<'elf>,
    /// Labels: constant ones, then run-time ones. The overflow series of a family has the one label
    /// `otel.metric.overflow` = `true` instead of the latter. No key comes twice.
    pub labels: Vec<(&'elf str, String)>,
    /// What was read.
    pub value: PointValue,
}

/// The value of a [`Point`].
#[derive(Clone, Debug, PartialEq)]
pub enum PointValue {
    /// A monotonic sum, extended over wraps; it stays at `u64::MAX` once it gets there.
    Counter(u64),
    /// A monotonic sum of fractions.
    CounterFloat(f64),
    /// A sum that may go down, extended over wraps.
    UpDown(i64),
    /// A last value.
    GaugeInt(i64),
    /// A last value.
    GaugeFloat(f64),
    /// A base-2 exponential histogram of non-negative numbers, every bucket extended over wraps.
    Histogram {
        /// Buckets per power of two are 2^scale.
        scale: u8,
        /// All values are multiples of 2^-this; 0 says that they are whole numbers.
        fraction_bits: u8,
        /// Sum of all values as a multiple of 2^-`fraction_bits`; it stays at `u64::MAX` once it gets there.
        sum: u64,
        /// How many values were zero.
        zeros: u64,
        /// OTLP index of `buckets[0]`; -1 holds the value one.
        offset: i32,
        /// Counts of consecutive buckets.
        buckets: Vec<u64>,
    },
}

/// What one callsite counted, before callsites of one series are merged.
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
    /// Where a series is in `points`.
    by_identity: HashMap<Identity<'elf>, usize>,
}

pub(crate) type Labels<'elf> = Vec<(&'elf str, String)>;

/// What makes two callsites one series.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Identity<'elf> {
    name: &'elf str,
    unit: &'elf str,
    labels: Labels<'elf>,
    kind: u8,
}

impl<'elf> Points<'elf> {
    /// Adds what a callsite counted. Callsites that the ELF does not know have no name to share and stay apart.
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

/// Every key once, with the value that came last.
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
            // Firmware of today gives all callsites of a gauge one cell; older firmware does not say which was set last.
            (this, other) => *this = other,
        }
    }
}

impl Sparse {
    /// Adds another histogram: at the coarser scale of the two, in the finer steps of the two. Both are exact.
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

    /// Counts in smaller steps: every value is a larger multiple of them.
    fn refine_to(&mut self, fraction_bits: u8) {
        let by = fraction_bits - self.fraction_bits;
        if by > 0 {
            let up = u64::from(by) << self.scale;
            self.counts = self.counts.iter().map(|(position, n)| (position + up, *n)).collect();
            self.sum = self.sum.saturating_mul(1 << by);
            self.fraction_bits = fraction_bits;
        }
    }

    /// Lowers the scale by one. Exact: position p of one scale lies wholly in position ⌈p / 2⌉ of the next.
    fn coarsen(&mut self) {
        let mut coarse = BTreeMap::new();
        for (position, n) in &self.counts {
            let slot: &mut u64 = coarse.entry(position.div_ceil(2)).or_default();
            *slot = slot.saturating_add(*n);
        }
        self.counts = coarse;
        self.scale -= 1;
    }

    /// Consecutive buckets. Where few counts lie far apart the scale is lowered until they span few buckets.
    fn dense(mut self) -> PointValue {
        // No device knows more than 2^64 values; without this limit a forged count would overflow whoever adds them up.
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
