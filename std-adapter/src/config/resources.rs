//! What the keys say about the resources of spans.

use super::{Config, keys};
use crate::profiling::ResourceOptions;
use crate::pump::{Prices, RollUp, Wanted};

impl Config {
    /// How spans are told what they use; `None` if they are not.
    pub(crate) fn resources(&self) -> Option<ResourceOptions> {
        let value = |key: &str| {
            let path = format!("profiling.resources.{key}");
            self.settings
                .get(&path)
                .map(|setting| setting.value.clone())
                .or_else(|| keys::find(&path)?.default_value())
        };
        if let Some(options) = &self.resources {
            return Some(options.clone());
        }
        if !cfg!(profiled) || !value("enabled").is_some_and(|enabled| enabled.bool()) {
            return None;
        }
        let price = |key: &str| value(key).map_or(0.0, |price| price.float());
        let by = value("by").map_or(Vec::new(), |by| by.list().to_vec());
        let samples_only = value("source").is_some_and(|source| source.text() == "samples");
        Some(ResourceOptions {
            samples_only,
            by,
            prices: Prices { cpu_second: price("cpu_second"), gb_second: price("gb_second") },
        })
    }

    /// What spans are told about themselves.
    pub(crate) fn wanted_of_spans(&self) -> Option<Wanted> {
        let samples = self.is_profiled().then_some(Wanted::Samples);
        self.resources().map(|_| Wanted::Resources).or(samples)
    }

    /// The sums that are wanted.
    pub(crate) fn roll_up(&self) -> Option<RollUp> {
        let ResourceOptions { by, prices, .. } = self.resources()?;
        (!by.is_empty()).then(|| RollUp::new(&by, prices))
    }
}
