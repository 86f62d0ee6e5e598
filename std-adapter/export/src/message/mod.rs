//! Messages with their fields filled in: the one renderer of events, for this process and for captures of
//! devices.
//!
//! A recorder keeps the message with its placeholders apart from the values. `{name}` shows the field of this
//! name, `{3}` the fourth field, `{}` the next one. The text after a colon is a format as in `format!`;
//! `spec` applies it to the value. `{{` and `}}` are braces.

mod spec;

use crate::view::LogView;
use spec::Spec;
use std::borrow::Cow;
use std::fmt::{self, Write};
use throughline::Value;
use throughline::adapter::record::ExtendedValue;

/// Fills the placeholders of `message` in from `fields`. It borrows if there is nothing to fill in, and
/// allocates once otherwise.
///
/// A placeholder without a field stays as it is, so that the mistake can be seen.
///
/// ```
/// use throughline::Value;
/// let fields = [("user", Value::U64(7)), ("took", Value::F64(1.5))];
/// let text = throughline_export::message::render("{} of {user:#04x} took { took :.2} ms {{sic}} {1}", fields.into_iter());
/// assert_eq!(text, "7 of 0x07 took 1.50 ms {sic} 1.5");
/// ```
pub fn render<'a, F>(message: &'a str, fields: F) -> Cow<'a, str>
where
    F: Iterator<Item = (&'a str, Value<'a>)> + Clone,
{
    if !message.contains(['{', '}']) {
        return Cow::Borrowed(message);
    }
    let mut out = String::with_capacity(message.len() + 32);
    render_into(&mut out, message, fields);
    Cow::Owned(out)
}

/// Appends the result of [`render`] to `out`, without other allocations.
pub fn render_into<'a, F>(out: &mut String, message: &str, fields: F)
where
    F: Iterator<Item = (&'a str, Value<'a>)> + Clone,
{
    let mut next = 0;
    for piece in Pieces(message) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Hole { name, spec, whole } => {
                match index(&mut next, name, fields.clone()).and_then(|at| fields.clone().nth(at)) {
                    Some((_, value)) => push_value(out, spec, &value),
                    None => out.push_str(whole),
                }
            }
        }
    }
}

/// Whether the message itself shows the field with this number and name.
pub(crate) fn shows(message: &str, field: usize, name: &str) -> bool {
    let mut next = 0;
    message.contains('{')
        && Pieces(message).any(|piece| match piece {
            Piece::Text(_) => false,
            Piece::Hole { name: "", .. } => {
                next += 1;
                field == next - 1
            }
            Piece::Hole { name: shown, .. } => shown == name || shown.parse() == Ok(field),
        })
}

/// Whether the message is nothing but this field, as that of a record from `log` or `tracing`.
pub(crate) fn is_all(message: &str, name: &str) -> bool {
    message.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) == Some(name)
}

/// Whether a field is shown beside the message. One that is all of the message is not, unless it was cut: its mark is then
/// the only place that says so.
pub(crate) fn is_beside(message: &str, name: &str, value: &Value<'_>) -> bool {
    *value != Value::Absent && (value.is_truncated() || !is_all(message, name))
}

/// The fields of a record that are shown beside its message.
pub(crate) fn attributes<'a>(log: &LogView<'a>) -> impl Iterator<Item = (&'a str, Value<'a>)> + Clone {
    let message = log.message;
    log.fields.clone().filter(move |(name, value)| is_beside(message, name, value))
}

/// The number of the field that a placeholder shows.
fn index<'a>(
    next: &mut usize,
    name: &str,
    mut fields: impl Iterator<Item = (&'a str, Value<'a>)>,
) -> Option<usize> {
    if name.is_empty() {
        *next += 1;
        return Some(*next - 1);
    }
    fields.position(|(field, _)| field == name).or_else(|| name.parse().ok())
}

/// A part of a message.
enum Piece<'a> {
    Text(&'a str),
    /// A placeholder: the field that it names, its format, and its text in the message.
    Hole {
        name: &'a str,
        spec: &'a str,
        whole: &'a str,
    },
}

/// The parts of a message, in order.
struct Pieces<'a>(&'a str);

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let rest = self.0;
        let at = rest.find(['{', '}']).unwrap_or(rest.len());
        if at > 0 {
            self.0 = &rest[at..];
            return Some(Piece::Text(&rest[..at]));
        }
        if rest.is_empty() {
            return None;
        }
        if rest.starts_with("{{") || rest.starts_with("}}") {
            self.0 = &rest[2..];
            return Some(Piece::Text(&rest[..1]));
        }
        let Some(end) = end_of_hole(rest) else {
            // The macros refuse a single brace, but a decoder's input may come from anywhere.
            self.0 = &rest[1..];
            return Some(Piece::Text(&rest[..1]));
        };
        self.0 = &rest[end + 1..];
        let (name, spec) = rest[1..end].split_once(':').unwrap_or((&rest[1..end], ""));
        Some(Piece::Hole { name: name.trim(), spec, whole: &rest[..=end] })
    }
}

