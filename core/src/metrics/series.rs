//! The table of label sets behind a family: hashing, linear probing, one compare-and-swap for a new one.
//!
//! Looking up and inserting are wait-free where the target compares and swaps in one instruction: the search visits each place at most once and waits for
//! none. It skips a place that another context is just writing, so when two contexts bring the same new label set at once, it may get two places;
//! readers add up series with equal labels. The model checker's view is in `core/tests/loom_series.rs`.

use crate::ring::Word;
use crate::sync::{Acquire, AtomicWord, Relaxed, Release};

const KEY_WORDS: usize = 8;
const WORD_BYTES: usize = size_of::<Word>();

/// The label values of one series, in 32 bytes on a 32-bit machine and 64 on a 64-bit one. Each value takes its length plus one byte.
#[derive(Debug)]
pub struct SeriesKey {
    /// 0: free. 1: being written. Any other value: the hash of the labels, which has [`SET`] in it.
    state: AtomicWord,
    words: [AtomicWord; KEY_WORDS],
}

const FREE: Word = 0;
const WRITING: Word = 1;
/// Set in every hash, so that a hash is never `FREE` or `WRITING`.
const SET: Word = 2;

impl SeriesKey {
    /// Bytes of a label set.
    pub const BYTES: usize = KEY_WORDS * WORD_BYTES;

    /// A free place.
    #[cfg(not(loom))]
    #[allow(clippy::new_without_default)]
    pub const fn new() -> SeriesKey {
        SeriesKey { state: AtomicWord::new(FREE), words: [const { AtomicWord::new(0) }; KEY_WORDS] }
    }

    /// A free place.
    #[cfg(loom)]
    #[allow(clippy::new_without_default)]
    pub fn new() -> SeriesKey {
        SeriesKey { state: AtomicWord::new(FREE), words: core::array::from_fn(|_| AtomicWord::new(0)) }
    }

    #[cfg(not(loom))]
    pub(crate) fn is_set(&self) -> bool {
        self.state.load(Acquire) > WRITING
    }

    /// Writes each value to `out` as a length byte and its bytes, and says how many bytes that takes; the rest is zeros.
    pub fn read(&self, out: &mut [u8; Self::BYTES]) -> usize {
        let mut packed = [0; Self::BYTES];
        for (chunk, word) in packed.chunks_exact_mut(WORD_BYTES).zip(&self.words) {
            chunk.copy_from_slice(&word.load(Relaxed).to_ne_bytes());
        }
        let (lengths, mut values) = packed.split_at(WORD_BYTES);
        let mut at = 0;
        out.fill(0);
        for len in lengths.iter().map(|l| usize::from(*l)).take_while(|l| *l > 0) {
            // Kept as length + 1, so that 0 ends the list.
            let len = len - 1;
            out[at] = len as u8;
            out[at + 1..at + 1 + len].copy_from_slice(&values[..len]);
            at += 1 + len;
            values = &values[len.next_multiple_of(WORD_BYTES)..];
        }
        at
    }
}

/// A label set packed into words, with its hash: a word of lengths (plus one each), then each value in words of its own.
struct Packed {
    words: [Word; KEY_WORDS],
    used: usize,
    hash: Word,
}

impl Packed {
    #[inline(always)]
    fn new<const L: usize>(labels: &[&str; L]) -> Option<Packed> {
        const { assert!(L <= WORD_BYTES, "a family has at most 8 labels, 4 on a 32-bit machine") };
        let mut packed = Packed { words: [0; KEY_WORDS], used: 1, hash: 0 };
        let mut lengths = 0;
        for (i, label) in labels.iter().enumerate() {
            let bytes = label.as_bytes();
            if bytes.len() > (KEY_WORDS - packed.used) * WORD_BYTES {
                return None;
            }
            lengths |= (bytes.len() + 1) << (8 * i);
            let (whole, rest) = bytes.as_chunks::<WORD_BYTES>();
            for chunk in whole {
                packed.push(Word::from_ne_bytes(*chunk));
            }
            if !rest.is_empty() {
                packed.push(partial_word(bytes, rest));
            }
        }
        let lengths = lengths.to_le();
        packed.words[0] = lengths;
        packed.mix(lengths);
        packed.hash = finished(packed.hash);
        Some(packed)
    }

    #[inline(always)]
    fn push(&mut self, word: Word) {
        self.words[self.used % KEY_WORDS] = word;
        self.used += 1;
        self.mix(word);
    }

    #[inline(always)]
    fn mix(&mut self, word: Word) {
        self.hash = (self.hash.rotate_left(5) ^ word).wrapping_mul(SPREAD);
    }
}

/// The golden ratio's bits.
const SPREAD: Word = 0x9E37_79B9_7F4A_7C15u64 as Word;

/// Mixes the upper half into the lower one. After a multiplication the upper bits depend on all input bits, but the place is chosen by the lower half.
#[inline(always)]
fn finished(hash: Word) -> Word {
    (hash ^ hash >> (Word::BITS / 2)) | SET
}

