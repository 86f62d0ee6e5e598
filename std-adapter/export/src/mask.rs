//! Secrets within texts of records: `password=…`, `password: …`, `"password":"…"`, `Bearer …`, and the password of
//! `https://user:password@host`. Only texts that name what they hold can be found, so this is no replacement for fields.

use crate::{REDACTED, Redaction};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Most words whose answers are remembered. Names in messages are few, unless they are made at run time.
const WORDS: usize = 512;
/// The fewest characters of a token after `Bearer`. Shorter ones are words, as in "bearer of news".
const TOKEN: usize = 8;
/// Words before a credential, which belong to it.
const SCHEMES: [&str; 4] = ["basic", "bearer", "digest", "token"];

/// Replaces secrets within texts: what follows a name that [`Redaction`] hides (`password=…`, `"password":"…"`), a token after
/// `Bearer`, and the password in a URL. It remembers the names that it has met, at most 512.
///
/// ```
/// use throughline_export::Mask;
/// let mut mask = Mask::default();
/// assert_eq!(mask.masked("login with password=hunter2").as_deref(), Some("login with password=[REDACTED]"));
/// assert_eq!(mask.masked("login of ann"), None);
/// ```
#[derive(Debug, Default)]
pub struct Mask {
    redaction: Arc<Redaction>,
    known: HashMap<Box<str>, bool>,
}

impl Mask {
    /// Characters of which each text with a secret has at least one.
    pub const SIGNS: [u8; 3] = *b"=: ";

    /// Masks what follows these names; nothing if `redaction` is not [for messages](Redaction::messages).
    pub fn new(redaction: Arc<Redaction>) -> Mask {
        Mask { redaction, known: HashMap::new() }
    }

    /// The text with [`REDACTED`] in place of what is secret; `None` if nothing is. Cost: a look at each byte, and a
    /// hash for each word before `=` or `:`.
    pub fn masked(&mut self, text: &str) -> Option<String> {
        if !self.redaction.is_for_messages() {
            return None;
        }
        let mut out = String::new();
        let mut from = 0;
        while let Some(secret) = self.next(text, from) {
            out.push_str(&text[from..secret.start]);
            out.push_str(REDACTED);
            from = secret.end;
        }
        (from > 0).then(|| out + &text[from..])
    }

    /// What stands for a text under a name, such as a label: [`REDACTED`] if the name is hidden, the [masked](Mask::masked) text if a secret is in it; `None`
    /// if it may be shown as it is.
    ///
    /// ```
    /// use throughline_export::Mask;
    /// let mut mask = Mask::default();
    /// assert_eq!(mask.shown("token", "7").as_deref(), Some("[REDACTED]"));
    /// assert_eq!(mask.shown("peer", "HTTPS://u:pw@h").as_deref(), Some("HTTPS://u:[REDACTED]@h"));
    /// assert_eq!(mask.shown("peer", "https://h"), None);
    /// ```
    pub fn shown(&mut self, name: &str, text: &str) -> Option<String> {
        if self.hides(name) { Some(REDACTED.into()) } else { self.masked(text) }
    }

    /// The names in braces that stand where a template names a secret: `p` in `password={p}`.
    pub fn placeholders<'t>(&mut self, template: &'t str) -> Vec<&'t str> {
        let mut found = Vec::new();
        let mut from = 0;
        while self.redaction.is_for_messages()
            && let Some(secret) = self.next(template, from)
        {
            from = secret.end;
            let name = template[secret].trim_start_matches(SCHEME_OR_SPACE).strip_prefix('{');
            found.extend(name.map(|name| &name[..word_end(name.as_bytes())]));
        }
        found
    }

    /// The first secret value at or after `from`.
    fn next(&mut self, text: &str, from: usize) -> Option<Range<usize>> {
        let bytes = text.as_bytes();
        for at in from..bytes.len() {
            let value = match bytes[at] {
                b':' if bytes[at..].starts_with(b"://") => password_of_url(bytes, at + 3),
                b'=' | b':' if self.is_secret(word_before(text, at)) => value(bytes, at + 1),
                b'b' | b'B' => bearer(bytes, at),
                _ => continue,
            };
            let is_new = |value: &Range<usize>| {
                value.start >= from && !value.is_empty() && !text[value.clone()].starts_with("[REDACTED")
            };
            if let Some(value) = value.filter(is_new) {
                return Some(value);
            }
        }
        None
    }

    fn is_secret(&mut self, word: &str) -> bool {
        // Times and addresses have many words without a letter.
        word.bytes().any(|b| b.is_ascii_alphabetic()) && self.hides(word)
    }

    /// [`Redaction::hides`], remembered.
    fn hides(&mut self, word: &str) -> bool {
        if let Some(known) = self.known.get(word) {
            return *known;
        }
        if self.known.len() >= WORDS {
            self.known.clear();
        }
        let is_secret = self.redaction.hides(word);
        self.known.insert(word.into(), is_secret);
        is_secret
    }
}

