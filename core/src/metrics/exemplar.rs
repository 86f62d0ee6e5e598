//! Exemplars: values of histograms, with the spans in which they were recorded.
//!
//! Counting a value costs the same with and without them. A thread's cells hold a range; a value outside it
//! takes a longer way, on which the least and the greatest value are changed (`record_in_own` in `metric.rs`). A
//! reader that wants exemplars makes this range empty, so that the next value takes the longer way and begins a
//! range of its own. So do the values that are then less or greater than all before since that reading: in any
//! order of values, the slowest request of an interval is among them, and of n values only about 2 ln n. A
//! budget bounds their number for each reading and thread; when it is used up, the range becomes that of all
//! values again.
//!
//! A value whose trace is recorded is put into its thread's [`Exemplars`], from which the reader takes it. When
//! they are full no more is put, which loses nothing but an example.

use super::histogram::{FLOOR, GREATEST, LEAST, RANGE, TRIES};
use crate::recorder::{Recorder, for_each_thread, get};
use crate::ring::Word;
use crate::sync::{Acquire, Cell, Count, Relaxed, Release};
use crate::{SpanId, TraceId};

/// Number of exemplars that a thread holds for the reader.
const CAPACITY: usize = 64;
/// What a histogram of one thread may spend until the next reading.
const BUDGET: Count = 64;
/// What taking an exemplar costs; looking at a value that has no recorded trace costs 1.
const PRICE: Count = 8;

/// A value, and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exemplar {
    /// [`Series::first_cell`](super::read::Series::first_cell) of its series.
    pub first_cell: usize,
    /// The value, in the same unit as the histogram's sum.
    pub value: u64,
    /// The thread's clock when it was recorded.
    pub ticks: usize,
    /// The trace of the span.
    pub trace_id: TraceId,
    /// The span in which it was recorded.
    pub span_id: SpanId,
}

/// The exemplars that one thread has put and the reader has not taken yet. 3 KiB.
#[derive(Debug)]
pub struct Exemplars {
    /// How many the thread has put and the reader has taken, since the start.
    put: Cell,
    taken: Cell,
    /// 1 while the thread puts one. A signal handler that comes in between puts none.
    busy: Cell,
    slots: [[Cell; WORDS]; CAPACITY],
}

const WORDS: usize = 6;

impl Exemplars {
    /// Without any.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Exemplars {
        let slots = [const { [const { Cell::new(0) }; WORDS] }; CAPACITY];
        Exemplars { put: Cell::new(0), taken: Cell::new(0), busy: Cell::new(0), slots }
    }

    /// Called by the thread that owns them.
    fn put(&self, exemplar: &Exemplar) {
        let put = self.put.load(Relaxed);
        if put.wrapping_sub(self.taken.load(Acquire)) >= CAPACITY as Count || self.busy.swap(1, Acquire) != 0
        {
            return;
        }
        let Exemplar { first_cell, value, ticks, trace_id, span_id } = *exemplar;
        let [high, low] = halves(trace_id.to_bytes());
        let span = u64::from_be_bytes(span_id.to_bytes());
        let words = [first_cell as Count, value, ticks as Count, high, low, span];
        self.slots[put as usize % CAPACITY].iter().zip(words).for_each(|(to, word)| to.store(word, Relaxed));
        self.put.store(put.wrapping_add(1), Release);
        self.busy.store(0, Release);
    }

    /// Called by one reader at a time.
    fn take(&self, f: &mut impl FnMut(Exemplar)) {
        let (mut taken, put) = (self.taken.load(Relaxed), self.put.load(Acquire));
        while taken != put {
            let [first_cell, value, ticks, high, low, span] =
                self.slots[taken as usize % CAPACITY].each_ref().map(|word| word.load(Relaxed));
            let mut trace = [0; 16];
            trace[..8].copy_from_slice(&high.to_be_bytes());
            trace[8..].copy_from_slice(&low.to_be_bytes());
            let ids = TraceId::from_bytes(trace).zip(SpanId::from_bytes(span.to_be_bytes()));
            if let Some((trace_id, span_id)) = ids {
                f(Exemplar {
                    first_cell: first_cell as usize,
                    value,
                    ticks: ticks as Word,
                    trace_id,
                    span_id,
                });
            }
            taken = taken.wrapping_add(1);
            self.taken.store(taken, Release);
        }
    }
}

