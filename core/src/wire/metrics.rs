//! A part of a metrics snapshot (§8): every series as it stands, a histogram in as many pieces as frames want.

use super::frame::{Frame, FrameKind, Header, Place};
use crate::callsite::Kind;
use crate::metrics::histogram::{bucket_count, cells as histogram_cells};
use crate::metrics::list::Series;
use crate::metrics::series::SeriesKey;
use crate::ring::Word;

/// A frame of a metrics snapshot being written.
#[derive(Debug)]
pub struct Metrics<'f, 'b> {
    frame: &'f mut Frame<'b>,
    begun: Place,
}

const LABELS: u8 = 0x80;
const OVERFLOW: u8 = 0x40;

mod shape {
    pub(super) const COUNTER: u8 = 0;
    pub(super) const UP_DOWN: u8 = 1;
    pub(super) const GAUGE: u8 = 2;
    pub(super) const GAUGE_FLOAT: u8 = if usize::BITS == 64 { 4 } else { 3 };
    pub(super) const HISTOGRAM: u8 = 5;
}

/// The shape of a metric on the wire.
pub(crate) const fn shape_of(kind: u8, param: u8) -> u8 {
    match kind {
        KIND_UP_DOWN => shape::UP_DOWN,
        KIND_GAUGE if param == 0 => shape::GAUGE,
        KIND_GAUGE => shape::GAUGE_FLOAT,
        KIND_HISTOGRAM => shape::HISTOGRAM,
        _ => shape::COUNTER,
    }
}

impl<'f, 'b> Metrics<'f, 'b> {
    /// An empty part of snapshot number `snapshot`; to be [begun](Metrics::begin).
    pub fn new(frame: &'f mut Frame<'b>, header: &Header, snapshot: u32) -> Self {
        frame.begin(FrameKind::Metrics, header);
        frame.varint(snapshot.into());
        let begun = frame.at;
        Metrics { frame, begun }
    }

    /// Begins it, or begins it again, as of `time` (ticks); `last`: after it the snapshot is complete.
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn begin(&mut self, last: bool, time: u64) {
        self.frame.go_back(&self.begun);
        self.frame.u8(last.into());
        self.frame.varint(time);
    }

    /// Puts a series in, from its bucket `from` on if it is a histogram's; begin with 0. Gives what to go on from: [`WHOLE`](Metrics::WHOLE) when
    /// all of it is in; `from` when nothing fits any more. A frame with room for its labels and about 40 bytes more gets on with any series.
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn push(&mut self, series: &Series, from: usize) -> usize {
        let (mut first, mut end) = (from, 0);
        if series.shape() == shape::HISTOGRAM {
            end = bucket_count(series.param().into());
            while end > first && bucket(series, end - 1) == 0 {
                end -= 1;
            }
            while first < end && bucket(series, first) == 0 {
                first += 1;
            }
        }
        let mut count = end.saturating_sub(first);
        let before = self.frame.at;
        loop {
            self.entry(series, from == 0, first, count);
            if self.frame.fits() {
                let next = first + count;
                return if next < end { next } else { Self::WHOLE };
            }
            self.frame.go_back(&before);
            if count < 2 {
                return from;
            }
            count /= 2;
        }
    }

    /// All of a series is in.
    pub const WHOLE: usize = usize::MAX;

    /// Closes it, and says how many bytes it has on the wire, delimiter included.
    pub fn finish(self) -> usize {
        self.frame.finish()
    }

    /// A series; of a histogram `count` buckets from `first` on, with sum and zeros if they are the first.
    #[cfg_attr(target_os = "none", inline(never))]
    fn entry(&mut self, series: &Series, head: bool, first: usize, count: usize) {
        let frame = &mut *self.frame;
        let shape = series.shape();
        frame.varint(series.callsite() as u64);
        match series.family_labels() {
            Some(FamilyLabels(put)) => put(frame, series, shape),
            None => frame.u8(shape),
        }
        let mut cell = series.cell(0);
        match shape {
            shape::COUNTER => frame.varint(cell as u64),
            shape::GAUGE_FLOAT => {
                for _ in 0..size_of::<Word>() {
                    frame.u8(cell as u8);
                    cell >>= 8;
                }
            }
            shape::HISTOGRAM => {
                frame.u8(series.param());
                frame.varint(if head { sum(series) } else { 0 });
                frame.varint(if head { cell as u64 } else { 0 });
                frame.varint(first as u64);
                frame.varint(count as u64);
                for i in first..first + count {
                    frame.varint(bucket(series, i) as u64);
                }
            }
            _ => frame.zigzag(cell as isize as i64),
        }
    }
}

/// Puts the shape and the run-time labels of a family's series into a frame; [`LABELS_OF_FAMILY`], wherever there is one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FamilyLabels(fn(&mut Frame<'_>, &Series, u8));

pub(crate) const LABELS_OF_FAMILY: FamilyLabels = FamilyLabels(labels);

fn labels(frame: &mut Frame<'_>, series: &Series, shape: u8) {
    if series.is_overflow() {
        return frame.u8(shape | OVERFLOW);
    }
    let count = series.label_count();
    frame.u8(shape | LABELS);
    frame.u8(count as u8);
    let mut bytes = [0; SeriesKey::BYTES];
    series.labels(&mut bytes);
    // A value's length byte is the varint a `string` begins with, as it is below 128.
    let mut at = 0;
    for _ in 0..count {
        let end = at + 1 + usize::from(bytes[at & (SeriesKey::BYTES - 1)]);
        frame.bytes(bytes.get(at..end).unwrap_or(&[0]));
        at = end;
    }
}

const KIND_UP_DOWN: u8 = Kind::UpDownCounter as u8;
const KIND_GAUGE: u8 = Kind::Gauge as u8;
const KIND_HISTOGRAM: u8 = Kind::Histogram as u8;
/// Cells of a histogram: zeros, sum (low word first), buckets.
const SUM: usize = 1;
const BUCKETS: usize = histogram_cells(0) - bucket_count(0);

fn bucket(series: &Series, position: usize) -> Word {
    series.cell(BUCKETS + position)
}

/// The sum. On a 32-bit machine it is two cells; reading the upper one twice sees a carry that came in between.
fn sum(series: &Series) -> u64 {
    if Word::BITS == 64 {
        return series.cell(SUM) as u64;
    }
    let mut high = series.cell(SUM + 1);
    loop {
        let low = series.cell(SUM);
        let again = series.cell(SUM + 1);
        if high == again {
            return low as u64 | (high as u64) << (Word::BITS % 64);
        }
        high = again;
    }
}
