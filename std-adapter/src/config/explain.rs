//! What holds and where it comes from, for people.

use super::settings::Origin;
use super::value::quoted;
use super::{Config, keys};
use std::fmt;

/// The value of a key, and where it comes from. Shown as a line of TOML: `metrics.interval = "10s"  # default`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explained {
    /// The key with its sections: `tracing.sampling.probability`.
    pub key: &'static str,
    /// As TOML writes it; `"[REDACTED]"` in place of a secret.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}  # {}", self.key, self.value, self.origin)
    }
}

impl Explained {
    /// As an object of JSON.
    pub fn json(&self) -> String {
        let origin = self.origin.to_string();
        // TOML's inline tables have other brackets and signs, so values are given as TOML text.
        format!(
            "{{\"key\":{},\"value\":{},\"origin\":{}}}",
            quoted(self.key),
            quoted(&self.value),
            quoted(&origin)
        )
    }
}

impl Config {
    /// All keys that have a value, in the order of the reference file: from files, from the environment, or by default. What code has set is not among
    /// them.
    pub fn explain(&self) -> Vec<Explained> {
        let explained = keys::all().filter_map(|key| {
            let (value, origin) = match self.settings.get(key.path) {
                Some(setting) => (setting.shown(), setting.origin.clone()),
                None => (key.default_value()?.masked(), Origin::Default),
            };
            Some(Explained { key: key.path, value, origin })
        });
        explained.collect()
    }
}
