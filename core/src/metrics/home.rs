//! The callsite whose cells all callsites of one gauge use.
//!
//! A counter may have a cell at every callsite, because readers add the cells up. Of two gauge cells nobody
//! could tell which was set last, so all callsites with the same name, unit, labels and value type use the
//! cells of one of them, their *home*. A callsite looks up its home on first use and remembers it.
//!
//! On a server the home is the callsite that was used first in the process. The list that decides this takes
//! a new member only at its end, with a compare-and-swap, so all threads agree. On a microcontroller the home
//! is the callsite that the linker put first. No callsite waits for another: a callsite that remembers no
//! home looks it up again and finds the same one.

use super::entry::Entry;
use core::sync::atomic::{AtomicPtr, Ordering};

/// The home that a gauge's callsite remembers. The macros make it.
#[derive(Debug)]
pub struct Home(AtomicPtr<Entry>);

impl Home {
    /// The macros call this.
    #[doc(hidden)]
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Home {
        Home(AtomicPtr::new(core::ptr::null_mut()))
    }

    /// The home of `entry`, the callsite that this value belongs to. `None` while the program has no
    /// recorder.
    #[inline(always)]
    pub(super) fn of(&self, entry: &'static Entry) -> Option<&'static Entry> {
        // SAFETY: the pointer is null or a `&'static Entry`, because only `look_up` stores it. An entry is
        // constant except for its atomics, so no stronger order is needed.
        match unsafe { self.0.load(Ordering::Relaxed).cast_const().as_ref() } {
            None => self.look_up(entry),
            some => some,
        }
    }

    #[cold]
    #[inline(never)]
    fn look_up(&self, entry: &'static Entry) -> Option<&'static Entry> {
        // The black box keeps the compiler from replacing the entry by its known content. The reference is
        // what keeps the entry in the linker's table of all metrics.
        let home = core::hint::black_box(entry).home()?;
        self.0.store(core::ptr::from_ref(home).cast_mut(), Ordering::Relaxed);
        Some(home)
    }
}
