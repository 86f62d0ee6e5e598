//! Reads files of rules: lists of rules with plain words, and groups as Prometheus has them.

mod dependencies;
mod mutes;
mod silences;
#[cfg(test)]
mod tests;

use super::super::language::{Context, SyntaxError, duration, parse as parse_expression};
use super::super::matcher::Matcher;
use super::{Inhibition, Kind, Rule, RuleError, Rules, RulesError, Template};
use crate::config::node::{Data, Entry, Language, Node, parse_up_to};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use throughline_export::prometheus::label_name;

/// Most values in a file: 50,000 rules with twenty each.
const MOST_VALUES: usize = 1_000_000;

/// The keys of a rule, with the other names that each has.
const KEYS: &[(&str, &[&str])] = &[
    ("name", &["alert"]),
    ("record", &[]),
    ("condition", &["expr", "expression"]),
    ("threshold", &[]),
    ("duration", &["for"]),
    ("keep_firing_for", &[]),
    ("severity", &[]),
    ("description", &[]),
    ("summary", &[]),
    ("labels", &[]),
    ("annotations", &[]),
    ("enabled", &[]),
    ("urgent", &[]),
    ("depends_on", &[]),
];

pub(super) fn read(file: &Path, text: &str, language: Language) -> Result<Rules, RulesError> {
    let (root, problems) = parse_up_to(text, language, MOST_VALUES);
    let of_syntax = problems.into_iter().map(|problem| RuleError {
        place: problem.line.map(|line| (line, 1)),
        ..RuleError::whole(file, [problem.key, problem.text].join(" ").trim())
    });
    let (context, errors) = (Context::default(), of_syntax.collect());
    let rules = Rules { file: file.into(), ..Rules::default() };
    let mut reader = Reader { file, text, rules, context, errors, rule: None, known: HashMap::new() };
    if reader.errors.is_empty() {
        reader.root(&root);
        reader.connect();
    }
    if reader.errors.is_empty() && reader.rules.is_bare() {
        let none = "there are no rules; write `rules:` and a list, such as [{name: QueueGrows, condition: queue_depth > 100}]";
        reader.errors.push(RuleError::whole(file, none));
    }
    if reader.errors.is_empty() { Ok(reader.rules) } else { Err(RulesError { errors: reader.errors }) }
}

struct Reader<'r> {
    file: &'r Path,
    text: &'r str,
    rules: Rules,
    context: Context,
    errors: Vec<RuleError>,
    /// The rule that is being read.
    rule: Option<String>,
    /// The lines of rules, by what their alerts are told apart by.
    known: HashMap<Identity, u32>,
}

/// Whether it is a recording rule, its name, and its labels as they are written.
type Identity = (bool, Arc<str>, BTreeMap<Arc<str>, String>);

/// What all rules of a group have in common.
struct Group {
    name: Arc<str>,
    interval: Option<Duration>,
    labels: Vec<(Arc<str>, Template)>,
}

