//! Families: metrics with labels known only when they run, in a table of fixed size.
//!
//! A label set is found by hashing and linear probing; a new one takes a free place with one compare-and-swap and never leaves. What finds
//! no place, or is longer than a place holds, is counted in the overflow series (`otel.metric.overflow` = `true`), so memory is bounded by
//! construction and nothing is lost in sum. Two threads that bring the same new set at once may give it two places; readers
//! add series with equal labels up. No loop waits for another thread.

use super::{Metric, histogram};
use crate::ring::Word;
use crate::sync::{Acquire, AtomicWord, Relaxed, Release};

const KEY_WORDS: usize = 8;
const WORD_BYTES: usize = size_of::<Word>();

/// The label values of one series: 32 bytes on a 32-bit machine, 64 on a 64-bit one, of which each value takes one more than its length.
#[derive(Debug)]
pub struct SeriesKey {
    /// 0: free. 1: being written. Else the hash, whose low bits are set.
    state: AtomicWord,
    words: [AtomicWord; KEY_WORDS],
}

const FREE: Word = 0;
const WRITING: Word = 1;
/// Or-ed into a hash, so that it is neither of the above.
const SET: Word = 2;

impl SeriesKey {
    /// Bytes of a label set.
    pub const BYTES: usize = KEY_WORDS * WORD_BYTES;

    /// A free place.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> SeriesKey {
        SeriesKey { state: AtomicWord::new(FREE), words: [const { AtomicWord::new(0) }; KEY_WORDS] }
    }

    pub(super) fn is_set(&self) -> bool {
        self.state.load(Acquire) > WRITING
    }

    /// Copies the label set out, and says how many bytes it has; the rest is zeros.
    pub(super) fn read(&self, out: &mut [u8; Self::BYTES]) -> usize {
        for (chunk, word) in out.chunks_exact_mut(WORD_BYTES).zip(&self.words) {
            chunk.copy_from_slice(&word.load(Relaxed).to_ne_bytes());
        }
        Self::BYTES
    }
}

/// A label set packed into words, with its hash.
struct Packed {
    words: [Word; KEY_WORDS],
    used: usize,
    hash: Word,
}

impl Packed {
    #[inline]
    fn new<const L: usize>(labels: &[&str; L]) -> Option<Packed> {
        let mut bytes = [0u8; SeriesKey::BYTES];
        let mut at = 0;
        for label in labels {
            let label = label.as_bytes();
            let end = at + 1 + label.len();
            let place = bytes.get_mut(at + 1..end)?;
            for (to, from) in place.iter_mut().zip(label) {
                *to = *from;
            }
            bytes[at] = label.len() as u8;
            at = end;
        }
        let used = at.div_ceil(WORD_BYTES);
        let mut words = [0; KEY_WORDS];
        let mut hash: Word = 0;
        for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(WORD_BYTES)).take(used) {
            let mut w = [0; WORD_BYTES];
            w.copy_from_slice(chunk);
            *word = Word::from_ne_bytes(w);
            hash = (hash.rotate_left(5) ^ *word).wrapping_mul(0x9E37_79B9_7F4A_7C15u64 as Word);
        }
        // The multiplication leaves its best bits on top.
        hash ^= hash >> (Word::BITS / 2);
        Some(Packed { words, used, hash: hash | SET })
    }
}

/// The index of the series with these labels; that of the overflow series when there is no room.
#[inline]
fn find<const L: usize>(keys: &'static [SeriesKey], labels: &[&str; L]) -> usize {
    let Some(key) = Packed::new(labels) else { return keys.len() };
    let start = key.hash >> 2;
    for i in 0..keys.len() {
        let at = (start.wrapping_add(i)) % keys.len();
        let place = &keys[at];
        let mut state = place.state.load(Acquire);
        if state == FREE {
            match place.state.compare_exchange(FREE, WRITING, Acquire, Acquire) {
                Ok(_) => {
                    for (to, from) in place.words.iter().zip(key.words) {
                        to.store(from, Relaxed);
                    }
                    place.state.store(key.hash, Release);
                    return at;
                }
                Err(now) => state = now,
            }
        }
        let same = || place.words[..key.used].iter().zip(key.words).all(|(a, b)| a.load(Relaxed) == b);
        if state == key.hash && same() {
            return at;
        }
    }
    keys.len()
}

/// Counters with `L` run-time labels; made by [`counter_family!`](crate::counter_family!).
///
/// ```
/// use throughline::counter_family;
/// let requests = counter_family!("http.requests", labels = ["route", "status"], capacity = 32);
/// requests.add(["/login", "200"], 1);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CounterFamily<const L: usize> {
    metric: Metric,
    keys: &'static [SeriesKey],
}

impl<const L: usize> CounterFamily<L> {
    /// For the macro.
    #[doc(hidden)]
    #[inline(always)]
    pub const fn new(metric: Metric, keys: &'static [SeriesKey]) -> Self {
        CounterFamily { metric, keys }
    }

    /// Adds to the series with these label values. Cost: hashing them, one comparison, and [`Counter::add`](super::Counter::add).
    #[inline]
    pub fn add(self, labels: [&str; L], n: usize) {
        self.metric.keep();
        self.metric.add(find(self.keys, &labels), n);
    }
}

/// Histograms with `L` run-time labels; made by [`histogram_family!`](crate::histogram_family!).
///
/// ```
/// use throughline::histogram_family;
/// histogram_family!("query.duration", labels = ["table"], capacity = 8, unit = "us").record(["users"], 320);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct HistogramFamily<const SCALE: u32, const L: usize> {
    metric: Metric,
    keys: &'static [SeriesKey],
}

impl<const SCALE: u32, const L: usize> HistogramFamily<SCALE, L> {
    /// For the macro.
    #[doc(hidden)]
    #[inline(always)]
    pub const fn new(metric: Metric, keys: &'static [SeriesKey]) -> Self {
        HistogramFamily { metric, keys }
    }

    /// Counts a value in the series with these label values.
    #[inline]
    pub fn record(self, labels: [&str; L], value: usize) {
        self.metric.keep();
        let series = find(self.keys, &labels);
        histogram::record::<SCALE>(self.metric, series * const { histogram::cells(SCALE) }, value);
    }
}
