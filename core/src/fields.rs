//! Field values on their way into a record: each type knows its words, a tuple of them is what a macro call passes.
//!
//! Scalars are one word (64-bit ones two on a 32-bit machine). Text and bytes are a word of `length << 1 | truncated` and
//! then the bytes, cut to what the record can hold.

use crate::ring::{HEAD_TYPES, MAX_BODY, TYPES_IN_BODY, Word};
use core::fmt;

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
}

const WORD_BYTES: usize = size_of::<Word>();
/// Words of a 64-bit scalar.
pub(crate) const WORDS_64: usize = 8 / WORD_BYTES;

/// A type that can be a field of a span or an event.
///
/// Implemented for `bool`, the integers up to 64 bits, floats, `&str`, byte slices, [`StaticStr`], references to them, and through the macros'
/// `%` and `?` for anything with `Display` or `Debug`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field as it is",
    note = "write `%value` to record its `Display`, `?value` for its `Debug`, or wrap it in `throughline::Postcard` (feature `postcard`)"
)]
pub trait Field {
    /// Its type nibble.
    const TYPE: u8;
    /// Words it always takes; of text and bytes, the first word alone.
    const WORDS: usize;
    /// Whether it never takes more than `WORDS`.
    const FIXED: bool;
    /// Appends its words.
    fn write(&self, out: &mut FieldWriter<'_>);
}

/// Where a [`Field`] puts its words. Cuts text and bytes so that the fields after them still fit.
#[derive(Debug)]
pub struct FieldWriter<'b> {
    words: &'b mut [Word],
    at: usize,
    /// Words that fields still to come need at least.
    reserved: usize,
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

    /// Bytes that still fit.
    fn room(&self) -> usize {
        self.words.len().saturating_sub(self.at + 1 + self.reserved) * WORD_BYTES
    }

    fn bytes(&mut self, bytes: &[u8], truncated: bool) {
        let kept = bytes.len().min(self.room());
        let truncated = truncated || kept < bytes.len();
        self.word(kept << 1 | Word::from(truncated));
        for chunk in bytes[..kept].chunks(WORD_BYTES) {
            let mut w = [0; WORD_BYTES];
            w[..chunk.len()].copy_from_slice(chunk);
            self.word(Word::from_ne_bytes(w));
        }
    }

    fn text(&mut self, text: &str) {
        let mut kept = text.len().min(self.room());
        while !text.is_char_boundary(kept) {
            kept -= 1;
        }
        self.bytes(&text.as_bytes()[..kept], kept < text.len());
    }
}

