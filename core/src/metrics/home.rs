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
use crate::sync::Cell;
use core::sync::atomic::{AtomicPtr, Ordering};

/// The part of its home that a gauge's callsite remembers: the cell or, for a family, the entry, because a
/// family also needs the labels. The macros make it.
#[derive(Debug)]
pub struct Home<T: InHome>(AtomicPtr<T>);

/// A part of a home that a callsite can remember.
pub trait InHome: Sized + 'static {
    /// This part of `home`; `None` if the home does not have it.
    #[doc(hidden)]
    fn of(home: &'static Entry) -> Option<&'static Self>;
}

impl InHome for Entry {
    fn of(home: &'static Entry) -> Option<&'static Entry> {
        Some(home)
    }
}

impl InHome for Cell {
    fn of(home: &'static Entry) -> Option<&'static Cell> {
        home.cells.first()
    }
}

impl<T: InHome> Home<T> {
    /// The macros call this.
    #[doc(hidden)]
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Home<T> {
        Home(AtomicPtr::new(core::ptr::null_mut()))
    }

    /// The part of the home of `entry`, which is the callsite that this value belongs to. `None` while the
    /// program has no recorder.
    #[inline(always)]
    pub(super) fn of(&self, entry: &'static Entry) -> Option<&'static T> {
        // SAFETY: the pointer is null or a `&'static T`, because only `look_up` stores it. An entry or a cell is
        // constant except for its atomics, so no stronger order is needed.
        match unsafe { self.0.load(Ordering::Relaxed).cast_const().as_ref() } {
            None => self.look_up(entry),
            some => some,
        }
    }

    #[cold]
    #[inline(never)]
    fn look_up(&self, entry: &'static Entry) -> Option<&'static T> {
        // `black_box` keeps the compiler from replacing the entry by its known content. The reference is what
        // keeps the entry in the linker's table of all metrics.
        let home = T::of(core::hint::black_box(entry).home()?)?;
        self.0.store(core::ptr::from_ref(home).cast_mut(), Ordering::Relaxed);
        Some(home)
    }
}
