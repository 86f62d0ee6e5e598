//! Further collectors: the items of `[[otlp.also]]`, and of a list of exporters that names `otlp` more than once.

use super::otlp::section;
use crate::config::problem::Problem;
use crate::config::settings::{Setting, Settings};
use std::path::Path;
use throughline_export::otlp::Signal;

/// A further collector, as it is read.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) settings: Vec<Setting>,
    /// The signal in whose list of exporters it is.
    pub(crate) signal: Option<Signal>,
    /// Its name, if it is a section of `otlp.also` and not an item of a list.
    pub(crate) name: Option<String>,
    pub(crate) line: u32,
    pub(crate) written: String,
}

/// A further collector, with settings of its own.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) signals: Vec<Signal>,
    pub(crate) settings: Settings,
}

impl Group {
    /// The path of a setting, as a file would have it.
    pub(crate) fn path(&self, setting: &Setting) -> String {
        let path = setting.key.path;
        let rest = path.strip_prefix("otlp.also.").or(path.strip_prefix("otlp.")).unwrap_or(path);
        format!("otlp.also.{}.{rest}", self.name)
    }
}

/// The collectors of one file, and what is wrong with them.
pub(in crate::config) fn groups(items: Vec<Item>, file: &Path) -> (Vec<Group>, Vec<Problem>) {
    let (mut groups, mut problems) = (Vec::<Group>::new(), Vec::new());
    for (number, item) in items.into_iter().enumerate() {
        let Item { settings: list, signal, name, line, written } = item;
        let mut settings = Settings::default();
        list.into_iter().for_each(|setting| settings.put(setting));
        let mut wrong = |text: &str| problems.push(Problem::of(line, &written, text).in_file(file));
        let said = settings.get("otlp.also.name").map(|setting| setting.value.text().to_owned());
        // The first collector is `otlp`.
        let name = name.or(said).unwrap_or_else(|| format!("otlp-{}", number + 2));
        let is_good = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if name.is_empty() || !name.chars().all(is_good) {
            wrong("has a name with other characters than letters, digits, - and _; choose another name");
        } else if name == "otlp" || groups.iter().any(|group| group.name == name) {
            wrong("has the name of another collector; give each a name of its own (`otlp` is the first)");
        }
        let own = signal.map(|signal| format!("{}.otlp.endpoint", section(signal)));
        let has_endpoint = ["otlp.endpoint", "otlp.preset"].into_iter().chain(own.as_deref());
        if !has_endpoint.clone().any(|path| settings.get(path).is_some()) {
            wrong("has no endpoint; give one such as endpoint = \"http://localhost:4318\", or a preset");
        }
        let listed = settings.get("otlp.also.signals").map(|setting| setting.value.list().to_vec());
        let is_sent = |signal: &Signal| {
            listed.as_ref().is_none_or(|list| list.iter().any(|name| name == signal.as_str()))
        };
        let signals = match signal {
            Some(signal) => vec![signal],
            None => Signal::ALL.into_iter().filter(is_sent).collect(),
        };
        problems.extend(super::impossible(&settings));
        problems.extend(settings.iter().filter_map(Setting::is_nothing));
        groups.push(Group { name, signals, settings });
    }
    (groups, problems)
}
