//! Messages with their fields filled in: `{}` takes the next field, `{name}` that field, `{{` and `}}` are braces.

use std::borrow::Cow;
use std::fmt::{self, Write};
use throughline::Value;

/// `message` with its placeholders filled in from `fields`. Borrowed when there is nothing to fill in, one allocation else.
///
/// A placeholder with no field stays as it is, so that nothing vanishes silently. A format specification (`{:?}`, `{took:.1}`) is
/// accepted and has no effect.
///
/// ```
/// use throughline::Value;
/// let fields = [("user", Value::U64(7)), ("took", Value::F64(1.5))];
/// let text = throughline_export::message::render("{} of {user} took {took} ms {{sic}} {}", fields.into_iter());
/// assert_eq!(text, "7 of 7 took 1.5 ms {sic} 1.5");
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

/// Appends to `out` what [`render`] returns. Cost: no allocation beside what `out` needs.
pub fn render_into<'a, F>(out: &mut String, message: &str, fields: F)
where
    F: Iterator<Item = (&'a str, Value<'a>)> + Clone,
{
    let mut positional = fields.clone();
    let mut rest = message;
    while let Some(at) = rest.find(['{', '}']) {
        let (text, tail) = rest.split_at(at);
        out.push_str(text);
        if let Some(after) = tail.strip_prefix("{{") {
            out.push('{');
            rest = after;
        } else if let Some(after) = tail.strip_prefix("}}") {
            out.push('}');
            rest = after;
        } else if let Some((placeholder, after)) = tail.strip_prefix('{').and_then(|t| t.split_once('}')) {
            let name = placeholder.split_once(':').map_or(placeholder, |(name, _)| name);
            let value = if name.is_empty() {
                positional.next().map(|(_, value)| value)
            } else {
                fields.clone().find(|(field, _)| *field == name).map(|(_, value)| value)
            };
            match value {
                Some(value) => push_value(out, &value),
                None => out.push_str(&tail[..placeholder.len() + 2]),
            }
            rest = after;
        } else {
            // A brace on its own: the compiler would have refused it, a decoder's input need not have met one.
            out.push_str(&tail[..1]);
            rest = &tail[1..];
        }
    }
    out.push_str(rest);
}

/// Appends a value as [`ValueText`] shows it.
fn push_value(out: &mut String, value: &Value<'_>) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{}", ValueText(value));
}

/// Shows a value as people read it: text bare, bytes in hex, `…` after what was cut short.
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
            Value::Str { text, truncated } => {
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
            ("{:?} {b:>8}", "1 two"),
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
