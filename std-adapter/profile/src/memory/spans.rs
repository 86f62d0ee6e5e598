//! What each span allocates. The allocator looks, with each block, whether the thread is in another span than with the
//! block before. Only then the part that ends, a segment, goes into the thread's ring of marks. Spans that allocate
//! nothing cost nothing.
//!
//! The pump reads the marks. Of a segment that has not ended it reads what there is so far, because a thread that
//! allocates no more ends none; what it has read before, it subtracts.

use super::counts::{self, Counts};
use crate::marks::Marks;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use throughline::adapter::recorder::{recorded_span, span_word};

/// Of a thread: 128 KiB for the segments of some milliseconds, of which the system provides what is used. A record has the
/// span's id, above it eight bits of the segment's number, and three sums.
type Ring = Marks<4, 4096>;

/// Position of the number in a record's first word. Ids have 56 bits.
const NUMBER: u32 = 56;

/// Whether spans are told what they allocate. Once on, it stays on.
static ON: AtomicBool = AtomicBool::new(false);
/// Bytes of segments that found no room.
static LOST: AtomicU64 = AtomicU64::new(0);

pub(crate) fn turn_on() {
    ON.store(true, Ordering::Relaxed);
}

#[inline(always)]
pub(super) fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// The segment of a thread. Only the thread writes it, but for `taken`.
pub(super) struct Segment {
    /// What distinguishes the span from others, as the allocator reads it.
    word: AtomicU64,
    /// The id of the span; 0 if there is none that is recorded.
    span: AtomicU64,
    /// Counts the segments. It is odd while the other words change.
    number: AtomicU64,
    /// Bytes that the thread had allocated when the segment began.
    allocated: AtomicU64,
    /// Bytes that it had allocated and not freed then, as a signed number: blocks may be freed by other threads.
    net: AtomicU64,
    /// The most of these in the segment.
    peak: AtomicU64,
    marks: AtomicPtr<Ring>,
    /// What the reader has taken of a segment: its id and number as in a record, bytes and net bytes.
    taken: [AtomicU64; 3],
}

/// What a span has allocated, in part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allocated {
    /// Bytes since the last part.
    pub bytes: u64,
    /// By how much the memory in use has changed since the last part.
    pub net: i64,
    /// The most that was in use, compared with the end of the last part.
    pub peak: i64,
}

/// Looks whether the thread is in another span than before. Call it before a block is counted.
#[inline(always)]
pub(super) fn follow(counts: &'static Counts) {
    if span_word() as u64 != counts.segment.word.load(Ordering::Relaxed) {
        counts.segment.change(counts);
    }
}

/// Notes a new block that was counted.
#[inline(always)]
pub(super) fn note_peak(counts: &Counts) {
    let (net, peak) = (counts.net(), &counts.segment.peak);
    if net > peak.load(Ordering::Relaxed).cast_signed() {
        peak.store(net.cast_unsigned(), Ordering::Relaxed);
    }
}

impl Segment {
    /// Ends the segment and begins the next one.
    #[inline(never)]
    fn change(&self, counts: &Counts) {
        let (span, number) = (self.span.load(Ordering::Relaxed), self.number.load(Ordering::Relaxed));
        if span != 0 {
            self.put([span, number], self.so_far(counts));
        }
        let set = |word: &AtomicU64, value| word.store(value, Ordering::Relaxed);
        // Release: whoever sees that the segment has ended sees its mark.
        self.number.store(number.wrapping_add(1), Ordering::Release);
        std::sync::atomic::fence(Ordering::Release);
        set(&self.word, span_word() as u64);
        set(&self.span, recorded_span() as u64);
        set(&self.allocated, counts.allocated_bytes());
        set(&self.net, counts.net().cast_unsigned());
        set(&self.peak, counts.net().cast_unsigned());
        self.number.store(number.wrapping_add(2), Ordering::Release);
    }

