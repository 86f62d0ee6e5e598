//! A part of a metrics snapshot (§8): every series as it stands, a histogram in as many pieces as frames want.

use super::frame::{Frame, FrameKind, Header};
use crate::callsite::Kind;
use crate::metrics::{Series, SeriesKey, bucket_count, histogram_cells};
use crate::ring::Word;

/// A frame of a metrics snapshot being written.
#[derive(Debug)]
pub struct Metrics<'b> {
    frame: Frame<'b>,
    flags_at: usize,
}

const LAST: u8 = 1;
const LABELS: u8 = 0x80;
const OVERFLOW: u8 = 0x40;
/// Buckets of one piece, so that their number is one byte, put in afterwards.
const MOST: u8 = 0x7f;

mod shape {
    pub(super) const COUNTER: u8 = 0;
    pub(super) const UP_DOWN: u8 = 1;
    pub(super) const GAUGE: u8 = 2;
    pub(super) const GAUGE_F32: u8 = 3;
    pub(super) const GAUGE_F64: u8 = 4;
    pub(super) const HISTOGRAM: u8 = 5;
}

impl<'b> Metrics<'b> {
    /// An empty part of snapshot number `snapshot`, taken at `time`; `None` when not even its header fits `buf`.
    pub fn new(buf: &'b mut [u8], header: &Header, snapshot: u32, time: u64) -> Option<Metrics<'b>> {
        let mut frame = Frame::new(buf, FrameKind::Metrics, header)?;
        frame.varint(snapshot.into());
        let flags_at = frame.at;
        frame.u8(0);
        frame.varint(time);
        frame.fits().then_some(Metrics { frame, flags_at })
    }

    /// Puts a series in. `None` when all of it is; else what to give as `from` when it goes on in the next frame. Begin with 0; only
    /// a histogram gives anything else. A frame with room for its labels and about 40 bytes more gets on with any series.
    pub fn push(&mut self, series: &Series, from: usize) -> Option<usize> {
        let mut from = from;
        loop {
            let before = self.frame.at;
            let next = self.entry(series, from);
            if !self.frame.fits() || next == Some(from) {
                self.frame.at = before;
                return Some(from);
            }
            from = next?;
        }
    }

    /// Closes it: the frame on the wire is that many bytes at the front of the buffer, delimiter included.
    pub fn finish(mut self, last: bool) -> usize {
        self.frame.set(self.flags_at, if last { LAST } else { 0 });
        self.frame.finish()
    }

    fn entry(&mut self, series: &Series, from: usize) -> Option<usize> {
        let histogram = series.kind() == Kind::Histogram as u8;
        let end = if histogram { end_of_buckets(series, from) } else { 0 };
        if from > 0 && from >= end {
            return None;
        }
        let shape = match (series.kind(), series.param()) {
            (KIND_UP_DOWN, _) => shape::UP_DOWN,
            (KIND_GAUGE, 0) => shape::GAUGE,
            (KIND_GAUGE, 1) => shape::GAUGE_F32,
            (KIND_GAUGE, _) => shape::GAUGE_F64,
            (KIND_HISTOGRAM, _) => shape::HISTOGRAM,
            _ => shape::COUNTER,
        };
        self.frame.varint(series.callsite() as u64);
        self.labels(series, shape);
        if histogram {
            return self.histogram(series, from, end);
        }
        let cell = series.cell(0);
        match shape {
            shape::COUNTER => self.frame.varint(cell as u64),
            shape::GAUGE_F32 => self.frame.bytes(&(cell as u32).to_le_bytes()),
            shape::GAUGE_F64 => self.frame.bytes(&(cell as u64).to_le_bytes()),
            _ => self.frame.zigzag(cell as isize as i64),
        }
        None
    }

    fn labels(&mut self, series: &Series, shape: u8) {
        let count = series.label_count();
        if series.is_overflow() {
            self.frame.u8(shape | OVERFLOW);
        } else if count == 0 {
            self.frame.u8(shape);
        } else {
            self.frame.u8(shape | LABELS);
            self.frame.u8(count as u8);
            let mut bytes = [0; SeriesKey::BYTES];
            series.labels(&mut bytes);
            // A value's length byte is the varint a `string` begins with, as it is below 128.
            let mut at = 0;
            for _ in 0..count {
                let end = at + 1 + usize::from(bytes[at & (SeriesKey::BYTES - 1)]);
                self.frame.bytes(bytes.get(at..end).unwrap_or(&[0]));
                at = end;
            }
        }
    }

    /// Buckets from `from` on, with sum and zeros in the first piece; what to go on from.
    fn histogram(&mut self, series: &Series, from: usize, end: usize) -> Option<usize> {
        self.frame.u8(series.param());
        if from == 0 {
            self.frame.varint(sum(series));
            self.frame.varint(series.cell(ZEROS) as u64);
        } else {
            self.frame.bytes(&[0, 0]);
        }
        let first = (from..end).find(|i| bucket(series, *i) != 0).unwrap_or(end);
        self.frame.varint(first as u64);
        let count_at = self.frame.at;
        self.frame.u8(0);
        let mut count = 0;
        while count < MOST && first + usize::from(count) < end {
            let before = self.frame.at;
            self.frame.varint(bucket(series, first + usize::from(count)) as u64);
            if !self.frame.fits() {
                self.frame.at = before;
                break;
            }
            count += 1;
        }
        self.frame.set(count_at, count);
        let next = first + usize::from(count);
        // A first piece with no bucket has moved nothing on but says sum and zeros; it must not be said twice.
        if count == 0 && end > 0 { Some(from) } else { (next < end).then_some(next) }
    }
}

const KIND_UP_DOWN: u8 = Kind::UpDownCounter as u8;
const KIND_GAUGE: u8 = Kind::Gauge as u8;
const KIND_HISTOGRAM: u8 = Kind::Histogram as u8;
/// Cells of a histogram: zeros, sum (low word first), buckets.
const ZEROS: usize = 0;
const SUM: usize = 1;
const BUCKETS: usize = histogram_cells(0) - bucket_count(0);

fn bucket(series: &Series, position: usize) -> Word {
    series.cell(BUCKETS + position)
}

/// Position after the last bucket that is not empty, at least `from`.
fn end_of_buckets(series: &Series, from: usize) -> usize {
    let mut end = series.len() - BUCKETS;
    while end > from && bucket(series, end - 1) == 0 {
        end -= 1;
    }
    end
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
