//! Which parts of the library a microcontroller's program uses, so that the encoder's code for the other
//! parts is left out of flash.
//!
//! Code that makes records of an optional kind first sets a flag here. A program without such code never sets
//! the flag. With `lto = "fat"` the optimiser sees that the flag is always false and removes the code that
//! depends on it. Without LTO the flag is read at run time, with the same results. A record is published
//! after its flag is set, so a reader of the record always finds the flag set.

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Whether the program uses one part of the library. Always true except on bare metal, where flash is scarce.
pub(crate) struct PartInUse(AtomicBool);

impl PartInUse {
    /// Marks the part as used. Cost: one store on bare metal, nothing elsewhere.
    #[inline(always)]
    pub(crate) fn set(&self) {
        if cfg!(target_os = "none") {
            self.0.store(true, Relaxed);
        }
    }

    #[inline(always)]
    pub(crate) fn get(&self) -> bool {
        !cfg!(target_os = "none") || self.0.load(Relaxed)
    }
}

/// Traces of remote parents, and traces that are not sampled.
pub(crate) static SPECIAL_TRACES: PartInUse = PartInUse(AtomicBool::new(false));
/// Places from which no span begins on the short path: those of remote parents, of unsampled traces, of a
/// sampler that must be asked, and of contexts that were entered where nothing was current.
pub(crate) static SPECIAL_PLACES: PartInUse = PartInUse(AtomicBool::new(false));
/// Records of extended kinds.
pub(crate) static EXTENDED: PartInUse = PartInUse(AtomicBool::new(false));
/// Values whose bytes are in the record: texts, byte strings and encoded values.
pub(crate) static TEXTS: PartInUse = PartInUse(AtomicBool::new(false));
/// Spans of futures, which have a busy time.
pub(crate) static FUTURES: PartInUse = PartInUse(AtomicBool::new(false));
