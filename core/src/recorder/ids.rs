//! Local ids of a process with threads: unique in it, without a word that threads share.
//!
//! On a 64-bit machine each recorder counts up from a beginning of its own, as far as possible from all others. On a 32-bit machine, where ids
//! are few, a recorder takes a block of them at a time. Both are safe against signal handlers that take ids amid this.

#[cfg(not(target_pointer_width = "64"))]
use crate::place;
use crate::ring::{Ring, Word};
use crate::sync::{AtomicWord, Relaxed};

/// Recorders made, or on a 32-bit machine blocks taken.
static TAKEN: AtomicWord = AtomicWord::new(0);

/// Where a new recorder begins to count.
///
/// Bits of the recorder's number, reversed: so each beginning lies in the middle of a widest gap between those before it. With 4096 recorders 2^44 ids
/// lie between two of them, which one thread uses up in four days of doing nothing else.
#[cfg(target_pointer_width = "64")]
pub(super) fn first() -> Word {
    let number = TAKEN.fetch_add(1, Relaxed);
    (number.reverse_bits() >> (Word::BITS - crate::place::ID_BITS)) + 1
}

/// The next id. Cost: one addition to memory, as one instruction on x86-64.
#[cfg(target_pointer_width = "64")]
#[inline(always)]
pub(super) fn next(ring: &Ring<'_>) -> Word {
    ring.next_own_id()
}

/// Ids in a block. The first of each is none: it says that the block is used up.
#[cfg(not(target_pointer_width = "64"))]
const BLOCK: Word = 1 << 10;

#[cfg(not(target_pointer_width = "64"))]
pub(super) fn first() -> Word {
    place::MADE
}

/// The next id. After 2^20 blocks they begin again: ids repeat after a thousand million spans.
#[cfg(not(target_pointer_width = "64"))]
pub(super) fn next(ring: &Ring<'_>) -> Word {
    let next_id = &ring.owner().next_id;
    loop {
        let old = next_id.load(Relaxed);
        let mut id = old;
        if old % BLOCK == 0 {
            let block = TAKEN.fetch_add(1, Relaxed);
            id = block.wrapping_mul(BLOCK) & place::ID | place::MADE | 1;
        }
        // Repeated only when a signal handler took an id meanwhile. A block taken in vain is skipped.
        if next_id.compare_exchange(old, id + 1, Relaxed, Relaxed).is_ok() {
            return id;
        }
    }
}
