//! The types that are recorded without conversion to text.

use super::sealed::Sealed;
use super::{BytesWriter, Field, FieldWriter, WORD_BYTES, WORDS_64, extended, types};
use crate::ring::Word;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use core::num::{NonZero, Wrapping};
use core::time::Duration;

macro_rules! scalar {
    ($($t:ty => $code:ident, $self:ident $out:ident $write:expr, $words:expr;)*) => {$(
        impl Sealed for $t {}
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

macro_rules! non_zero {
    ($($t:ty)*) => {$(
        impl Sealed for NonZero<$t> {}
        impl Field for NonZero<$t> {
            const TYPE: u8 = <$t>::TYPE;
            const WORDS: usize = <$t>::WORDS;
            const FIXED: bool = <$t>::FIXED;
            #[inline(always)]
            fn write(&self, out: &mut FieldWriter<'_>) {
                self.get().write(out);
            }
        }
    )*};
}

non_zero!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize);

impl<T: Field> Sealed for Wrapping<T> {}
impl<T: Field> Field for Wrapping<T> {
    const TYPE: u8 = T::TYPE;
    const WORDS: usize = T::WORDS;
    const FIXED: bool = T::FIXED;
    #[inline(always)]
    fn write(&self, out: &mut FieldWriter<'_>) {
        self.0.write(out);
    }
}

/// Number of words of an extended value with `bytes` bytes after its kind.
const fn extended_words(bytes: usize) -> usize {
    1 + (1 + bytes).div_ceil(WORD_BYTES)
}

scalar! {
    char => EXTENDED, self out out.extended(extended::CHAR, u32::from(*self).to_le_bytes()), extended_words(4);
    u128 => EXTENDED, self out out.extended(extended::U128, self.to_le_bytes()), extended_words(16);
    i128 => EXTENDED, self out out.extended(extended::I128, self.to_le_bytes()), extended_words(16);
    Duration => EXTENDED, self out out.extended(extended::DURATION, duration(*self)), extended_words(12);
    Ipv4Addr => EXTENDED, self out out.extended(extended::IP, self.octets()), extended_words(4);
    Ipv6Addr => EXTENDED, self out out.extended(extended::IP, self.octets()), extended_words(16);
    SocketAddrV4 => EXTENDED, self out out.extended(extended::SOCKET, socket::<6>(&self.ip().octets(), self.port())), extended_words(6);
    SocketAddrV6 => EXTENDED, self out out.extended(extended::SOCKET, socket::<18>(&self.ip().octets(), self.port())), extended_words(18);
}

fn duration(value: Duration) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&value.as_secs().to_le_bytes());
    bytes[8..].copy_from_slice(&value.subsec_nanos().to_le_bytes());
    bytes
}

fn socket<const N: usize>(ip: &[u8], port: u16) -> [u8; N] {
    let mut bytes = [0; N];
    bytes[..ip.len()].copy_from_slice(ip);
    bytes[ip.len()..].copy_from_slice(&port.to_le_bytes());
    bytes
}

