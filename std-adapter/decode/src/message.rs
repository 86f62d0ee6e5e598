//! Messages of events (§6): `{}` is the next field, `{name}` that field, `{{` and `}}` are braces.

use std::fmt::{self, Write as _};

use throughline::Value;

use crate::preamble::Hex;

/// `message` with its placeholders filled in. One that matches no field stays as it is. A format spec behind a colon is
/// ignored, as the device sends values, not texts.
///
/// ```
/// use throughline::Value;
/// let fields = [("volt", Value::F32(4.5)), ("cell", Value::U64(3))];
/// let text = throughline_decode::message::render("cell {cell}: {} V, {{{other}}}", fields.into_iter());
/// assert_eq!(text, "cell 3: 4.5 V, {{other}}");
/// ```
pub fn render<'a>(message: &str, fields: impl Iterator<Item = (&'a str, Value<'a>)> + Clone) -> String {
    let mut out = String::with_capacity(message.len() + 16);
    let mut next = fields.clone();
    let mut rest = message;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let tail = &rest[at..];
        if tail.starts_with("{{") || tail.starts_with("}}") {
            out.push_str(&tail[..1]);
            rest = &tail[2..];
            continue;
        }
        let Some(end) = tail.find('}').filter(|_| tail.starts_with('{')) else {
            out.push_str(&tail[..1]);
            rest = &tail[1..];
            continue;
        };
        let name = tail[1..end].split(':').next().unwrap_or_default().trim();
        let found = if name.is_empty() { next.next() } else { fields.clone().find(|(key, _)| *key == name) };
        match found {
            Some((_, value)) => _ = write!(out, "{}", Shown(value)),
            None => out.push_str(&tail[..=end]),
        }
        rest = &tail[end + 1..];
    }
    out.push_str(rest);
    out
}

/// A value as text: strings bare, bytes in hex, an ellipsis where the device cut.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(pub Value<'a>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = |truncated| if truncated { "…" } else { "" };
        match self.0 {
            Value::Bool(v) => write!(f, "{v}"),
            Value::U64(v) => write!(f, "{v}"),
            Value::I64(v) => write!(f, "{v}"),
            Value::F32(v) => write!(f, "{v}"),
            Value::F64(v) => write!(f, "{v}"),
            Value::Str { text, truncated } => write!(f, "{text}{}", cut(truncated)),
            Value::Bytes { bytes, truncated } => write!(f, "0x{}{}", Hex(bytes), cut(truncated)),
            Value::Postcard { bytes, truncated } => write!(f, "postcard 0x{}{}", Hex(bytes), cut(truncated)),
            other => write!(f, "{other:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_rusts() {
        let fields = [("a", Value::U64(1)), ("b", Value::Str { text: "x{}", truncated: true })];
        let cases = [
            ("", ""),
            ("plain", "plain"),
            ("{} {}", "1 x{}…"),
            ("{b} {} {a} {}", "x{}… 1 1 x{}…"),
            ("{} {} {}", "1 x{}… {}"),
            ("{{}} {{a}}", "{} {a}"),
            ("{a:?} {b:>10} {:x}", "1 x{}… 1"),
            ("{none}", "{none}"),
            ("open { a", "open { a"),
            ("close } a", "close } a"),
            ("ü{a}ü", "ü1ü"),
            ("{", "{"),
        ];
        for (message, text) in cases {
            assert_eq!(render(message, fields.into_iter()), text, "{message}");
        }
    }
}
