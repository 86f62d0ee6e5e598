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
//! A value whose trace is sampled is put into its thread's [`Exemplars`](crate::exemplars::Exemplars), from which
//! the reader takes it. When they are full no more is put, which loses nothing but an example.

use super::histogram::{FLOOR, GREATEST, LEAST, RANGE, TRIES};
use crate::exemplars::Exemplar;
use crate::recorder::{Recorder, for_each_thread, get};
use crate::sync::{Cell, Count, Relaxed};

/// What a histogram of one thread may spend until the next reading.
const BUDGET: Count = 64;
/// What taking an exemplar costs; looking at a value that has no sampled trace costs 1.
const PRICE: Count = 8;

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
        if let Some(exemplar) = exemplar(recorder, own, value) {
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
                // The next value is looked at too, as this one belongs to no sampled trace.
                return own[TRIES].store(tries, Relaxed);
            }
        }
        own[TRIES].store(tries, Relaxed);
    }
    own[FLOOR].store(!least, Relaxed);
    own[RANGE].store(greatest.wrapping_sub(least).wrapping_add(1), Relaxed);
}

/// What the value of these cells is an example of; `None` if its trace is not sampled.
fn exemplar(recorder: &Recorder, own: &[Cell], value: Count) -> Option<Exemplar> {
    let place = recorder.trace_context().filter(|place| place.sampled())?;
    let bytes = own.as_ptr().addr().checked_sub(recorder.thread.cells.as_ptr().addr())?;
    let (trace_id, span_id) = (place.trace_id, place.span_id);
    Some(Exemplar {
        first_cell: bytes / size_of::<Cell>(),
        value,
        ticks: recorder.ticks(),
        trace_id,
        span_id,
        correlation: recorder.thread.correlation.load(Relaxed) as u64,
    })
}
