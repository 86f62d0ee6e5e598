//! A metric as its cells, and how a reader finds them all.

#[cfg(registered_callsites)]
pub use registered::Entry;
#[cfg(not(registered_callsites))]
pub use section::Entry;

use super::{SeriesKey, histogram_cells};
use crate::callsite::{Blob, Kind};
use crate::ring::Word;
use crate::sync::{AtomicWord, Relaxed};
use crate::wire::{FamilyLabels, LABELS_OF_FAMILY, shape_of};

/// A metric: its cells and where the reader finds it. Made by the macros.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    cells: &'static [AtomicWord],
    #[cfg(registered_callsites)]
    entry: &'static Entry,
    #[cfg(not(registered_callsites))]
    keep: fn(),
}

impl Metric {
    /// For the macros.
    #[cfg(registered_callsites)]
    #[doc(hidden)]
    #[inline(always)]
    pub const fn new(cells: &'static [AtomicWord], entry: &'static Entry) -> Metric {
        Metric { cells, entry }
    }

    /// For the macros. `keep` does nothing but refer to the metric's [`Entry`]: the linker drops what nothing refers to, and the code that
    /// counts refers to the cells alone. Calls of it are inlined and leave a relocation, no instruction.
    #[cfg(not(registered_callsites))]
    #[doc(hidden)]
    #[inline(always)]
    pub const fn new(cells: &'static [AtomicWord], keep: fn()) -> Metric {
        Metric { cells, keep }
    }

    /// Makes the calling code refer to the metric's entry, on targets where that is what puts it into the table of all. To be
    /// called where the metric is a constant, that is, from inlined functions.
    #[inline(always)]
    pub(super) fn keep(self) {
        #[cfg(not(registered_callsites))]
        (self.keep)();
    }

    /// Adds to cell `i`, which must exist.
    #[inline(always)]
    pub(super) fn add(self, i: usize, n: usize) {
        #[cfg(registered_callsites)]
        {
            #[cfg(feature = "std")]
            if let Some(cell) = self.entry.thread_cell(i) {
                cell.store(cell.load(Relaxed).wrapping_add(n), Relaxed);
                return;
            }
            self.entry.add_shared(&self.cells[i], n);
        }
        #[cfg(not(registered_callsites))]
        self.cells[i].fetch_add(n, Relaxed);
    }

    /// The same cell by cell, for threads without cells of their own and for metrics that have no place in them yet. The metric comes in its parts,
    /// which fit registers.
    #[cfg(target_pointer_width = "64")]
    #[cfg_attr(feature = "std", cold)]
    #[inline(never)]
    fn count_and_sum_apart(
        entry: &'static Entry,
        cells: &'static [AtomicWord],
        i: usize,
        sum: usize,
        n: usize,
    ) {
        let metric = Metric { entry, cells };
        metric.add(i, 1);
        metric.add(sum, n);
    }

    /// Adds to two of this thread's cells, finding them once; false when it has none.
    #[cfg(all(feature = "std", target_pointer_width = "64"))]
    #[inline(always)]
    fn add_two(self, i: usize, n: usize, j: usize, m: usize) -> bool {
        let Some(cells) = self.entry.thread_cells() else { return false };
        let (Some(a), Some(b)) = (cells.get(i), cells.get(j)) else { return false };
        a.store(a.load(Relaxed).wrapping_add(n), Relaxed);
        b.store(b.load(Relaxed).wrapping_add(m), Relaxed);
        true
    }

    #[inline(always)]
    pub(super) fn set(self, value: Word) {
        #[cfg(registered_callsites)]
        if !self.entry.ready() {
            return;
        }
        self.cells[0].store(value, Relaxed);
    }

