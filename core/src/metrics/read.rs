//! Reads metrics: walks over all series and returns their values.

// A cell has 32 or 64 bits, depending on the target. On targets with 64-bit cells these conversions change
// nothing.
#![allow(clippy::unnecessary_cast, clippy::useless_conversion)]

use super::entry::Entry;
use super::gauge::float;
use super::histogram::{BUCKETS, SUM, ZEROS, bucket_count, cells as histogram_cells};
use super::series::SeriesKey;
use super::shape;
use crate::callsite::{Blob, Kind};
use crate::sync::{Count, Relaxed, Signed};

/// One series of a metric.
#[derive(Clone, Copy, Debug)]
pub struct Series {
    entry: &'static Entry,
    index: usize,
}

/// The value of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reading {
    /// A monotonic sum. It saturates at `u64::MAX`.
    Counter(u64),
    /// A monotonic sum of fractions.
    CounterFloat(f64),
    /// A sum that may go down.
    UpDown(i64),
    /// An integer gauge's last value.
    GaugeInt(i64),
    /// A float gauge's last value.
    GaugeFloat(f64),
    /// A histogram. [`Series::bucket`] reads its buckets one by one.
    Histogram(HistogramReading),
}

/// A histogram's values other than its buckets. All values are multiples of 2^-`fraction_bits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistogramReading {
    /// A power of two has 2^`scale` buckets.
    pub scale: u8,
    /// Number of binary fraction digits of the values.
    pub fraction_bits: u8,
    /// Whether the histogram is to be exported as quantiles.
    pub is_summary: bool,
    /// Sum of all values. It saturates at `u64::MAX`.
    pub sum: u64,
    /// Number of values that were zero.
    pub zeros: u64,
    /// The least and the greatest value; `None` where cells do not keep them or no value was recorded.
    pub extremes: Option<(u64, u64)>,
}

/// Calls `f` with every series: on a 32-bit microcontroller those of all metrics in the program, elsewhere
/// those of the metrics used so far. Writers may continue meanwhile; a series is read as of some moment
/// during the call, and no count is lost or read twice. Cost: cells × threads.
pub fn for_each(mut f: impl FnMut(Series)) {
    let mut next = Series::first();
    while let Some(series) = next {
        f(series);
        next = series.next();
    }
}

/// Calls `f` with every series that [`for_each`] would give, and with the overflow series of families that have
/// not overflowed, for which [`Series::is_in_use`] is false. While [`changes`] does not change, these are the
/// same series.
#[cfg(feature = "std")]
pub fn for_each_possible(mut f: impl FnMut(Series)) {
    let mut next = Entry::first();
    while let Some(entry) = next {
        for index in 0..=entry.keys.len() {
            let series = Series { entry, index };
            if index == entry.keys.len() || series.is_in_use() {
                f(series);
            }
        }
        next = entry.next();
    }
}

/// How often a metric or a label set was used for the first time. A reader that keeps what it made of all series
/// asks this before [`for_each_possible`]; it counts late rather than early.
#[cfg(feature = "std")]
pub fn changes() -> usize {
    super::series::changes()
}

impl Series {
    /// The first series. With [`Series::next`] it walks over all series; the walk may pause and continue
    /// later.
    pub fn first() -> Option<Series> {
        Series::in_use_from(Entry::first()?, 0)
    }

    /// The next series. Metrics that were first used after the walk began may be missing.
    pub fn next(&self) -> Option<Series> {
        Series::in_use_from(self.entry, self.index + 1)
    }

    #[cfg_attr(target_os = "none", inline(never))]
    fn in_use_from(mut entry: &'static Entry, mut index: usize) -> Option<Series> {
        loop {
            while index <= entry.keys.len() {
                let series = Series { entry, index };
                if entry.special.is_none_or(|special| (special.is_in_use)(&series)) {
                    return Some(series);
                }
                index += 1;
            }
            (entry, index) = (entry.next()?, 0);
        }
    }

    /// The metric's callsite: its id on a microcontroller, elsewhere the address of its blob, which only
    /// identifies the metric.
    pub fn callsite(&self) -> usize {
        self.entry.callsite()
    }

