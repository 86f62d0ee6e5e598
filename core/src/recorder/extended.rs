//! Writes records of extended kinds.

use super::Recorder;
use crate::fields::{self, Fields};
use crate::ring::{ExtendedKind, FIRST_WORDS, Head, MAX_BODY, Word};

impl Recorder {
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
