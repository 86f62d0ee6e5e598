//! The types that a key may have, and how a value is read from text and written as text.

use super::units::{duration, show_duration, show_size, size};
use std::fmt;
use std::time::Duration;
use throughline_export::text::{masked_url, percent_decode};
use throughline_export::{Mask, Redaction};

/// The type of a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number within these bounds.
    Int { least: u64, most: u64 },
    /// A number from 0 to 1.
    Ratio,
    /// A number that is not negative.
    Amount,
    /// A time with its unit: `250ms`, `10s`, `1m`.
    Duration,
    /// Bytes, with or without a unit: `65536`, `64KiB`.
    Size,
    /// Any text.
    Text,
    /// The path of a file or a folder.
    Path,
    /// An address, `http://…` or `https://…`.
    Url,
    /// A text that is never shown.
    Secret,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A list of these words; of any words if none are given.
    List(&'static [&'static str]),
    /// A map from names to texts.
    Map,
    /// A map from names to texts that are never shown.
    SecretMap,
}

/// A value of a key's type. `Debug` shows no secret.
#[derive(Clone, PartialEq)]
pub(crate) enum Value {
    Bool(bool),
    Int(u64),
    Float(f64),
    Duration(Duration),
    Size(u64),
    Text(String),
    Secret(String),
    List(Vec<String>),
    Map(Vec<(String, String)>),
    SecretMap(Vec<(String, String)>),
}

/// The text that is shown instead of a secret.
pub(crate) const MASK: &str = throughline_export::REDACTED;

impl Kind {
    /// Reads a value from the text of a variable. The error is worded so that it can follow a name and `text`
    /// itself.
    pub(crate) fn read(self, text: &str) -> Result<Value, String> {
        let trimmed = text.trim();
        Ok(match self {
            Kind::Bool => match trimmed.to_ascii_lowercase().as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "yes" | "on" | "1" => return Err(self.wanted() + "; write true"),
                "no" | "off" | "0" => return Err(self.wanted() + "; write false"),
                _ => return Err(self.wanted()),
            },
            Kind::Int { least, most } => {
                let number = trimmed.parse().ok().filter(|number| (least..=most).contains(number));
                Value::Int(number.ok_or_else(|| self.wanted())?)
            }
            Kind::Ratio => {
                let number: f64 = trimmed.parse().map_err(|_| self.wanted())?;
                if (1.0..=100.0).contains(&number) && number > 1.0 {
                    return Err(format!("{}; {number} % is {}", self.wanted(), number / 100.0));
                }
                if !(0.0..=1.0).contains(&number) {
                    return Err(self.wanted());
                }
                Value::Float(number)
            }
            Kind::Amount => {
                let number: f64 = trimmed.parse().map_err(|_| self.wanted())?;
                if !number.is_finite() || number < 0.0 {
                    return Err(self.wanted());
                }
                Value::Float(number)
            }
            Kind::Duration => Value::Duration(duration(trimmed).ok_or_else(|| self.wanted())?),
            Kind::Size => Value::Size(size(trimmed).ok_or_else(|| self.wanted())?),
            Kind::Text => Value::Text(text.to_owned()),
            Kind::Path if trimmed.is_empty() => return Err(self.wanted()),
            Kind::Path => Value::Text(trimmed.to_owned()),
            Kind::Url => Value::Text(super::url::check(trimmed)?),
            Kind::Secret => Value::Secret(text.to_owned()),
            Kind::OneOf(words) => Value::Text(
                word(words, trimmed)
                    .ok_or_else(|| format!("{}{}", self.wanted(), nearest(words, trimmed)))?,
            ),
            Kind::List(words) => {
                let items = trimmed.split(',').map(str::trim).filter(|item| !item.is_empty());
                Value::List(items.map(|item| list_word(words, item)).collect::<Result<_, _>>()?)
            }
            Kind::Map => Value::Map(pairs(trimmed)?),
            Kind::SecretMap => Value::SecretMap(pairs(trimmed)?),
        })
    }

    /// Describes a value of this type, in words that can follow "must be" or "is not".
    pub(crate) fn expects(self) -> String {
        match self {
            Kind::Bool => "true or false".into(),
            Kind::Int { least, most: u64::MAX } => format!("a whole number, {least} or more"),
            Kind::Int { least, most } => format!("a whole number from {least} to {most}"),
            Kind::Ratio => "a number from 0.0 to 1.0".into(),
            Kind::Amount => "a number that is not negative".into(),
            Kind::Duration => "a time with its unit, such as 10s or 250ms".into(),
            Kind::Size => "a size such as 64KiB or 10MiB".into(),
            Kind::Text => "a text".into(),
            Kind::Path => "the path of a file or a folder".into(),
            Kind::Url => "a URL such as http://localhost:4318".into(),
            Kind::Secret => "a text (write it as \"${VARIABLE}\" to keep it out of the file)".into(),
            Kind::OneOf(words) => one_of(words),
            Kind::List([]) => "a list of texts".into(),
            Kind::List(words) => format!("a list of {}", one_of(words)),
            Kind::Map | Kind::SecretMap => "names with a text each".into(),
        }
    }

    /// The text of a value as an error may show it; `None` if the whole of it may be secret.
    pub(crate) fn shown(self, text: &str) -> Option<String> {
        match self {
            Kind::Secret | Kind::SecretMap | Kind::Map => None,
            // Any text may be a URL that was meant for another key.
            _ => Some(shown_text(text)),
        }
    }

    fn wanted(self) -> String {
        format!("is not {}", self.expects())
    }
}

