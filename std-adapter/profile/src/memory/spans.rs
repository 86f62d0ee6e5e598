//! What each span allocates. The allocator looks, with each block, whether the thread is in another span than with the
//! block before. Only then a mark goes into the thread's ring: which span begins to allocate, and what the thread had allocated
//! and freed by then. Spans that allocate nothing cost nothing.
//!
//! The pump reads the marks. What lies between two of them belongs to the span of the first. Of what comes after the last one
//! it reads what there is so far, because a thread that allocates no more makes no mark; it goes on from there the next time.

use super::counts::{self, Counts};
use crate::marks::Marks;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use throughline::adapter::recorder::{ThreadPlace, recorded_span};
use throughline::adapter::ring::Word;

/// What a mark has: both words of the place, the bytes that the thread had allocated, those that it had freed, and the most that
/// it had allocated and not freed since the mark before. The reader makes of it whatever it can, because the writer is inside a
/// span, whose time is measured.
type Mark = [u64; 5];

/// Of a thread: 320 KiB for the marks of some milliseconds, of which the system provides what is used.
const MARKS: usize = if cfg!(miri) { 32 } else { 8192 };

/// In place of a span's word or id: what follows is not known, because marks found no room.
const GAP: u64 = u64::MAX;

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

/// What a thread remembers of its marks.
#[repr(C)]
pub(super) struct Segment {
    /// What distinguishes the span from others, as the allocator reads it.
    word: AtomicU64,
    /// The most that the thread had allocated and not freed since the last mark, as a signed number: blocks may be freed by
    /// other threads.
    peak: AtomicU64,
    marks: Marks<5, MARKS>,
    gap: Gap,
}

/// What the reader goes on from: the id of a span, and both sums. On a line of the cache of its own.
#[repr(align(64))]
pub(super) struct Told([AtomicU64; 3]);

/// Marks that found no room.
struct Gap {
    /// Whether there is one now. The other words are of the mark that found no room first, which ends what is known.
    is_open: AtomicBool,
    sums: [AtomicU64; 3],
    /// The span since the last of them, and what the thread had allocated by then.
    span: AtomicU64,
    allocated: AtomicU64,
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

/// Looks whether the thread is in another span than with the block before. Call it before a block is counted: with the bytes
/// that the thread has allocated and freed by then, and by how much the difference grows.
#[inline(always)]
pub(super) fn follow(counts: &Counts, sums: [u64; 2], growth: usize) {
    let (place, segment) = (ThreadPlace::here(), &counts.segment);
    let span = place.span_word() as u64;
    let net = sums[0].wrapping_sub(sums[1]).wrapping_add(growth as u64);
    if span != segment.word.load(Ordering::Relaxed) {
        segment.change([span, place.root_word() as u64], sums, net);
    } else if growth > 0 && net.cast_signed() > segment.peak.load(Ordering::Relaxed).cast_signed() {
        segment.peak.store(net, Ordering::Relaxed);
    }
}

impl Segment {
    /// Marks that the span of a place begins to allocate. On the short way it calls no function, nor reads a thread-local, which
    /// in a library is a call too.
    #[inline(always)]
    fn change(&self, [span, root]: [u64; 2], [allocated, freed]: [u64; 2], net: u64) {
        self.word.store(span, Ordering::Relaxed);
        if !self.marks.put_unseen([span, root, allocated, freed, self.peak.load(Ordering::Relaxed)]) {
            self.mark_in_any_case(span, root, allocated, freed);
        }
        // Whoever sees the first peak of the span sees the mark, and whoever sees what is counted from now on sees both.
        fence(Ordering::Release);
        self.peak.store(net, Ordering::Relaxed);
        fence(Ordering::Release);
    }

