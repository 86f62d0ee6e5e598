//! The two words of a place in a trace: the current span's word and its root's word, each an id and marks.
//!
//! | bits | 64-bit machine | 32-bit machine |
//! |---|---|---|
//! | the id | 0–55 | 0–29 |
//! | the id stands for a remote span | 62 | 31 |
//! | root word: the trace is not sampled | 63 set | 30 clear |
//! | root word: recorded, but other processes are told that it is not sampled | 61 | (none) |
//! | span word: entered by a context or a poll | 56–60, the number of the entry | 30 clear |
//! | span word: an ended entry lies below | 61 | (see [`Recorder`](super::Recorder)) |
//!
//! Ids of a 32-bit machine have bit 30 set from the start, so that marking costs the straight path nothing.
//! Bit 31 of a 32-bit span word is also set on the root of an unsampled trace: one test of the sign then
//! sends every special case to the general path.
//!
//! Records hold the words with their marks; [`span_id`] and [`root_id`] remove the marks when a record is
//! read.

use crate::linked::{SPECIAL_PLACES, SPECIAL_TRACES};
use crate::ring::{FIRST_ID, Word};

const WIDE: bool = Word::BITS == 64;

/// Marks an id that stands for a span of another process.
pub(crate) const REMOTE: Word = if WIDE { 1 << (Word::BITS - 2) } else { 1 << (Word::BITS - 1) };
/// Mask of an id's bits.
pub(crate) const ID: Word = if WIDE { Word::MAX >> 8 } else { Word::MAX >> 2 };
/// The number of bits of an id: 56, or 30 on a 32-bit machine.
#[cfg(all(feature = "std", target_pointer_width = "64"))]
pub(crate) const ID_BITS: u32 = ID.count_ones();
/// The bits that every id has set from the start: bit 30 on a 32-bit machine, none on a 64-bit one.
pub(crate) const MADE: Word = FIRST_ID - 1;
/// Marks a span word of a 64-bit machine: an entry below has already ended, so the guard that ends next must
/// look up the place to return to.
pub(crate) const MARK: Word = if WIDE { 1 << (Word::BITS - 3) } else { 0 };
/// The span word for "nothing is current" while a sampler must be asked. Its sign sends spans of a 32-bit
/// machine to the general path.
pub(crate) const OUTSIDE: Word = if WIDE { 0 } else { REMOTE | MADE };

/// Marks the root word of an unsampled trace on a 64-bit machine.
const UNSAMPLED: Word = if WIDE { 1 << (Word::BITS - 1) } else { 0 };
/// Marks the root word of a trace that is recorded although other processes are told that it is not sampled. A
/// 32-bit machine has no bit for it.
pub(crate) const RECORD_ONLY: Word = if WIDE { 1 << (Word::BITS - 3) } else { 0 };
/// Position of the number that tells entered places apart.
const TAG: u32 = 56;
/// The number that all polls of futures share.
const POLL: Word = 31;
/// The number of context entries for which no other number was left.
const SHARED: Word = 30;

/// Whether a span word says that nothing is current.
#[inline(always)]
pub(crate) fn is_outside(span: Word) -> bool {
    span & ID == 0
}

/// Whether the trace with this root word is sampled.
#[inline(always)]
pub(crate) fn is_sampled(root: Word) -> bool {
    // A 64-bit machine sets a bit of an unsampled trace, a 32-bit machine clears one.
    !SPECIAL_TRACES.get() || root & (UNSAMPLED | MADE) == MADE
}

/// Whether other processes are told that the trace with this root word is sampled.
#[inline(always)]
pub(crate) fn is_flagged(root: Word) -> bool {
    !SPECIAL_TRACES.get() || root & (UNSAMPLED | RECORD_ONLY | MADE) == MADE
}

/// The root word of the trace whose root has this `id`.
#[inline(always)]
pub(crate) fn root_word(id: Word, sampled: bool) -> Word {
    match (sampled, WIDE) {
        (true, _) => id,
        (false, true) => id | UNSAMPLED,
        (false, false) => id & !MADE,
    }
}

/// The span word of the root of an unsampled trace.
#[inline(always)]
pub(crate) fn unsampled_span_word(id: Word) -> Word {
    if WIDE { id } else { id | REMOTE }
}

/// The root word of a place. It is 0 until the sampler has been asked about the current remote parent, which
/// is then its own root.
#[inline(always)]
pub(crate) fn own_root(span: Word, root: Word) -> Word {
    if SPECIAL_TRACES.get() && root == 0 && span & REMOTE != 0 { span & (REMOTE | ID | MADE) } else { root }
}

/// The id in a root word, with [`REMOTE`] when it stands for a remote span.
#[inline(always)]
pub(crate) fn root_id(root: Word) -> Word {
    root & (REMOTE | ID)
}

/// The id in a span word, with [`REMOTE`] when it stands for a remote span.
#[inline(always)]
pub(crate) fn span_id(span: Word, root: Word) -> Word {
    let id = span & (REMOTE | ID);
    // On a 32-bit machine bit 31 also marks roots of unsampled traces. Only an id that is its own trace's
    // remote root stands for a remote span.
    if !WIDE && (!SPECIAL_TRACES.get() || root_id(root) != id) { id & ID } else { id }
}

/// The span word for a future's poll in the span with word `span`.
pub(crate) fn polled(span: Word) -> Word {
    if WIDE { span & (REMOTE | ID) | POLL << (TAG % Word::BITS) } else { entered_narrow(span) }
}

/// The span word for a context entered at the span with word `span`. `number` is the entry's number, `None`
/// when no number is left.
pub(crate) fn entered(span: Word, number: Option<u32>) -> Word {
    match number {
        _ if !WIDE => entered_narrow(span),
        Some(number) => span & (REMOTE | ID) | (number as Word + 1) << (TAG % Word::BITS),
        None => span & (REMOTE | ID) | SHARED << (TAG % Word::BITS),
    }
}

/// Never 0, because 0 means that nothing has been entered.
fn entered_narrow(span: Word) -> Word {
    if is_outside(span) {
        SPECIAL_PLACES.set();
        return REMOTE;
    }
    span & !MADE
}

/// How many entered contexts can be told apart at the same time.
pub(crate) const NUMBERS: u32 = if WIDE { SHARED as u32 - 1 } else { 0 };
