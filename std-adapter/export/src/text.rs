//! Makes text from outside safe to show.

use crate::REDACTED;
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

pub use crate::redact::fits_glob;

/// Whether this can be the path of a local page.
#[doc(hidden)]
pub fn is_page_path(path: &str) -> bool {
    path.starts_with('/') && !path.contains(|c: char| c.is_whitespace() || c.is_control() || c == '?')
}

/// The URL with its scheme in small letters, as capitals mean the same.
#[doc(hidden)]
pub fn with_small_scheme(url: &str) -> Cow<'_, str> {
    match url.split_once("://") {
        Some((scheme, rest)) if scheme.contains(|c: char| c.is_ascii_uppercase()) => {
            format!("{}://{rest}", scheme.to_ascii_lowercase()).into()
        }
        _ => url.into(),
    }
}

/// Fewest characters of a header's value that is left out of messages. Shorter ones are in too many words.
const OWN: usize = 6;

/// The text without these values of our own headers, and without what they have after a scheme such as `Bearer`.
pub(crate) fn without<'v>(text: &str, own: impl Iterator<Item = &'v str>) -> String {
    own.fold(text.to_owned(), |text, value| {
        let secret = value.rsplit(' ').next().unwrap_or(value);
        let text = if value.len() >= OWN { text.replace(value, crate::REDACTED) } else { text };
        if secret.len() >= OWN { text.replace(secret, crate::REDACTED) } else { text }
    })
}

/// What another program has said, for a message: without secrets that it repeats, in one line of at most 200 characters.
///
/// ```
/// assert_eq!(throughline_export::text::said(" no:\n token=abc \u{1b}"), r"no:\n token=[REDACTED] \u{1b}");
/// ```
pub fn said(text: &str) -> String {
    // Cutting first could cut the name of a secret off its value.
    let whole: String = text.trim().chars().take(4096).collect();
    let masked = crate::Mask::default().masked(&whole).unwrap_or(whole);
    let cut: String = masked.chars().take(200).collect();
    escaped(cut.trim()).into_owned()
}

/// The text as JSON, in quotes. Besides the characters that JSON requires, [dangerous](is_dangerous) ones are escaped.
///
/// ```
/// assert_eq!(throughline_export::text::json("a \"b\"\n"), r#""a \"b\"\n""#);
/// ```
pub fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    crate::json::push_text(&mut out, text);
    out
}

/// Encodes all bytes but letters, digits and `-._~` with `%` and two hexadecimal digits, for a part of a URL (RFC 3986).
///
/// ```
/// use throughline_export::text::percent_encode;
/// assert_eq!(percent_encode("a b/ä"), "a%20b%2F%C3%A4");
/// ```
pub fn percent_encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte.into());
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
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

/// Decodes percent-encoded text of another process, in which a `%` without two hexadecimal digits stands for itself,
/// and bytes that are not UTF-8 become U+FFFD.
///
/// ```
/// use throughline_export::text::percent_decode_lossy;
/// assert_eq!(percent_decode_lossy("a%2Cb 100%"), "a,b 100%");
/// ```
pub fn percent_decode_lossy(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes();
    while let [first, rest @ ..] = bytes {
        bytes = rest;
        let digit = |at: usize| char::from(*rest.get(at)?).to_digit(16);
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high << 4 | low) as u8);
                bytes = &rest[2..];
            }
            _ => out.push(*first),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The URL with `[REDACTED]` in place of what may be secret in it: user and password, the values of the query,
