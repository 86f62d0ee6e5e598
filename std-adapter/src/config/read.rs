//! Turns the tree of a file into settings, by the table of keys.

mod convert;

use super::aliases::{self, Unit};
use super::exporters::{Group, Item, groups, section};
use super::key::Key;
use super::keys;
use super::listeners::{self, Listener};
use super::node::{Data, Entry, Node};
use super::problem::Problem;
use super::settings::{Origin, Setting};
use super::value::{Kind, Value, list_word};
use super::variables::Variables;
use std::path::Path;
use throughline_export::otlp::Signal;

/// The settings, errors and warnings of one file or of the environment.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) settings: Vec<Setting>,
    /// The further collectors.
    pub(crate) also: Vec<Group>,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Problem>,
    /// The variable for the filter of logs, if it is set but no part of it can be used.
    pub(crate) none_of: Option<&'static str>,
}

/// Reads the tree of the file at `path`.
pub(crate) fn read(root: &Node, path: &Path, variables: &Variables) -> Reading {
    let (reading, also, observers) = (Reading::default(), Vec::new(), Vec::new());
    let mut reader = Reader { path, variables, reading, also, observers };
    match &root.data {
        Data::Table(entries) => reader.root(entries),
        Data::Null => {}
        other => {
            let text = format!(
                "holds {}, not sections with keys; begin with a section, such as `service:`",
                other.describe()
            );
            reader.problem(Problem::at(root.line, text));
        }
    }
    let in_file = |problem: Problem| if problem.file.is_none() { problem.in_file(path) } else { problem };
    let mut reading = reader.reading;
    let (groups, problems) = groups(reader.also, path);
    reading.also = groups;
    reading.problems.extend(problems);
    let (listeners, problems) = listeners::listeners(reader.observers, path);
    reading.listeners = listeners;
    reading.problems.extend(problems);
    reading.problems = reading.problems.into_iter().map(in_file).collect();
    reading.warnings = reading.warnings.into_iter().map(in_file).collect();
    reading
}

struct Reader<'a> {
    path: &'a Path,
    variables: &'a Variables,
    reading: Reading,
    also: Vec<Item>,
    observers: Vec<listeners::Item>,
}