macro_rules! scalar {
    ($($t:ty => $code:ident, $self:ident $out:ident $write:expr, $words:expr;)*) => {$(
        impl Field for $t {
            const TYPE: u8 = types::$code;
            const WORDS: usize = $words;
            const FIXED: bool = true;
            #[inline(always)]
            fn write(&$self, $out: &mut FieldWriter<'_>) { $write }
        }
    )*};
}

scalar! {
    bool => BOOL, self out out.word(*self as Word), 1;
    u8 => U32, self out out.word(*self as Word), 1;
    u16 => U32, self out out.word(*self as Word), 1;
    u32 => U32, self out out.word(*self as Word), 1;
    i8 => I32, self out out.word(*self as isize as Word), 1;
    i16 => I32, self out out.word(*self as isize as Word), 1;
    i32 => I32, self out out.word(*self as isize as Word), 1;
    f32 => F32, self out out.word(self.to_bits() as Word), 1;
    u64 => U64, self out out.word64(*self), WORDS_64;
    i64 => I64, self out out.word64(*self as u64), WORDS_64;
    f64 => F64, self out out.word64(self.to_bits()), WORDS_64;
}
#[cfg(target_pointer_width = "32")]
scalar! {
    usize => U32, self out out.word(*self), 1;
    isize => I32, self out out.word(*self as Word), 1;
}
#[cfg(target_pointer_width = "64")]
scalar! {
    usize => U64, self out out.word(*self), 1;
    isize => I64, self out out.word(*self as Word), 1;
}

impl Field for str {
    const TYPE: u8 = types::STR;
    const WORDS: usize = 1;
    const FIXED: bool = false;
    fn write(&self, out: &mut FieldWriter<'_>) {
        out.text(self);
    }
}

impl Field for [u8] {
    const TYPE: u8 = types::BYTES;
    const WORDS: usize = 1;
    const FIXED: bool = false;
    fn write(&self, out: &mut FieldWriter<'_>) {
        out.bytes(self, false);
    }
}

impl<const N: usize> Field for [u8; N] {
    const TYPE: u8 = types::BYTES;
    const WORDS: usize = 1;
    const FIXED: bool = false;
    fn write(&self, out: &mut FieldWriter<'_>) {
        out.bytes(self, false);
    }
}

#[cfg(feature = "std")]
impl Field for std::string::String {
    const TYPE: u8 = types::STR;
    const WORDS: usize = 1;
    const FIXED: bool = false;
    fn write(&self, out: &mut FieldWriter<'_>) {
        out.text(self);
    }
}

impl<T: Field + ?Sized> Field for &T {
    const TYPE: u8 = T::TYPE;
    const WORDS: usize = T::WORDS;
    const FIXED: bool = T::FIXED;
    #[inline(always)]
    fn write(&self, out: &mut FieldWriter<'_>) {
        (**self).write(out);
    }
}

/// Text that lives in the program. On a microcontroller it is recorded as address and length, and the host reads it from the ELF: two words,
/// whatever its length. Elsewhere it is copied as any text.
///
/// ```
/// use throughline::{StaticStr, info};
/// info!("entered state", state = StaticStr("charging"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StaticStr(pub &'static str);

#[cfg(not(registered_callsites))]
impl Field for StaticStr {
    const TYPE: u8 = types::STATIC;
    const WORDS: usize = 2;
    const FIXED: bool = true;
    #[inline(always)]
    fn write(&self, out: &mut FieldWriter<'_>) {
        out.word(self.0.as_ptr().addr());
        out.word(self.0.len());
    }
}

#[cfg(registered_callsites)]
impl Field for StaticStr {
    const TYPE: u8 = types::STR;
    const WORDS: usize = 1;
    const FIXED: bool = false;
    fn write(&self, out: &mut FieldWriter<'_>) {
        out.text(self.0);
    }
}

/// Records a value's `Display`; what the macros' `%value` makes.
#[derive(Clone, Copy, Debug)]
pub struct Display<T>(pub T);

/// Records a value's `Debug`; what the macros' `?value` makes.
#[derive(Clone, Copy, Debug)]
pub struct Debug<T>(pub T);

/// Most bytes kept of a `Display` or `Debug`.
const FORMATTED: usize = 128;

impl<T: fmt::Display> Field for Display<T> {
    const TYPE: u8 = types::STR;
    const WORDS: usize = 1;
    const FIXED: bool = false;
    fn write(&self, out: &mut FieldWriter<'_>) {
        write_formatted(format_args!("{}", self.0), out);
    }
}

impl<T: fmt::Debug> Field for Debug<T> {
    const TYPE: u8 = types::STR;
    const WORDS: usize = 1;
    const FIXED: bool = false;
    fn write(&self, out: &mut FieldWriter<'_>) {
        write_formatted(format_args!("{:?}", self.0), out);
    }
}

fn write_formatted(args: fmt::Arguments<'_>, out: &mut FieldWriter<'_>) {
    struct Buffer {
        bytes: [u8; FORMATTED],
        len: usize,
        truncated: bool,
    }
    impl fmt::Write for Buffer {
        fn write_str(&mut self, s: &str) -> fmt::Result {
            let mut kept = s.len().min(FORMATTED - self.len);
            while !s.is_char_boundary(kept) {
                kept -= 1;
            }
            self.bytes[self.len..self.len + kept].copy_from_slice(&s.as_bytes()[..kept]);
            self.len += kept;
            self.truncated |= kept < s.len();
            if self.truncated { Err(fmt::Error) } else { Ok(()) }
        }
    }
    let mut buffer = Buffer { bytes: [0; FORMATTED], len: 0, truncated: false };
    // An error is our own, on running full, or the value's; both leave what was written.
    let failed = fmt::write(&mut buffer, args).is_err();
    let text = core::str::from_utf8(&buffer.bytes[..buffer.len]).unwrap_or_default();
    let room = out.room();
    let mut kept = text.len().min(room);
    while !text.is_char_boundary(kept) {
        kept -= 1;
    }
    out.bytes(&text.as_bytes()[..kept], failed || kept < text.len());
}

/// Records any `serde::Serialize` in postcard encoding, at most 128 bytes of it; a longer value is marked as truncated.
///
/// ```
/// # #[derive(serde::Serialize)] struct Reading { channel: u8, raw: u16 }
/// use throughline::{Postcard, info};
/// info!("reading", reading = Postcard(&Reading { channel: 3, raw: 812 }));
/// ```
#[cfg(feature = "postcard")]
#[derive(Clone, Copy, Debug)]
pub struct Postcard<T>(pub T);

#[cfg(feature = "postcard")]
impl<T: serde::Serialize> Field for Postcard<T> {
    const TYPE: u8 = types::POSTCARD;
    const WORDS: usize = 1;
    const FIXED: bool = false;
    fn write(&self, out: &mut FieldWriter<'_>) {
        let mut buffer = [0; FORMATTED];
        match postcard::to_slice(&self.0, &mut buffer) {
            Ok(bytes) => out.bytes(bytes, false),
            // postcard does not say how far it came; part of an encoding is of no use anyway.
            Err(_) => out.bytes(&[], true),
        }
    }
}

/// A tuple of [`Field`]s: what a macro call passes on.
pub trait Fields {
    /// How many.
    const COUNT: usize;
    /// Their types, a nibble each, the first in the low one.
    const TYPES: u64;
    /// Words of the values at least.
    const WORDS: usize;
    /// Whether they never take more.
    const FIXED: bool;
    /// Appends the values.
    fn write_values(&self, out: &mut FieldWriter<'_>);
}

/// Words of types that precede the values because the head has no room for them: 15 nibbles, whatever the count.
pub(crate) const fn type_words(count: usize) -> usize {
    if count <= HEAD_TYPES { 0 } else { WORDS_64 }
}

/// The head's part of the types.
pub(crate) const fn head_types(count: usize, types: u64) -> u32 {
    if count <= HEAD_TYPES { types as u32 } else { TYPES_IN_BODY }
}

/// Words that `F` takes at least, types included.
pub(crate) const fn min_words<F: Fields>() -> usize {
    type_words(F::COUNT) + F::WORDS
}

/// Writes types (when the head has no room for them) and values to `words`, and says how many words they took.
#[inline(always)]
pub(crate) fn write<F: Fields>(fields: &F, words: &mut [Word]) -> usize {
    let mut out = FieldWriter { words, at: 0, reserved: F::WORDS };
    for i in 0..const { type_words(F::COUNT) } {
        out.word((F::TYPES >> (i as u32 * Word::BITS)) as Word);
    }
    fields.write_values(&mut out);
    out.at
}

/// Writes the types, however few, and the values: the fields of an extended kind, whose head has no room for types.
pub(crate) fn write_with_types<F: Fields>(fields: &F, words: &mut [Word]) -> usize {
    let mut out = FieldWriter { words, at: 0, reserved: F::WORDS };
    out.word64(F::TYPES);
    fields.write_values(&mut out);
    out.at
}

/// Room for the fields of any record.
pub(crate) const MAX_FIELD_WORDS: usize = MAX_BODY - 5;

macro_rules! tuples {
    ($($name:ident $index:tt)*) => {
        impl<$($name: Field),*> Fields for ($($name,)*) {
            const COUNT: usize = 0 $(+ { let _ = $index; 1 })*;
            const TYPES: u64 = 0 $(| ($name::TYPE as u64) << (4 * $index))*;
            const WORDS: usize = 0 $(+ $name::WORDS)*;
            const FIXED: bool = true $(&& $name::FIXED)*;
            #[inline(always)]
            #[allow(unused_variables)]
            fn write_values(&self, out: &mut FieldWriter<'_>) {
                $(
                    out.reserved -= $name::WORDS;
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
