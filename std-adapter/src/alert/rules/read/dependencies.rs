//! Reads which alerts may be consequences of others.

use super::super::{Dependency, Kind, RuleError};
use super::{Reader, place};
use crate::config::node::{Data, Node};
use std::sync::Arc;
use throughline_export::prometheus::label_name;

impl Reader<'_> {
    /// Names of alerts, or sections with the labels that must be equal.
    pub(super) fn dependencies(&mut self, node: &Node) -> Vec<Dependency> {
        let items = match &node.data {
            Data::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        items.iter().filter_map(|item| self.dependency(item)).collect()
    }

    fn dependency(&mut self, item: &Node) -> Option<Dependency> {
        let (mut name, mut equal) = (String::new(), Vec::new());
        match &item.data {
            Data::Table(entries) => {
                for entry in entries {
                    match &*entry.key {
                        "alert" => name = self.text(&entry.node),
                        "equal" => equal = self.texts(&entry.node),
                        other => {
                            let text = format!("`{other}` is no key here; write alert and equal");
                            self.error((entry.line, item.column), text);
                        }
                    }
                }
            }
            _ => name = self.text(item),
        }
        if name.is_empty() {
            self.error(place(item), "a dependency has the name of an alert, such as DatabaseDown");
            return None;
        }
        let equal = equal.iter().map(|label| Arc::from(&*label_name(label))).collect();
        Some(Dependency { name: name.into(), equal, rules: Vec::new(), place: place(item) })
    }

    /// Finds the rules that others depend on, when all have been read.
    pub(super) fn connect(&mut self) {
        let alerts: Vec<(usize, Arc<str>)> = (0..)
            .zip(&self.rules.rules)
            .filter(|(_, rule)| rule.kind == Kind::Alert)
            .map(|(at, rule)| (at, Arc::clone(&rule.name)))
            .collect();
        let mut errors = Vec::new();
        for rule in &mut self.rules.rules {
            for dependency in &mut rule.depends_on {
                let is_it = |(_, name): &&(usize, Arc<str>)| *name == dependency.name;
                dependency.rules = alerts.iter().filter(is_it).map(|(at, _)| *at).collect();
                if dependency.rules.is_empty() {
                    let near = alerts
                        .iter()
                        .map(|(_, name)| (strsim::damerau_levenshtein(name, &dependency.name), &**name));
                    let hint = match near.min().filter(|(distance, _)| *distance <= 2) {
                        Some((_, near)) if *near != *rule.name => format!("did you mean {near}?"),
                        _ => "name a rule of this file".into(),
                    };
                    let text =
                        format!("it depends on `{}`, and there is no such alert; {hint}", dependency.name);
                    errors.push((dependency.place, Arc::clone(&rule.name), text));
                }
            }
        }
        for at in 0..self.rules.rules.len() {
            let rule = &self.rules.rules[at];
            if let Some(via) = self.circle(at) {
                let via = if via == rule.name { String::new() } else { format!(", by way of {via}") };
                let text = format!("it depends on itself{via}; remove one of the dependencies");
                errors.push(((rule.line, 1), Arc::clone(&rule.name), text));
                break;
            }
        }
        for (place, rule, text) in errors {
            let (file, rule) = (self.file.to_owned(), Some(rule.to_string()));
            self.errors.push(RuleError { file, place: Some(place), rule, text });
        }
    }

    /// The last alert on a way from this one to itself.
    fn circle(&self, begin: usize) -> Option<Arc<str>> {
        let rules = &self.rules.rules;
        let (mut waiting, mut seen) = (vec![begin], vec![false; rules.len()]);
        while let Some(at) = waiting.pop() {
            for &next in rules[at].depends_on.iter().flat_map(|dependency| &dependency.rules) {
                if next == begin {
                    return Some(Arc::clone(&rules[at].name));
                }
                if !std::mem::replace(&mut seen[next], true) {
                    waiting.push(next);
                }
            }
        }
        None
    }
}