/// Position of the `}` that ends the placeholder at the start of `text`. The fill character may also be a
/// brace, as in `{:}>4}`.
fn end_of_hole(text: &str) -> Option<usize> {
    let end = text.find('}').filter(|_| text.starts_with('{'))?;
    let is_fill = text[..end].ends_with(':') && text[end + 1..].starts_with(['<', '^', '>']);
    if is_fill { text[end + 1..].find('}').map(|more| end + 1 + more) } else { Some(end) }
}

/// Appends a value in the format `spec`, or as [`ValueText`] shows it if there is no format that fits the
/// value.
fn push_value(out: &mut String, spec: &str, value: &Value<'_>) {
    let is_written = !spec.is_empty() && Spec::parse(spec).is_some_and(|spec| spec.write(out, value));
    if !is_written {
        // Writing to a String cannot fail.
        let _ = write!(out, "{}", ValueText(value));
    }
}

/// Shows a value as people read it: text without quotes, bytes in hex, and `…` after a value that was cut.
///
/// ```
/// use throughline::Value;
/// use throughline_export::message::ValueText;
/// let cut = Value::Str { text: "ab", truncated: true };
/// assert_eq!(ValueText(&cut).to_string(), "ab…");
/// assert_eq!(ValueText(&Value::Bytes { bytes: &[1, 0xfe], truncated: false }).to_string(), "0x01fe");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ValueText<'v>(pub &'v Value<'v>);

impl fmt::Display for ValueText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let truncated = match *self.0 {
            Value::Bool(b) => return write!(f, "{b}"),
            Value::U64(n) => return write!(f, "{n}"),
            Value::I64(n) => return write!(f, "{n}"),
            Value::F32(x) => return write!(f, "{x}"),
            Value::F64(x) => return write!(f, "{x}"),
            Value::Absent => return f.write_str("None"),
            Value::Extended(extended) => return extended_text(extended.get(), self.0.is_truncated(), f),
            Value::Str { text, truncated } | Value::Shown { text, truncated } => {
                f.write_str(text)?;
                truncated
            }
            Value::Bytes { bytes, truncated } => {
                f.write_str("0x")?;
                bytes.iter().try_for_each(|b| write!(f, "{b:02x}"))?;
                truncated
            }
            Value::Postcard { bytes, truncated } => {
                f.write_str("postcard:0x")?;
                bytes.iter().try_for_each(|b| write!(f, "{b:02x}"))?;
                truncated
            }
            _ => return f.write_str("(a value of a later version)"),
        };
        if truncated { f.write_str("…") } else { Ok(()) }
    }
}

fn extended_text(value: ExtendedValue<'_>, truncated: bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value {
        ExtendedValue::U128(n) => write!(f, "{n}"),
        ExtendedValue::I128(n) => write!(f, "{n}"),
        ExtendedValue::Char(c) => write!(f, "{c}"),
        ExtendedValue::Duration(duration) => write!(f, "{duration:?}"),
        ExtendedValue::Ip(ip) => write!(f, "{ip}"),
        ExtendedValue::Socket(address) => write!(f, "{address}"),
        ExtendedValue::List(list) => {
            f.write_str("[")?;
            for (i, element) in list.iter().enumerate() {
                let comma = if i > 0 { ", " } else { "" };
                write!(f, "{comma}{}", ValueText(&element))?;
            }
            f.write_str(if truncated { ", …]" } else { "]" })
        }
        ExtendedValue::Unknown(bytes) => write!(f, "{}", ValueText(&Value::Bytes { bytes, truncated })),
        _ => f.write_str("(a value of a later version)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders() {
        let text = |text| Value::Str { text, truncated: false };
        let fields = [("a", Value::U64(1)), ("b", text("two")), ("c", Value::Bool(true))];
        let cases = [
            ("plain", "plain"),
            ("{} {} {}", "1 two true"),
            ("{c} {} {a} {}", "true 1 1 two"),
            ("{:?} {b:>8} {b:?} {:04X}", "1      two \"two\" two"),
            ("{ a } {a : >3}", "1   1"),
            ("{2} {0:02} {3}", "true 01 {3}"),
            ("{a:}>3} {a:y} {a:", "}}1 1 {a:"),
            ("{} {} {} {}", "1 two true {}"),
            ("{none}", "{none}"),
            ("{{}} {{a}} {{{a}}}", "{} {a} {1}"),
            ("open { end", "open { end"),
            ("close } end", "close } end"),
            ("ends {", "ends {"),
            ("é{}ü", "é1ü"),
            ("", ""),
        ];
        for (message, expected) in cases {
            assert_eq!(render(message, fields.iter().copied()), expected, "{message}");
        }
        assert!(matches!(render("plain", fields.iter().copied()), Cow::Borrowed(_)));
    }
}
