//! Writes records of extended kinds.

use super::Recorder;
use crate::fields::{self, Fields};
use crate::ring::{ExtendedKind, FIRST_WORDS, Head, MAX_BODY, Word};

/// Whether polls are recorded.
#[cfg(feature = "std")]
static POLLS: core::sync::atomic::AtomicBool = core::sync::atomic::AtomicBool::new(false);

/// Says whether each poll of a span's future, and each time that a detached span is entered, has a record of its own. For
/// adapters that want to know when a span was current on which thread. Cost, if so: a record for each poll.
#[cfg(feature = "std")]
pub fn record_polls(wanted: bool) {
    POLLS.store(wanted, core::sync::atomic::Ordering::Relaxed);
}

/// Records that what the running thread records from now on belongs to the set of correlation fields with this number;
/// 0 means none. Returns false if the record was lost. Without a recorder nothing follows, so nothing is lost.
#[cfg(feature = "std")]
pub fn mark_correlation(number: u64) -> bool {
    super::get().is_none_or(|recorder| recorder.mark_correlation(number))
}

impl Recorder {
    /// As [`mark_correlation`], for a recorder that a thread is about to take over.
    #[cfg(feature = "std")]
    #[doc(hidden)]
    pub fn mark_correlation(&self, number: u64) -> bool {
        self.thread.correlation.store(number as Word, crate::sync::Relaxed);
        self.push_extended(ExtendedKind::CORRELATION, 0, 0, self.ticks(), &(number,))
    }

    /// Records that a span was current from `begun` to `now`, if that is wanted.
    #[inline(always)]
    pub(crate) fn record_poll(&self, span: Word, begun: Word, now: Word) {
        #[cfg(feature = "std")]
        if POLLS.load(core::sync::atomic::Ordering::Relaxed) {
            self.push_poll(span, begun, now);
        }
        let _ = (span, begun, now);
    }

    #[cfg(feature = "std")]
    #[cold]
    #[inline(never)]
    fn push_poll(&self, span: Word, begun: Word, now: Word) {
        self.push_extended(ExtendedKind::POLL, 0, 0, now, &(span as u64, begun as u64));
    }

    /// Writes a record of an extended kind. Returns false when it was lost, which is counted. For adapters
    /// and for the crate's own kinds.
    ///
    /// `callsite` is 0 for kinds without one, `status` has two bits, `time` is in the clock's ticks, and
    /// `values` is a tuple of at most 15 [`Field`](crate::Field)s. Texts and bytes are cut, and marked as
    /// truncated, if the record has no more room. Cost: as for an event with fields.
    #[doc(hidden)]
    pub fn push_extended<F: Fields>(
        &self,
        kind: ExtendedKind,
        callsite: u32,
        status: u8,
        time: Word,
        values: &F,
    ) -> bool {
        crate::linked::EXTENDED.set();
        let head = Head::extended(kind, callsite, status);
        // The record holds the time, the types in 64 bits, and the values.
        if const { F::FIXED && 1 + 64 / Word::BITS as usize + F::WORDS <= FIRST_WORDS } {
            self.push_with_room::<F, FIRST_WORDS>(head, time, values)
        } else {
            self.push_with_room::<F, MAX_BODY>(head, time, values)
        }
    }

    /// `ROOM` words are cleared first, so little room is cheaper.
    #[inline(always)]
    fn push_with_room<F: Fields, const ROOM: usize>(&self, head: Head, time: Word, values: &F) -> bool {
        let mut body = [0; ROOM];
        body[0] = time;
        let len = 1 + fields::write_with_types(values, &mut body[1..]);
        self.push(head, &body[..len], time)
    }
}