    /// Adds 1 to the cell `i`, and `n` to the number in the cell `sum`, which on a 32-bit machine goes on in the next.
    #[inline(always)]
    pub(super) fn count_and_sum(self, i: usize, sum: usize, n: usize) {
        #[cfg(target_pointer_width = "64")]
        {
            #[cfg(feature = "std")]
            if self.add_two(i, 1, sum, n) {
                return;
            }
            Metric::count_and_sum_apart(self.entry, self.cells, i, sum, n);
        }
        #[cfg(not(target_pointer_width = "64"))]
        {
            #[cfg(registered_callsites)]
            if !self.entry.ready() {
                return;
            }
            crate::sync::count_and_sum(&self.cells[i], &self.cells[sum], &self.cells[sum + 1], n);
        }
    }
}

/// One series of a metric, to be read.
#[derive(Clone, Copy, Debug)]
pub struct Series {
    entry: &'static Entry,
    index: usize,
}

/// What only families need. By pointer, so that firmware without one does not link it.
#[derive(Debug)]
struct Family {
    is_in_use: fn(&Series) -> bool,
    labels: FamilyLabels,
}

static FAMILY: Family = Family { is_in_use: Series::is_in_use, labels: LABELS_OF_FAMILY };

const fn family(keys: &[SeriesKey]) -> Option<&'static Family> {
    if keys.is_empty() { None } else { Some(&FAMILY) }
}

/// Calls `f` with every series of every metric: on a microcontroller of the program, elsewhere used so far. Reads race with writers only in that
/// a series is as of some moment during the call; no count is ever lost or read twice. Cost: cells × threads.
pub fn for_each(mut f: impl FnMut(Series)) {
    let mut next = Series::first();
    while let Some(series) = next {
        f(series);
        next = series.next();
    }
}

impl Series {
    /// The first there is. With [`Series::next`] a walk over all, that may be broken off and gone on with later.
    pub fn first() -> Option<Series> {
        Series::in_use_from(Entry::first()?, 0)
    }

    /// The one after it. Metrics that were first used since the walk began are not in it.
    pub fn next(&self) -> Option<Series> {
        Series::in_use_from(self.entry, self.index + 1)
    }

    #[cfg_attr(target_os = "none", inline(never))]
    fn in_use_from(mut entry: &'static Entry, mut index: usize) -> Option<Series> {
        loop {
            while index <= entry.keys.len() {
                let series = Series { entry, index };
                if entry.family.is_none_or(|family| (family.is_in_use)(&series)) {
                    return Some(series);
                }
                index += 1;
            }
            (entry, index) = (entry.next()?, 0);
        }
    }

    /// The metric's callsite: its address on a microcontroller, elsewhere its place in memory, which is only good for telling metrics apart.
    pub fn callsite(&self) -> usize {
        self.entry.blob().as_ptr().addr()
    }

    /// What is known of the metric; `None` on a microcontroller, whose blobs are on the host.
    pub fn blob(&self) -> Option<Blob<'static>> {
        if cfg!(registered_callsites) { Blob::parse(self.entry.blob()) } else { None }
    }

    /// The metric's kind, as in its blob: 3 counter, 4 up-down counter, 5 gauge, 6 histogram.
    pub fn kind(&self) -> u8 {
        self.entry.kind
    }

    /// Value type of a gauge, scale of a histogram.
    pub fn param(&self) -> u8 {
        self.entry.param
    }

    /// Number of cells.
    pub fn len(&self) -> usize {
        if self.kind() == Kind::Histogram as u8 { histogram_cells(self.param().into()) } else { 1 }
    }

    /// Never: a metric has a cell.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Cell `i`, summed over all threads, modulo the machine's word.
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn cell(&self, i: usize) -> Word {
        let i = if self.index == 0 { i } else { self.index * self.len() + i };
        let shared = self.entry.cells.get(i).map_or(0, |cell| cell.load(Relaxed));
        #[cfg(feature = "std")]
        return shared.wrapping_add(self.entry.sum_of_threads(i));
        #[cfg(not(feature = "std"))]
        shared
    }

    /// Its shape on the wire.
    pub(crate) fn shape(&self) -> u8 {
        self.entry.shape
    }

    /// How its labels go to the wire, if it is of a family.
    pub(crate) fn family_labels(&self) -> Option<FamilyLabels> {
        self.entry.family.map(|family| family.labels)
    }

    /// Its place among the series of its metric: 0 for a metric without run-time labels. With [`Series::callsite`] it tells a series from all
    /// others, for as long as the program runs.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Number of run-time labels.
    pub fn label_count(&self) -> usize {
        usize::from(self.entry.labels)
    }

    /// Writes the run-time labels' values, each as a length byte and its bytes, to `out`; 0 for a metric without. The
    /// overflow series has none; see [`Series::is_overflow`].
    pub fn labels(&self, out: &mut [u8; SeriesKey::BYTES]) -> usize {
        self.entry.keys.get(self.index).map_or(0, |key| key.read(out))
    }

    /// Whether it collects what found no room in its family.
    pub fn is_overflow(&self) -> bool {
        !self.entry.keys.is_empty() && self.index == self.entry.keys.len()
    }

    /// Of a family: whether the place is taken, or the overflow series counted anything.
    fn is_in_use(&self) -> bool {
        match self.entry.keys.get(self.index) {
            Some(key) => key.is_set(),
            None => (0..self.len()).any(|i| self.cell(i) != 0),
        }
    }
}

