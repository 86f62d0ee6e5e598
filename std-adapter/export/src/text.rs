//! Makes text from outside safe to show.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// Displays a text with every character escaped that could mislead a reader or a terminal: control characters
/// (C0 with ESC, CR and LF; DEL; C1) and characters that change the direction of writing (U+061C, U+200E,
/// U+200F, U+202A–U+202E, U+2066–U+2069). Line and paragraph separators (U+2028, U+2029) are escaped too,
/// because some viewers break lines there.
///
/// Use it for every text that your program did not write itself: messages, names, keys and values of
/// attributes, labels, answers of a collector. Text without such characters is shown unchanged.
///
/// ```
/// use throughline_export::text::Escaped;
/// assert_eq!(Escaped("tab\there, \x1b[2J").to_string(), r"tab\there, \u{1b}[2J");
/// assert_eq!(Escaped("exe\u{202e}txt.doc").to_string(), r"exe\u{202e}txt.doc");
/// assert_eq!(Escaped("Zürich 世界 \\ \"").to_string(), "Zürich 世界 \\ \"");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_dangerous(*c)) {
            f.write_str(&rest[..at])?;
            write_escape(f, c)?;
            rest = &rest[at + c.len_utf8()..];
        }
        f.write_str(rest)
    }
}

/// Like [`Escaped`], but returns a string: it borrows if there is nothing to escape, and allocates once
/// otherwise.
pub fn escaped(text: &str) -> Cow<'_, str> {
    if text.contains(is_dangerous) { Cow::Owned(Escaped(text).to_string()) } else { Cow::Borrowed(text) }
}

/// Whether [`Escaped`] escapes this character.
pub const fn is_dangerous(c: char) -> bool {
    matches!(
        c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// Decodes percent-encoded text, as in W3C Baggage and OpenTelemetry's environment variables. `None` if a `%` is
/// not followed by two hexadecimal digits, or if the bytes are not UTF-8.
///
/// ```
/// use throughline_export::text::percent_decode;
/// assert_eq!(percent_decode("a%2Cb").as_deref(), Some("a,b"));
/// assert_eq!(percent_decode("100%"), None);
/// ```
pub fn percent_decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        if b == b'%' {
            let digit = |b: Option<u8>| char::from(b?).to_digit(16);
            out.push((digit(bytes.next())? << 4 | digit(bytes.next())?) as u8);
        } else {
            out.push(b);
        }
    }
    String::from_utf8(out).ok()
}

fn write_escape(out: &mut impl Write, c: char) -> fmt::Result {
    match c {
        '\n' => out.write_str("\\n"),
        '\r' => out.write_str("\\r"),
        '\t' => out.write_str("\\t"),
        c => write!(out, "\\u{{{:x}}}", u32::from(c)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dangerous_character_is_escaped_and_no_other_is_touched() {
        let bidi = ['\u{61c}', '\u{200e}', '\u{200f}', '\u{2028}', '\u{2029}'];
        let expected = |c: char| {
            c.is_control()
                || bidi.contains(&c)
                || ('\u{202a}'..='\u{202e}').contains(&c)
                || ('\u{2066}'..='\u{2069}').contains(&c)
        };
        for c in '\0'..=char::MAX {
            let text = format!("a{c}b");
            let shown = escaped(&text);
            assert_eq!(shown != text, expected(c), "{c:?}");
            assert!(!shown.contains(is_dangerous), "{c:?}");
            assert!(shown.starts_with('a') && shown.ends_with('b'), "{c:?}");
        }
    }
}
