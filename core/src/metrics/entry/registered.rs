//! Where callsites register themselves: two lists of all metrics that were used, one of them for gauges.

use super::{Special, special};
use crate::callsite::{Blob, Kind};
use crate::list::{Iter, Link, Linked, List};
use crate::metrics::metric::add_to_shared;
use crate::metrics::series::SeriesKey;
use crate::metrics::shape::shape_of;
use crate::sync::{Cell, Count};
use core::sync::atomic::{AtomicUsize, Ordering};

/// A metric's place in the list of all.
#[derive(Debug)]
pub struct Entry {
    blob: &'static [u8],
    pub(crate) cells: &'static [Cell],
    pub(crate) keys: &'static [SeriesKey],
    pub(crate) kind: u8,
    pub(crate) param: u8,
    pub(crate) labels: u8,
    pub(crate) shape: u8,
    pub(crate) special: Option<&'static Special>,
    /// Index of its first cell in every thread's; [`NEW`] before the first use.
    base: AtomicUsize,
    link: Link<Entry>,
}

impl Linked for Entry {
    fn link(&self) -> &Link<Entry> {
        &self.link
    }
}

/// The base of a metric that was not used yet. It lies beyond every thread's cells, so that the bounds check that finds a metric without room also finds a new one;
/// and it is so far from the greatest `usize` that adding a cell's index does not wrap around to another metric's cells.
const NEW: usize = usize::MAX / 2 + 2;
const BUSY: usize = usize::MAX / 2 + 1;

/// All metrics in use but gauges.
static LIST: List<Entry> = List::new();
/// All gauges in use, one entry for each however many callsites it has.
static GAUGES: List<Entry> = List::new();
static NEXT_BASE: AtomicUsize = AtomicUsize::new(0);

impl Entry {
    /// For the macros.
    #[doc(hidden)]
    pub const fn new(blob: &'static [u8], cells: &'static [Cell], keys: &'static [SeriesKey]) -> Entry {
        let (kind, param, labels) = (blob[1], blob[3], blob[10]);
        Entry {
            blob,
            cells,
            keys,
            kind,
            param,
            labels,
            shape: shape_of(kind, param),
            special: special(keys, kind, param),
            base: AtomicUsize::new(NEW),
            link: Link::new(),
        }
    }

    /// The callsite's address, which tells metrics apart.
    pub(crate) fn callsite(&self) -> usize {
        self.blob.as_ptr().addr()
    }

    pub(crate) fn blob(&self) -> Option<Blob<'static>> {
        Blob::parse(self.blob)
    }

    pub(crate) fn first() -> Option<&'static Entry> {
        LIST.iter().chain(GAUGES.iter()).next()
    }

    pub(crate) fn next(&self) -> Option<&'static Entry> {
        let next = Iter::after(self).next();
        if self.is_gauge() { next } else { next.or_else(|| GAUGES.iter().next()) }
    }

    fn is_gauge(&self) -> bool {
        self.kind == Kind::Gauge as u8
    }

    /// The entry that stands for all callsites of this gauge: the first of them that was used. `None` as long as the program has no recorder.
    pub(crate) fn home(&'static self) -> Option<&'static Entry> {
        crate::callsite::registry::is_open()
            .then(|| GAUGES.find_or_append(self, |other| other.is_same_gauge(self)))
    }

    /// Whether two callsites set the same gauge: equal name, unit, value type and labels, in whatever order.
    fn is_same_gauge(&self, other: &Entry) -> bool {
        let (Some(a), Some(b)) = (self.blob(), other.blob()) else { return false };
        let labels_of_a_in_b = a.labels().all(|label| b.labels().any(|other| other == label));
        (a.name, a.unit, a.param) == (b.name, b.unit, b.param)
            && a.fields().eq(b.fields())
            && a.labels().count() == b.labels().count()
            && labels_of_a_in_b
    }

    /// Always false: only a gauge's home is in the list.
    pub(crate) fn is_away(&self) -> bool {
        false
    }

    /// This thread's cell `i`, if it has one.
    #[cfg(feature = "std")]
    #[inline(always)]
    pub(crate) fn thread_cell(&'static self, i: usize) -> Option<&'static Cell> {
        let recorder = crate::recorder::get()?;
        recorder.thread.cells.get(self.base.load(Ordering::Relaxed).wrapping_add(i))
    }

    /// This thread's cells from the metric's first on, if it has any.
    #[cfg(all(feature = "std", target_has_atomic = "64"))]
    #[inline(always)]
    pub(crate) fn thread_cells(&'static self) -> Option<&'static [Cell]> {
        crate::recorder::get()?.thread.cells.get(self.base.load(Ordering::Relaxed)..)
    }

    /// Calls `f` with every thread's cell `i`.
    #[cfg(feature = "std")]
    pub(crate) fn for_each_thread(&self, i: usize, mut f: impl FnMut(Count)) {
        let base = self.base.load(Ordering::Relaxed);
        if base < BUSY {
            crate::recorder::for_each_thread(|recorder| {
                if let Some(cell) = recorder.thread.cells.get(base + i) {
                    f(cell.load(Ordering::Relaxed));
                }
            });
        }
    }

    /// Adds to a cell that all threads share: for threads without cells of their own, and before the metric has a place in them.
    #[cfg_attr(feature = "std", cold)]
    #[inline(never)]
    pub(crate) fn add_shared(&'static self, cell: &'static Cell, n: Count) {
        if self.ready() {
            add_to_shared(cell, n);
        }
    }

    /// Whether the program has a recorder, so that somebody may read the metric; puts it into the list on its first use.
    #[inline(always)]
    pub(crate) fn ready(&'static self) -> bool {
        self.base.load(Ordering::Relaxed) < BUSY || self.first_use()
    }

    #[cold]
    #[inline(never)]
    fn first_use(&'static self) -> bool {
        if !crate::callsite::registry::is_open() {
            return false;
        }
        if self.base.compare_exchange(NEW, BUSY, Ordering::Acquire, Ordering::Relaxed).is_err() {
            // Another thread is putting it into the list.
            return true;
        }
        LIST.push(self);
        let base = NEXT_BASE.fetch_add(self.cells.len(), Ordering::Relaxed);
        self.base.store(base, Ordering::Release);
        true
    }
}
