//! The values from files and the environment, each with its origin.

use super::key::{Key, State};
use super::problem::Problem;
use super::value::{Value, put};
use std::fmt;
use std::path::PathBuf;

/// The origin of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// The default, because nothing else sets the value.
    Default,
    /// A file.
    File {
        /// Its path, as it was given.
        path: PathBuf,
        /// The line, counted from 1.
        line: u32,
    },
    /// The environment variable of this name.
    Variable(String),
}

/// Writes `default`, `shop.toml:12` or the variable's name.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::Variable(name) => f.write_str(name),
        }
    }
}

/// A value for a key. `Debug` shows no secret.
#[derive(Clone)]
pub(crate) struct Setting {
    pub(crate) key: &'static Key,
    pub(crate) value: Value,
    pub(crate) origin: Origin,
    /// The key as the file or variable names it.
    pub(crate) written: String,
    /// Whether the value may hold a secret, although its key does not.
    pub(crate) tainted: bool,
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {} ({})", self.key.path, self.shown(), self.origin)
    }
}

impl Setting {
    /// Whether the value comes from a variable of another standard. A wrong value there is only a warning.
    pub(crate) fn is_of_standard(&self) -> bool {
        matches!(&self.origin, Origin::Variable(name) if !name.starts_with("THROUGHLINE_"))
    }

    /// Reports a problem with this setting, with its place.
    pub(crate) fn problem(&self, text: impl Into<String>) -> Problem {
        match &self.origin {
            Origin::File { path, line } => Problem::of(*line, &self.written, text).in_file(path),
            _ => Problem::variable(&self.written, text),
        }
    }

    /// The error for a time or a size of 0 where that makes no sense, and for a secret that is empty.
    pub(crate) fn is_nothing(&self) -> Option<Problem> {
        self.key.refuse_nothing(&self.value).err().map(|error| self.problem(error))
    }

    /// The value in TOML's notation, with a mask in place of a possible secret.
    pub(crate) fn shown(&self) -> String {
        if self.tainted {
            return match &self.value {
                Value::Map(pairs) | Value::SecretMap(pairs) => Value::SecretMap(pairs.clone()).masked(),
                _ => Value::Secret(String::new()).masked(),
            };
        }
        self.value.masked()
    }
}

/// The settings, at most one for each key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings(Vec<Setting>);

impl Settings {
    pub(crate) fn get(&self, path: &str) -> Option<&Setting> {
        self.0.iter().find(|setting| setting.key.path == path)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.0.iter()
    }

    /// The first setting of a section that comes from a file or a `THROUGHLINE_` variable.
    pub(crate) fn first_in(&self, section: &str) -> Option<&Setting> {
        self.0.iter().find(|setting| setting.key.section() == section && !setting.is_of_standard())
    }

    /// Whether both have the same values, wherever they come from.
    pub(crate) fn has_values_of(&self, other: &Settings) -> bool {
        let has = |of: &Settings, one: &Setting| of.get(one.key.path).is_some_and(|it| it.value == one.value);
        self.0.len() == other.0.len() && self.0.iter().all(|one| has(other, one))
    }

    /// Removes the value of a key.
    pub(crate) fn remove(&mut self, path: &str) {
        self.0.retain(|setting| setting.key.path != path);
    }

    /// Adds a value, which replaces an earlier one. The entries of maps are merged.
    pub(crate) fn put(&mut self, mut setting: Setting) {
        let Some(known) = self.0.iter_mut().find(|known| std::ptr::eq(known.key, setting.key)) else {
            self.0.push(setting);
            return;
        };
        if let (Value::Map(known) | Value::SecretMap(known), Value::Map(pairs) | Value::SecretMap(pairs)) =
            (&mut known.value, &mut setting.value)
        {
            let mut all = std::mem::take(known);
            pairs.drain(..).for_each(|(name, text)| put(&mut all, name, text));
            *pairs = all;
        }
        *known = setting;
    }

    /// Warnings for settings of features that are not in this build, one for each feature that is asked for.
    pub(crate) fn missing(&self) -> Vec<Problem> {
        let mut warnings = Vec::new();
        let mut told = Vec::new();
        for setting in &self.0 {
            let (what, feature) = match setting.key.state {
                State::Built => continue,
                State::NotYet(what) => (what, None),
                State::NoFeature(feature) => (feature, Some(feature)),
            };
            let section = setting.key.section();
            let top = section.split('.').next().unwrap_or_default();
            let is_off = [section, top].iter().any(|section| {
                self.get(&format!("{section}.enabled")).is_some_and(|enabled| !enabled.value.bool())
            });
            if is_off || told.contains(&what) || !is_asked_for(&setting.value) {
                continue;
            }
            told.push(what);
            let text = match feature {
                Some(feature) => {
                    let one_of = feature.replace(" or ", "` or `");
                    format!("is not done: build throughline-std with the feature `{one_of}`")
                }
                None => format!(
                    "has no effect: {what} is not in this build; remove it, or keep it for a version that has it"
                ),
            };
            warnings.push(setting.problem(text).wants_feature(feature));
        }
        warnings
    }
}

/// Whether a value asks for a feature; `false` does not.
fn is_asked_for(value: &Value) -> bool {
    !matches!(value, Value::Bool(false))
}
