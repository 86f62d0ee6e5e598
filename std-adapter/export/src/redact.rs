//! Secret attributes: their values never leave the process.

/// Replaces a secret value.
pub const REDACTED: &str = "[REDACTED]";

/// The names that are secret by default.
const DEFAULT: [&str; 25] = [
    "*passwd",
    "*password",
    "access_key",
    "access_token",
    "api_key",
    "apikey",
    "auth_token",
    "authorization",
    "connection_string",
    "cookie",
    "credential",
    "credentials",
    "encryption_key",
    "jwt",
    "passphrase",
    "passwd",
    "password",
    "private_key",
    "privatekey",
    "pwd",
    "secret",
    "secret_key",
    "secrets",
    "signing_key",
    "token",
];

/// Words after a secret name that leave it secret, as in `password_hash`. Numbers do too.
const AFTER: [&str; 12] = [
    "again",
    "base64",
    "confirm",
    "confirmation",
    "encoded",
    "hash",
    "header",
    "new",
    "old",
    "plain",
    "text",
    "value",
];

/// Names of attributes and metric labels whose values are replaced by [`REDACTED`] before an exporter sees
/// them, also within texts.
///
/// Names and patterns are compared by their words, whether these are written `user_password`, `user-password`,
/// `user.password` or `userPassword`; case does not matter. A pattern matches a name that ends with its words:
/// `token` matches `session.token`, `ACCESS_TOKEN` and `accessToken`, but not `tokens` and `token_count`. A number
/// or a word such as `hash`, `value` or `old` may follow: `password2`, `password_hash`. In a pattern with `*`, each
/// `*` matches any characters, and the pattern must match the whole name: `*passw*`.
///
/// The default patterns are `*passwd`, `*password`, `access_key`, `access_token`, `api_key`, `apikey`, `auth_token`,
/// `authorization`, `connection_string`, `cookie` (so also `set-cookie`), `credential`, `credentials`,
/// `encryption_key`, `jwt`, `passphrase`, `passwd`, `password`, `private_key`, `privatekey`, `pwd`, `secret`,
/// `secret_key`, `secrets`, `signing_key` and `token`.
///
/// ```
/// use throughline_export::Redaction;
/// let redaction = Redaction::default().with("*iban*");
/// assert!(redaction.hides("http.request.header.set-cookie") && redaction.hides("customer_iban_old"));
/// assert!(redaction.hides("userPassword") && !redaction.hides("gen_ai.usage.input_tokens"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redaction {
    patterns: Vec<Pattern>,
    messages: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Words(Vec<String>),
    /// With `*`, in the form that [`normal`] returns.
    Glob(String),
}

impl Default for Redaction {
    fn default() -> Redaction {
        Redaction::new(DEFAULT)
    }
}

impl Redaction {
    /// Hides the names that match these patterns, and no others.
    pub fn new(patterns: impl IntoIterator<Item = impl AsRef<str>>) -> Redaction {
        let pattern = |text: &str| {
            let words = words(text);
            match text.contains('*') {
                true => Some(Pattern::Glob(normal(text))),
                false => (!words.is_empty()).then_some(Pattern::Words(words)),
            }
        };
        Redaction {
            patterns: patterns.into_iter().filter_map(|text| pattern(text.as_ref().trim())).collect(),
            messages: true,
        }
    }

    /// Hides nothing.
    pub fn none() -> Redaction {
        Redaction { patterns: Vec::new(), messages: false }
    }

    /// Whether secrets are looked for within texts too, where they follow their names: `password=…`, `"password":"…"`, `Bearer …`. Texts are those of
    /// messages, attributes (also of lists of texts), errors, labels of metrics, correlation fields, the resource, and names of spans. The default is true.
    #[must_use]
    pub fn messages(self, on: bool) -> Redaction {
        Redaction { messages: on, ..self }
    }

    /// Whether secrets are looked for within texts.
    pub fn is_for_messages(&self) -> bool {
        self.messages
    }

