//! Encodes field values into a record's words. Each field type knows how to write itself, and a macro call
//! passes its values as a tuple.
//!
//! A scalar takes one word (a 64-bit one two words on a 32-bit machine). Text and bytes take a word of
//! `length << 1 | truncated` and then the bytes, cut to what the record can hold.

#[cfg(feature = "std")]
mod list;
mod text;
mod values;
pub mod via;

#[cfg(feature = "std")]
pub use list::FieldList;
#[cfg(feature = "postcard")]
pub use text::Postcard;
pub use text::{Debug, Display, debug, display};
pub use values::{Empty, StaticStr};

use crate::ring::{FIRST_TEXT, HEAD_TYPES, MAX_BODY, TYPES_IN_BODY, Word};

/// Type nibbles, as on the wire (`core/docs/wire-format.md` §5).
pub(crate) mod types {
    #![allow(missing_docs)]
    pub(crate) const BOOL: u8 = 1;
    pub(crate) const U32: u8 = 2;
    pub(crate) const I32: u8 = 3;
    pub(crate) const U64: u8 = 4;
    pub(crate) const I64: u8 = 5;
    pub(crate) const F32: u8 = 6;
    pub(crate) const F64: u8 = 7;
    pub(crate) const STATIC: u8 = 8;
    pub(crate) const STR: u8 = 9;
    pub(crate) const BYTES: u8 = 10;
    pub(crate) const POSTCARD: u8 = 11;
    pub(crate) const OPTION: u8 = 12;
    pub(crate) const SHOWN: u8 = 13;
    pub(crate) const EXTENDED: u8 = 14;
}

const _: () = assert!(types::STR as u32 == FIRST_TEXT);

/// The kinds of extended values, which are the first of their bytes (`core/docs/wire-format.md` §5).
pub(crate) mod extended {
    #![allow(missing_docs)]
    pub(crate) const CHAR: u8 = 1;
    pub(crate) const U128: u8 = 2;
    pub(crate) const I128: u8 = 3;
    pub(crate) const DURATION: u8 = 4;
    pub(crate) const IP: u8 = 5;
    pub(crate) const SOCKET: u8 = 6;
    pub(crate) const LIST: u8 = 7;
}

const WORD_BYTES: usize = size_of::<Word>();
/// Number of words of a 64-bit scalar.
pub(crate) const WORDS_64: usize = 8 / WORD_BYTES;

/// A type that can be a field of a span or an event.
///
/// Implemented for `bool`, `char`, integers, floats, [`NonZero`](core::num::NonZero) and
/// [`Wrapping`](core::num::Wrapping) integers, `str`, byte slices, arrays and slices of scalars,
/// [`Duration`](core::time::Duration), the addresses of [`core::net`], `dyn Error` (its text and those of its
/// sources), [`StaticStr`], [`Empty`], references to all of these, and `Option`s of them (`None` records no
/// value). The macros also accept types that dereference to one of these, such as `String`, `Cow<str>`,
/// `Box<T>` or `heapless::Vec<u8, N>`, and with `%` and `?` any type that has `Display` or `Debug`. Other
/// crates cannot implement the trait.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field as it is",
    note = "write `%value` to record its `Display`, `?value` for its `Debug`, or wrap it in `throughline::Postcard` (feature `postcard`)"
)]
pub trait Field: sealed::Sealed {
    /// The type nibble.
    #[doc(hidden)]
    const TYPE: u8;
    /// The least number of words that a present value takes; for text and bytes, only the first word.
    #[doc(hidden)]
    const WORDS: usize;
    /// Whether a value always takes `WORDS` words.
    #[doc(hidden)]
    const FIXED: bool;
    /// Appends the words of the value.
    #[doc(hidden)]
    fn write(&self, out: &mut FieldWriter<'_>);
}

mod sealed {
    /// Seals [`Field`](super::Field), because the encoding into words is private to this crate.
    pub trait Sealed {}
}

/// Receives the words of [`Field`]s. It cuts text and bytes so that the fields after them still fit.
#[derive(Debug)]
pub struct FieldWriter<'b> {
    words: &'b mut [Word],
    at: usize,
    /// The least number of words that the remaining fields need.
    reserved: usize,
    /// How many of the remaining fields are texts or bytes.
    texts: usize,
}

impl FieldWriter<'_> {
    #[inline(always)]
    fn word(&mut self, w: Word) {
        self.words[self.at] = w;
        self.at += 1;
    }

    #[inline(always)]
    fn word64(&mut self, v: u64) {
        self.word(v as Word);
        if WORDS_64 == 2 {
            self.word((v >> 32) as Word);
        }
    }

    /// The number of bytes that this text may take after one more word: the free words, without the share
    /// that is guaranteed to each text after it.
    fn room(&self) -> usize {
        let words = self.words.len().saturating_sub(self.at + 1 + self.reserved);
        let share = SHARE.min(words / (self.texts + 1));
        (words - self.texts * share) * WORD_BYTES
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.cut(bytes, bytes.len().min(self.room()));
    }

    fn text(&mut self, text: &str) {
        self.cut(text.as_bytes(), floor_char_boundary(text, self.room()));
    }

    /// Writes the first `kept` of `bytes`, marked as truncated if there are more.
    fn cut(&mut self, bytes: &[u8], kept: usize) {
        self.word(kept << 1 | Word::from(kept < bytes.len()));
        BytesWriter { out: self, len: 0 }.push(&bytes[..kept]);
    }

    /// Writes an [`extended`] value of fixed length: its kind and then its bytes, least significant first.
    #[inline(always)]
    fn extended<const N: usize>(&mut self, kind: u8, bytes: [u8; N]) {
        crate::linked::TEXTS.set();
        self.word((N + 1) << 1);
        let mut next = [kind].into_iter().chain(bytes);
        for _ in 0..const { (N + 1).div_ceil(WORD_BYTES) } {
            self.word(Word::from_ne_bytes(core::array::from_fn(|_| next.next().unwrap_or(0))));
        }
    }
}

