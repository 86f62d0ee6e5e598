//! The table of label sets behind a family: hashing, linear probing, and one compare-and-swap to insert a new
//! set.
//!
//! Lookup and insertion are wait-free where the target has compare-and-swap as one instruction: the search
//! visits each slot at most once and waits for none. It skips a slot that another context is still writing.
//! Two contexts that insert the same new label set at the same time may therefore fill two slots; readers add
//! up series with equal labels. The model is in `core/tests/loom_series.rs`.

use crate::ring::Word;
use crate::sync::{Acquire, AtomicWord, Relaxed, Release};

const KEY_WORDS: usize = 8;
const WORD_BYTES: usize = size_of::<Word>();

/// The label values of one series, in 32 bytes on a 32-bit machine and 64 bytes on a 64-bit one. The lengths
/// take one word, and each value takes whole words.
#[derive(Debug)]
pub struct SeriesKey {
    /// 0: free. 1: being written. Any other value is the hash of the labels, which has the bit [`SET`] set.
    state: AtomicWord,
    words: [AtomicWord; KEY_WORDS],
}

const FREE: Word = 0;
const WRITING: Word = 1;
/// Set in every hash, so that no hash equals `FREE` or `WRITING`.
const SET: Word = 2;

impl SeriesKey {
    /// Size of a label set in bytes.
    pub const BYTES: usize = KEY_WORDS * WORD_BYTES;

    /// A free slot.
    #[cfg(not(loom))]
    #[allow(clippy::new_without_default)]
    pub const fn new() -> SeriesKey {
        SeriesKey { state: AtomicWord::new(FREE), words: [const { AtomicWord::new(0) }; KEY_WORDS] }
    }

    /// A free slot.
    #[cfg(loom)]
    #[allow(clippy::new_without_default)]
    pub fn new() -> SeriesKey {
        SeriesKey { state: AtomicWord::new(FREE), words: core::array::from_fn(|_| AtomicWord::new(0)) }
    }

    #[cfg(not(loom))]
    pub(crate) fn is_set(&self) -> bool {
        self.state.load(Acquire) > WRITING
    }

    /// Writes each value to `out` as a length byte and its bytes, followed by zeros. Returns the number of
    /// bytes before the zeros.
    pub fn read(&self, out: &mut [u8; Self::BYTES]) -> usize {
        let mut packed = [0; Self::BYTES];
        for (chunk, word) in packed.chunks_exact_mut(WORD_BYTES).zip(&self.words) {
            chunk.copy_from_slice(&word.load(Relaxed).to_ne_bytes());
        }
        let (lengths, mut values) = packed.split_at(WORD_BYTES);
        let mut at = 0;
        out.fill(0);
        for len in lengths.iter().map(|l| usize::from(*l)).take_while(|l| *l > 0) {
            // Lengths are stored plus 1, so that a 0 ends the list.
            let len = len - 1;
            out[at] = len as u8;
            out[at + 1..at + 1 + len].copy_from_slice(&values[..len]);
            at += 1 + len;
            values = &values[len.next_multiple_of(WORD_BYTES)..];
        }
        at
    }
}

/// A label set packed into words, and its hash. The first word holds the lengths, each plus one; then each
/// value begins a new word.
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

/// The bits of the golden ratio.
const SPREAD: Word = 0x9E37_79B9_7F4A_7C15u64 as Word;

/// Mixes the upper half into the lower half. After a multiplication the upper bits depend on all input bits,
/// but the slot is chosen by the lower half.
#[inline(always)]
fn finished(hash: Word) -> Word {
    (hash ^ hash >> (Word::BITS / 2)) | SET
}

/// The slot where the search for a hash begins: the upper half of hash × slots. This spreads hashes as evenly
/// as a remainder, without a division.
#[inline(always)]
fn first_slot(hash: Word, slots: usize) -> usize {
    ((u64::from(hash as u32) * slots as u64) >> 32) as usize
}

/// The last, incomplete word of `bytes`, padded with zeros. When `bytes` has at least one whole word, one
/// load reads it, without a loop over bytes.
#[inline(always)]
fn partial_word(bytes: &[u8], rest: &[u8]) -> Word {
    if cfg!(target_endian = "little")
        && let Some(last) = bytes.last_chunk::<WORD_BYTES>()
    {
        // Load the last eight (or four) bytes and shift out those that belong to the previous word.
        return Word::from_ne_bytes(*last) >> (8 * (WORD_BYTES - rest.len()));
    }
    let mut word = [0; WORD_BYTES];
    for (to, from) in word.iter_mut().zip(rest) {
        *to = *from;
    }
    Word::from_ne_bytes(word)
}

/// The index of the series with these labels, or of the overflow series when there is no room.
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

/// Searches from the key's first slot on. Returns the slot that has the key; if the search meets a free slot
/// first, it takes that one.
#[inline(never)]
fn search(keys: &[SeriesKey], key: &Packed) -> usize {
    let mut at = first_slot(key.hash, keys.len());
    for _ in 0..keys.len() {
        let slot = &keys[at];
        let mut state = slot.state.load(Acquire);
        if state == FREE {
            match slot.state.compare_exchange(FREE, WRITING, Acquire, Acquire) {
                Ok(_) => {
                    for (to, from) in slot.words.iter().zip(key.words) {
                        to.store(from, Relaxed);
                    }
                    slot.state.store(key.hash, Release);
                    #[cfg(all(feature = "std", not(loom)))]
                    changed();
                    return at;
                }
                Err(now) => state = now,
            }
        }
        let same = || slot.words[..key.used].iter().zip(key.words).all(|(a, b)| a.load(Relaxed) == b);
        if state == key.hash && same() {
            return at;
        }
        at = if at + 1 == keys.len() { 0 } else { at + 1 };
    }
    keys.len()
}

/// Counts the first uses of metrics and of label sets. Readers that keep a list of all series make it anew when
/// this has changed.
#[cfg(all(feature = "std", not(loom)))]
static CHANGES: AtomicWord = AtomicWord::new(0);

#[cfg(all(feature = "std", not(loom)))]
pub(super) fn changed() {
    CHANGES.fetch_add(1, Release);
}

#[cfg(all(feature = "std", not(loom)))]
pub(super) fn changes() -> usize {
    CHANGES.load(Acquire)
}

/// A single label of at most 16 bytes, the common case: it is packed in registers, and its first slot is
/// compared inline.
///
/// Its hash function differs from that of [`Packed::new`]. They cannot conflict, because the number and
/// length of the labels alone decide which one is used.
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
            // Keep those of the last eight bytes that come after the first word: zero to eight bytes. Shift
            // in two halves, because a shift by 64 is not allowed.
            let half = 4 * (2 * WORD_BYTES - len);
            (u64::from_le_bytes(*first), u64::from_le_bytes(*last) >> half >> half)
        } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
            let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
            (u64::from(first) | u64::from(last) << (8 * (len - 4)), 0)
        } else {
            // Zero to three bytes. With fewer than three, some of these reads give the same byte; `|` gives
            // the same result then.
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
        let at = first_slot(self.hash, keys.len());
        let Some(slot) = keys.get(at) else { return keys.len() };
        let same = |i: usize| slot.words[i].load(Relaxed) == self.words[i];
        // Acquire: a context that sees the hash also sees the words that were written before it.
        if slot.state.load(Acquire) == self.hash && same(0) && same(1) && same(2) {
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
