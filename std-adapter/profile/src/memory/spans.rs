//! What each span allocates. The allocator looks, with each block, whether the thread is in another span than with the
//! block before. Only then a mark goes into the thread's ring: which span begins to allocate, and what the thread had allocated
//! and freed by then. Spans that allocate nothing cost nothing.
//!
//! The pump reads the marks. What lies between two of them belongs to the span of the first. Of what comes after the last one
//! it reads what there is so far, because a thread that allocates no more makes no mark; it goes on from there the next time.

use super::counts::{self, Counts};
use crate::marks::Marks;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering, fence};
use throughline::adapter::recorder::{place_words, recorded_span};
use throughline::adapter::ring::Word;

/// Of a thread: 256 KiB for the marks of some milliseconds, of which the system provides what is used. A mark has the span's id
/// (0 for none that is recorded), the bytes that the thread had allocated, those that it had allocated and not freed, and the
/// most of these since the mark before.
type Ring = Marks<4, MARKS>;

const MARKS: usize = 8192;

/// In place of an id: what follows is not known, because marks found no room.
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
pub(super) struct Segment {
    /// What distinguishes the span from others, as the allocator reads it.
    word: AtomicU64,
    /// The most that the thread had allocated and not freed since the last mark, as a signed number: blocks may be freed by
    /// other threads.
    peak: AtomicU64,
    /// The ring, unless a mark found no room.
    ready: AtomicPtr<Ring>,
    marks: AtomicPtr<Ring>,
    gap: Gap,
    /// What the reader goes on from: the id of a span, and both sums.
    told: [AtomicU64; 3],
}

/// Marks that found no room.
struct Gap {
    /// Whether there is one now. The other words are of the mark that found no room first, which ends what is known.
    is_open: AtomicBool,
    mark: [AtomicU64; 3],
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

/// Looks whether the thread is in another span than before. Call it before a block is counted.
#[inline(always)]
pub(super) fn follow(counts: &'static Counts) {
    let words = place_words();
    if words.0 as u64 != counts.segment.word.load(Ordering::Relaxed) {
        counts.segment.change(counts, words);
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
    /// Marks that another span begins to allocate: that of the place with these words. It calls no function on the short way,
    /// nor reads a thread-local, which in a library is a call too.
    #[inline(never)]
    fn change(&self, counts: &Counts, words: (Word, Word)) {
        let (allocated, peak) = (counts.allocated_bytes(), self.peak.load(Ordering::Relaxed));
        let net = counts.net_of(allocated).cast_unsigned();
        self.word.store(words.0 as u64, Ordering::Relaxed);
        self.peak.store(net, Ordering::Relaxed);
        let span = recorded_span(words) as u64;
        // SAFETY: only `mark` stores this pointer, to a ring that is never freed.
        let ready = unsafe { self.ready.load(Ordering::Relaxed).as_ref() };
        if ready.is_some_and(|marks| marks.put_unseen([span, allocated, net, peak])) {
            // Whoever sees what is counted from now on sees the mark.
            fence(Ordering::Release);
        } else {
            // Registers, because an array would be in memory on the short way too.
            self.change_in_any_case(span, allocated, net, peak);
        }
    }

    /// There is no ring yet, or the writer must look for room, or there was none for a mark before.
    #[cold]
    #[inline(never)]
    fn change_in_any_case(&self, span: u64, allocated: u64, net: u64, peak: u64) {
        self.mark([span, allocated, net, peak]);
        fence(Ordering::Release);
    }

    fn mark(&self, mark: [u64; 4]) {
        let [span, allocated, net, peak] = mark;
        let Gap { is_open, mark: first, span: lost_of, allocated: lost_from } = &self.gap;
        let was_open = is_open.load(Ordering::Relaxed);
        if was_open && lost_of.load(Ordering::Relaxed) != 0 {
            LOST.fetch_add(allocated.wrapping_sub(lost_from.load(Ordering::Relaxed)), Ordering::Relaxed);
        }
        if let Some(marks) = self.marks() {
            let [allocated, net, peak] = first.each_ref().map(|word| word.load(Ordering::Relaxed));
            let is_told = !was_open || marks.put_if_room_for_two([GAP, allocated, net, peak]);
            if is_told && marks.put(mark) {
                self.ready.store(ptr::from_ref(marks).cast_mut(), Ordering::Relaxed);
                return is_open.store(false, Ordering::Release);
            }
        }
        lost_of.store(span, Ordering::Relaxed);
        lost_from.store(allocated, Ordering::Relaxed);
        if !was_open {
            for (word, value) in first.iter().zip([allocated, net, peak]) {
                word.store(value, Ordering::Relaxed);
            }
            self.ready.store(ptr::null_mut(), Ordering::Relaxed);
            is_open.store(true, Ordering::Release);
        }
    }

    /// The ring of the thread; `None` without memory.
    fn marks(&self) -> Option<&'static Ring> {
        // SAFETY: only the next lines store this pointer, to a ring that is never freed.
        unsafe { self.marks.load(Ordering::Relaxed).as_ref() }.or_else(|| {
            let new = Ring::leak()?;
            self.marks.store(ptr::from_ref(new).cast_mut(), Ordering::Release);
            Some(new)
        })
    }

    /// Reads what lies between marks, and what there is after the last one.
    fn read(&self, counts: &Counts, each: &mut impl FnMut(u64, Allocated)) {
        // SAFETY: only `marks` stores this pointer, to a ring that is never freed.
        let Some(marks) = (unsafe { self.marks.load(Ordering::Acquire).as_ref() }) else { return };
        let mut tell = |[span, allocated, net, peak]: [u64; 4]| {
            let [of, from, net_from] = self.told.each_ref().map(|word| word.load(Ordering::Relaxed));
            let since = |net: u64| net.wrapping_sub(net_from).cast_signed();
            let bytes = allocated.wrapping_sub(from);
            if of != 0 && of != GAP && (bytes != 0 || net != net_from) {
                each(of, Allocated { bytes, net: since(net), peak: since(peak) });
            }
            self.told
                .iter()
                .zip([span, allocated, net])
                .for_each(|(word, value)| word.store(value, Ordering::Relaxed));
        };
        let end = marks.read(&mut tell);
        if let Some([allocated, net, peak]) = self.going_on(counts, marks, end) {
            let of = self.told[0].load(Ordering::Relaxed);
            tell([of, allocated, net, peak]);
        }
    }

    /// The sums now and the most since the last mark, which was read up to `end`; `None` if there is another mark by now.
    fn going_on(&self, counts: &Counts, marks: &Ring, end: usize) -> Option<[u64; 3]> {
        let (allocated, net) = (counts.allocated_bytes(), counts.net().cast_unsigned());
        let peak = self.peak.load(Ordering::Relaxed);
        // Acquire: the mark of a span that has ended was written before what is counted after it.
        fence(Ordering::Acquire);
        let is_known = marks.head() == end && !self.gap.is_open.load(Ordering::Acquire);
        // A thread that counts at this moment may have changed one sum and not the other.
        let since = allocated.wrapping_sub(self.told[1].load(Ordering::Relaxed));
        (is_known && since < 1 << 62).then_some([allocated, net, peak])
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
        let (mut allocated, mut lost) = (0, 0);
        let mut begin = |span: u64| {
            segment.mark([span, allocated, 0, 0]);
            allocated += if span == 0 { 5 } else { span };
        };
        let before = lost_bytes();
        let last = MARKS as u64;
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