fn halves(bytes: [u8; 16]) -> [u64; 2] {
    let bits = u128::from_be_bytes(bytes);
    [(bits >> 64) as u64, bits as u64]
}

/// Calls `f` with the exemplars of all threads that were recorded since the last call. Only one caller at a time
/// may do so. Cost: a load for each thread, and a few for each exemplar.
pub fn take_exemplars(mut f: impl FnMut(Exemplar)) {
    for_each_thread(|recorder| {
        if let Some(exemplars) = recorder.thread.exemplars {
            exemplars.take(&mut f);
        }
    });
}

/// Asks for exemplars among the next values in these cells of some thread's histogram. A histogram without values
/// is not asked, because its first value is an exemplar anyway, and because its memory need not be touched.
pub(super) fn ask(own: &[Cell]) {
    if own[LEAST].load(Relaxed) | own[GREATEST].load(Relaxed) != 0 {
        own[TRIES].store(BUDGET, Relaxed);
        own[RANGE].store(0, Relaxed);
    }
}

/// The longer way of a value that this thread has counted: makes it the least or the greatest one if it is, and
/// an exemplar if one is wanted. `#[cold]` keeps it out of the way of all other values.
#[cold]
#[inline(never)]
pub(super) fn widen(own: &[Cell], value: Count) {
    // A signal handler on this thread may do the same in between, so the extremes are changed atomically. The
    // range may come out too small then; the next value outside it calls this function again.
    if !value > own[LEAST].load(Relaxed) {
        own[LEAST].fetch_max(!value, Relaxed);
    }
    if value > own[GREATEST].load(Relaxed) {
        own[GREATEST].fetch_max(value, Relaxed);
    }
    let (mut least, mut greatest) = (!own[LEAST].load(Relaxed), own[GREATEST].load(Relaxed));
    let range = own[RANGE].load(Relaxed);
    let mut tries = own[TRIES].load(Relaxed);
    if range == 0 && tries == 0 && least == greatest {
        tries = BUDGET;
    }
    if tries > 0
        && let Some((recorder, exemplars)) = get().and_then(|it| Some((it, it.thread.exemplars?)))
    {
        if let Some(exemplar) = Exemplar::of(recorder, own, value) {
            exemplars.put(&exemplar);
            tries = tries.saturating_sub(PRICE);
            let lowest = if range == 0 { value } else { !own[FLOOR].load(Relaxed) };
            let highest = lowest.wrapping_add(range.max(1) - 1);
            if tries > 0 {
                (least, greatest) = (value.min(lowest), value.max(highest));
            }
        } else {
            tries -= 1;
            if tries > 0 {
                // The next value is looked at too, as this one belongs to no recorded trace.
                return own[TRIES].store(tries, Relaxed);
            }
        }
        own[TRIES].store(tries, Relaxed);
    }
    own[FLOOR].store(!least, Relaxed);
    own[RANGE].store(greatest.wrapping_sub(least).wrapping_add(1), Relaxed);
}

impl Exemplar {
    /// What the value of these cells is an example of; `None` if its trace is not recorded.
    fn of(recorder: &Recorder, own: &[Cell], value: Count) -> Option<Exemplar> {
        let place = recorder.trace_context().filter(|place| place.sampled())?;
        let bytes = own.as_ptr().addr().checked_sub(recorder.thread.cells.as_ptr().addr())?;
        let (trace_id, span_id) = (place.trace_id, place.span_id);
        Some(Exemplar {
            first_cell: bytes / size_of::<Cell>(),
            value,
            ticks: recorder.ticks(),
            trace_id,
            span_id,
        })
    }
}