    /// Also hides the names that match `pattern`.
    #[must_use]
    pub fn with(mut self, pattern: &str) -> Redaction {
        self.patterns.extend(Redaction::new([pattern]).patterns);
        self
    }

    /// Whether an attribute or label with this name is secret. Costs some comparisons of texts, and an
    /// allocation for each word of the name.
    pub fn hides(&self, name: &str) -> bool {
        if self.patterns.is_empty() {
            return false;
        }
        let (whole, words) = (normal(name), words(name));
        self.patterns.iter().any(|pattern| match pattern {
            Pattern::Glob(pattern) => fits_glob(pattern, &whole),
            Pattern::Words(pattern) => ends_with(&words, pattern),
        })
    }
}

fn normal(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}

/// The words of a name, in lower case. A word ends at a character that is no letter and no digit, between
/// letters and digits, before a capital after a small letter, and before the last capital of several if a small
/// letter follows: `HTTPServer2` has three words.
fn words(name: &str) -> Vec<String> {
    let chars: Vec<char> = name.chars().collect();
    let mut words = vec![String::new()];
    for (at, c) in chars.iter().copied().enumerate() {
        let before = at.checked_sub(1).map(|at| chars[at]);
        let after = chars.get(at + 1);
        let begins = before.is_some_and(|before| {
            before.is_numeric() != c.is_numeric()
                || c.is_uppercase() && (before.is_lowercase() || after.is_some_and(|c| c.is_lowercase()))
        });
        if begins || !c.is_alphanumeric() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether the name ends with the pattern's words, apart from words that leave it secret.
fn ends_with(mut name: &[String], pattern: &[String]) -> bool {
    loop {
        if name.ends_with(pattern) {
            return true;
        }
        match name.split_last() {
            Some((last, rest)) if AFTER.contains(&&**last) || last.chars().all(char::is_numeric) => {
                name = rest
            }
            _ => return false,
        }
    }
}

/// Whether the whole name fits the pattern, in which each `*` stands for any characters.
///
/// ```
/// use throughline_export::text::fits_glob;
/// assert!(fits_glob("/orders/*", "/orders/{id}") && !fits_glob("/orders", "/orders/{id}"));
/// ```
pub fn fits_glob(pattern: &str, name: &str) -> bool {
    // Each `*` takes as few characters as possible, so the time is bounded by the product of the lengths.
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
    fn secret_words_at_the_end_are_hidden_however_they_are_written() {
        let redaction = Redaction::default();
        for name in [
            "password",
            "Password",
            "db.password",
            "userPassword",
            "UserPassword",
            "mypassword",
            "dbpasswd",
            "password2",
            "oldPasswordHash",
            "new_password_confirm",
            "pwd",
            "userPwd",
            "PASSWD",
            "passphrase",
            "jwt",
            "userJWT",
            "clientSecret",
            "client-secret",
            "secrets",
            "credential",
            "awsCredentials",
            "access_token",
            "accessToken",
            "ACCESS_TOKEN",
            "idToken",
            "private_key",
            "privateKey",
            "SSHPrivateKey",
            "aws.secretAccessKey",
            "x-api-key",
            "API_KEY",
            "APIKey",
            "apiKey",
            "xApikey",
            "set-cookie",
            "setCookie",
            "http.request.header.Authorization",
            "proxyAuthorization",
            "db.connectionString",
        ] {
            assert!(redaction.hides(name), "{name}");
        }
        for name in [
            "",
            "_",
            "passwords",
            "token_count",
            "tokenCount",
            "input_tokens",
            "key",
            "cookies",
            "tokenizer",
            "secretary",
            "cwd",
            "pwdump",
            "forward",
            "author",
            "key_id",
            "x",
            "2",
        ] {
            assert!(!redaction.hides(name), "{name}");
        }
        assert!(!Redaction::none().hides("password"));
        assert!(!Redaction::new(["", " ", "-"]).hides(""));
        assert!(Redaction::new(["sessionId"]).hides("http.session_id"));
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
