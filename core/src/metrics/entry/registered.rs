//! Entries on targets where callsites register at run time: they form two lists of the metrics in use, one of
//! them for gauges.

use super::{Special, special};
use crate::callsite::{Blob, Kind};
use crate::list::{Iter, Link, Linked, List};
use crate::metrics::series::SeriesKey;
use crate::metrics::shape::shape_of;
use crate::sync::Cell;
use core::sync::atomic::{AtomicUsize, Ordering};

/// A metric in the list of all metrics in use.
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
    /// Index of the metric's first cell among the cells of every thread; [`NEW`] before the first use.
    base: AtomicUsize,
    link: Link<Entry>,
}

impl Linked for Entry {
    fn link(&self) -> &Link<Entry> {
        &self.link
    }
}

/// The base of a metric that has not been used. It is beyond the cells of every thread, so the bounds check
/// that detects a metric without room also detects a new one. It is far enough below the greatest `usize`
/// that adding a cell's index cannot wrap around to the cells of another metric.
const NEW: usize = usize::MAX / 2 + 2;
const BUSY: usize = usize::MAX / 2 + 1;

/// All metrics in use except gauges.
static LIST: List<Entry> = List::new();
/// All gauges in use, with one entry for each gauge, however many callsites it has.
static GAUGES: List<Entry> = List::new();
static NEXT_BASE: AtomicUsize = AtomicUsize::new(0);

impl Entry {
    /// The macros call this.
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

    /// The address of the blob, which identifies the metric.
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

    /// The entry whose cells all callsites of this gauge use: the callsite that was used first. `None` while
    /// the program has no recorder.
    pub(crate) fn home(&'static self) -> Option<&'static Entry> {
        if !crate::callsite::registry::is_open() {
            return None;
        }
        let home = GAUGES.find_or_append(self, |other| other.is_same_gauge(self));
        #[cfg(feature = "std")]
        crate::metrics::series::changed();
        Some(home)
    }

    /// Whether two callsites are the same gauge: equal name, unit, value type and labels, the labels in any
    /// order.
    fn is_same_gauge(&self, other: &Entry) -> bool {
        let (Some(a), Some(b)) = (self.blob(), other.blob()) else { return false };
        let labels_of_a_in_b = a.labels().all(|label| b.labels().any(|other| other == label));
        (a.name, a.unit, a.param) == (b.name, b.unit, b.param)
            && a.fields().eq(b.fields())
            && a.labels().count() == b.labels().count()
            && labels_of_a_in_b
    }

    /// Always false, because only homes are in the list of gauges.
    pub(crate) fn has_home_elsewhere(&self) -> bool {
        false
    }

    /// This thread's cells of this metric: `count` cells, at least one, from the cell `at` on. `None` when the
    /// thread does not have all of them.
    #[cfg(feature = "std")]
    #[inline(always)]
    pub(crate) fn thread_cells(&'static self, at: usize, count: usize) -> Option<&'static [Cell]> {
        let cells = crate::recorder::thread_cells();
        let first = self.base.load(Ordering::Relaxed).wrapping_add(at);
        let last = first.wrapping_add(count - 1);
        // SAFETY: `last` is in bounds. `first` is not greater, because no base is so near to the greatest `usize`
        // that `last` could wrap.
        (last < cells.len()).then(|| unsafe { cells.get_unchecked(first..=last) })
    }

    /// As [`Entry::thread_cells`], but gives the thread a recorder first if it has none yet.
    #[cfg(feature = "std")]
    pub(crate) fn thread_cells_at_first(&'static self, at: usize, count: usize) -> Option<&'static [Cell]> {
        crate::recorder::get()?;
        self.thread_cells(at, count)
    }

    /// Index of the metric's cell `i` among the cells of every thread; `None` before the first use.
    #[cfg(feature = "std")]
    pub(crate) fn index_in_threads(&self, i: usize) -> Option<usize> {
        let base = self.base.load(Ordering::Relaxed);
        (base < BUSY).then(|| base + i)
    }

    /// Calls `f` with `count` cells of every thread, from cell `i` on.
    #[cfg(feature = "std")]
    #[inline(always)]
    pub(crate) fn for_each_thread(&self, i: usize, count: usize, mut f: impl FnMut(&'static [Cell])) {
        let Some(at) = self.index_in_threads(i) else { return };
        crate::recorder::for_each_thread(|recorder| {
            if let Some(cells) = recorder.thread.cells.get(at..at + count) {
                f(cells);
            }
        });
    }

    /// Whether the program has a recorder, so that the metric may be read. Registers the metric on first use.
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
            // Another thread is registering the metric.
            return true;
        }
        LIST.push(self);
        let base = NEXT_BASE.fetch_add(self.cells.len(), Ordering::Relaxed);
        self.base.store(base, Ordering::Release);
        #[cfg(feature = "std")]
        crate::metrics::series::changed();
        true
    }
}