/// Appends bytes to the words, after a first word that is set once their number is known.
struct BytesWriter<'w, 'b> {
    out: &'w mut FieldWriter<'b>,
    len: usize,
}

impl BytesWriter<'_, '_> {
    /// Appends bytes. The caller must have checked that there is room.
    fn push(&mut self, mut bytes: &[u8]) {
        crate::linked::TEXTS.set();
        while !bytes.is_empty() {
            let within = self.len % WORD_BYTES;
            if within == 0 {
                self.out.word(0);
            }
            let count = bytes.len().min(WORD_BYTES - within);
            let word = &mut self.out.words[self.out.at - 1];
            let mut ne = word.to_ne_bytes();
            ne[within..within + count].copy_from_slice(&bytes[..count]);
            *word = Word::from_ne_bytes(ne);
            self.len += count;
            bytes = &bytes[count..];
        }
    }
}

/// The greatest length of at most `most` bytes at which `text` can be cut between two characters.
pub(crate) fn floor_char_boundary(text: &str, most: usize) -> usize {
    let mut kept = text.len().min(most);
    while !text.is_char_boundary(kept) {
        kept -= 1;
    }
    kept
}

/// A tuple of [`Field`]s, which a macro call passes.
pub trait Fields {
    /// The number of fields.
    const COUNT: usize;
    /// The type nibbles, the first field's in the lowest one.
    const TYPES: u64;
    /// The least number of words of the values.
    const WORDS: usize;
    /// Whether the values never take more words than `WORDS`.
    const FIXED: bool;
    /// The number of values that may take more words.
    const TEXTS: usize;
    /// Appends the values.
    fn write_values(&self, out: &mut FieldWriter<'_>);
}

/// Number of words of types before the values when the head cannot hold the types: always 15 nibbles.
pub(crate) const fn type_words(count: usize) -> usize {
    if count <= HEAD_TYPES { 0 } else { WORDS_64 }
}

/// The types as they go into the head.
pub(crate) const fn head_types(count: usize, types: u64) -> u32 {
    if count <= HEAD_TYPES { types as u32 } else { TYPES_IN_BODY }
}

/// The least number of words of `F`, types included.
pub(crate) const fn min_words<F: Fields>() -> usize {
    type_words(F::COUNT) + F::WORDS
}

/// Writes the types (if the head cannot hold them) and the values to `words`. Returns the number of words
/// written.
#[inline(always)]
pub(crate) fn write<F: Fields>(fields: &F, words: &mut [Word]) -> usize {
    let mut out = FieldWriter { words, at: 0, reserved: F::WORDS, texts: F::TEXTS };
    for i in 0..const { type_words(F::COUNT) } {
        out.word((F::TYPES >> (i as u32 * Word::BITS)) as Word);
    }
    fields.write_values(&mut out);
    out.at
}

/// Writes the types, even if there are few, and the values. An extended kind needs this, because its head
/// cannot hold types.
pub(crate) fn write_with_types<F: Fields>(fields: &F, words: &mut [Word]) -> usize {
    let mut out = FieldWriter { words, at: 0, reserved: F::WORDS, texts: F::TEXTS };
    out.word64(F::TYPES);
    fields.write_values(&mut out);
    out.at
}

/// The number of words guaranteed to each text however long the texts before it are, if the record has as
/// many.
const SHARE: usize = 8;

/// Room for the fields of any record, in words.
pub(crate) const MAX_FIELD_WORDS: usize = MAX_BODY - 5;

macro_rules! tuples {
    ($($name:ident $index:tt)*) => {
        impl<$($name: Field),*> Fields for ($($name,)*) {
            const COUNT: usize = 0 $(+ { let _ = $index; 1 })*;
            const TYPES: u64 = 0 $(| ($name::TYPE as u64) << (4 * $index))*;
            const WORDS: usize = 0 $(+ $name::WORDS)*;
            const FIXED: bool = true $(&& $name::FIXED)*;
            const TEXTS: usize = 0 $(+ !$name::FIXED as usize)*;
            #[inline(always)]
            #[allow(unused_variables)]
            fn write_values(&self, out: &mut FieldWriter<'_>) {
                $(
                    out.reserved -= $name::WORDS;
                    out.texts -= !$name::FIXED as usize;
                    self.$index.write(out);
                )*
            }
        }
    };
}
tuples!();
tuples!(A 0);
tuples!(A 0 B 1);
tuples!(A 0 B 1 C 2);
tuples!(A 0 B 1 C 2 D 3);
tuples!(A 0 B 1 C 2 D 3 E 4);
tuples!(A 0 B 1 C 2 D 3 E 4 F 5);
tuples!(A 0 B 1 C 2 D 3 E 4 F 5 G 6);
tuples!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7);
tuples!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8);
tuples!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9);
tuples!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10);
tuples!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10 L 11);
tuples!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10 L 11 M 12);
tuples!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10 L 11 M 12 N 13);
tuples!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10 L 11 M 12 N 13 O 14);