/// and the fragment. Every URL that is shown, in a message or in `Debug`, must go through this function.
///
/// A text that is not a URL may be a mistyped one, so it is masked too, from its start to the last `@`, because a
/// password may contain any other character.
///
/// ```
/// use throughline_export::text::masked_url;
/// assert_eq!(masked_url("http://shop:pw@host:80/in?api_key=k&x"), "http://[REDACTED]@host:80/in?api_key=[REDACTED]&[REDACTED]");
/// assert_eq!(masked_url("HTTPS://shop:pw@Host"), "HTTPS://[REDACTED]@Host");
/// assert_eq!(masked_url("htp:/shop:p/w@host"), "[REDACTED]@host");
/// assert_eq!(masked_url("http://localhost:4318/v1/logs"), "http://localhost:4318/v1/logs");
/// ```
pub fn masked_url(url: &str) -> String {
    let is_scheme = |scheme: &str| scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let (scheme, rest) = match url.find("://") {
        Some(at) if is_scheme(&url[..at]) => url.split_at(at + 3),
        _ => ("", url),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let before_query = rest.split(['?', '#']).next().unwrap_or_default();
    // If the host is none, the first separator may be a part of the password.
    let searched = if is_host(authority) { before_query } else { rest };
    let (user, rest) = match searched.rfind('@') {
        Some(at) => (format!("{REDACTED}@"), &rest[at + 1..]),
        None => (String::new(), rest),
    };
    let mut out = format!("{scheme}{user}");
    let (path, query) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
    match path.split_once(':') {
        // What follows the colon is no port, so it may be a password without its host.
        Some((name, after))
            if !scheme.is_empty() && user.is_empty() && !is_host(authority) && !after.is_empty() =>
        {
            out += &format!("{name}:{REDACTED}");
        }
        _ => out += path,
    }
    for piece in query.split_inclusive(['?', '&', ';', '#']) {
        let (piece, separator) = match piece.char_indices().next_back() {
            Some((at, c)) if "?&;#".contains(c) => piece.split_at(at),
            _ => (piece, ""),
        };
        match piece.split_once('=') {
            Some((_, "")) => out += piece,
            Some((name, _)) => out += &format!("{name}={REDACTED}"),
            None if piece.is_empty() => {}
            None => out += REDACTED,
        }
        out += separator;
    }
    out
}

/// Whether this is a host, with or without a port.
fn is_host(authority: &str) -> bool {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, ""),
    };
    let of_host = |c: char| c.is_alphanumeric() || "-._%~".contains(c);
    let is_ip6 = host.starts_with('[') && host.ends_with(']');
    port.chars().all(|c| c.is_ascii_digit()) && (is_ip6 || host.chars().all(of_host))
}

fn write_escape(out: &mut impl Write, c: char) -> fmt::Result {
    match c {
        '\n' => out.write_str("\\n"),
        '\r' => out.write_str("\\r"),
        '\t' => out.write_str("\\t"),
        c => write!(out, "\\u{{{:x}}}", u32::from(c)),
    }
}

/// What the answer to a request with these values of headers says, as [`said`] shows it.
pub(crate) fn said_without<'v>(answer: &[u8], own: impl Iterator<Item = &'v str>) -> String {
    said(&without(&String::from_utf8_lossy(answer), own))
}

/// Writes what `Display` writes, with the characters escaped that [`Escaped`] escapes, except for the ends of lines. For `Debug` of errors, which a
/// `main` that returns one prints.
#[doc(hidden)]
pub fn write_as_debug(shown: &dyn fmt::Display, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (i, line) in shown.to_string().split('\n').enumerate() {
        if i > 0 {
            f.write_char('\n')?;
        }
        fmt::Display::fmt(&Escaped(line), f)?;
    }
    Ok(())
}

/// `Debug` of these errors as their `Display`.
#[doc(hidden)]
#[macro_export]
macro_rules! __debug_as_display {
    ($($error:ty),+ $(,)?) => {$(
        impl ::core::fmt::Debug for $error {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                $crate::text::write_as_debug(self, f)
            }
        }
    )+};
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

    #[test]
    fn no_secret_of_a_url_is_shown_however_it_is_mistyped() {
        for (url, shown) in [
            ("https://h/u", "https://h/u"),
            ("tcp://[::1]:514", "tcp://[::1]:514"),
            ("localhost:4318", "localhost:4318"),
            ("http://h:431800/x", "http://h:431800/x"),
            ("unix:/dev/log", "unix:/dev/log"),
            ("http://h?a=", "http://h?a="),
            ("http://h/?a=hunter2;b=hunter2#hunter2", "http://h/?a=[REDACTED];b=[REDACTED]#[REDACTED]"),
            ("https://h/hunter2@x", "https://[REDACTED]@x"),
        ] {
            assert_eq!(masked_url(url), shown);
        }
        for url in [
            "http://u:hunter2@h",
            "http://u:hunter2@h:99999/x",
            "http://u:a/hunter2@h",
            "http://u:a?hunter2@h/x?y",
            "http://u:a#hunter2@h",
            "http://u:a@hunter2@h",
            "http://hunter2@",
            "http://u:hunter2",
            "http://u:hunter2/x",
            "ht tp://u:hunter2@h",
            "http:/u:hunter2@h",
            "http:u:hunter2@h",
            "u:hunter2@h:80",
            "hunter2@h",
            "http//u:hunter2@h",
            "http://h:80/?hunter2",
            "http://h:80?token=hunter2",
            "h?token=hunter2=x",
        ] {
            let shown = masked_url(url);
            assert!(!shown.contains("hunter2"), "{url} is shown as {shown}");
        }
    }
}