macro_rules! varying {
    ($([$($generics:tt)*] $t:ty => $code:expr, $words:expr, $self:ident $out:ident $write:expr;)*) => {$(
        impl<$($generics)*> Sealed for $t {}
        impl<$($generics)*> Field for $t {
            const TYPE: u8 = $code;
            const WORDS: usize = $words;
            const FIXED: bool = false;
            fn write(&$self, $out: &mut FieldWriter<'_>) { $write }
        }
    )*};
}

varying! {
    [] str => types::STR, 1, self out out.text(self);
    [T: Element] [T] => T::LIST, 1, self out T::write_list(self, out);
    [T: Element, const N: usize] [T; N] => T::LIST, 1, self out T::write_list(self, out);
    [] IpAddr => types::EXTENDED, extended_words(16), self out match self {
        IpAddr::V4(ip) => ip.write(out),
        IpAddr::V6(ip) => ip.write(out),
    };
    [] SocketAddr => types::EXTENDED, extended_words(18), self out match self {
        SocketAddr::V4(address) => address.write(out),
        SocketAddr::V6(address) => address.write(out),
    };
}

#[cfg(feature = "std")]
varying! {
    [] std::string::String => types::STR, 1, self out out.text(self);
}

/// A type whose lists can be fields.
#[diagnostic::on_unimplemented(
    message = "a list of `{Self}` cannot be a field as it is",
    note = "write `?list` to record its `Debug`"
)]
pub trait Element: Sized + Sealed {
    /// The type nibble of a list of this type.
    const LIST: u8;
    /// Writes a list.
    fn write_list(list: &[Self], out: &mut FieldWriter<'_>);
}

impl Element for u8 {
    const LIST: u8 = types::BYTES;
    fn write_list(list: &[u8], out: &mut FieldWriter<'_>) {
        out.bytes(list);
    }
}

macro_rules! element {
    ($($t:ty => $code:ident, $v:ident $bytes:expr;)*) => {$(
        impl Element for $t {
            const LIST: u8 = types::EXTENDED;
            fn write_list(list: &[$t], out: &mut FieldWriter<'_>) {
                write_elements(types::$code, list.iter().map(|$v| $bytes), out);
            }
        }
    )*};
}

element! {
    bool => BOOL, v [u8::from(*v)];
    u16 => U32, v u32::from(*v).to_le_bytes();
    u32 => U32, v v.to_le_bytes();
    u64 => U64, v v.to_le_bytes();
    usize => U64, v (*v as u64).to_le_bytes();
    i8 => I32, v i32::from(*v).to_le_bytes();
    i16 => I32, v i32::from(*v).to_le_bytes();
    i32 => I32, v v.to_le_bytes();
    i64 => I64, v v.to_le_bytes();
    isize => I64, v (*v as i64).to_le_bytes();
    f32 => F32, v v.to_le_bytes();
    f64 => F64, v v.to_le_bytes();
}

/// Writes a list: its kind, the type nibble of the elements, and as many whole elements as there is room for.
fn write_elements<const N: usize>(
    code: u8,
    elements: impl ExactSizeIterator<Item = [u8; N]>,
    out: &mut FieldWriter<'_>,
) {
    let room = out.room();
    let first = out.at;
    out.word(0);
    if room < 2 {
        out.words[first] = 1;
        return;
    }
    let kept = elements.len().min((room - 2) / N);
    let is_cut = kept < elements.len();
    let mut writer = BytesWriter { out, len: 0 };
    writer.push(&[extended::LIST, code]);
    elements.take(kept).for_each(|element| writer.push(&element));
    let len = writer.len;
    out.words[first] = len << 1 | Word::from(is_cut);
}

macro_rules! pointers {
    ($($t:ty),*) => {$(
        impl<T: Field + ?Sized> Sealed for $t {}
        impl<T: Field + ?Sized> Field for $t {
            const TYPE: u8 = T::TYPE;
            const WORDS: usize = T::WORDS;
            const FIXED: bool = T::FIXED;
            #[inline(always)]
            fn write(&self, out: &mut FieldWriter<'_>) {
                (**self).write(out);
            }
        }
    )*};
}

pointers!(&T, &mut T);

/// An absent value is recorded as a word with type nibble 0 and the number of unused words after it, `unused
/// words << 4`. A present value is recorded as a word with its type nibble, followed by the value.
impl<T: Field> Sealed for Option<T> {}
impl<T: Field> Field for Option<T> {
    const TYPE: u8 = types::OPTION;
    const WORDS: usize = 1 + T::WORDS;
    const FIXED: bool = T::FIXED;
    #[inline(always)]
    fn write(&self, out: &mut FieldWriter<'_>) {
        match self {
            Some(value) => {
                out.word(T::TYPE.into());
                value.write(out);
            }
            // Take as many words as a present value, so that the record's length does not depend on its
            // values.
            None if T::FIXED => {
                out.word(T::WORDS << 4);
                for _ in 0..T::WORDS {
                    out.word(0);
                }
            }
            None => out.word(0),
        }
    }
}

/// A field that has no value yet. [`record!`](crate::record!) may give it one later.
///
/// ```
/// use throughline::{Empty, record, span};
/// let span = span!("query", rows = Empty);
/// record!(span, rows = 42);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Empty;

scalar! {
    Empty => OPTION, self out out.word(0), 1;
}

/// Text in the program's image. A microcontroller records its address and length, two words, and the host
/// reads the text from the ELF. Elsewhere the text is copied like any other.
///
/// ```
/// use throughline::{StaticStr, info};
/// info!("entered state", state = StaticStr("charging"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StaticStr(pub &'static str);

impl core::fmt::Display for StaticStr {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.0)
    }
}

#[cfg(not(registered_callsites))]
scalar! {
    StaticStr => STATIC, self out { out.word(self.0.as_ptr().addr()); out.word(self.0.len()) }, 2;
}

#[cfg(registered_callsites)]
varying! {
    [] StaticStr => types::STR, 1, self out out.text(self.0);
}
