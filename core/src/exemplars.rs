//! The exemplars that a thread keeps for the reader: values of histograms, with the spans in which they were
//! recorded. One thread puts them and one reader takes them; neither waits.

use crate::sync::{Acquire, Cell, Count, Relaxed, Release};
use crate::{SpanId, TraceId};

/// Number of exemplars that a thread holds for the reader.
const CAPACITY: usize = 64;

/// A value, and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exemplar {
    /// Index of the first cell of its series among the thread's cells.
    pub first_cell: usize,
    /// The value, in the same unit as the histogram's sum.
    pub value: u64,
    /// The thread's clock when it was recorded.
    pub ticks: usize,
    /// The trace of the span.
    pub trace_id: TraceId,
    /// The span in which it was recorded.
    pub span_id: SpanId,
    /// The number of the correlation fields of the code that recorded it; 0 for none.
    pub correlation: u64,
}

/// The exemplars that one thread has put and the reader has not taken yet. 3.5 KiB, in which zeros are those of none.
#[derive(Debug)]
pub struct Exemplars {
    /// How many the thread has put and the reader has taken, since the start.
    put: Cell,
    taken: Cell,
    /// 1 while the thread puts one. A signal handler that comes in between puts none.
    busy: Cell,
    slots: [[Cell; WORDS]; CAPACITY],
}

const WORDS: usize = 7;

impl Exemplars {
    /// Without any.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Exemplars {
        let slots = [const { [const { Cell::new(0) }; WORDS] }; CAPACITY];
        Exemplars { put: Cell::new(0), taken: Cell::new(0), busy: Cell::new(0), slots }
    }

    /// Called by the thread that owns them.
    pub(crate) fn put(&self, exemplar: &Exemplar) {
        if self.busy.swap(1, Acquire) != 0 {
            return;
        }
        let put = self.put.load(Relaxed);
        if put.wrapping_sub(self.taken.load(Acquire)) < CAPACITY as Count {
            self.store(put, exemplar);
        }
        self.busy.store(0, Release);
    }

    fn store(&self, put: Count, exemplar: &Exemplar) {
        let Exemplar { first_cell, value, ticks, trace_id, span_id, correlation } = *exemplar;
        let trace = u128::from_be_bytes(trace_id.to_bytes());
        let span = u64::from_be_bytes(span_id.to_bytes());
        let (high, low) = ((trace >> 64) as u64, trace as u64);
        let words = [first_cell as Count, value, ticks as Count, high, low, span, correlation];
        self.slots[put as usize % CAPACITY].iter().zip(words).for_each(|(to, word)| to.store(word, Relaxed));
        self.put.store(put.wrapping_add(1), Release);
    }

    /// Called by one reader at a time.
    pub(crate) fn take(&self, f: &mut impl FnMut(Exemplar)) {
        let (mut taken, put) = (self.taken.load(Relaxed), self.put.load(Acquire));
        while taken != put {
            let [first_cell, value, ticks, high, low, span, correlation] =
                self.slots[taken as usize % CAPACITY].each_ref().map(|word| word.load(Relaxed));
            let trace = u128::from(high) << 64 | u128::from(low);
            let ids = TraceId::from_bytes(trace.to_be_bytes()).zip(SpanId::from_bytes(span.to_be_bytes()));
            if let Some((trace_id, span_id)) = ids {
                f(Exemplar {
                    first_cell: first_cell as usize,
                    value,
                    ticks: ticks as usize,
                    trace_id,
                    span_id,
                    correlation,
                });
            }
            taken = taken.wrapping_add(1);
            self.taken.store(taken, Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The only exemplar with this value in these tests.
    fn of(value: u64) -> Exemplar {
        let trace = u128::from(value) << 64 | u128::from(!value);
        Exemplar {
            first_cell: value as usize * 3,
            value,
            ticks: value as usize * 5,
            trace_id: TraceId::from_bytes(trace.to_be_bytes()).unwrap(),
            span_id: SpanId::from_bytes((value * 7).to_be_bytes()).unwrap(),
            correlation: value * 11,
        }
    }

    #[test]
    fn what_is_taken_is_whole_and_in_order_while_more_is_put() {
        let last = if cfg!(miri) { 300 } else { 300_000 };
        let exemplars = Exemplars::new();
        std::thread::scope(|scope| {
            let putting = scope.spawn(|| (1..=last).for_each(|value| exemplars.put(&of(value))));
            let (mut before, mut taken) = (0, 0);
            while !putting.is_finished() || exemplars.put.load(Relaxed) != exemplars.taken.load(Relaxed) {
                exemplars.take(&mut |exemplar| {
                    assert_eq!(exemplar, of(exemplar.value));
                    assert!(exemplar.value > before, "{} after {before}", exemplar.value);
                    (before, taken) = (exemplar.value, taken + 1);
                });
            }
            assert!(taken >= CAPACITY as u64);
        });
    }

    #[test]
    fn a_handler_that_comes_while_one_is_put_puts_none() {
        let exemplars = Exemplars::new();
        exemplars.busy.store(1, Relaxed);
        exemplars.put(&of(1));
        exemplars.busy.store(0, Relaxed);
        exemplars.put(&of(2));
        let mut taken = [0; 2];
        exemplars.take(&mut |exemplar| taken = [exemplar.value, taken[0]]);
        assert_eq!(taken, [2, 0]);
    }
}