#[cfg(registered_callsites)]
mod registered {
    use super::*;
    use crate::list::{Iter, Link, Linked, List};
    use core::sync::atomic::{AtomicUsize, Ordering};

    /// A metric's place in the list of all.
    #[derive(Debug)]
    pub struct Entry {
        blob: &'static [u8],
        pub(super) cells: &'static [AtomicWord],
        pub(super) keys: &'static [SeriesKey],
        pub(super) kind: u8,
        pub(super) param: u8,
        pub(super) labels: u8,
        pub(super) shape: u8,
        pub(super) family: Option<&'static Family>,
        /// Index of its first cell in every thread's; [`NEW`] before the first use.
        base: AtomicUsize,
        link: Link<Entry>,
    }

    impl Linked for Entry {
        fn link(&self) -> &Link<Entry> {
            &self.link
        }
    }

    /// Beyond every thread's cells, so that one comparison finds a metric that is new and one that found no room;
    /// and so far from the end that adding a cell's index does not wrap around to another metric's cells.
    const NEW: usize = usize::MAX / 2 + 2;
    const BUSY: usize = usize::MAX / 2 + 1;
    /// In the list, but with no use for cells of threads.
    const SHARED: usize = usize::MAX / 2;

    static LIST: List<Entry> = List::new();
    static NEXT_BASE: AtomicUsize = AtomicUsize::new(0);

    impl Entry {
        /// For the macros.
        #[doc(hidden)]
        pub const fn new(
            blob: &'static [u8],
            cells: &'static [AtomicWord],
            keys: &'static [SeriesKey],
        ) -> Entry {
            Entry {
                blob,
                cells,
                keys,
                kind: blob[1],
                param: blob[3],
                labels: blob[10],
                shape: shape_of(blob[1], blob[3]),
                family: family(keys),
                base: AtomicUsize::new(NEW),
                link: Link::new(),
            }
        }

        pub(super) fn blob(&self) -> &'static [u8] {
            self.blob
        }

