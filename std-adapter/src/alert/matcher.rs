//! Matchers of labels, as in selectors, silences and inhibition.

use super::Labels;
use regex::Regex;
use std::fmt;
use std::hash::{Hash, Hasher};

/// Most bytes of a compiled regular expression.
const REGEX_LIMIT: usize = 1 << 20;

/// A condition on one label: `route="/cart"`, `code!="200"`, `code=~"5.."` or `code!~"4.."`. A label that is missing has the value "". A regular
/// expression must match the whole value.
#[derive(Clone, Debug)]
pub struct Matcher {
    name: String,
    operator: Operator,
    value: String,
    regex: Option<Regex>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Matches,
    MatchesNot,
}

impl Operator {
    /// The longest first, so that the first that fits is meant.
    pub(super) const ALL: [(&'static str, Operator); 4] = [
        ("!=", Operator::NotEqual),
        ("=~", Operator::Matches),
        ("!~", Operator::MatchesNot),
        ("=", Operator::Equal),
    ];

    fn as_str(self) -> &'static str {
        Operator::ALL.into_iter().find(|(_, operator)| *operator == self).map_or("", |(text, _)| text)
    }
}

impl Matcher {
    /// The label has this value.
    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Matcher {
        Matcher { name: name.into(), operator: Operator::Equal, value: value.into(), regex: None }
    }

    /// Reads `name="value"` with one of the operators `=`, `!=`, `=~` and `!~`. The quotes may be left out.
    ///
    /// ```
    /// use throughline_std::alert::{Labels, Matcher};
    /// let matcher = Matcher::parse(r#"code=~"5..""#)?;
    /// assert!(matcher.matches(&Labels::new([("code", "503")])));
    /// assert!(!matcher.matches(&Labels::new([("code", "1503")])));
    /// # Ok::<(), String>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What is wrong with the text, as a sentence.
    pub fn parse(text: &str) -> Result<Matcher, String> {
        let text = text.trim();
        let at = text.find(['=', '!']).unwrap_or(text.len());
        let (name, rest) = (text[..at].trim(), &text[at..]);
        let found = Operator::ALL.into_iter().find_map(|(sign, op)| Some((op, rest.strip_prefix(sign)?)));
        let Some((operator, value)) = found.filter(|_| !name.is_empty()) else {
            return Err(format!(
                "`{text}` is no matcher; write such as severity=\"critical\" or code=~\"5..\""
            ));
        };
        let value = value.trim();
        let value = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
        Matcher::new(name, operator, value)
    }

    pub(super) fn new(name: &str, operator: Operator, value: &str) -> Result<Matcher, String> {
        let is_regex = matches!(operator, Operator::Matches | Operator::MatchesNot);
        let compiled = |value: &str| {
            let build = |text: &str| regex::RegexBuilder::new(text).size_limit(REGEX_LIMIT).build();
            // By itself first, because `a)|(b` is one only between other parentheses.
            build(value).and_then(|_| build(&format!("^(?s:{value})$"))).map_err(|error| {
                let why = error.to_string();
                let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ");
                format!("`{value}` is no regular expression: {why}")
            })
        };
        let regex = is_regex.then(|| compiled(value)).transpose()?;
        Ok(Matcher { name: name.into(), operator, value: value.into(), regex })
    }

    /// The label that it looks at.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn value(&self) -> &str {
        &self.value
    }

    /// Whether only one value fits, which is not that of a missing label.
    pub(super) fn is_exact(&self) -> bool {
        self.operator == Operator::Equal && !self.value.is_empty()
    }

    pub(super) fn operator(&self) -> Operator {
        self.operator
    }

    /// Whether these labels fit.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.matches_value(labels.get(&self.name).unwrap_or_default())
    }

    pub(super) fn matches_value(&self, value: &str) -> bool {
        match self.operator {
            Operator::Equal => value == self.value,
            Operator::NotEqual => value != self.value,
            Operator::Matches => self.regex.as_ref().is_some_and(|regex| regex.is_match(value)),
            Operator::MatchesNot => !self.regex.as_ref().is_some_and(|regex| regex.is_match(value)),
        }
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = throughline_export::text::json(&self.value);
        write!(f, "{}{}{value}", self.name, self.operator.as_str())
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Matcher) -> bool {
        (&self.name, self.operator, &self.value) == (&other.name, other.operator, &other.value)
    }
}

impl Eq for Matcher {}

impl Hash for Matcher {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.name, self.operator, &self.value).hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_operators() {
        let labels = Labels::new([("code", "503"), ("text", "a\nb")]);
        for (text, fits) in [
            ("code=503", true),
            ("code = \"50\"", false),
            ("code!=\"503\"", false),
            ("code=~\"5..|200\"", true),
            ("code=~\"0\"", false),
            ("code!~\"4..\"", true),
            ("gone=\"\"", true),
            ("gone!=\"x\"", true),
            ("gone=~\".+\"", false),
            ("text=~\"a.b\"", true),
        ] {
            let matcher = Matcher::parse(text).unwrap();
            assert_eq!(matcher.matches(&labels), fits, "{text}");
            assert_eq!(Matcher::parse(&matcher.to_string()).unwrap(), matcher);
        }
        for text in ["", "code", "=x", "code~x", "code=~\"(\""] {
            assert!(Matcher::parse(text).is_err(), "{text}");
        }
    }
}