/// What may stand between a separator and a placeholder.
const SCHEME_OR_SPACE: fn(char) -> bool = |c| c.is_ascii_alphabetic() || c == ' ';

fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')
}

fn word_end(bytes: &[u8]) -> usize {
    bytes.iter().position(|b| !is_word(*b)).unwrap_or(bytes.len())
}

/// The word that ends before the separator at `at`, in quotes or not.
fn word_before(text: &str, at: usize) -> &str {
    let bytes = text.as_bytes();
    let mut end = at;
    while end > 0 && matches!(bytes[end - 1], b' ' | b'"' | b'\'' | b'\\' | b'`') && at - end < 3 {
        end -= 1;
    }
    let begin = bytes[..end].iter().rposition(|b| !is_word(*b)).map_or(0, |at| at + 1);
    &text[begin..end]
}

/// The value after a separator: what is in quotes, or else up to a delimiter.
fn value(bytes: &[u8], mut at: usize) -> Option<Range<usize>> {
    // `::` is in paths, `==` and `=>` are longer separators.
    if bytes.get(at) == Some(&b':') {
        return None;
    }
    while matches!(bytes.get(at), Some(b' ' | b'=' | b'>' | b'\\')) {
        at += 1;
    }
    let quote = bytes.get(at).copied().filter(|b| matches!(b, b'"' | b'\'' | b'`'));
    if let Some(quote) = quote {
        let begin = at + 1;
        let is_end =
            |end: &usize| bytes[*end] == quote && (bytes[*end - 1] != b'\\' || bytes[at - 1] == b'\\');
        let end = (begin..bytes.len()).find(is_end).unwrap_or(bytes.len());
        let end = if end > begin && bytes[end - 1] == b'\\' { end - 1 } else { end };
        return Some(begin..end);
    }
    let is_scheme =
        |end: usize| SCHEMES.iter().any(|scheme| bytes[at..end].eq_ignore_ascii_case(scheme.as_bytes()));
    let mut end = value_end(bytes, at);
    if is_scheme(end) && bytes.get(end) == Some(&b' ') {
        end = value_end(bytes, end + 1);
    }
    Some(at..end)
}

fn value_end(bytes: &[u8], at: usize) -> usize {
    let ends = |b: &u8| {
        b.is_ascii_whitespace() || matches!(b, b',' | b';' | b'&' | b')' | b']' | b'}' | b'"' | b'\'' | b'`')
    };
    bytes[at..].iter().position(ends).map_or(bytes.len(), |len| at + len)
}

/// The password before the host that begins at `at` or after it, if there is one.
fn password_of_url(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let is_end = |b: &u8| {
        b.is_ascii_whitespace() || matches!(b, b'/' | b'?' | b'#' | b'"' | b'\'' | b'`' | b'<' | b'>')
    };
    let len = bytes[at..].iter().position(is_end).unwrap_or(bytes.len() - at);
    let end = at + bytes[at..at + len].iter().rposition(|b| *b == b'@')?;
    let begin = at + bytes[at..end].iter().position(|b| *b == b':')? + 1;
    Some(begin..end)
}

