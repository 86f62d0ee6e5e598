//! Appends JSON to a text, for all exporters that write JSON.

use crate::message::ValueText;
use crate::text::is_dangerous;
use std::fmt::Write;
use throughline::Value;
use throughline::adapter::record::ExtendedValue;

/// A JSON object that is being written. [`Object::end`] closes it.
pub(crate) struct Object<'o> {
    out: &'o mut String,
    empty: bool,
}

impl<'o> Object<'o> {
    /// Opens an object.
    pub(crate) fn new(out: &'o mut String) -> Object<'o> {
        out.push('{');
        Object { out, empty: true }
    }

    /// Writes a key; the caller appends its value.
    pub(crate) fn key(&mut self, key: &str) -> &mut String {
        if !std::mem::take(&mut self.empty) {
            self.out.push(',');
        }
        push_text(self.out, key);
        self.out.push(':');
        self.out
    }

    /// Writes a text.
    pub(crate) fn text(&mut self, key: &str, text: &str) {
        push_text(self.key(key), text);
    }

    /// Writes what `shown` displays as a text. It must display nothing that JSON escapes, which holds for ids
    /// and times.
    pub(crate) fn plain(&mut self, key: &str, shown: impl std::fmt::Display) {
        push(self.key(key), format_args!("\"{shown}\""));
    }

    /// Writes a number.
    pub(crate) fn number(&mut self, key: &str, number: impl Into<i128>) {
        push(self.key(key), format_args!("{}", number.into()));
    }

    /// Writes `null`.
    pub(crate) fn null(&mut self, key: &str) {
        self.key(key).push_str("null");
    }

    /// Opens an object within this one.
    pub(crate) fn object(&mut self, key: &str) -> Object<'_> {
        Object::new(self.key(key))
    }

    /// Closes the object.
    pub(crate) fn end(self) {
        self.out.push('}');
    }
}

/// Appends a text in quotes. Besides the characters that JSON requires, [dangerous](is_dangerous) ones are
/// escaped, so that a line of JSON is safe to show.
pub(crate) fn push_text(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some((at, c)) = rest.char_indices().find(|(_, c)| matches!(c, '"' | '\\') || is_dangerous(*c)) {
        out.push_str(&rest[..at]);
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // All dangerous characters are in the basic plane, so four digits are enough.
            c => push(out, format_args!("\\u{:04x}", u32::from(c))),
        }
        rest = &rest[at + c.len_utf8()..];
    }
    out.push_str(rest);
    out.push('"');
}

/// Appends a field's value. Values without a JSON form, such as bytes and infinities, become texts; a
/// duration becomes seconds.
pub(crate) fn push_value(out: &mut String, value: &Value<'_>) {
    match *value {
        Value::Bool(b) => push(out, format_args!("{b}")),
        Value::U64(n) => push(out, format_args!("{n}")),
        Value::I64(n) => push(out, format_args!("{n}")),
        Value::F32(x) if x.is_finite() => push(out, format_args!("{x:?}")),
        Value::F64(x) => push_float(out, x),
        Value::Str { text, .. } | Value::Shown { text, .. } => push_text(out, text),
        Value::Absent => out.push_str("null"),
        Value::Extended(extended) => match extended.get() {
            ExtendedValue::Duration(duration) => push_float(out, duration.as_secs_f64()),
            ExtendedValue::List(list) => {
                let mut separator = '[';
                for element in list.iter() {
                    out.push(separator);
                    push_value(out, &element);
                    separator = ',';
                }
                out.push_str(if separator == '[' { "[]" } else { "]" });
            }
            _ => push_text(out, &ValueText(value).to_string()),
        },
        _ => push_text(out, &ValueText(value).to_string()),
    }
}

fn push_float(out: &mut String, x: f64) {
    if x.is_finite() {
        push(out, format_args!("{x:?}"));
    } else {
        push(out, format_args!("\"{x}\""));
    }
}

/// Appends formatted text.
pub(crate) fn push(out: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_of_every_kind() {
        let mut out = String::new();
        let mut object = Object::new(&mut out);
        object.text("te\"xt", "a\\b\n\u{1b}[2J\u{202e}世");
        object.number("n", u64::MAX);
        object.null("none");
        object.plain("id", 7);
        let inner = object.object("in");
        inner.end();
        object.end();
        let expected =
            r#"{"te\"xt":"a\\b\n\u001b[2J\u202e世","n":18446744073709551615,"none":null,"id":"7","in":{}}"#;
        assert_eq!(out, expected);
    }

    #[test]
    fn values_as_json_has_them() {
        let text = |value: Value<'_>| {
            let mut out = String::new();
            push_value(&mut out, &value);
            out
        };
        assert_eq!(text(Value::F64(1e300)), "1e300");
        assert_eq!(text(Value::F64(f64::NAN)), "\"NaN\"");
        assert_eq!(text(Value::F32(0.1)), "0.1");
        assert_eq!(text(Value::F32(f32::INFINITY)), "\"inf\"");
        assert_eq!(text(Value::I64(i64::MIN)), "-9223372036854775808");
        assert_eq!(text(Value::Bytes { bytes: &[1, 255], truncated: false }), "\"0x01ff\"");
        assert_eq!(text(Value::Absent), "null");
    }
}
