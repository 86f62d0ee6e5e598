//! Which selectors may take a series.

use crate::alert::labels::Labels;
use crate::alert::language::{MetricName, Plan, SelectorId};
use std::collections::HashMap;
use std::sync::Arc;

/// The selectors by what they ask for.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// By the name, and by the first label that must have a value.
    by_name: HashMap<MetricName, Vec<SelectorId>>,
    by_label: HashMap<(MetricName, Arc<str>, Arc<str>), Vec<SelectorId>>,
    any: Vec<SelectorId>,
    /// Whether a metric of the process is asked for.
    pub(super) has_process: bool,
}

impl Wanted {
    pub(super) fn of(plan: &Plan) -> Wanted {
        let mut wanted = Wanted::default();
        for (id, selector) in plan.selectors.iter().enumerate() {
            let name = &selector.name;
            let exact = selector
                .matchers
                .iter()
                .find(|matcher| matcher.is_exact() && !matches!(matcher.name(), "__name__" | "le"));
            match (name, exact) {
                (MetricName::Any, _) => wanted.any.push(id),
                (name, None) => wanted.by_name.entry(name.clone()).or_default().push(id),
                (name, Some(matcher)) => {
                    let key = (name.clone(), matcher.name().into(), matcher.value().into());
                    wanted.by_label.entry(key).or_default().push(id);
                }
            }
            wanted.has_process |= match name {
                MetricName::Prometheus(name) => name.starts_with("process_"),
                MetricName::Dotted(_) => false,
                MetricName::Any => true,
            };
        }
        wanted
    }

    /// The selectors that may take a series of this name.
    pub(super) fn candidates(
        &self,
        name: &str,
        labels: &Labels,
        by_dots: bool,
    ) -> impl Iterator<Item = SelectorId> {
        let metric = match by_dots {
            true => MetricName::Dotted(name.into()),
            false => MetricName::Prometheus(name.into()),
        };
        let mut out = self.by_name.get(&metric).cloned().unwrap_or_default();
        if !self.by_label.is_empty() {
            for (label, value) in labels.iter() {
                let key = (metric.clone(), label.into(), value.into());
                out.extend(self.by_label.get(&key).into_iter().flatten());
            }
        }
        // A name with dots is another name of a series, which is found by its own.
        out.extend(self.any.iter().filter(|_| !by_dots));
        out.into_iter()
    }
}
