//! The text of a label's value, chosen by the value's type, which the macros do not know. How a type is chosen is
//! described in [`via`](crate::fields::via).

use super::series::SeriesKey;
use core::fmt::{self, Write};
use core::ops::Deref;

/// The value of a label.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a, T: ?Sized>(pub &'a T);

/// Text that was formatted for a label. A text that is too long for any label set keeps enough of its bytes to be so
/// still, and is then counted in the overflow series.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    bytes: [u8; SeriesKey::BYTES],
    len: usize,
}

impl Text {
    /// The formatted text.
    pub fn of(args: fmt::Arguments<'_>) -> Text {
        let mut text = Text { bytes: [0; SeriesKey::BYTES], len: 0 };
        // An error means that the text is too long, or that the value's own code gave up: the rest is left out.
        _ = text.write_fmt(args);
        text
    }
}

impl Write for Text {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let room = self.bytes.len() - self.len;
        let mut kept = s.len().min(room);
        while !s.is_char_boundary(kept) {
            kept -= 1;
        }
        self.bytes[self.len..self.len + kept].copy_from_slice(&s.as_bytes()[..kept]);
        self.len += kept;
        if kept < s.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

/// First choice: a type that is text, such as `&str` or `String`.
pub trait AsText<'a> {
    /// The text itself.
    fn throughline_label(&self) -> &'a str;
}

/// Second choice: a type with `Display`, such as an integer.
pub trait AsDisplay {
    /// The text that its `Display` writes.
    fn throughline_label(&self) -> Text;
}

/// Last choice: the compiler reports that the type cannot be a label.
pub trait AsLabelOrError<'a, T: ?Sized> {
    /// The text, if there were one.
    fn throughline_label(&self) -> &'a str
    where
        T: Label;
}

/// A type whose values can be the value of a label.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the value of an attribute as it is",
    note = "an attribute takes text or a type with `Display`; write `?value` to use its `Debug`"
)]
pub trait Label {}

impl<'a, T: AsRef<str> + ?Sized> AsText<'a> for &&Given<'a, T> {
    #[inline(always)]
    fn throughline_label(&self) -> &'a str {
        self.0.as_ref()
    }
}

impl<T: fmt::Display + ?Sized> AsDisplay for &Given<'_, T> {
    fn throughline_label(&self) -> Text {
        Text::of(format_args!("{}", self.0))
    }
}

impl<'a, T: ?Sized> AsLabelOrError<'a, T> for Given<'a, T> {
    fn throughline_label(&self) -> &'a str
    where
        T: Label,
    {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_stays_too_long_for_a_label_set() {
        // One word of a key holds the lengths.
        let room = SeriesKey::BYTES - size_of::<usize>();
        for letter in ["x", "ü", "€"] {
            let (text, mut long) = (Text::of(format_args!("{letter}")), Text::of(format_args!("")));
            for _ in 0..2 * SeriesKey::BYTES {
                _ = long.write_str(letter);
            }
            assert!(&*text == letter && long.len() > room && long.starts_with(letter), "{letter}");
        }
    }
}