        pub(super) fn first() -> Option<&'static Entry> {
            LIST.iter().next()
        }

        pub(super) fn next(&self) -> Option<&'static Entry> {
            Iter::after(self).next()
        }

        /// This thread's cell `i`, if it has one.
        #[cfg(feature = "std")]
        #[inline(always)]
        pub(super) fn thread_cell(&'static self, i: usize) -> Option<&'static AtomicWord> {
            let recorder = crate::recorder::get()?;
            recorder.thread.cells.get(self.base.load(Ordering::Relaxed).wrapping_add(i))
        }

        /// This thread's cells from the metric's first on, if it has any.
        #[cfg(all(feature = "std", target_pointer_width = "64"))]
        #[inline(always)]
        pub(super) fn thread_cells(&'static self) -> Option<&'static [AtomicWord]> {
            crate::recorder::get()?.thread.cells.get(self.base.load(Ordering::Relaxed)..)
        }

        #[cfg(feature = "std")]
        pub(super) fn sum_of_threads(&self, i: usize) -> Word {
            let base = self.base.load(Ordering::Relaxed);
            let mut sum: Word = 0;
            if base < SHARED {
                crate::recorder::for_each_thread(|recorder| {
                    let cell = recorder.thread.cells.get(base + i);
                    sum = sum.wrapping_add(cell.map_or(0, |c| c.load(Relaxed)));
                });
            }
            sum
        }

        /// What threads without cells do, and every thread before the metric has a place.
        #[cfg_attr(feature = "std", cold)]
        #[inline(never)]
        pub(super) fn add_shared(&'static self, cell: &'static AtomicWord, n: usize) {
            if self.ready() {
                cell.fetch_add(n, Relaxed);
            }
        }

        /// Whether somebody may come to read it; puts it into the list then.
        #[inline(always)]
        pub(super) fn ready(&'static self) -> bool {
            self.base.load(Ordering::Relaxed) < BUSY || self.first_use()
        }

        #[cold]
        #[inline(never)]
        fn first_use(&'static self) -> bool {
            if !crate::recorder::exists() {
                return false;
            }
            if self.base.compare_exchange(NEW, BUSY, Ordering::Acquire, Ordering::Relaxed).is_err() {
                // Another thread is putting it into the list.
                return true;
            }
            LIST.push(self);
            let gauge = self.kind == crate::callsite::Kind::Gauge as u8;
            let base = if gauge { SHARED } else { NEXT_BASE.fetch_add(self.cells.len(), Ordering::Relaxed) };
            self.base.store(base, Ordering::Release);
            true
        }
    }
}

#[cfg(not(registered_callsites))]
mod section {
    use super::*;

    /// A metric's place in the table of all, which the linker makes of the section `throughline_metrics`; in flash.
    #[derive(Debug)]
    #[repr(C)]
    pub struct Entry {
        blob: &'static [u8],
        pub(super) cells: &'static [AtomicWord],
        pub(super) keys: &'static [SeriesKey],
        pub(super) family: Option<&'static Family>,
        pub(super) kind: u8,
        pub(super) param: u8,
        pub(super) labels: u8,
        pub(super) shape: u8,
    }

    impl Entry {
        /// For the macros.
        #[doc(hidden)]
        pub const fn new(
            blob: &'static [u8],
            cells: &'static [AtomicWord],
            keys: &'static [SeriesKey],
            kind: u8,
            param: u8,
            labels: u8,
        ) -> Entry {
            Entry {
                blob,
                cells,
                keys,
                family: family(keys),
                kind,
                param,
                labels,
                shape: shape_of(kind, param),
            }
        }

        pub(super) fn blob(&self) -> &'static [u8] {
            self.blob
        }

        pub(super) fn first() -> Option<&'static Entry> {
            core::hint::black_box(&NONE);
            Entry::at((&raw const START).cast::<Entry>())
        }

        pub(super) fn next(&self) -> Option<&'static Entry> {
            Entry::at(core::ptr::from_ref(self).wrapping_add(1))
        }

        fn at(at: *const Entry) -> Option<&'static Entry> {
            // SAFETY: between the two symbols the linker put the section's entries, back to back; `at` is the first or follows another.
            (at < (&raw const STOP).cast::<Entry>()).then(|| unsafe { &*at })
        }
    }

    // So that the section, and with it the symbols below, exist in a program without metrics.
    #[unsafe(link_section = "throughline_metrics")]
    static NONE: [Entry; 0] = [];

    // The first and the last byte of the section, whatever is in it; only their addresses mean anything.
    unsafe extern "C" {
        #[link_name = "__start_throughline_metrics"]
        static START: u8;
        #[link_name = "__stop_throughline_metrics"]
        static STOP: u8;
    }
}