/// Where the search for a hash begins: the upper half of hash × places. It spreads hashes as evenly as a remainder does, without a division.
#[inline(always)]
fn first_place(hash: Word, places: usize) -> usize {
    ((u64::from(hash as u32) * places as u64) >> 32) as usize
}

/// The last, incomplete word of `bytes`, padded with zeros. Where `bytes` has at least a whole word, one load reads it, without a loop over bytes.
#[inline(always)]
fn partial_word(bytes: &[u8], rest: &[u8]) -> Word {
    if cfg!(target_endian = "little")
        && let Some(last) = bytes.last_chunk::<WORD_BYTES>()
    {
        // Load the last eight (or four) bytes and shift out those that belong to the word before.
        return Word::from_ne_bytes(*last) >> (8 * (WORD_BYTES - rest.len()));
    }
    let mut word = [0; WORD_BYTES];
    for (to, from) in word.iter_mut().zip(rest) {
        *to = *from;
    }
    Word::from_ne_bytes(word)
}

/// The index of the series with these labels; that of the overflow series when there is no room.
#[inline(always)]
#[cfg_attr(not(loom), allow(unreachable_pub))]
pub fn find<const L: usize>(keys: &[SeriesKey], labels: &[&str; L]) -> usize {
    #[cfg(all(target_pointer_width = "64", target_endian = "little"))]
    if L == 1
        && let Some(key) = Short::new(labels[0])
    {
        return key.find(keys);
    }
    find_packed(keys, labels)
}

#[inline(never)]
fn find_packed<const L: usize>(keys: &[SeriesKey], labels: &[&str; L]) -> usize {
    Packed::new(labels).map_or(keys.len(), |key| search(keys, &key))
}

/// Searches from the key's first place on. Returns the place that has the key, or takes a free place for it if the search meets one first.
#[inline(never)]
fn search(keys: &[SeriesKey], key: &Packed) -> usize {
    let mut at = first_place(key.hash, keys.len());
    for _ in 0..keys.len() {
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
        at = if at + 1 == keys.len() { 0 } else { at + 1 };
    }
    keys.len()
}

/// A single label of at most 16 bytes, the common case: it is packed in registers, and its first place is compared in line.
///
/// It has another hash function than [`Packed::new`]. That is no conflict, as the number and length of the labels alone decide which of the two is used.
#[cfg(all(target_pointer_width = "64", target_endian = "little"))]
struct Short {
    /// The first words of a [`SeriesKey`]; the others are 0.
    words: [Word; 3],
    hash: Word,
}

#[cfg(all(target_pointer_width = "64", target_endian = "little"))]
impl Short {
    #[inline(always)]
    fn new(label: &str) -> Option<Short> {
        let bytes = label.as_bytes();
        let len = bytes.len();
        if len > 2 * WORD_BYTES {
            return None;
        }
        let (a, b) = if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
            // Of the last eight bytes, keep those after the first word: none to eight. The shift is done in two halves because a shift by 64 is not allowed.
            let half = 4 * (2 * WORD_BYTES - len);
            (u64::from_le_bytes(*first), u64::from_le_bytes(*last) >> half >> half)
        } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
            let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
            (u64::from(first) | u64::from(last) << (8 * (len - 4)), 0)
        } else {
            // No byte to three bytes. With fewer than three, some of these reads give the same byte, which `|` does not mind.
            let byte = |i: usize| bytes.get(i).map_or(0, |byte| u64::from(*byte) << (8 * i));
            (byte(0) | byte(len / 2) | byte(len.saturating_sub(1)), 0)
        };
        let (words, a, b) = ([len + 1, a as Word, b as Word], a as Word, b as Word);
        // The two multiplications are independent, so the processor runs them in parallel.
        let hash = (a ^ len).wrapping_mul(SPREAD) ^ (b.rotate_left(32) ^ SPREAD).wrapping_mul(OTHER_SPREAD);
        Some(Short { words, hash: finished(hash) })
    }

    #[inline(always)]
    fn find(self, keys: &[SeriesKey]) -> usize {
        let at = first_place(self.hash, keys.len());
        let Some(place) = keys.get(at) else { return keys.len() };
        let same = |i: usize| place.words[i].load(Relaxed) == self.words[i];
        // Acquire: a context that sees the hash also sees the words that were written before it.
        if place.state.load(Acquire) == self.hash && same(0) && same(1) && same(2) {
            return at;
        }
        self.find_further(keys)
    }

    #[inline(never)]
    fn find_further(self, keys: &[SeriesKey]) -> usize {
        let mut words = [0; KEY_WORDS];
        words[..3].copy_from_slice(&self.words);
        search(keys, &Packed { words, used: 3, hash: self.hash })
    }
}

/// A constant of SplitMix64's finaliser.
#[cfg(all(target_pointer_width = "64", target_endian = "little"))]
const OTHER_SPREAD: Word = 0xBF58_476D_1CE4_E5B9;
