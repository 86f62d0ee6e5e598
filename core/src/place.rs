//! The two words of a place in a trace, the current span's and its root's, and the marks that they carry beside an id.
//!
//! | bits | 64-bit machine | 32-bit machine |
//! |---|---|---|
//! | an id | 0–55 | 0–29 |
//! | the id stands for a remote span | 62 | 31 |
//! | root word: the trace is not sampled | 63 set | 30 clear |
//! | span word: entered, by a context or a poll | 56–60, which entry it is | 30 clear |
//! | span word: an ended entry lies below | 61 | (see [`Recorder`](super::Recorder)) |
//!
//! Ids of a 32-bit machine carry bit 30 from the moment that they are made, so that marking costs the straight path nothing. Bit 31 of a 32-bit span
//! word is also set on the root of an unsampled trace: one test of the sign then sends whatever is special the general way.
//!
//! Records hold the words as they were; [`span_id`] and [`root_id`] take the marks off when a record is read.

use crate::linked::SPECIAL_TRACES;
use crate::ring::{FIRST_ID, Word};

const WIDE: bool = Word::BITS == 64;

/// Marks an id that stands for a span of another process.
pub(crate) const REMOTE: Word = if WIDE { 1 << (Word::BITS - 2) } else { 1 << (Word::BITS - 1) };
/// The bits of an id.
pub(crate) const ID: Word = if WIDE { Word::MAX >> 8 } else { Word::MAX >> 2 };
/// How many bits an id has: 56, on a 32-bit machine 30.
#[cfg(all(feature = "std", target_pointer_width = "64"))]
pub(crate) const ID_BITS: u32 = ID.count_ones();
/// What every id carries from the moment it is made.
pub(crate) const MADE: Word = FIRST_ID - 1;
/// In a span word of a 64-bit machine: an entry below has ended already, so that whoever ends must look where to return to.
pub(crate) const MARK: Word = if WIDE { 1 << (Word::BITS - 3) } else { 0 };
/// Where nothing is current although a sampler must be asked: a 32-bit machine then goes the general way.
pub(crate) const OUTSIDE: Word = if WIDE { 0 } else { REMOTE | MADE };

/// In a root word of a 64-bit machine.
const UNSAMPLED: Word = if WIDE { 1 << (Word::BITS - 1) } else { 0 };
/// Position of the number that tells entered places apart.
const TAG: u32 = 56;
/// The number of a future's poll.
const POLL: Word = 31;
/// The number of an entry that cannot be told apart from others.
const SHARED: Word = 30;

/// Whether this span word says that nothing is current.
#[inline(always)]
pub(crate) fn is_outside(span: Word) -> bool {
    span & ID == 0
}

/// Whether the trace with this root word is recorded.
#[inline(always)]
pub(crate) fn is_sampled(root: Word) -> bool {
    // A 64-bit machine sets a bit when it is not, a 32-bit one clears one.
    !SPECIAL_TRACES.get() || root & (UNSAMPLED | MADE) == MADE
}

/// A root word of the trace that `id` stands for.
#[inline(always)]
pub(crate) fn root_word(id: Word, sampled: bool) -> Word {
    match (sampled, WIDE) {
        (true, _) => id,
        (false, true) => id | UNSAMPLED,
        (false, false) => id & !MADE,
    }
}

/// A span word of the root of a trace that is not sampled.
#[inline(always)]
pub(crate) fn unsampled_span_word(id: Word) -> Word {
    if WIDE { id } else { id | REMOTE }
}

/// The root word of a place. Where it is 0 the sampler has not yet been asked about the remote parent that is current, which is its own root.
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
    // Of all ids that bit 31 marks, only a remote trace's own root stands for a remote span.
    if !WIDE && (!SPECIAL_TRACES.get() || root_id(root) != id) { id & ID } else { id }
}

/// The span word of a future's poll in the span of this word.
pub(crate) fn polled(span: Word) -> Word {
    if WIDE { span & (REMOTE | ID) | POLL << (TAG % Word::BITS) } else { entered_narrow(span) }
}

/// The span word of a context entered at the span of this word, as the `number`-th entry; `None`: no number is left.
pub(crate) fn entered(span: Word, number: Option<u32>) -> Word {
    match number {
        _ if !WIDE => entered_narrow(span),
        Some(number) => span & (REMOTE | ID) | (number as Word + 1) << (TAG % Word::BITS),
        None => span & (REMOTE | ID) | SHARED << (TAG % Word::BITS),
    }
}

/// Never 0, which is where nothing has been entered.
fn entered_narrow(span: Word) -> Word {
    if is_outside(span) { REMOTE } else { span & !MADE }
}

/// How many entered contexts can be told apart at a time.
pub(crate) const NUMBERS: u32 = if WIDE { SHARED as u32 - 1 } else { 0 };