/// Joins the words with commas and "or".
fn one_of(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [word] => (*word).into(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// Finds `text` among the words, ignoring case.
fn word(words: &[&str], text: &str) -> Option<String> {
    words.iter().find(|word| word.eq_ignore_ascii_case(text)).map(|word| (*word).to_owned())
}

/// Asks whether the only word that `text` is most like was meant; empty if there is none.
fn nearest(words: &[&str], text: &str) -> String {
    let text = text.to_ascii_lowercase();
    let steps = |word: &str| strsim::damerau_levenshtein(word, &text);
    let Some(fewest) = words.iter().map(|word| steps(word)).min().filter(|steps| *steps <= 2) else {
        return String::new();
    };
    let near: Vec<_> = words.iter().filter(|word| steps(word) == fewest && word.len() > fewest).collect();
    if let [word] = near[..] { format!("; did you mean {word}?") } else { String::new() }
}

/// Reads an item of a list of these words; of any words if none are given.
pub(super) fn list_word(words: &[&str], item: &str) -> Result<String, String> {
    if words.is_empty() {
        return Ok(item.to_owned());
    }
    word(words, item).ok_or_else(|| {
        let near = nearest(words, item);
        format!("has `{}`, which is not {}{near}", shown_text(item), one_of(words))
    })
}

/// Reads `name=value,name=value`, percent-encoded as in W3C Baggage and in OpenTelemetry's variables.
fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    const WANTED: &str = "is not name=value pairs with commas between them (a comma within a value is %2C)";
    let decode = |part: &str| percent_decode(part.trim()).ok_or_else(|| WANTED.to_owned());
    let mut all = Vec::new();
    for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
        let (name, value) = pair.split_once('=').ok_or(WANTED)?;
        let name = decode(name)?;
        if name.is_empty() {
            return Err(WANTED.into());
        }
        put(&mut all, name, decode(value)?);
    }
    Ok(all)
}

/// Sets the text of a name, replacing an earlier one.
pub(super) fn put(pairs: &mut Vec<(String, String)>, name: String, text: String) {
    match pairs.iter_mut().find(|(known, _)| *known == name) {
        Some((_, known)) => *known = text,
        None => pairs.push((name, text)),
    }
}

impl Value {
    pub(crate) fn bool(&self) -> bool {
        matches!(self, Value::Bool(true))
    }

    pub(crate) fn int(&self) -> u64 {
        match self {
            Value::Int(number) | Value::Size(number) => *number,
            _ => 0,
        }
    }

    pub(crate) fn size(&self) -> usize {
        usize::try_from(self.int()).unwrap_or(usize::MAX)
    }