    /// The description of the metric; `None` on a microcontroller, whose blobs are only in the ELF on the
    /// host.
    pub fn blob(&self) -> Option<Blob<'static>> {
        self.entry.blob()
    }

    /// The kind of the metric, as in its blob: 3 counter, 4 up-down counter, 5 gauge, 6 histogram.
    pub fn kind(&self) -> u8 {
        self.entry.kind
    }

    /// The parameter of the metric, as in its blob.
    pub fn param(&self) -> u8 {
        self.entry.param
    }

    /// For a histogram: a power of two has 2^`scale` buckets.
    pub fn scale(&self) -> u8 {
        shape::scale(self.entry.param)
    }

    /// For a histogram: its cells count multiples of 2^-`fraction_bits`.
    pub fn fraction_bits(&self) -> u8 {
        shape::fraction_bits(self.entry.param)
    }

    /// Number of cells.
    pub fn len(&self) -> usize {
        if self.is_histogram() { histogram_cells(self.scale().into()) } else { 1 }
    }

    /// Always false: every metric has a cell.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn is_histogram(&self) -> bool {
        self.kind() == Kind::Histogram as u8
    }

    /// Index of cell `i` of this series among all cells of the metric.
    fn at(&self, i: usize) -> usize {
        if self.index == 0 { i } else { self.index * self.len() + i }
    }

    /// Cell `i`, summed over all threads. 64-bit sums saturate; 32-bit sums wrap.
    #[cfg_attr(target_os = "none", inline(never))]
    pub(crate) fn cell(&self, i: usize) -> Count {
        let sum = |a: Count, b| if Count::BITS == 64 { a.saturating_add(b) } else { a.wrapping_add(b) };
        self.fold(i, sum)
    }

    /// The signed cell 0, summed over all threads in the same way.
    pub(crate) fn signed_cell(&self) -> Signed {
        #[cfg(feature = "std")]
        {
            let sum = |a: Signed, b| if Count::BITS == 64 { a.saturating_add(b) } else { a.wrapping_add(b) };
            self.fold(0, |a, b| sum(a as Signed, b as Signed) as Count) as Signed
        }
        // Without threads there is only one cell, which is the sum.
        #[cfg(not(feature = "std"))]
        {
            self.cell(0) as Signed
        }
    }

    /// Combines cell `i` of all threads with `join`.
    #[cfg_attr(not(feature = "std"), allow(unused_variables))]
    #[inline(always)]
    fn fold(&self, i: usize, join: impl Fn(Count, Count) -> Count) -> Count {
        let i = self.at(i);
        let shared = self.entry.cells.get(i).map_or(0, |cell| cell.load(Relaxed));
        #[cfg(feature = "std")]
        let shared = {
            let mut all = shared;
            if self.kind() != Kind::Gauge as u8 {
                self.entry.for_each_thread(i, 1, |cells| {
                    cells.iter().for_each(|cell| all = join(all, cell.load(Relaxed)));
                });
            }
            all
        };
        shared
    }

    /// The value of the series. This function is too large for microcontrollers; the wire encoder reads only
    /// the parts that it needs.
    pub fn read(&self) -> Reading {
        match self.entry.shape {
            shape::UP_DOWN => Reading::UpDown(self.signed_cell() as i64),
            shape::GAUGE => Reading::GaugeInt(self.signed_cell() as i64),
            shape::GAUGE_FLOAT => Reading::GaugeFloat(float(self.cell(0)).into()),
            shape::COUNTER_FLOAT => Reading::CounterFloat(f64::from_bits(self.read_float_sum())),
            shape::HISTOGRAM | shape::HISTOGRAM_FIXED => Reading::Histogram(HistogramReading {
                scale: self.scale(),
                fraction_bits: self.fraction_bits(),
                is_summary: shape::is_summary(self.param()),
                sum: self.sum(),
                zeros: self.zeros(),
                extremes: self.extremes(),
            }),
            _ => Reading::Counter(self.cell(0) as u64),
        }
    }

    /// For a histogram: the number of values that were zero.
    pub(crate) fn zeros(&self) -> u64 {
        self.cell(ZEROS) as u64
    }

    /// For a histogram: the number of values in the bucket at `position`. 0 for other metrics.
    pub fn bucket(&self, position: usize) -> u64 {
        if self.is_histogram() && position < self.bucket_count() {
            self.cell(BUCKETS + position) as u64
        } else {
            0
        }
    }

    /// For a histogram: the number of buckets.
    pub fn bucket_count(&self) -> usize {
        bucket_count(self.scale().into())
    }

    /// For a histogram: the sum of all values.
    #[cfg(target_has_atomic = "64")]
    pub(crate) fn sum(&self) -> u64 {
        self.cell(SUM)
    }

    /// For a histogram: the sum of all values. Two cells hold it; reading the upper one twice detects a carry
    /// between the reads.
    #[cfg(not(target_has_atomic = "64"))]
    pub(crate) fn sum(&self) -> u64 {
        let mut high = self.cell(SUM + 1);
        loop {
            let low = self.cell(SUM);
            let again = self.cell(SUM + 1);
            if high == again {
                return if high >= crate::sync::FULL { u64::MAX } else { low as u64 | (high as u64) << 32 };
            }
            high = again;
        }
    }

    #[cfg(target_has_atomic = "64")]
    fn extremes(&self) -> Option<(u64, u64)> {
        use super::histogram::{GREATEST, LEAST};
        let greatest = self.fold(GREATEST, Count::max);
        let least = !self.fold(LEAST, Count::max);
        // Initial cells give `least > greatest`: no value was recorded.
        (least <= greatest).then_some((least, greatest))
    }

    #[cfg(not(target_has_atomic = "64"))]
    fn extremes(&self) -> Option<(u64, u64)> {
        None
    }

    /// Passes a float's bytes to `sink`, the lowest first: those of a gauge's cell or of a counter's sum.
    /// Only programs with such metrics link this code.
    pub(crate) fn put_float(&self, sink: &mut dyn FnMut(&[u8])) {
        if let Some(special) = self.entry.special {
            (special.float)(self, sink);
        }
    }

    pub(super) fn give_cell(&self, sink: &mut dyn FnMut(&[u8])) {
        sink(&self.cell(0).to_le_bytes());
    }

    pub(super) fn give_float_sum(&self, sink: &mut dyn FnMut(&[u8])) {
        sink(&self.read_float_sum().to_le_bytes());
    }

    /// For a counter of fractions: its sum as the bits of an `f64`.
    #[cfg(target_has_atomic = "64")]
    fn read_float_sum(&self) -> u64 {
        self.fold(0, |a, b| (f64::from_bits(a) + f64::from_bits(b)).to_bits())
    }

    /// Moves the amount gathered in the `f32` into the `f64` beside it. There is only one reader at a time,
    /// so nothing else writes the `f64`.
    #[cfg(not(target_has_atomic = "64"))]
    fn read_float_sum(&self) -> u64 {
        let [gathered, low, high] = self.entry.cells else { return 0 };
        let bits = low.load(Relaxed) as u64 | (high.load(Relaxed) as u64) << 32;
        let sum = f64::from_bits(bits) + f64::from(float(gathered.swap(0, Relaxed)));
        low.store(sum.to_bits() as Count, Relaxed);
        high.store((sum.to_bits() >> 32) as Count, Relaxed);
        sum.to_bits()
    }

    /// The shape on the wire.
    pub(crate) fn shape(&self) -> u8 {
        self.entry.shape
    }

    /// The position of the series in its metric's table; 0 for a metric without run-time labels. Together
    /// with [`Series::callsite`] it identifies the series while the program runs.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The number of run-time labels.
    pub fn label_count(&self) -> usize {
        usize::from(self.entry.labels)
    }

    /// Writes the values of the run-time labels to `out`, each as a length byte and its bytes. Returns the
    /// number of bytes; 0 for a metric without labels and for the overflow series (see
    /// [`Series::is_overflow`]).
    pub fn labels(&self, out: &mut [u8; SeriesKey::BYTES]) -> usize {
        self.entry.keys.get(self.index).map_or(0, |key| key.read(out))
    }

    /// Passes the values of the run-time labels to `sink`: their number, then each as a length byte and its
    /// bytes. Only programs with families link this code.
    pub(crate) fn put_labels(&self, sink: &mut dyn FnMut(&[u8])) {
        if let Some(special) = self.entry.special {
            (special.labels)(self, sink);
        }
    }

    pub(super) fn give_labels(&self, sink: &mut dyn FnMut(&[u8])) {
        let count = self.label_count();
        sink(&[count as u8]);
        let mut bytes = [0; SeriesKey::BYTES];
        self.labels(&mut bytes);
        let mut at = 0;
        for _ in 0..count {
            let end = at + 1 + usize::from(bytes[at & (SeriesKey::BYTES - 1)]);
            sink(bytes.get(at..end).unwrap_or(&[0]));
            at = end;
        }
    }

    /// Whether the series belongs to a family.
    pub(crate) fn is_of_family(&self) -> bool {
        !self.entry.keys.is_empty()
    }

    /// Whether this is the overflow series, which counts the label sets that found no room in the family.
    pub fn is_overflow(&self) -> bool {
        self.is_of_family() && self.index == self.entry.keys.len()
    }

    /// For a gauge: whether it uses the cells of another callsite.
    pub(super) fn has_home_elsewhere(&self) -> bool {
        self.entry.has_home_elsewhere()
    }

    /// Whether there is anything to report: false for a label set that no context has used, and for the overflow
    /// series of a family that has counted nothing in it.
    pub fn is_in_use(&self) -> bool {
        match self.entry.keys.get(self.index) {
            Some(key) => key.is_set(),
            None => !self.is_of_family() || (0..self.len()).any(|i| self.cell(i) != 0),
        }
    }

    /// For a histogram: adds the number of values in each bucket to `counts`, from the first bucket on. Faster than
    /// [`Series::bucket`] for all of them.
    #[cfg(all(feature = "std", target_has_atomic = "64"))]
    pub fn add_buckets(&self, counts: &mut [u64]) {
        if self.is_histogram() {
            let (at, scale) = (self.at(0), self.scale().into());
            if let Some(shared) = self.entry.cells.get(at..at + self.len()) {
                add_buckets(shared, scale, counts);
            }
            self.entry.for_each_thread(at, self.len(), |own| add_buckets(own, scale, counts));
        }
    }

    /// For a histogram: asks all threads for exemplars among their next values.
    #[cfg(all(feature = "std", target_has_atomic = "64"))]
    pub fn ask_for_exemplars(&self) {
        if self.is_histogram() {
            self.entry.for_each_thread(self.at(0), self.len(), super::exemplar::ask);
        }
    }

    /// Index of the series' first cell among the cells of every thread, which identifies it among all series with
    /// cells there. `None` before the metric is used.
    #[cfg(feature = "std")]
    pub fn first_cell(&self) -> Option<usize> {
        self.entry.index_in_threads(self.at(0))
    }
}

/// Adds the buckets of a histogram's cells that lie between its least and its greatest value.
#[cfg(all(feature = "std", target_has_atomic = "64"))]
fn add_buckets(cells: &[crate::sync::Cell], scale: u32, counts: &mut [u64]) {
    use super::histogram::{GREATEST, LEAST, position};
    let (least, greatest) = (!cells[LEAST].load(Relaxed), cells[GREATEST].load(Relaxed));
    // Without a value the least is greater than the greatest. A value of 0 is in no bucket.
    let Some(last) = position(greatest, scale).filter(|_| least <= greatest) else { return };
    let first = position(least, scale).unwrap_or(0);
    let cells = cells.get(BUCKETS + first..=BUCKETS + last).unwrap_or_default();
    for (count, cell) in counts.iter_mut().skip(first).zip(cells) {
        *count = count.saturating_add(cell.load(Relaxed));
    }
}
