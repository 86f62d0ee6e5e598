//! Shows each value of a configuration and where it comes from.

use super::settings::Origin;
use super::value::quoted;
use super::{Config, keys};
use std::fmt;

/// The value of a key and where it comes from. `Display` writes a line of TOML:
/// `metrics.interval = "10s"  # default`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explained {
    /// The key with its sections: `tracing.sampling.probability`.
    pub key: String,
    /// The value in TOML's notation; a secret is shown as `"[REDACTED]"`.
    pub value: String,
    /// The origin of the value.
    pub origin: Origin,
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}  # {}", self.key, self.value, self.origin)
    }
}

impl Explained {
    /// Writes it as a JSON object.
    pub fn json(&self) -> String {
        let origin = self.origin.to_string();
        // TOML's inline tables are not valid JSON, so the value is given as a string in TOML's notation.
        format!(
            "{{\"key\":{},\"value\":{},\"origin\":{}}}",
            quoted(&self.key),
            quoted(&self.value),
            quoted(&origin)
        )
    }
}

impl Config {
    /// All keys that have a value from a file, from the environment or by default. Values that were set by
    /// code are not included.
    pub fn explain(&self) -> Vec<Explained> {
        let explained = keys::all().filter_map(|key| {
            let (value, origin) = match self.settings.get(key.path) {
                Some(setting) => (setting.shown(), setting.origin.clone()),
                None => (key.default_value()?.masked(), Origin::Default),
            };
            Some(Explained { key: key.path.into(), value, origin })
        });
        let further =
            self.also.iter().flat_map(|group| group.settings.iter().map(move |setting| (group, setting)));
        let further = further.map(|(group, setting)| Explained {
            key: group.path(setting),
            value: setting.shown(),
            origin: setting.origin.clone(),
        });
        let observers =
            self.listeners.iter().flat_map(|one| one.settings.iter().map(move |setting| (one, setting)));
        let observers = observers.map(|(one, setting)| Explained {
            key: one.path(setting),
            value: setting.shown(),
            origin: setting.origin.clone(),
        });
        explained.chain(further).chain(observers).collect()
    }
}