impl Reader<'_> {
    fn error(&mut self, (line, column): (u32, u32), text: impl Into<String>) {
        let (file, rule) = (self.file.to_owned(), self.rule.clone());
        self.errors.push(RuleError { file, place: Some((line, column)), rule, text: text.into() });
    }

    fn root(&mut self, root: &Node) {
        let plain = Group { name: Arc::from(""), interval: None, labels: Vec::new() };
        match &root.data {
            Data::List(_) => self.list(root, &plain),
            Data::Table(entries) => {
                for entry in entries {
                    match &*entry.key {
                        "rules" | "alerts" => self.list(&entry.node, &plain),
                        "groups" => {
                            self.each(&entry.node, |reader, node, entries| reader.group(node, entries))
                        }
                        "inhibit_rules" => {
                            self.each(&entry.node, |reader, _, entries| reader.inhibition(entries))
                        }
                        "mute_time_intervals" => {
                            self.each(&entry.node, |reader, node, entries| {
                                reader.mute_interval(node, entries);
                            });
                        }
                        "silences" => {
                            self.each(&entry.node, |reader, node, entries| reader.silence(node, entries))
                        }
                        other => {
                            let text = format!(
                                "`{other}` is no key here; write rules, groups, inhibit_rules, mute_time_intervals or silences"
                            );
                            self.error((entry.line, 1), text);
                        }
                    }
                }
            }
            // A file without anything in it.
            Data::Null => {}
            other => {
                let text =
                    format!("the file holds {}, not rules; write `rules:` and a list", other.describe());
                self.error((root.line, root.column), text);
            }
        }
    }

    /// Calls `read` with each section of a list.
    fn each(&mut self, node: &Node, read: impl Fn(&mut Self, &Node, &[Entry])) {
        let Data::List(items) = &node.data else {
            if node.data != Data::Null {
                self.error(place(node), format!("this is {}, not a list", node.data.describe()));
            }
            return;
        };
        for item in items {
            match &item.data {
                Data::Table(entries) => read(self, item, entries),
                other => self
                    .error(place(item), format!("this is {}, where a section is needed", other.describe())),
            }
        }
    }

    fn list(&mut self, node: &Node, group: &Group) {
        self.each(node, |reader, item, entries| {
            reader.rule(item, entries, group);
            reader.rule = None;
        });
    }

    fn group(&mut self, node: &Node, entries: &[Entry]) {
        let mut group = Group { name: Arc::from(""), interval: None, labels: Vec::new() };
        for entry in entries {
            match &*entry.key {
                "name" => group.name = self.text(&entry.node).into(),
                "interval" => group.interval = self.duration(&entry.node),
                "labels" => group.labels = self.templates(&entry.node, true),
                "rules" => {}
                other => {
                    let text = format!(
                        "`{other}` is no key of a group; its keys are name, interval, labels and rules"
                    );
                    self.error((entry.line, node.column), text);
                }
            }
        }
        if group.name.is_empty() {
            self.error(place(node), "the group has no name; give it one");
        }
        for entry in entries.iter().filter(|entry| entry.key == "rules") {
            self.list(&entry.node, &group);
        }
    }

    fn rule(&mut self, node: &Node, entries: &[Entry], group: &Group) {
        let of = |key: &str| {
            let others = KEYS.iter().find(|(known, _)| *known == key).map_or(&[][..], |(_, others)| *others);
            entries
                .iter()
                .find(|entry| entry.key == key || others.contains(&&*entry.key))
                .map(|entry| &entry.node)
        };
        self.rules.written += 1;
        let (name, record) = (of("name"), of("record"));
        let errors = self.errors.len();
        self.rule = name.or(record).and_then(|node| as_text(node).map(str::to_owned));
        for entry in entries {
            let is_known =
                |(key, others): &(&str, &[&str])| *key == entry.key || others.contains(&&*entry.key);
            if !KEYS.iter().any(is_known) {
                let keys: Vec<_> = KEYS.iter().map(|(key, _)| *key).collect();
                let text = format!("`{}` is no key of a rule; its keys are {}", entry.key, keys.join(", "));
                self.error((entry.line, node.column), text);
            }
        }
        let (kind, name) = match (name, record) {
            (Some(name), None) => (Kind::Alert, self.text(name)),
            (None, Some(record)) => (Kind::Record, self.text(record)),
            _ => {
                return self
                    .error(place(node), "the rule has no name; write name, or alert as in Prometheus");
            }
        };
        let Some(condition) = of("condition") else {
            return self
                .error(place(node), "the rule has no condition; write such as condition: errors_total > 5");
        };
        let threshold = of("threshold").and_then(|node| self.number(node));
        let expression = self.text(condition);
        self.context.threshold = threshold;
        self.context.dotted.clear();
        let parsed = parse_expression(&expression, &mut self.rules.plan, &mut self.context);
        let root = match parsed {
            Ok(root) => root,
            Err(SyntaxError { at, text }) => {
                let at = self.place_in(condition, &expression, at);
                return self.error(at, text);
            }
        };
        if threshold.is_some() && !expression.contains("threshold") {
            let text = "the condition does not use the threshold; write such as error_rate > threshold";
            self.error(place(condition), text);
        }
        let mut labels = group.labels.clone();
        labels.extend(of("labels").map(|node| self.templates(node, true)).unwrap_or_default());
        if let Some(severity) = of("severity") {
            labels.extend(self.template(severity).map(|template| (Arc::from("severity"), template)));
        }
        let mut annotations = of("annotations").map(|node| self.templates(node, false)).unwrap_or_default();
        for key in ["summary", "description"] {
            if let Some(node) = of(key) {
                annotations.extend(self.template(node).map(|template| (Arc::from(key), template)));
            }
        }
        let hold = of("duration").and_then(|node| self.duration(node)).unwrap_or_default();
        let keep_firing = of("keep_firing_for").and_then(|node| self.duration(node)).unwrap_or_default();
        let is_on = of("enabled").is_none_or(|node| self.is_true("enabled", node));
        let is_urgent = of("urgent").is_some_and(|node| self.is_true("urgent", node));
        let depends_on = of("depends_on").map(|node| self.dependencies(node)).unwrap_or_default();
        if name.is_empty() {
            self.error(place(node), "the name of the rule is empty; give it one");
        }
        if self.errors.len() > errors || !is_on {
            return;
        }
        let name: Arc<str> = name.into();
        let written = labels.iter().map(|(label, value)| (Arc::clone(label), value.source().to_owned()));
        let identity = (kind == Kind::Record, Arc::clone(&name), written.collect());
        if let Some(line) = self.known.insert(identity, node.line) {
            let text = format!(
                "there is another rule of this name with the same labels in line {line}; give each its own name"
            );
            return self.error(place(node), text);
        }
        if kind == Kind::Record {
            let fixed = labels.iter().map(|(label, value)| (Arc::clone(label), Arc::from(value.source())));
            let recorded = self.rules.plan.recorded(root, Arc::clone(&name), fixed.collect());
            self.context.recorded.insert(name.to_string(), recorded);
        }
        self.rules.rules.push(Rule {
            group: Arc::clone(&group.name),
            interval: group.interval,
            kind,
            name,
            expression,
            root,
            threshold,
            hold,
            keep_firing,
            labels,
            annotations,
            is_urgent,
            depends_on,
            dotted: self.context.dotted.clone(),
            line: node.line,
        });
    }

    fn inhibition(&mut self, entries: &[Entry]) {
        let (mut source, mut target, mut equal) = (Vec::new(), Vec::new(), Vec::new());
        for entry in entries {
            match &*entry.key {
                "source_matchers" => source = self.matchers(&entry.node),
                "target_matchers" => target = self.matchers(&entry.node),
                "equal" => equal = self.texts(&entry.node),
                other => {
                    let text =
                        format!("`{other}` is no key here; write source_matchers, target_matchers and equal");
                    self.error((entry.line, 1), text);
                }
            }
        }
        if source.is_empty() || target.is_empty() {
            let line = entries.first().map_or(1, |entry| entry.line);
            let text =
                "an inhibition needs source_matchers and target_matchers, such as [severity=\"critical\"]";
            return self.error((line, 1), text);
        }
        let equal: Vec<Arc<str>> = equal.iter().map(|label| Arc::from(&*label_name(label))).collect();
        self.rules.inhibitions.push(Inhibition { source, target, equal });
    }

    fn matchers(&mut self, node: &Node) -> Vec<Matcher> {
        let mut matchers = Vec::new();
        for text in self.texts(node) {
            match Matcher::parse(&text) {
                Ok(matcher) => matchers.push(matcher),
                Err(why) => self.error(place(node), why),
            }
        }
        matchers
    }

    fn texts(&mut self, node: &Node) -> Vec<String> {
        match &node.data {
            Data::List(items) => items.iter().map(|item| self.text(item)).collect(),
            _ => vec![self.text(node)],
        }
    }

    fn text(&mut self, node: &Node) -> String {
        match as_text(node) {
            Some(text) => text.to_owned(),
            None => {
                self.error(place(node), format!("this is {}, where a text is needed", node.data.describe()));
                String::new()
            }
        }
    }

    fn is_true(&mut self, key: &str, node: &Node) -> bool {
        match node.data {
            Data::Bool(is_true) => is_true,
            _ => {
                self.error(place(node), format!("{key} is true or false"));
                true
            }
        }
    }

    fn number(&mut self, node: &Node) -> Option<f64> {
        let number = as_text(node).and_then(|text| text.parse().ok());
        if number.is_none() {
            self.error(place(node), "the threshold is a number, such as 0.05");
        }
        number
    }

    /// A duration with a unit.
    fn duration(&mut self, node: &Node) -> Option<Duration> {
        let text = as_text(node).unwrap_or_default();
        let found = if text == "0" { Some(Duration::ZERO) } else { duration(text) };
        if found.is_none() {
            let text = match &node.data {
                Data::Number(number, _) => format!("{number} of what? Write {number}s or {number}m"),
                _ => format!("`{text}` is no duration; write such as 30s, 5m or 1h30m"),
            };
            self.error(place(node), text);
        }
        found
    }

    fn template(&mut self, node: &Node) -> Option<Template> {
        let text = self.text(node);
        Template::parse(&text).map_err(|why| self.error(place(node), format!("the text {why}"))).ok()
    }

    /// Names with texts. Those of labels are as labels have them.
    fn templates(&mut self, node: &Node, of_labels: bool) -> Vec<(Arc<str>, Template)> {
        let Data::Table(entries) = &node.data else {
            if node.data != Data::Null {
                self.error(
                    place(node),
                    format!("this is {}, where names with texts are needed", node.data.describe()),
                );
            }
            return Vec::new();
        };
        let mut out = Vec::new();
        for entry in entries {
            let name = if of_labels { label_name(&entry.key) } else { (&*entry.key).into() };
            if of_labels && name == "alertname" {
                self.error(
                    (entry.line, node.column),
                    "the label alertname is the name of the rule; remove it",
                );
            }
            out.extend(self.template(&entry.node).map(|template| (Arc::from(&*name), template)));
        }
        out
    }

    /// The place in the file of a byte of a text. Quotes, indents and line breaks may be written in several ways, so characters that are no space are
    /// counted.
    fn place_in(&self, node: &Node, text: &str, at: usize) -> (u32, u32) {
        let mut left = text[..at.min(text.len())].chars().filter(|c| !c.is_whitespace()).count();
        let mut lines = self.text.split_inclusive('\n').skip(node.line.saturating_sub(1) as usize);
        let mut line = node.line;
        let mut rest: Vec<char> = lines.next().unwrap_or_default().chars().collect();
        let mut from = node.column.saturating_sub(1) as usize;
        let is_at_end = text[at.min(text.len())..].trim().is_empty();
        while matches!(rest.get(from), Some('"' | '\'')) {
            from += 1;
        }
        loop {
            for (column, c) in rest.iter().enumerate().skip(from) {
                if c.is_whitespace() {
                    continue;
                }
                if left == 0 {
                    return (line, u32::try_from(column + 1).unwrap_or(u32::MAX));
                }
                left -= 1;
            }
            match lines.next() {
                Some(next) if left > 0 || !is_at_end => rest = next.chars().collect(),
                _ => {
                    let end = rest.iter().rposition(|c| !c.is_whitespace()).map_or(1, |last| last + 2);
                    return (line, u32::try_from(end).unwrap_or(u32::MAX));
                }
            }
            (line, from) = (line + 1, 0);
        }
    }
}

fn place(node: &Node) -> (u32, u32) {
    (node.line, node.column)
}

/// A text, also if it looks like a number.
fn as_text(node: &Node) -> Option<&str> {
    match &node.data {
        Data::Text(text) | Data::Number(text, _) => Some(text),
        _ => None,
    }
}
