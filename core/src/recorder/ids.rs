//! Local ids that are unique within a process with threads, without a word that threads share for every id.
//!
//! On a 64-bit machine each recorder counts up from its own start, as far as possible from all others. On a
//! 32-bit machine, where ids are few, a recorder takes a block of ids at a time. Both ways are safe if a
//! signal handler takes ids in between.

#[cfg(not(target_pointer_width = "64"))]
use crate::place;
use crate::ring::{Ring, Word};
use crate::sync::{AtomicWord, Relaxed};

/// The number of recorders made or, on a 32-bit machine, of blocks taken.
static TAKEN: AtomicWord = AtomicWord::new(0);

/// The first id of a new recorder.
///
/// It is the bit-reversed number of the recorder, so each start lies in the middle of one of the widest gaps
/// between the earlier ones. With 4096 recorders there are 2^44 ids between two starts. A thread that did
/// nothing but begin spans would use them up in four days.
#[cfg(target_pointer_width = "64")]
pub(super) fn first() -> Word {
    let number = TAKEN.fetch_add(1, Relaxed);
    (number.reverse_bits() >> (Word::BITS - crate::place::ID_BITS)) + 1
}

/// The next id. Cost: one addition to memory, which is one instruction on x86-64.
#[cfg(target_pointer_width = "64")]
#[inline(always)]
pub(super) fn next(ring: &Ring<'_>) -> Word {
    ring.next_own_id()
}

/// The number of ids in a block. The first one of each block is not used; it marks that the block is used up.
#[cfg(not(target_pointer_width = "64"))]
const BLOCK: Word = 1 << 10;

#[cfg(not(target_pointer_width = "64"))]
pub(super) fn first() -> Word {
    place::MADE
}

/// The next id. After 2^20 blocks they start over, so ids repeat after about 10^9 spans.
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
        // This repeats only if a signal handler took an id meanwhile. A block that turns out not to be needed
        // is skipped.
        if next_id.compare_exchange(old, id + 1, Relaxed, Relaxed).is_ok() {
            return id;
        }
    }
}