    /// There is no ring yet, or the writer must look for room, or there was none for a mark before.
    #[cold]
    #[inline(never)]
    fn mark_in_any_case(&self, span: u64, root: u64, allocated: u64, freed: u64) {
        let peak = self.peak.load(Ordering::Relaxed);
        let Gap { is_open, sums, span: lost_of, allocated: lost_from } = &self.gap;
        let was_open = is_open.load(Ordering::Relaxed);
        if was_open && lost_of.load(Ordering::Relaxed) != 0 {
            LOST.fetch_add(allocated.wrapping_sub(lost_from.load(Ordering::Relaxed)), Ordering::Relaxed);
        }
        if self.marks.make() {
            let [allocated_by, freed_by, peak_by] = sums.each_ref().map(|word| word.load(Ordering::Relaxed));
            let gap = [GAP, 0, allocated_by, freed_by, peak_by];
            let is_told = !was_open || self.marks.put_if_room_for_two(gap);
            if is_told && self.marks.put([span, root, allocated, freed, peak]) {
                return is_open.store(false, Ordering::Release);
            }
        }
        lost_of.store(id_of(span, root), Ordering::Relaxed);
        lost_from.store(allocated, Ordering::Relaxed);
        if !was_open {
            for (word, value) in sums.iter().zip([allocated, freed, peak]) {
                word.store(value, Ordering::Relaxed);
            }
            is_open.store(true, Ordering::Release);
        }
    }

    /// Reads what lies between marks, and what there is after the last one.
    fn read(&self, counts: &Counts, each: &mut impl FnMut(u64, Allocated)) {
        let mut tell = |id: u64, [allocated, freed, peak]: [u64; 3]| {
            let [of, from, net_from] = counts.told.0.each_ref().map(|word| word.load(Ordering::Relaxed));
            let net = allocated.wrapping_sub(freed);
            let since = |net: u64| net.wrapping_sub(net_from).cast_signed();
            let bytes = allocated.wrapping_sub(from);
            if of != 0 && of != GAP && (bytes != 0 || net != net_from) {
                each(of, Allocated { bytes, net: since(net), peak: since(peak) });
            }
            counts
                .told
                .0
                .iter()
                .zip([id, allocated, net])
                .for_each(|(word, value)| word.store(value, Ordering::Relaxed));
        };
        let end = self.marks.read(|[span, root, sums @ ..]: Mark| tell(id_of(span, root), sums));
        if let Some(sums) = end.and_then(|end| self.going_on(counts, end)) {
            tell(counts.told.0[0].load(Ordering::Relaxed), sums);
        }
    }

    /// The sums now and the most since the last mark, which was read up to `end`; `None` if there is another mark by now.
    fn going_on(&self, counts: &Counts, end: usize) -> Option<[u64; 3]> {
        let [allocated, freed] = counts.bytes();
        // Acquire, twice: the mark of another span was written before its first peak, and that before what it has counted.
        fence(Ordering::Acquire);
        let peak = self.peak.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        let is_known = self.marks.head() == end && !self.gap.is_open.load(Ordering::Acquire);
        // A thread that counts at this moment may have changed one sum and not the other.
        let since = allocated.wrapping_sub(counts.told.0[1].load(Ordering::Relaxed));
        (is_known && since < 1 << 62).then_some([allocated, freed, peak])
    }
}

/// The id of the span of a place with these words, if that span is recorded; 0 if not. A gap stays one.
fn id_of(span: u64, root: u64) -> u64 {
    if span == GAP { GAP } else { recorded_span(span as Word, root as Word) as u64 }
}

/// Calls `each` with what spans have allocated since the last call. There must be one caller at a time.
pub(crate) fn read(mut each: impl FnMut(u64, Allocated)) {
    counts::all().for_each(|counts| counts.segment.read(counts, &mut each));
}

/// Bytes that spans have allocated and that were not told, because marks were not read in time.
pub(crate) fn lost_bytes() -> u64 {
    LOST.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_without_room_are_a_gap_whose_bytes_are_counted() {
        let counts = counts::make().unwrap();
        let segment = &counts.segment;
        let told = || {
            let mut told = Vec::new();
            segment.read(counts, &mut |span, part| told.push((span, part.bytes)));
            told
        };
        // Each span allocates as many bytes as its id, and 5 bytes are allocated outside of spans.
        let begin = |span: u64| {
            let [allocated, freed] = counts.bytes();
            segment.mark_in_any_case(span, 1, allocated, freed);
            counts.allocated(if span == 0 { 5 } else { span });
        };
        let (mut lost, before) = (0, lost_bytes());
        let last = MARKS as u64 - 1;
        for span in 1..=last {
            begin(span);
        }
        for span in [10_000, 0, 20_000] {
            begin(span);
            lost += span;
        }
        assert_eq!(
            told(),
            (1..last).map(|span| (span, span)).collect::<Vec<_>>(),
            "the last one has not ended"
        );
        begin(7);
        begin(0);
        assert_eq!(told(), [(last, last), (7, 7)]);
        assert_eq!(lost_bytes() - before, lost);
        counts.release();
    }
}
