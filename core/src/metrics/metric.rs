//! The cells of a metric and the operations that add to them.

#[cfg(registered_callsites)]
use super::entry::Entry;
use crate::sync::{Cell, Count, Float, Relaxed, Signed};

/// A metric: its cells, and the entry through which readers find it. The macros make it.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    cells: &'static [Cell],
    #[cfg(registered_callsites)]
    entry: &'static Entry,
    #[cfg(not(registered_callsites))]
    keep: fn(),
}

impl Metric {
    /// The macros call this.
    #[cfg(registered_callsites)]
    #[doc(hidden)]
    #[inline(always)]
    pub const fn new(cells: &'static [Cell], entry: &'static Entry) -> Metric {
        Metric { cells, entry }
    }

    /// The macros call this. `keep` only refers to the metric's [`Entry`](super::entry::Entry): the counting
    /// code refers to the cells alone, so without it the linker would drop the entry. An inlined call of
    /// `keep` leaves a relocation and no instruction.
    #[cfg(not(registered_callsites))]
    #[doc(hidden)]
    #[inline(always)]
    pub const fn new(cells: &'static [Cell], keep: fn()) -> Metric {
        Metric { cells, keep }
    }

    /// Makes the calling code refer to the metric's entry, on targets where such a reference puts the entry
    /// into the table of all metrics. Call it only from inlined functions, where the metric is a constant.
    #[inline(always)]
    pub(super) fn keep(self) {
        #[cfg(not(registered_callsites))]
        (self.keep)();
    }

    /// Adds to cell `i`, which must exist. A 64-bit cell saturates, a 32-bit one wraps.
    #[inline(always)]
    pub(super) fn add(self, i: usize, n: Count) {
        #[cfg(registered_callsites)]
        {
            #[cfg(feature = "std")]
            if let Some(own) = self.entry.thread_cells(i, 1) {
                return add_to_own::<0>(own, n);
            }
            add_apart(self.entry, i, n);
        }
        #[cfg(not(registered_callsites))]
        add_to_shared(&self.cells[i], n);
    }

    /// Adds to the signed number in cell `i`, which must exist. Returns false and adds nothing while the
    /// program has no recorder. A 64-bit cell saturates, a 32-bit one wraps.
    #[inline(always)]
    pub(super) fn add_signed(self, i: usize, n: Signed) -> bool {
        #[cfg(registered_callsites)]
        {
            #[cfg(feature = "std")]
            if let Some([cell]) =
                self.entry.thread_cells(i, 1).or_else(|| self.entry.thread_cells_at_first(i, 1))
            {
                let (sum, overflow) = (cell.load(Relaxed) as Signed).overflowing_add(n);
                cell.store(sum as Count, Relaxed);
                if overflow && WIDE {
                    clamp_signed(cell, n);
                }
                return true;
            }
            if !self.entry.ready() {
                return false;
            }
        }
        let old = self.cells[i].fetch_add(n as Count, Relaxed) as Signed;
        if WIDE && old.overflowing_add(n).1 {
            clamp_signed(&self.cells[i], n);
        }
        true
    }

    /// Adds to the float in cell 0.
    #[inline(always)]
    pub(super) fn add_float(self, n: Float) {
        #[cfg(registered_callsites)]
        {
            #[cfg(all(feature = "std", target_has_atomic = "64"))]
            if let Some([cell]) =
                self.entry.thread_cells(0, 1).or_else(|| self.entry.thread_cells_at_first(0, 1))
            {
                return cell.store((Float::from_bits(cell.load(Relaxed)) + n).to_bits(), Relaxed);
            }
            if !self.entry.ready() {
                return;
            }
        }
        super::gauge::add_float(&self.cells[0], n);
    }

    /// Counts a value of a histogram that has `count` cells, of which `at` is the first. `bucket` is the index of
    /// the bucket's cell among them.
    #[cfg(target_has_atomic = "64")]
    #[inline(always)]
    pub(super) fn record(self, at: usize, bucket: usize, count: usize, value: Count) {
        #[cfg(registered_callsites)]
        {
            #[cfg(feature = "std")]
            if let Some(own) = self.entry.thread_cells(at, count) {
                return record_in_own(own, bucket, value);
            }
            record_apart(self.entry, at, bucket, count, value);
        }
        #[cfg(not(registered_callsites))]
        record_in_shared(&self.cells[at..at + count], bucket, value);
    }

    /// Counts a value of a histogram that has `count` cells, of which `at` is the first. `bucket` is the index of
    /// the bucket's cell among them.
    #[cfg(not(target_has_atomic = "64"))]
    #[inline(always)]
    pub(super) fn record(self, at: usize, bucket: usize, _count: usize, value: Count) {
        use super::histogram::SUM;
        #[cfg(registered_callsites)]
        if !self.entry.ready() {
            return;
        }
        let sum = at + SUM;
        crate::sync::count_and_sum(&self.cells[at + bucket], &self.cells[sum], &self.cells[sum + 1], value);
    }
}

