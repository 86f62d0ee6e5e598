//! A configuration file as a tree with line numbers, whatever language it was written in.

use super::problem::Problem;

/// A value in a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) line: u32,
    pub(crate) data: Data,
}

#[cfg_attr(
    not(feature = "yaml"),
    allow(dead_code, reason = "only YAML has values that are empty, and without a language nothing is read")
)]
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Data {
    /// Nothing, as in `key:` of YAML.
    #[cfg_attr(not(feature = "yaml"), expect(dead_code, reason = "TOML has no such value"))]
    Null,
    Bool(bool),
    /// A number as it is written, and whether it may stand for text: YAML has no quotes around `1.10`, which may be a version.
    Number(String, bool),
    Text(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key in a file, and what is there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) line: u32,
    pub(crate) node: Node,
}

impl Data {
    /// What it is, after "is".
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

/// The languages that a file may be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Toml,
    Yaml,
}

impl Language {
    /// By the ending of the file's name.
    pub(crate) fn of(path: &std::path::Path) -> Option<Language> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "toml" => Some(Language::Toml),
            // JSON is YAML too.
            "yaml" | "yml" | "json" => Some(Language::Yaml),
            _ => None,
        }
    }
}

/// Reads the text as far as it can be read. What is wrong with it has a line, but no file yet.
pub(crate) fn parse(text: &str, language: Language) -> (Node, Vec<Problem>) {
    // Some editors begin a file with a mark of its encoding.
    let _text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match language {
        #[cfg(feature = "toml")]
        Language::Toml => super::toml::parse(_text),
        #[cfg(feature = "yaml")]
        Language::Yaml => super::yaml::parse(_text),
        #[allow(unreachable_patterns, reason = "with both features there is nothing left")]
        _ => {
            let (name, feature) = match language {
                Language::Toml => ("TOML", "toml"),
                Language::Yaml => ("YAML", "yaml"),
            };
            let problem =
                format!("this build reads no {name}; build throughline-std with the feature `{feature}`");
            (Node { line: 1, data: Data::Table(Vec::new()) }, vec![Problem::whole(problem)])
        }
    }
}
