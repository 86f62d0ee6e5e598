//! What a microcontroller's program uses of the library, so that the flusher's code for the rest is left out of its flash.
//!
//! Everything that makes records of a kind first sets a flag here. Where nothing of the kind is linked, nothing sets the flag; the optimiser then
//! knows its value in all of the program (with `lto = "fat"`), and leaves out the code that asks. Without LTO the flags are asked when the program runs, with the
//! same results. A record is published after its flag is set, so who reads the record finds the flag set.

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Whether the program uses something. Always true where flash is not scarce.
pub(crate) struct Linked(AtomicBool);

impl Linked {
    /// Says so: one store on a microcontroller, nothing elsewhere.
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
pub(crate) static SPECIAL_TRACES: Linked = Linked(AtomicBool::new(false));
/// Records of extended kinds.
pub(crate) static EXTENDED: Linked = Linked(AtomicBool::new(false));
/// Values whose bytes are in the record: texts, byte strings, and what is encoded.
pub(crate) static TEXTS: Linked = Linked(AtomicBool::new(false));
/// Spans of futures, which have a busy time.
pub(crate) static FUTURES: Linked = Linked(AtomicBool::new(false));
