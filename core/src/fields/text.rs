//! Values that are recorded as text: `%value`, `?value`, and a message's placeholder for a type that the
//! reader cannot format.

use super::sealed::Sealed;
use super::{BytesWriter, Field, FieldWriter, WORD_BYTES, floor_char_boundary, types};
use crate::ring::Word;
use core::fmt;

/// Records a value's `Display`. The macros' `%value` expands to it.
#[derive(Clone, Copy, Debug)]
pub struct Display<T>(pub T);

/// Records a value's `Debug`. The macros' `?value` expands to it.
#[derive(Clone, Copy, Debug)]
pub struct Debug<T>(pub T);

/// A field that records a value's `Display`, where `%value` cannot be written.
///
/// ```
/// throughline::Span::current().record("path", throughline::field::display("/users"));
/// ```
pub fn display<T: fmt::Display>(value: T) -> impl Field {
    Display(value)
}

/// A field that records a value's `Debug`, where `?value` cannot be written.
///
/// ```
/// throughline::Span::current().record("ids", throughline::field::debug([1, 2]));
/// ```
pub fn debug<T: fmt::Debug>(value: T) -> impl Field {
    Debug(value)
}

/// Records the text that `format` writes for a value in a placeholder.
#[derive(Clone, Copy, Debug)]
pub struct Formatted<'a, T: ?Sized, F> {
    pub(super) value: &'a T,
    pub(super) format: F,
}

macro_rules! text {
    ($([$($generics:tt)*] $t:ty => $code:ident, $self:ident $args:expr;)*) => {$(
        impl<$($generics)*> Sealed for $t {}
        impl<$($generics)*> Field for $t {
            const TYPE: u8 = types::$code;
            const WORDS: usize = 1;
            const FIXED: bool = false;
            fn write(&$self, out: &mut FieldWriter<'_>) {
                write_formatted($args, out);
            }
        }
    )*};
}

text! {
    [T: fmt::Display] Display<T> => STR, self format_args!("{}", self.0);
    [T: fmt::Debug] Debug<T> => STR, self format_args!("{:?}", self.0);
    [T: ?Sized, F: Fn(&T, &mut fmt::Formatter<'_>) -> fmt::Result] Formatted<'_, T, F> => SHOWN, self
        format_args!("{}", By(|f: &mut fmt::Formatter<'_>| (self.format)(self.value, f)));
    [] fmt::Arguments<'_> => STR, self *self;
    [] dyn core::error::Error + '_ => STR, self format_args!("{}", Chain(self));
    [] dyn core::error::Error + Send + '_ => STR, self format_args!("{}", Chain(self));
    [] dyn core::error::Error + Send + Sync + '_ => STR, self format_args!("{}", Chain(self));
}

/// Displays what a closure writes.
struct By<F>(F);

impl<F: Fn(&mut fmt::Formatter<'_>) -> fmt::Result> fmt::Display for By<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0)(f)
    }
}

/// Displays an error and the errors that caused it, separated by colons.
struct Chain<'a>(&'a (dyn core::error::Error + 'a));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

/// Writes formatted text directly into the record's words. The text is cut, and marked as truncated, where
/// the record ends or where the value's own code returns an error.
fn write_formatted(args: fmt::Arguments<'_>, out: &mut FieldWriter<'_>) {
    struct Text<'w, 'b> {
        bytes: BytesWriter<'w, 'b>,
        room: usize,
    }
    impl fmt::Write for Text<'_, '_> {
        fn write_str(&mut self, s: &str) -> fmt::Result {
            let kept = floor_char_boundary(s, self.room - self.bytes.len);
            self.bytes.push(&s.as_bytes()[..kept]);
            if kept < s.len() {
                // After a cut, write nothing more, not even a text that would fit.
                self.room = self.bytes.len;
                return Err(fmt::Error);
            }
            Ok(())
        }
    }
    let room = out.room();
    let first = out.at;
    out.word(0);
    let mut text = Text { bytes: BytesWriter { out, len: 0 }, room };
    let is_cut = fmt::write(&mut text, args).is_err();
    let len = text.bytes.len;
    debug_assert!(out.at == first + 1 + len.div_ceil(WORD_BYTES));
    out.words[first] = len << 1 | Word::from(is_cut);
}

/// The most bytes of a value in postcard encoding.
#[cfg(feature = "postcard")]
const ENCODED: usize = 128;

/// Records any `serde::Serialize` in postcard encoding. An encoding of more than 128 bytes is not recorded;
/// the field is then an empty value marked as truncated. Cost: the encoding goes through a buffer of 128
/// bytes on the stack.
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
impl<T> Sealed for Postcard<T> {}

#[cfg(feature = "postcard")]
impl<T: serde::Serialize> Field for Postcard<T> {
    const TYPE: u8 = types::POSTCARD;
    const WORDS: usize = 1;
    const FIXED: bool = false;
    fn write(&self, out: &mut FieldWriter<'_>) {
        let mut buffer = [0; ENCODED];
        match postcard::to_slice(&self.0, &mut buffer) {
            Ok(bytes) => out.bytes(bytes),
            // Record nothing: postcard does not tell how many bytes it wrote, and a part of an encoding is
            // useless.
            Err(_) => out.word(1),
        }
    }
}
