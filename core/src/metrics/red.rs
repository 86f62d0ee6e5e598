//! Rate, errors and duration of a piece of code (RED): a histogram of its duration in seconds, whose count is the rate,
//! and a counter of its errors by class. `#[instrument(metrics)]` and `red!` make them.

use super::family::{CounterFamily, HistogramFamily};
use super::histogram::{self, Histogram};
use super::metric::Metric;
use super::series::{SeriesKey, find};
use crate::recorder::{self, Recorder};
use crate::ring::Word;
use crate::span::has_panicked;
use crate::sync::Count;
use core::mem::ManuallyDrop;

/// The fraction bits of durations in seconds. Steps of a nanosecond where cells have 64 bits; of a microsecond, up to
/// an hour, where they have 32.
pub const RED_FRACTION: u32 = if Count::BITS == 64 { 30 } else { 20 };

/// The class of a call that a panic left.
const PANIC: &str = "panic";
/// The class of a call whose future was dropped before it was complete.
const CANCELLED: &str = "cancelled";

/// The metrics of one place in the code: durations at `SCALE`, and errors with `E` labels, the last of which is the
/// class.
#[derive(Debug)]
pub struct Red<const SCALE: u32, const E: usize> {
    durations: Metric,
    keys: &'static [SeriesKey],
    errors: Metric,
    error_keys: &'static [SeriesKey],
}

impl<const SCALE: u32> Red<SCALE, 1> {
    /// Without attributes.
    pub const fn alone<const UNIT: u64>(
        durations: Histogram<SCALE, UNIT, RED_FRACTION>,
        errors: CounterFamily<1>,
    ) -> Red<SCALE, 1> {
        let (errors, error_keys) = errors.parts();
        Red { durations: durations.metric(), keys: &[], errors, error_keys }
    }
}

impl<const SCALE: u32, const E: usize> Red<SCALE, E> {
    /// With `L` attributes; `E` is one more.
    pub const fn by<const L: usize, const UNIT: u64>(
        durations: HistogramFamily<SCALE, L, UNIT, RED_FRACTION>,
        errors: CounterFamily<E>,
    ) -> Red<SCALE, E> {
        const { assert!(E == L + 1) };
        let ((durations, keys), (errors, error_keys)) = (durations.parts(), errors.parts());
        Red { durations, keys, errors, error_keys }
    }

    /// Finds the series of these attributes; the call begins later.
    #[inline]
    pub fn prepare<const L: usize>(&'static self, attributes: [&str; L]) -> Prepared<SCALE, E> {
        let series = if L == 0 { 0 } else { find(self.keys, &attributes) };
        Prepared { red: self, series }
    }
}

/// A call that has not begun.
#[derive(Clone, Copy, Debug)]
pub struct Prepared<const SCALE: u32, const E: usize> {
    red: &'static Red<SCALE, E>,
    series: usize,
}

impl<const SCALE: u32, const E: usize> Prepared<SCALE, E> {
    /// Begins the call. Cost: reading the clock.
    #[inline]
    pub fn begin(self) -> Call<SCALE, E> {
        Call { prepared: self, began: clock().map(Recorder::ticks) }
    }
}

/// A call that is being measured. It is counted when it finishes, or else when it is dropped.
#[derive(Debug)]
#[must_use = "the call ends when this value is dropped"]
pub struct Call<const SCALE: u32, const E: usize> {
    prepared: Prepared<SCALE, E>,
    /// `None` while the program has no recorder: then nothing is counted.
    began: Option<Word>,
}

impl<const SCALE: u32, const E: usize> Call<SCALE, E> {
    /// Counts the call, which failed if there is a class of an error. Cost: reading the clock, two divisions and
    /// [`Histogram::record`]; for a failed call also [`CounterFamily::add`].
    pub fn finish(self, class: Option<&str>) {
        ManuallyDrop::new(self).count(class);
    }

