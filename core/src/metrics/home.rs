//! Where the callsites of one gauge meet.
//!
//! A counter may have a cell at every callsite, because the reader adds them up. Of two last values nobody could say afterwards which came last, so all
//! callsites with the same name, unit, labels and value type use the cells of one of them: its *home*. A callsite looks for it on its first use and
//! remembers it. On a server that is the callsite that was used first in the process, and the list that decides it takes a new member only by
//! a compare-and-swap at its end, so that all threads agree. On a microcontroller it is the callsite that the linker put first.
//! Nobody waits for anybody: whoever finds no home remembered looks for it anew and finds the same one.

use super::entry::Entry;
use core::sync::atomic::{AtomicPtr, Ordering};

/// What a callsite of a gauge remembers: the callsite whose cells it uses. Made by the macros.
#[derive(Debug)]
pub struct Home(AtomicPtr<Entry>);

impl Home {
    /// For the macros.
    #[doc(hidden)]
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Home {
        Home(AtomicPtr::new(core::ptr::null_mut()))
    }

    /// The home of `entry`, which this belongs to. `None` while nobody may come to read it.
    #[inline(always)]
    pub(super) fn of(&self, entry: &'static Entry) -> Option<&'static Entry> {
        // SAFETY: only `look_up` stores here, and it stores a `&'static Entry`, all of which is as it was when compiled but for its atomics.
        match unsafe { self.0.load(Ordering::Relaxed).cast_const().as_ref() } {
            None => self.look_up(entry),
            some => some,
        }
    }

    #[cold]
    #[inline(never)]
    fn look_up(&self, entry: &'static Entry) -> Option<&'static Entry> {
        // The compiler must not replace the entry by what it knows of its content: the reference keeps it in the linker's table of all metrics.
        let home = core::hint::black_box(entry).home()?;
        self.0.store(core::ptr::from_ref(home).cast_mut(), Ordering::Relaxed);
        Some(home)
    }
}
