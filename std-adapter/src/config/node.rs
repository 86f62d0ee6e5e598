//! The tree of a configuration file, with line numbers. It is the same for all languages.

use super::problem::Problem;

/// A value in a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) line: u32,
    /// The column, counted in characters from 1.
    pub(crate) column: u32,
    pub(crate) data: Data,
}

#[cfg_attr(
    not(feature = "yaml"),
    allow(dead_code, reason = "only YAML has values that are empty, and without a language nothing is read")
)]
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Data {
    /// No value, as in `key:` of YAML.
    #[cfg_attr(not(feature = "yaml"), expect(dead_code, reason = "TOML has no such value"))]
    Null,
    Bool(bool),
    /// A number as it is written, and whether it may be meant as text. In YAML, a version such as `1.10`
    /// needs no quotes and looks like a number.
    Number(String, bool),
    Text(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key in a file, and its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) line: u32,
    pub(crate) node: Node,
}

impl Data {
    /// Describes the value, in words that can follow "is".
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Data::Null => "empty",
            Data::Bool(_) => "true or false",
            Data::Number(..) => "a number",
            Data::Text(_) => "a text",
            Data::List(_) => "a list",
            Data::Table(_) => "a section",
        }
    }
}

/// The languages of configuration files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Toml,
    Yaml,
}

impl Language {
    /// Determines the language from the ending of the file's name.
    pub(crate) fn of(path: &std::path::Path) -> Option<Language> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "toml" => Some(Language::Toml),
            // JSON is a subset of YAML.
            "yaml" | "yml" | "json" => Some(Language::Yaml),
            _ => None,
        }
    }
}

/// Most values in a file of configuration. Each alias counts as many as it expands to, because aliases of aliases could
/// otherwise grow without limit.
const MOST_NODES: usize = 10_000;

/// Reads as much of the text as possible. The errors have a line, but no file yet.
pub(crate) fn parse(text: &str, language: Language) -> (Node, Vec<Problem>) {
    parse_up_to(text, language, MOST_NODES)
}

/// The same for a file of at most so many values.
pub(crate) fn parse_up_to(text: &str, language: Language, _most: usize) -> (Node, Vec<Problem>) {
    // Some editors put a byte order mark at the start of a file.
    let _text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match language {
        #[cfg(feature = "toml")]
        Language::Toml => super::toml::parse(_text),
        #[cfg(feature = "yaml")]
        Language::Yaml => super::yaml::parse(_text, _most),
        #[allow(unreachable_patterns, reason = "with both features there is nothing left")]
        _ => {
            let (name, feature) = match language {
                Language::Toml => ("TOML", "toml"),
                Language::Yaml => ("YAML", "yaml"),
            };
            let problem =
                format!("this build reads no {name}; build throughline-std with the feature `{feature}`");
            (Node { line: 1, column: 1, data: Data::Table(Vec::new()) }, vec![Problem::whole(problem)])
        }
    }
}