    fn so_far(&self, counts: &Counts) -> Allocated {
        let net_before = self.net.load(Ordering::Relaxed).cast_signed();
        let since = |net: i64| net.wrapping_sub(net_before);
        Allocated {
            bytes: counts.allocated_bytes().wrapping_sub(self.allocated.load(Ordering::Relaxed)),
            net: since(counts.net()),
            peak: since(self.peak.load(Ordering::Relaxed).cast_signed()),
        }
    }

    fn put(&self, [span, number]: [u64; 2], part: Allocated) {
        let Allocated { bytes, net, peak } = part;
        if bytes == 0 && net == 0 {
            return;
        }
        let marks = self.marks.load(Ordering::Relaxed);
        // SAFETY: only the next lines store this pointer, to a ring that is never freed.
        let marks = unsafe { marks.as_ref() }.or_else(|| {
            let new = Ring::leak()?;
            self.marks.store(ptr::from_ref(new).cast_mut(), Ordering::Release);
            Some(new)
        });
        let record = [span | number << NUMBER, bytes, net.cast_unsigned(), peak.cast_unsigned()];
        if !marks.is_some_and(|marks| marks.put(record)) {
            LOST.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// Reads what ended and what there is of the segment that has not. The segment is looked at first: if it ends meanwhile, its mark is read.
    fn read(&self, counts: &Counts, each: &mut impl FnMut(u64, Allocated)) {
        let mut going_on = self.going_on(counts);
        // SAFETY: only `put` stores this pointer, to a ring that is never freed.
        if let Some(marks) = unsafe { self.marks.load(Ordering::Acquire).as_ref() } {
            marks.read(|[segment, bytes, net, peak]| {
                let part = Allocated { bytes, net: net.cast_signed(), peak: peak.cast_signed() };
                going_on = going_on.filter(|(going_on, _)| *going_on != segment);
                each(segment & ((1 << NUMBER) - 1), self.take(segment, part));
            });
        }
        if let Some((segment, part)) = going_on {
            let part = self.take(segment, part);
            if part != Allocated::default() {
                each(segment & ((1 << NUMBER) - 1), part);
            }
        }
    }

    /// The segment that has not ended, as its mark would call it, and what there is of it; `None` if it ends at this moment.
    fn going_on(&self, counts: &Counts) -> Option<(u64, Allocated)> {
        let number = self.number.load(Ordering::Acquire);
        let (span, part) = (self.span.load(Ordering::Relaxed), self.so_far(counts));
        std::sync::atomic::fence(Ordering::Acquire);
        // Acquire: the mark of a segment that has ended was written before.
        let is_whole = number.is_multiple_of(2) && self.number.load(Ordering::Acquire) == number;
        // A thread that counts at this moment may have changed one sum and not the other.
        (is_whole && span != 0 && part.bytes < 1 << 62).then_some((span | number << NUMBER, part))
    }

    /// What is new in this part of a segment.
    fn take(&self, segment: u64, part: Allocated) -> Allocated {
        let [of, bytes, net] = self.taken.each_ref().map(|word| word.load(Ordering::Relaxed));
        let (bytes, net) = if of == segment { (bytes, net.cast_signed()) } else { (0, 0) };
        let now = [segment, part.bytes.max(bytes), part.net.cast_unsigned()];
        self.taken.iter().zip(now).for_each(|(word, value)| word.store(value, Ordering::Relaxed));
        Allocated { bytes: part.bytes.saturating_sub(bytes), net: part.net - net, peak: part.peak - net }
    }
}

/// Calls `each` with what spans have allocated since the last call. There must be one caller at a time.
pub(crate) fn read(mut each: impl FnMut(u64, Allocated)) {
    counts::all().for_each(|counts| counts.segment.read(counts, &mut each));
}

/// Bytes that spans have allocated and that were not told, because marks were not read in time.
pub(crate) fn lost_bytes() -> u64 {
    LOST.load(Ordering::Relaxed)
}
