//! The items of `[[observers]]`, each with settings of its own.

use super::problem::Problem;
use super::settings::{Setting, Settings};
use std::path::Path;

/// An observer, as it is read.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) settings: Vec<Setting>,
    /// Its name, if it is a section and not an item of a list.
    pub(super) name: Option<String>,
    pub(super) line: u32,
    pub(super) written: String,
}

/// An observer, with settings of its own.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    pub(crate) name: String,
    pub(crate) settings: Settings,
}

impl Listener {
    /// The path of a setting, as a file would have it.
    pub(super) fn path(&self, setting: &Setting) -> String {
        let path = setting.key.path;
        format!("observers.{}.{}", self.name, path.strip_prefix("observers.").unwrap_or(path))
    }
}

/// Keys whose values are texts with placeholders.
const TEMPLATES: &[&str] = &["observers.log.message", "observers.sample.pattern"];

/// The error for a placeholder that does not end, and so would not be filled in.
fn unclosed(setting: &Setting) -> Option<Problem> {
    let mut rest = setting.value.text();
    while let Some((_, after)) = rest.split_once('{') {
        rest = match (after.strip_prefix('{'), after.split_once('}')) {
            (Some(literal), _) => literal,
            (None, Some((name, after))) if !name.contains('{') => after,
            _ => {
                return Some(setting.problem(
                    "has a `{` without a `}` after its name; close it, or write {{ for the character itself",
                ));
            }
        };
    }
    None
}

/// The observers of one file, and what is wrong with their names.
pub(super) fn listeners(items: Vec<Item>, file: &Path) -> (Vec<Listener>, Vec<Problem>) {
    let (mut listeners, mut problems) = (Vec::<Listener>::new(), Vec::new());
    for (number, item) in items.into_iter().enumerate() {
        let mut settings = Settings::default();
        item.settings.into_iter().for_each(|setting| settings.put(setting));
        problems.extend(settings.iter().filter_map(Setting::is_nothing));
        problems.extend(TEMPLATES.iter().filter_map(|path| unclosed(settings.get(path)?)));
        let said = settings.get("observers.name").map(|setting| setting.value.text().to_owned());
        let name = item.name.or(said).unwrap_or_else(|| format!("observer-{}", number + 1));
        let is_good = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        let wrong = if name.is_empty() || !name.chars().all(is_good) {
            Some("has a name with other characters than letters, digits, - and _; choose another name")
        } else if listeners.iter().any(|known| known.name == name) {
            Some("has the name of another observer; give each a name of its own")
        } else {
            None
        };
        problems.extend(wrong.map(|text| Problem::of(item.line, &item.written, text).in_file(file)));
        listeners.push(Listener { name, settings });
    }
    (listeners, problems)
}