/// Whether cells have 64 bits. Readers extend 32-bit cells, so these must wrap.
const WIDE: bool = Count::BITS == 64;

/// Adds to cell `AT` of cells that only this thread writes.
#[cfg(feature = "std")]
#[inline(always)]
fn add_to_own<const AT: usize>(own: &[Cell], n: Count) {
    let cell = &own[AT];
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: this adds to a word that is an atomic and in bounds, because it was indexed above. No lock prefix is
    // needed: other threads only read the word, and a signal handler on this thread runs before or after the
    // instruction.
    unsafe {
        core::arch::asm!(
            "add qword ptr [{own} + {at}], {n}",
            "jc {full}",
            own = in(reg) own.as_ptr(),
            at = const AT * size_of::<Cell>(),
            n = in(reg) n,
            full = label { fill(cell) },
            options(nostack),
        );
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    add_in_two_steps(cell, n);
}

/// Adds on processors without an instruction that adds to memory. A count that a signal handler makes in the
/// same cell between load and store is lost.
#[cfg(all(feature = "std", not(all(target_arch = "x86_64", not(miri)))))]
#[inline(always)]
fn add_in_two_steps(cell: &Cell, n: Count) {
    let (sum, overflow) = cell.load(Relaxed).overflowing_add(n);
    if overflow && WIDE {
        return fill(cell);
    }
    cell.store(sum, Relaxed);
}

/// Sets an overflowing sum to the greatest number.
#[cfg(feature = "std")]
#[cold]
#[inline(never)]
fn fill(cell: &Cell) {
    cell.store(Count::MAX, Relaxed);
}

/// Corrects a signed sum that adding `n` has just made wrap.
#[cold]
#[inline(never)]
fn clamp_signed(cell: &Cell, n: Signed) {
    cell.store(if n < 0 { Signed::MIN } else { Signed::MAX } as Count, Relaxed);
}

/// Adds to a cell that several contexts write.
#[inline(always)]
pub(super) fn add_to_shared(cell: &Cell, n: Count) {
    #[cfg(target_has_atomic = "64")]
    {
        let mut old = cell.load(Relaxed);
        while let Err(now) = cell.compare_exchange_weak(old, old.saturating_add(n), Relaxed, Relaxed) {
            old = now;
        }
    }
    #[cfg(not(target_has_atomic = "64"))]
    cell.fetch_add(n, Relaxed);
}

/// [`Metric::add`] for threads that have no recorder yet or no cells of their own, and for metrics that have no
/// index in them yet.
#[cfg(registered_callsites)]
#[cfg_attr(feature = "std", cold)]
#[inline(never)]
fn add_apart(entry: &'static Entry, i: usize, n: Count) {
    #[cfg(feature = "std")]
    if let Some(own) = entry.thread_cells_at_first(i, 1) {
        return add_to_own::<0>(own, n);
    }
    if entry.ready() {
        add_to_shared(&entry.cells[i], n);
    }
}

/// Counts a value in the cells of a histogram that only this thread writes.
#[cfg(all(feature = "std", target_has_atomic = "64"))]
#[inline(always)]
fn record_in_own(own: &[Cell], bucket: usize, value: Count) {
    use super::histogram::{FLOOR, RANGE, SUM};
    let bucket = &own[bucket];
    bucket.store(bucket.load(Relaxed).wrapping_add(1), Relaxed);
    add_to_own::<SUM>(own, value);
    // One comparison covers both ends of the range: the distance from its least value wraps for a value below.
    let range = own[RANGE].load(Relaxed);
    let above_floor = value.wrapping_add(own[FLOOR].load(Relaxed)).wrapping_add(1);
    if above_floor >= range {
        super::exemplar::widen(own, value);
    }
}

/// [`Metric::record`] for threads that have no recorder yet or no cells of their own, and for metrics that have
/// no index in them yet.
#[cfg(all(registered_callsites, target_has_atomic = "64"))]
#[cfg_attr(feature = "std", cold)]
#[inline(never)]
fn record_apart(entry: &'static Entry, at: usize, bucket: usize, count: usize, value: Count) {
    if !entry.ready() {
        return;
    }
    #[cfg(feature = "std")]
    if let Some(own) = entry.thread_cells_at_first(at, count) {
        return record_in_own(own, bucket, value);
    }
    record_in_shared(&entry.cells[at..at + count], bucket, value);
}

#[cfg(target_has_atomic = "64")]
fn record_in_shared(cells: &[Cell], bucket: usize, value: Count) {
    use super::histogram::{GREATEST, LEAST, SUM};
    cells[bucket].fetch_add(1, Relaxed);
    add_to_shared(&cells[SUM], value);
    cells[LEAST].fetch_max(!value, Relaxed);
    cells[GREATEST].fetch_max(value, Relaxed);
}
