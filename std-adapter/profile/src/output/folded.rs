//! Folded stacks, one a line: `thread;outer;inner 1234`. Many tools draw flame graphs from it.

use super::Report;
use std::collections::BTreeMap;

impl Report {
    /// Each stack on a line, its thread and its functions from the outermost to the innermost between semicolons, and its
    /// value: CPU time in microseconds, or bytes, or a count.
    pub fn folded(&self) -> String {
        let divisor = if self.measure_name().1 == "nanoseconds" { 1000 } else { 1 };
        let mut lines = BTreeMap::<String, u64>::new();
        for (names, labels, value) in self.lines() {
            let thread = self.thread(labels).map(|(_, name)| name.as_str());
            let parts = thread.into_iter().chain(names.iter().map(|name| &***name));
            *lines.entry(parts.map(escaped).collect::<Vec<_>>().join(";")).or_default() += value;
        }
        lines
            .into_iter()
            .map(|(stack, value)| (stack, value / divisor))
            .filter(|(_, value)| *value > 0)
            .fold(String::new(), |text, (stack, value)| text + &stack + " " + &value.to_string() + "\n")
    }
}

/// A name without the characters that have a meaning in the format.
pub(super) fn escaped(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c == ';' {
                ','
            } else if c.is_control() {
                ' '
            } else {
                c
            }
        })
        .collect()
}