impl Reader<'_> {
    /// Reads the top level of the file. If the file has one of our roots, what is beside it belongs to the
    /// application, whatever its name is.
    fn root(&mut self, entries: &[Entry]) {
        // A root whose keys are all comments is one too.
        let is_root = |entry: &Entry| {
            aliases::is_root(&entry.key) && matches!(entry.node.data, Data::Table(_) | Data::Null)
        };
        let has_root = entries.iter().any(is_root);
        for entry in entries {
            match &entry.node.data {
                Data::Table(below) if is_root(entry) => self.section(below, "", &entry.key),
                _ if has_root => {}
                _ => self.entry(entry, "", ""),
            }
        }
        if has_root {
            let others = entries.iter().filter(|entry| !is_root(entry));
            others.for_each(|entry| self.beside(entry, ""));
        }
    }

    /// Warns of a key beside our root that the root has too: which of the two holds is easily mistaken.
    fn beside(&mut self, entry: &Entry, section: &str) {
        let path = joined(section, &entry.key);
        if let Data::Table(below) = &entry.node.data {
            below.iter().for_each(|entry| self.beside(entry, &path));
            return;
        }
        let Ok(Some((key, _))) = aliases::resolve(&path) else { return };
        let said = self.reading.settings.iter().find(|setting| std::ptr::eq(setting.key, key));
        if let Some(said) = said {
            let root = said.written.split('.').next().unwrap_or_default();
            let text = format!(
                "is not read, as what is beside the section {root} belongs to the application; {} holds",
                said.written
            );
            self.reading.warnings.push(Problem::of(entry.line, &path, text));
        }
    }

    /// Reads the entries of the section at `path`, which the file calls `written`.
    fn section(&mut self, entries: &[Entry], path: &str, written: &str) {
        for entry in entries {
            self.entry(entry, path, written);
        }
    }

    fn entry(&mut self, entry: &Entry, section: &str, written_section: &str) {
        let path = joined(section, &entry.key);
        let written = joined(written_section, &entry.key);
        if path == "otlp.also" {
            self.also(entry, &written);
            return;
        }
        if path == "observers" {
            self.observers(entry, &written);
            return;
        }
        if let Data::List(items) = &entry.node.data
            && items.iter().any(|item| matches!(item.data, Data::Table(_)))
            && path.ends_with(".exporters")
        {
            self.exporters(items, &path, &written);
            return;
        }
        let (key, unit) = match aliases::resolve(&path) {
            Ok(Some(found)) => found,
            Ok(None) if keys::is_section(&path) || aliases::is_section(&path) => {
                self.below(entry, &path, &written);
                return;
            }
            Ok(None) => {
                let text = match keys::nearest(&path) {
                    Some(near) => {
                        format!("is not a key; did you mean {}?", as_written(near, &path, &written))
                    }
                    None => "is not a key; `throughline config reference` lists all of them".into(),
                };
                self.problem(Problem::of(entry.line, &written, text));
                return;
            }
            Err(advice) if advice.is_error => {
                self.problem(Problem::of(entry.line, &written, advice.text));
                return;
            }
            Err(advice) => {
                self.reading.warnings.push(Problem::of(entry.line, &written, advice.text));
                return;
            }
        };
        self.value(key, unit, &entry.node, entry.line, &written);
    }

    /// Reads the value of a section.
    fn below(&mut self, entry: &Entry, path: &str, written: &str) {
        match &entry.node.data {
            Data::Table(entries) => self.section(entries, path, written),
            Data::Null => {}
            // `logging = true` is short for `logging.enabled = true`.
            Data::Bool(_) if keys::find(&joined(path, "enabled")).is_some() => {
                if let Some(key) = keys::find(&joined(path, "enabled")) {
                    self.value(key, Unit::Own, &entry.node, entry.line, written);
                }
            }
            other => {
                let keys: Vec<&str> =
                    keys::all().filter(|key| key.section() == path).map(Key::name).collect();
                let text = format!(
                    "is a section, but is {} here; its keys are {}",
                    other.describe(),
                    keys.join(", ")
                );
                self.problem(Problem::of(entry.line, written, text));
            }
        }
    }

    /// The items of a list of sections, of sections with names, or of a single section: each with what it is called and its name.
    fn items<'e>(
        &mut self,
        entry: &'e Entry,
        written: &str,
        wanted: &str,
    ) -> Vec<(&'e [Entry], u32, String, Option<String>)> {
        let table = |node: &'e Node| match &node.data {
            Data::Table(entries) => Some(&entries[..]),
            _ => None,
        };
        let item = |entries: &'e [Entry], written: String, name: Option<String>| {
            let line = entries.first().map_or(entry.line, |first| first.line);
            (entries, line, written, name)
        };
        match &entry.node.data {
            Data::List(items) if items.iter().all(|item| table(item).is_some()) => {
                let tables = items.iter().filter_map(table).enumerate();
                tables.map(|(at, entries)| item(entries, format!("{written}[{at}]"), None)).collect()
            }
            Data::Table(below) if below.iter().all(|entry| table(&entry.node).is_some()) => {
                let tables = below.iter().filter_map(|entry| Some((&entry.key, table(&entry.node)?)));
                tables.map(|(key, entries)| item(entries, joined(written, key), Some(key.clone()))).collect()
            }
            Data::Table(entries) => vec![item(entries, written.to_owned(), None)],
            other => {
                let text = format!("is {}, not {wanted}", other.describe());
                self.problem(Problem::of(entry.line, written, text));
                Vec::new()
            }
        }
    }

    /// Reads the observers.
    fn observers(&mut self, entry: &Entry, written: &str) {
        let wanted = format!("observers; write [[{written}]] with a condition and actions for each");
        for (entries, line, written, name) in self.items(entry, written, &wanted) {
            let others = std::mem::take(&mut self.reading.settings);
            entries.iter().for_each(|entry| self.of_observer(entry, "observers", &written));
            let settings = std::mem::replace(&mut self.reading.settings, others);
            self.observers.push(listeners::Item { settings, name, line, written });
        }
    }

    /// Reads a setting of an observer.
    fn of_observer(&mut self, entry: &Entry, section: &str, written: &str) {
        let (path, written) = (joined(section, &entry.key), joined(written, &entry.key));
        let is_section = keys::OBSERVER
            .iter()
            .any(|key| key.path.strip_prefix(&*path).is_some_and(|it| it.starts_with('.')));
        match (&entry.node.data, keys::of_observer(&path)) {
            (Data::List(items), Some(key))
                if path == "observers.actions"
                    && items.iter().any(|item| matches!(item.data, Data::Table(_))) =>
            {
                let mut names: Vec<(String, u32)> = Vec::new();
                for (kind, line, entries) in self.types(items, &written) {
                    if names.iter().any(|(known, _)| known == kind) {
                        let text =
                            format!("has two actions {kind}; make another observer for the second one");
                        self.problem(Problem::of(line, &written, text));
                        continue;
                    }
                    names.push((kind.to_owned(), line));
                    for entry in entries.iter().filter(|entry| entry.key != "type") {
                        self.of_observer(entry, &joined("observers", kind), &written);
                    }
                }
                self.names(key, &names, &written);
            }
            (_, Some(key)) => self.value(key, Unit::Own, &entry.node, entry.line, &written),
            (Data::Table(entries), None) if is_section => {
                entries.iter().for_each(|entry| self.of_observer(entry, &path, &written));
            }
            _ => {
                let known = keys::OBSERVER.iter().map(|key| key.path);
                let near = known.min_by_key(|known| strsim::damerau_levenshtein(known, &path));
                let near = near.and_then(|near| near.strip_prefix("observers.")).unwrap_or_default();
                let text = format!("is not a key of an observer; did you mean {near}?");
                self.problem(Problem::of(entry.line, &written, text));
            }
        }
    }

    /// Reads the further collectors: a list of sections, sections with names, or a single section.
    fn also(&mut self, entry: &Entry, written: &str) {
        let wanted = format!("further collectors; write [[{written}]] with an endpoint for each");
        for (entries, line, written, name) in self.items(entry, written, &wanted) {
            self.collector((entries, line), None, name, &written, |reader, entry| {
                match keys::ALSO.iter().find(|key| key.name() == entry.key) {
                    Some(key) => {
                        reader.value(key, Unit::Own, &entry.node, entry.line, &joined(&written, &entry.key));
                    }
                    None => reader.entry(entry, "otlp", &written),
                }
            });
        }
    }

    /// Reads the settings of a further collector, apart from the others. `read` reads one of them.
    fn collector(
        &mut self,
        (entries, line): (&[Entry], u32),
        signal: Option<Signal>,
        name: Option<String>,
        written: &str,
        read: impl Fn(&mut Self, &Entry),
    ) {
        let others = std::mem::take(&mut self.reading.settings);
        entries.iter().filter(|entry| entry.key != "type").for_each(|entry| read(self, entry));
        let settings = std::mem::replace(&mut self.reading.settings, others);
        self.also.push(Item { settings, signal, name, line, written: written.into() });
    }

    /// Reads a list of exporters that have their settings with them. It means the same as a list of names and
    /// a section for each exporter.
    fn exporters(&mut self, items: &[Node], path: &str, written: &str) {
        let signal_name = path.strip_suffix(".exporters").unwrap_or(path);
        let owner = Signal::ALL.into_iter().find(|signal| section(*signal) == signal_name);
        let mut names: Vec<(String, u32)> = Vec::new();
        for (kind, line, entries) in self.types(items, written) {
            let name = aliases::exporter(kind);
            if name == "otlp" && owner.is_some() && names.iter().any(|(known, _)| known == name) {
                let below = joined(signal_name, name);
                let read = |reader: &mut Self, entry: &Entry| reader.entry(entry, &below, written);
                self.collector((entries, line), owner, None, written, read);
                continue;
            }
            names.push((name.to_owned(), line));
            for entry in entries.iter().filter(|entry| entry.key != "type") {
                self.entry(entry, &joined(signal_name, name), written);
            }
        }
        if let Some(key) = keys::find(path) {
            self.names(key, &names, written);
        }
    }

    /// The items of a list of sections that have a type each.
    fn types<'e>(&mut self, items: &'e [Node], written: &str) -> Vec<(&'e str, u32, &'e [Entry])> {
        let mut types = Vec::new();
        for item in items {
            let Data::Table(entries) = &item.data else {
                self.problem(Problem::of(
                    item.line,
                    written,
                    "must be names alone, or a section with a type each",
                ));
                continue;
            };
            let kind = entries.iter().find(|entry| entry.key == "type");
            let Some(Entry { node: Node { data: Data::Text(kind), line, .. }, .. }) = kind else {
                self.problem(Problem::of(
                    item.line,
                    written,
                    "has no type; give one such as type = \"otlp\"",
                ));
                continue;
            };
            types.push((&**kind, *line, &entries[..]));
        }
        types
    }

    /// Sets a list of names to those of sections.
    fn names(&mut self, key: &'static Key, names: &[(String, u32)], written: &str) {
        let (Kind::List(words), Some((_, line))) = (key.kind, names.first()) else { return };
        let mut list = Vec::new();
        for (name, line) in names {
            match list_word(words, name) {
                Ok(name) => list.push(name),
                Err(text) => self.problem(Problem::of(*line, written, text)),
            }
        }
        self.set(key, Value::List(list), *line, written, false);
    }

    fn value(&mut self, key: &'static Key, unit: Unit, node: &Node, line: u32, written: &str) {
        let mut tainted = false;
        match self.convert(key.kind, unit, node, &mut tainted) {
            Ok(value) => self.set(key, value, line, written, tainted),
            Err(text) => self.problem(Problem::of(line, written, text)),
        }
    }

    fn set(&mut self, key: &'static Key, value: Value, line: u32, written: &str, tainted: bool) {
        let origin = Origin::File { path: self.path.into(), line };
        let is_map = matches!(value, Value::Map(_) | Value::SecretMap(_));
        let first = self.reading.settings.iter().find(|it| std::ptr::eq(it.key, key));
        if let Some(first) = first.filter(|it| !is_map && it.value != value)
            && let Origin::File { line: at, .. } = first.origin
        {
            let text = format!(
                "replaces {} of line {at}, which means the same key; remove one of them",
                first.written
            );
            self.reading.warnings.push(Problem::of(line, written, text));
        }
        self.reading.settings.push(Setting { key, value, origin, written: written.into(), tainted });
    }

    fn problem(&mut self, problem: Problem) {
        self.reading.problems.push(problem);
    }
}

fn joined(section: &str, name: &str) -> String {
    if section.is_empty() { name.into() } else { format!("{section}.{name}") }
}

/// Writes `key` below the same root as in the file.
fn as_written(key: &str, path: &str, written: &str) -> String {
    format!("{}{key}", written.strip_suffix(path).unwrap_or_default())
}