/// The token after `Bearer`, if that is what is at `at`.
fn bearer(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    const WORD: &[u8] = b"bearer ";
    let is_begun = at == 0 || !is_word(bytes[at - 1]);
    if !is_begun || !bytes.get(at..at + WORD.len())?.eq_ignore_ascii_case(WORD) {
        return None;
    }
    let begin = at + WORD.len();
    let is_part = |b: &u8| is_word(*b) || matches!(b, b'~' | b'+' | b'/' | b'=');
    let len = bytes[begin..].iter().position(|b| !is_part(b)).unwrap_or(bytes.len() - begin);
    (len >= TOKEN).then(|| begin..begin + len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mask() -> Mask {
        Mask::new(Arc::default())
    }

    #[test]
    fn values_of_secret_names_are_masked() {
        for (text, expected) in [
            ("password=hunter2", "password=[REDACTED]"),
            ("login user=ann password=hunter2 ok=1", "login user=ann password=[REDACTED] ok=1"),
            ("db.password: hunter2, port: 5432", "db.password: [REDACTED], port: 5432"),
            (r#"{"user":"ann","apiKey":"hunter2","n":1}"#, r#"{"user":"ann","apiKey":"[REDACTED]","n":1}"#),
            (r#"{"token" : "a \" hunter2"}"#, r#"{"token" : "[REDACTED]"}"#),
            (r#"body "{\"token\":\"hunter2\"}""#, r#"body "{\"token\":\"[REDACTED]\"}""#),
            ("Config { secret: \"hunter2\", retries: 3 }", "Config { secret: \"[REDACTED]\", retries: 3 }"),
            ("authorization: Bearer hunter2", "authorization: [REDACTED]"),
            ("got Bearer eyJhbGciOi.J9-_x/y== back", "got Bearer [REDACTED] back"),
            ("GET /in?api_key=hunter2&x=1", "GET /in?api_key=[REDACTED]&x=1"),
            ("password=größer2 ü", "password=[REDACTED] ü"),
            ("password='hun ter2'", "password='[REDACTED]'"),
            ("pwd => hunter2; token == hunter2", "pwd => [REDACTED]; token == [REDACTED]"),
            ("password=\"hunter2", "password=\"[REDACTED]"),
            ("to https://u:hunter2@host/x failed", "to https://u:[REDACTED]@host/x failed"),
            ("to HTTPS://U:hunter2@Host/x failed", "to HTTPS://U:[REDACTED]@Host/x failed"),
            (r#"["http://u:hunter2@a","Token=hunter2"]"#, r#"["http://u:[REDACTED]@a","Token=[REDACTED]"]"#),
            ("postgres://u:hunt@er2@host", "postgres://u:[REDACTED]@host"),
            (
                "(http://h:80/x?token=hunter2&api_key=hunter3)",
                "(http://h:80/x?token=[REDACTED]&api_key=[REDACTED])",
            ),
        ] {
            assert_eq!(mask().masked(text).as_deref(), Some(expected));
        }
    }

    #[test]
    fn other_texts_stay_as_they_are() {
        for text in [
            "",
            "=",
            "password=",
            "password: ",
            "at 12:30:05 tokens=7 token_count: 9",
            "shop::secret::Key is gone",
            "the bearer of bad news",
            "password=[REDACTED]",
            "http://host:80/path",
            "http://user@host:80/path@1:2",
            "http://u:@host",
            "bearer",
        ] {
            assert_eq!(mask().masked(text), None, "{text}");
        }
        let off = Redaction::default().messages(false);
        assert_eq!(Mask::new(Arc::new(off)).masked("password=hunter2"), None);
    }

    #[test]
    fn a_templates_placeholders_are_secret_where_it_says_so() {
        let found =
            mask().placeholders("user={u} password={p} token: {t:?} auth={a} authorization=Bearer {b}");
        assert_eq!(found, ["p", "t", "b"]);
    }

    proptest! {
        #[test]
        fn any_text_can_be_masked_and_words_are_bounded(text in "([a-zß]{0,3}(password|token|bearer )?[=:\"'\\\\ {}]{0,3}){0,40}") {
            let mut mask = mask();
            if let Some(masked) = mask.masked(&text) {
                prop_assert!(masked.contains(REDACTED));
                prop_assert!(text.bytes().any(|b| Mask::SIGNS.contains(&b)), "nobody would have looked at {text:?}");
            }
            prop_assert!(mask.known.len() <= WORDS);
        }
    }
}
