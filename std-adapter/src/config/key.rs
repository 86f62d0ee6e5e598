//! What a key of the configuration is: everything that is known about one is in its [`Key`], and nowhere else.

use super::value::{Kind, Value};
use crate::config::Config;

/// A key, as the tables in [`keys`](super::keys) list them. Reading files and variables, error texts, the reference file and the JSON Schema all
/// come from it.
pub(crate) struct Key {
    /// Sections and name, with dots: `tracing.sampling.probability`.
    pub(crate) path: &'static str,
    pub(crate) kind: Kind,
    /// The default as a variable would give it; empty when there is none.
    pub(crate) default: &'static str,
    /// A value for the reference file where there is no default.
    pub(crate) example: &'static str,
    /// What it is for, in a sentence or two.
    pub(crate) doc: &'static str,
    /// Variables of other standards that set it too.
    pub(crate) standard: &'static [Standard],
    pub(crate) state: State,
    /// Puts the value into the configuration; the text of an error says what is wrong and what to do.
    pub(crate) apply: Apply,
}

pub(crate) type Apply = fn(&mut Config, &Value) -> Result<(), String>;

/// Whether what a key is about is in this build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It works.
    Built,
    /// An exporter of this name is missing; to set its keys is an error, unless they turn it off.
    NoExporter(&'static str),
    /// Something else is missing without which the service runs just as well; to ask for it is a warning.
    NotYet(&'static str),
}

/// A variable of another standard.
pub(crate) struct Standard {
    pub(crate) name: &'static str,
    /// Makes of its value what a variable of ours would say.
    pub(crate) translate: fn(&str) -> Result<String, String>,
}

impl Key {
    pub(crate) const fn new(
        path: &'static str,
        kind: Kind,
        default: &'static str,
        doc: &'static str,
        apply: Apply,
    ) -> Key {
        Key { path, kind, default, example: "", doc, standard: &[], state: State::Built, apply }
    }

    pub(crate) const fn example(mut self, example: &'static str) -> Key {
        self.example = example;
        self
    }

    pub(crate) const fn standard(mut self, standard: &'static [Standard]) -> Key {
        self.standard = standard;
        self
    }

    /// A key that is read when the exporters start.
    pub(crate) const fn of_exporter(
        path: &'static str,
        kind: Kind,
        default: &'static str,
        doc: &'static str,
    ) -> Key {
        Key::new(path, kind, default, doc, |_, _| Ok(()))
    }

    /// A key of an exporter that is not in this build.
    pub(crate) const fn no_exporter(
        path: &'static str,
        kind: Kind,
        default: &'static str,
        doc: &'static str,
        exporter: &'static str,
    ) -> Key {
        let mut key = Key::new(path, kind, default, doc, |_, _| Ok(()));
        key.state = State::NoExporter(exporter);
        key
    }

    /// A key of something else that is not in this build.
    pub(crate) const fn not_yet(
        path: &'static str,
        kind: Kind,
        default: &'static str,
        doc: &'static str,
        what: &'static str,
    ) -> Key {
        let mut key = Key::new(path, kind, default, doc, |_, _| Ok(()));
        key.state = State::NotYet(what);
        key
    }

    /// The variable that sets it: `THROUGHLINE_TRACING_SAMPLING_PROBABILITY`.
    pub(crate) fn variable(&self) -> String {
        format!("THROUGHLINE_{}", self.path.replace('.', "_").to_uppercase())
    }

    /// The default, if there is one.
    pub(crate) fn default_value(&self) -> Option<Value> {
        self.kind.read(self.default).ok().filter(|_| !self.default.is_empty())
    }

    /// The default or the example.
    pub(crate) fn shown_value(&self) -> Option<Value> {
        self.default_value().or_else(|| self.kind.read(self.example).ok())
    }

    /// The section that it is in; empty at the top.
    pub(crate) fn section(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(section, _)| section)
    }

    /// Its name within the section.
    pub(crate) fn name(&self) -> &'static str {
        self.path.rsplit_once('.').map_or(self.path, |(_, name)| name)
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.path)
    }
}

impl Standard {
    /// The value means the same as in a variable of ours.
    pub(crate) const fn same(name: &'static str) -> Standard {
        Standard { name, translate: |value| Ok(value.to_owned()) }
    }

    /// The value is a number of milliseconds.
    pub(crate) const fn milliseconds(name: &'static str) -> Standard {
        Standard {
            name,
            translate: |value| match value.parse::<u64>() {
                Ok(_) => Ok(format!("{value}ms")),
                Err(_) => Err("is not a number of milliseconds; give one such as 5000".to_owned()),
            },
        }
    }
}
