//! Encodes a frame of a metrics snapshot (§8): the series with their current values. A histogram that is too
//! large for one frame is split over several.

// A cell has 32 or 64 bits, depending on the target. On targets with 64-bit cells these conversions change
// nothing.
#![allow(clippy::unnecessary_cast, clippy::useless_conversion)]

use super::frame::{Cursor, Frame, FrameKind, Header};
use crate::metrics::histogram::{BUCKETS, ZEROS};
use crate::metrics::read::Series;
use crate::metrics::shape;
use crate::ring::Word;

/// A frame of a metrics snapshot that is being written.
#[derive(Debug)]
pub struct Metrics<'f, 'b> {
    frame: &'f mut Frame<'b>,
    begun: Cursor,
}

const LABELS: u8 = 0x80;
const OVERFLOW: u8 = 0x40;

impl<'f, 'b> Metrics<'f, 'b> {
    /// Begins a frame of snapshot number `snapshot`. Call [`begin`](Metrics::begin) before the first series.
    pub fn new(frame: &'f mut Frame<'b>, header: &Header, snapshot: u32) -> Self {
        frame.begin(FrameKind::Metrics, header);
        frame.number(snapshot as Word);
        let begun = frame.at;
        Metrics { frame, begun }
    }

    /// Begins the frame's content, or begins it again, with `time` in ticks. `last` says that this frame
    /// completes the snapshot.
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn begin(&mut self, last: bool, time: u64) {
        self.frame.go_back(&self.begun);
        self.frame.u8(last.into());
        self.frame.varint(time);
    }

    /// Writes a series; of a histogram, the buckets from index `from` on. Start with 0. Returns the `from`
    /// for the next frame: [`WHOLE`](Metrics::WHOLE) when the series is complete, or the same `from` when
    /// nothing fitted. A frame with room for the labels and about 40 more bytes makes progress with any
    /// series.
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn push(&mut self, series: &Series, from: usize) -> usize {
        let (mut first, mut end) = (from, 0);
        if matches!(series.shape(), shape::HISTOGRAM | shape::HISTOGRAM_FIXED) {
            end = series.bucket_count();
            while end > first && is_empty(series, end - 1) {
                end -= 1;
            }
            while first < end && is_empty(series, first) {
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

    /// What [`push`](Metrics::push) returns when the series is complete.
    pub const WHOLE: usize = usize::MAX;

    /// Closes the frame and returns its length on the wire in bytes, delimiter included.
    pub fn finish(self) -> usize {
        self.frame.finish()
    }

    /// Writes an entry; of a histogram, `count` buckets from index `first` on. Sum and zeros are written as 0
    /// unless `head` is set, which it must be for exactly one part of a histogram.
    #[cfg_attr(target_os = "none", inline(never))]
    fn entry(&mut self, series: &Series, head: bool, first: usize, count: usize) {
        let frame = &mut *self.frame;
        let shape = series.shape();
        frame.number(series.callsite());
        if !series.is_of_family() {
            frame.u8(shape);
        } else if series.is_overflow() {
            frame.u8(shape | OVERFLOW);
        } else {
            frame.u8(shape | LABELS);
            // A value's length byte equals the varint that begins a `string`, because it is below 128.
            special(frame, series, true);
        }
        match shape {
            shape::COUNTER => frame.number(series.cell(0) as Word),
            shape::GAUGE_FLOAT | shape::COUNTER_FLOAT => special(frame, series, false),
            shape::HISTOGRAM | shape::HISTOGRAM_FIXED => {
                frame.u8(series.scale());
                if shape == shape::HISTOGRAM_FIXED {
                    frame.u8(series.fraction_bits());
                }
                frame.varint(if head { series.sum() } else { 0 });
                frame.number(if head { series.cell(ZEROS) as Word } else { 0 });
                frame.number(first);
                frame.number(count);
                for i in first..first + count {
                    frame.number(series.cell(BUCKETS + i) as Word);
                }
            }
            _ => frame.zigzag(series.signed_cell() as isize as i64),
        }
    }
}

/// Whether the bucket with this index, which the histogram must have, is empty.
fn is_empty(histogram: &Series, bucket: usize) -> bool {
    histogram.cell(BUCKETS + bucket) == 0
}

/// Writes what only some metrics have: the values of run-time labels, or a float.
#[cfg_attr(target_os = "none", inline(never))]
fn special(frame: &mut Frame<'_>, series: &Series, labels: bool) {
    let mut sink = |bytes: &[u8]| frame.bytes(bytes);
    if labels { series.put_labels(&mut sink) } else { series.put_float(&mut sink) }
}
