//! A metric of what was found.

use super::{Action, Match};
use crate::observers::metrics::{MOST_SERIES, Series};
use std::collections::HashMap;
use throughline_export::{Deadline, ExportError};

/// Counts matches as a metric, or makes a distribution of their values.
///
/// Its labels are attributes of the records. At most 1000 combinations of values have series of their own; what has others is counted in one with the
/// label `otel.metric.overflow`.
#[derive(Debug)]
pub struct Count {
    name: &'static str,
    unit: &'static str,
    labels: Vec<&'static str>,
    is_histogram: bool,
    series: HashMap<Vec<String>, Series>,
}

impl Count {
    /// A sum with this name: one for each match.
    pub fn new(name: impl Into<String>) -> Count {
        Count { name: kept(name), unit: "", labels: Vec::new(), is_histogram: false, series: HashMap::new() }
    }

    /// A distribution of [`Match::value`]: of durations of spans in milliseconds, or of values of metrics.
    pub fn values(name: impl Into<String>) -> Count {
        let mut count = Count::new(name);
        count.is_histogram = true;
        count
    }

    /// Its unit in [UCUM](https://ucum.org).
    #[must_use]
    pub fn unit(mut self, unit: impl Into<String>) -> Count {
        self.unit = kept(unit);
        self
    }

    /// Adds a label: an attribute of the records.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>) -> Count {
        self.labels.push(kept(name));
        self
    }
}

/// The text, kept as long as the process, as names of metrics are. There are as many as the program or its configuration names.
fn kept(text: impl Into<String>) -> &'static str {
    let text: String = text.into();
    if text.is_empty() { "" } else { text.leak() }
}

impl Action for Count {
    fn run(&mut self, found: &Match, _deadline: &Deadline) -> Result<(), ExportError> {
        let value = |name: &&str| {
            let placeholder = format!("{{{name}}}");
            let text = found.render(&placeholder);
            // One that stays is an attribute that the record does not have.
            if text == placeholder { String::new() } else { text }
        };
        let mut values: Vec<String> = self.labels.iter().map(value).collect();
        let is_over = self.series.len() >= MOST_SERIES && !self.series.contains_key(&values);
        if is_over {
            values.clear();
        }
        let (name, unit, labels) = (self.name, self.unit, &self.labels);
        let is_histogram = self.is_histogram;
        let cell = self.series.entry(values).or_insert_with_key(|values| {
            let labels = match is_over && !labels.is_empty() {
                true => vec![("otel.metric.overflow", "true".to_owned())],
                false => labels.iter().copied().zip(values.iter().cloned()).collect(),
            };
            Series::new((name, unit, "Matches of an observer"), labels, is_histogram)
        });
        cell.add(if is_histogram { found.value } else { 1.0 });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observers::found::tests::found;

    #[test]
    fn a_label_is_what_the_record_has_and_empty_if_it_has_nothing() {
        let mut count = Count::new("test.count").label("route").label("none");
        let mut found = found();
        found.fields = vec![("route".into(), "{tenant}/cart".into(), true)];
        count.run(&found, &Deadline::never()).unwrap();
        assert_eq!(count.series.keys().next().unwrap()[..], ["{tenant}/cart", ""]);
    }
}
