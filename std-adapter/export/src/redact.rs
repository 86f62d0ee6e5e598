//! Secret attributes: their values never leave the process.

/// Replaces a secret value.
pub const REDACTED: &str = "[REDACTED]";

/// The names that are secret by default.
const DEFAULT: [&str; 9] =
    ["api_key", "apikey", "authorization", "cookie", "passwd", "password", "private_key", "secret", "token"];

/// Names of attributes and metric labels whose values are replaced by [`REDACTED`] before an exporter sees
/// them, also in messages.
///
/// A pattern matches a name that equals it or ends with it as a separate word: `token` matches `token`,
/// `session.token` and `ACCESS_TOKEN`, but not `tokens`. Case does not matter, and `-` equals `_`. In a
/// pattern with `*`, each `*` matches any characters, and the pattern must match the whole name: `*passw*`.
///
/// The default patterns are `api_key`, `apikey`, `authorization`, `cookie` (so also `set-cookie`), `passwd`,
/// `password`, `private_key`, `secret` and `token`.
///
/// ```
/// use throughline_export::Redaction;
/// let redaction = Redaction::default().with("*iban*");
/// assert!(redaction.hides("http.request.header.set-cookie") && redaction.hides("customer_iban_old"));
/// assert!(!redaction.hides("gen_ai.usage.input_tokens"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redaction {
    /// The patterns in the form that [`normal`] returns.
    patterns: Vec<String>,
}

impl Default for Redaction {
    fn default() -> Redaction {
        Redaction::new(DEFAULT)
    }
}

impl Redaction {
    /// Hides the names that match these patterns, and no others.
    pub fn new(patterns: impl IntoIterator<Item = impl AsRef<str>>) -> Redaction {
        let patterns = patterns.into_iter().map(|pattern| normal(pattern.as_ref().trim()));
        Redaction { patterns: patterns.filter(|pattern| !pattern.is_empty()).collect() }
    }

    /// Hides nothing.
    pub fn none() -> Redaction {
        Redaction { patterns: Vec::new() }
    }

    /// Also hides the names that match `pattern`.
    #[must_use]
    pub fn with(mut self, pattern: &str) -> Redaction {
        self.patterns.extend(Redaction::new([pattern]).patterns);
        self
    }

    /// Whether an attribute or label with this name is secret. Costs some comparisons of texts and an
    /// allocation.
    pub fn hides(&self, name: &str) -> bool {
        let name = normal(name);
        self.patterns.iter().any(|pattern| fits(pattern, &name))
    }
}

fn normal(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}

fn fits(pattern: &str, name: &str) -> bool {
    if pattern.contains('*') {
        return fits_glob(pattern, name);
    }
    let before = name.strip_suffix(pattern);
    before.is_some_and(|before| before.is_empty() || before.ends_with(['.', '_']))
}

/// Each `*` takes as few characters as possible, so the time is bounded by the product of the lengths.
fn fits_glob(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_at_the_end_are_hidden_whatever_their_case() {
        let redaction = Redaction::default();
        for name in [
            "password",
            "Password",
            "db.password",
            "x-api-key",
            "API_KEY",
            "http.request.header.Authorization",
        ] {
            assert!(redaction.hides(name), "{name}");
        }
        for name in ["", "passwords", "mypassword", "token_count", "key", "cookies"] {
            assert!(!redaction.hides(name), "{name}");
        }
        assert!(!Redaction::none().hides("password"));
        assert!(!Redaction::new(["", " "]).hides(""));
    }

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("a*", "ab", true),
            ("a*", "ba", false),
            ("*b", "ab", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "ace", true),
            ("a*c*e", "ae", false),
            ("a*a", "a", false),
            ("*passw*", "old_Passwd_hash", true),
        ] {
            assert_eq!(Redaction::new([pattern]).hides(name), expected, "{pattern} {name}");
        }
    }
}
