//! Defines a key of the configuration. Everything that is known about a key is in its [`Key`], and nowhere
//! else.

use super::value::{Kind, Value};
use crate::config::Config;

/// A key of the tables in [`keys`](super::keys). Reading files and variables, error texts, the reference file
/// and the JSON Schema are all derived from it.
pub(crate) struct Key {
    /// The sections and the name, separated by dots: `tracing.sampling.probability`.
    pub(crate) path: &'static str,
    pub(crate) kind: Kind,
    /// The default, in the notation of a variable; empty if there is none.
    pub(crate) default: &'static str,
    /// A value for the reference file, if there is no default.
    pub(crate) example: &'static str,
    /// What the key is for, in one or two sentences.
    pub(crate) doc: &'static str,
    /// Variables of other standards that set this key too.
    pub(crate) standard: &'static [Standard],
    pub(crate) state: State,
    /// Whether a time or a size of 0 is refused.
    pub(crate) is_more_than_zero: bool,
    /// Puts the value into the configuration. The text of an error says what is wrong and what to do.
    pub(crate) apply: Apply,
}

pub(crate) type Apply = fn(&mut Config, &Value) -> Result<(), String>;

/// Whether this build has the feature that a key belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The feature is in this build.
    Built,
    /// This build lacks the feature of this name, and the service runs correctly without it. Asking for it is a warning.
    NoFeature(&'static str),
    /// This version lacks this, and the service runs correctly without it. Asking for it is a warning.
    NotYet(&'static str),
}

/// A variable of another standard.
pub(crate) struct Standard {
    pub(crate) name: &'static str,
    /// Converts its value to the notation of a `THROUGHLINE_` variable.
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
        Key {
            path,
            kind,
            default,
            example: "",
            doc,
            standard: &[],
            state: State::Built,
            is_more_than_zero: false,
            apply,
        }
    }

    pub(crate) const fn example(mut self, example: &'static str) -> Key {
        self.example = example;
        self
    }

    /// A time or a size that makes no sense as 0.
    pub(crate) const fn more_than_zero(mut self) -> Key {
        self.is_more_than_zero = true;
        self
    }

    /// A key whose value is looked at when it is read, and used when the exporters start.
    pub(crate) const fn checked(mut self, check: Apply) -> Key {
        self.apply = check;
        self
    }

    pub(crate) const fn standard(mut self, standard: &'static [Standard]) -> Key {
        self.standard = standard;
        self
    }

    /// A key whose value is read when the exporters start.
    pub(crate) const fn of_exporter(
        path: &'static str,
        kind: Kind,
        default: &'static str,
        doc: &'static str,
    ) -> Key {
        Key::new(path, kind, default, doc, |_, _| Ok(()))
    }

    /// A key that needs a feature. A build without it takes the key with a warning.
    pub(crate) const fn of_feature(mut self, feature: &'static str, is_built: bool) -> Key {
        if !is_built {
            self.state = State::NoFeature(feature);
        }
        self
    }

    /// Finds a time or a size of 0 where that makes no sense, and a secret that is empty.
    pub(crate) fn refuse_nothing(&self, value: &Value) -> Result<(), String> {
        let what = match value {
            Value::Secret(text) if text.trim().is_empty() => {
                return Err("is empty; set the variable or write the secret, or remove the key".into());
            }
            Value::Duration(time) if time.is_zero() => "time",
            Value::Size(0) => "room",
            _ => return Ok(()),
        };
        if !self.is_more_than_zero {
            return Ok(());
        }
        let default =
            self.default_value().map(|value| format!(" (the default is {})", value.toml().replace('"', "")));
        Err(format!(
            "is 0, which leaves no {what} at all; give more, or remove it{}",
            default.unwrap_or_default()
        ))
    }

    /// The variable that sets this key, such as `THROUGHLINE_TRACING_SAMPLING_PROBABILITY`.
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

    /// The section that the key is in; empty for a key at the top.
    pub(crate) fn section(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(section, _)| section)
    }

    /// The key's name within its section.
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
    /// The value has the same notation as in a `THROUGHLINE_` variable.
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