    pub(crate) fn float(&self) -> f64 {
        if let Value::Float(number) = self { *number } else { 0.0 }
    }

    pub(crate) fn duration(&self) -> Duration {
        if let Value::Duration(duration) = self { *duration } else { Duration::ZERO }
    }

    pub(crate) fn text(&self) -> &str {
        match self {
            Value::Text(text) | Value::Secret(text) => text,
            _ => "",
        }
    }

    pub(crate) fn list(&self) -> &[String] {
        if let Value::List(list) = self { list } else { &[] }
    }

    pub(crate) fn pairs(&self) -> &[(String, String)] {
        match self {
            Value::Map(pairs) | Value::SecretMap(pairs) => pairs,
            _ => &[],
        }
    }

    /// Writes the value in TOML's notation, including secrets.
    pub(crate) fn toml(&self) -> String {
        match self {
            Value::Bool(on) => on.to_string(),
            Value::Int(number) => number.to_string(),
            Value::Float(number) => format!("{number:?}"),
            Value::Duration(time) => quoted(&show_duration(*time)),
            Value::Size(bytes) => quoted(&show_size(*bytes)),
            Value::Text(text) | Value::Secret(text) => quoted(&literal(text)),
            Value::List(items) => {
                let items: Vec<String> = items.iter().map(|item| quoted(&literal(item))).collect();
                format!("[{}]", items.join(", "))
            }
            Value::Map(pairs) | Value::SecretMap(pairs) => table(pairs, |_, text| literal(text)),
        }
    }

    /// Writes the value in TOML's notation, with a mask in place of each secret: also of a part of a URL that may
    /// be secret, and of a text in a map whose name says that it is.
    pub(crate) fn masked(&self) -> String {
        match self {
            Value::Secret(_) => quoted(MASK),
            Value::SecretMap(pairs) => table(pairs, |_, _| MASK.into()),
            Value::Map(pairs) => {
                let secret = Redaction::default();
                table(
                    pairs,
                    |name, text| if secret.hides(name) { MASK.into() } else { literal(&shown_text(text)) },
                )
            }
            Value::Text(text) => quoted(&literal(&shown_text(text))),
            Value::List(items) => Value::List(shown_items(items)).toml(),
            other => other.toml(),
        }
    }
}

/// The items of a list, which may be arguments of a command: `--token=…`, and what follows `--token`, are masked.
fn shown_items(items: &[String]) -> Vec<String> {
    let (secret, mut mask) = (Redaction::default(), Mask::default());
    let flags = std::iter::once("").chain(items.iter().map(String::as_str));
    let is_secret =
        |flag: &str| flag.strip_prefix('-').is_some_and(|name| secret.hides(name.trim_start_matches('-')));
    let shown = flags.zip(items).map(|(flag, item)| match is_secret(flag) {
        true => MASK.into(),
        false => mask.masked(item).unwrap_or_else(|| shown_text(item)),
    });
    shown.collect()
}

/// The text, with what may be secret in it masked if it looks like a URL.
fn shown_text(text: &str) -> String {
    let has = |c: char| text.contains(c);
    let is_url = text.contains("://") || has('@') && has(':') || has('?') && has('=');
    if is_url { masked_url(text) } else { text.to_owned() }
}

/// Escapes `${`, which would otherwise be read as a variable.
fn literal(text: &str) -> String {
    text.replace("${", "$${")
}

fn table(pairs: &[(String, String)], show: impl Fn(&str, &str) -> String) -> String {
    let pair = |(name, text): &(String, String)| format!("{} = {}", quoted(name), quoted(&show(name, text)));
    let pairs: Vec<String> = pairs.iter().map(pair).collect();
    if pairs.is_empty() { "{}".into() } else { format!("{{ {} }}", pairs.join(", ")) }
}

/// Quotes the text as a basic string of TOML, which is a valid string of JSON too.
pub(super) fn quoted(text: &str) -> String {
    use fmt::Write;
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => _ = write!(out, "\\u{:04X}", c as u32),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}