    #[inline(never)]
    fn count(&self, class: Option<&str>) {
        let (Some(began), Some(recorder)) = (self.began, clock()) else { return };
        let Prepared { red, series } = self.prepared;
        let elapsed = elapsed(began, recorder.ticks());
        let at = series * const { histogram::cells(SCALE) };
        histogram::record::<SCALE>(red.durations, at, in_fractions(elapsed, recorder.clock().hz()));
        let Some(class) = class else { return };
        red.errors.add(red.series_of_error(series, class), 1);
    }
}

impl<const SCALE: u32, const E: usize> Red<SCALE, E> {
    /// The series of an error of this class in a call that belongs to this series of durations.
    fn series_of_error(&self, series: usize, class: &str) -> usize {
        let mut labels = [class; E];
        if E == 1 {
            return find(self.error_keys, &labels);
        }
        // The overflow series has no labels to read; its errors belong into the other overflow series.
        let Some(key) = self.keys.get(series) else { return self.error_keys.len() };
        let mut bytes = [0; SeriesKey::BYTES];
        let used = key.read(&mut bytes);
        let mut rest = &bytes[..used];
        for label in &mut labels[..E - 1] {
            let Some((len, after)) = rest.split_first() else { break };
            let (value, others) = after.split_at(usize::from(*len).min(after.len()));
            *label = core::str::from_utf8(value).unwrap_or_default();
            rest = others;
        }
        find(self.error_keys, &labels)
    }
}

impl<const SCALE: u32, const E: usize> Drop for Call<SCALE, E> {
    /// Counts a call that did not return: a panic unwound through it, or its future was dropped.
    fn drop(&mut self) {
        let has_panicked = self.began.is_some_and(has_panicked);
        self.count(Some(if has_panicked { PANIC } else { CANCELLED }));
    }
}

/// The recorder whose clock measures calls: that of this context or, on a thread that was refused one, any other, as
/// all of a process have the same clock.
#[inline]
fn clock() -> Option<&'static Recorder> {
    let here = recorder::get();
    #[cfg(feature = "std")]
    if here.is_none() {
        return any();
    }
    here
}

#[cfg(feature = "std")]
#[cold]
fn any() -> Option<&'static Recorder> {
    let mut any = None;
    recorder::for_each_thread(|recorder| any = any.or(Some(recorder)));
    any
}

/// The ticks between two readings, the first of which may come from another processor, whose counter may be slightly
/// ahead. On a 32-bit machine exact below 2^32 ticks.
fn elapsed(began: Word, now: Word) -> u64 {
    let ticks = now.wrapping_sub(began);
    if Word::BITS == 64 && (ticks as isize) < 0 { 0 } else { ticks as u64 }
}

/// Ticks of a clock of `hz` as multiples of 2^-[`RED_FRACTION`] seconds.
fn in_fractions(ticks: u64, hz: u64) -> Count {
    let hz = hz.max(1);
    let (seconds, rest) = (ticks / hz, ticks % hz);
    // A clock is slower than 2^34 Hz, so the remainder does not overflow.
    let fractions = seconds.saturating_mul(1 << RED_FRACTION).saturating_add((rest << RED_FRACTION) / hz);
    Count::try_from(fractions).unwrap_or(Count::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_become_fractions_of_a_second() {
        let second = 1 << RED_FRACTION;
        let halves = [(3, 2), (30_000_000, 20_000_000), (4_500_000_000, 3_000_000_000)];
        for (ticks, hz) in halves {
            assert_eq!(in_fractions(ticks, hz), second * 3 / 2, "{ticks} at {hz} Hz");
        }
        assert_eq!((in_fractions(0, 1), in_fractions(7, 0)), (0, 7 * second));
        assert_eq!((elapsed(5, 9), elapsed(Word::MAX, 1)), (4, 2));
    }

    #[cfg(target_pointer_width = "64")]
    #[test]
    fn a_clock_that_is_slightly_behind_gives_nothing() {
        assert_eq!(elapsed(9, 5), 0);
    }
}
