//! Converts what a file says into the value that a key has.

use super::{Reader, joined};
use crate::config::aliases::Unit;
use crate::config::expand::expand;
use crate::config::node::{Data, Entry, Node};
use crate::config::value::{Kind, Value, list_word, put};

impl Reader<'_> {
    /// Converts the node to a value of this kind. The error is worded so that it can follow the key.
    pub(super) fn convert(
        &self,
        kind: Kind,
        unit: Unit,
        node: &Node,
        tainted: &mut bool,
    ) -> Result<Value, String> {
        let wrong = || {
            let hint = hint(kind, &node.data);
            Err(format!("must be {}, but is {}{hint}", kind.expects(), node.data.describe()))
        };
        match (kind, &node.data) {
            (_, Data::Text(text)) => {
                let expanded = expand(text, self.variables)?;
                *tainted |= expanded.secret;
                match kind {
                    // Text is read as another type only if it comes from a variable, because variables have
                    // no types.
                    Kind::Bool | Kind::Int { .. } | Kind::Ratio | Kind::Amount if !expanded.has_variable => {
                        let shown = kind.shown(text).unwrap_or_default();
                        Err(match kind.read(text) {
                            Ok(_) => format!("= `{shown}` must be {}, without quotes", kind.expects()),
                            Err(error) => format!("= `{shown}` {error}"),
                        })
                    }
                    Kind::Map | Kind::SecretMap if !expanded.has_variable => wrong(),
                    _ => self.text(kind, unit, &expanded.text, expanded.has_variable),
                }
            }
            (Kind::Bool, Data::Bool(on)) => Ok(Value::Bool(*on)),
            (Kind::Int { .. } | Kind::Ratio | Kind::Amount | Kind::Size, Data::Number(number, _)) => {
                self.text(kind, unit, number, false)
            }
            (Kind::Duration, Data::Number(number, _)) => match unit {
                Unit::Own => Err(format!("is {number} of what? Write \"{number}s\" or \"{number}ms\"")),
                unit => self.text(kind, unit, number, false),
            },
            (Kind::Text | Kind::Secret | Kind::OneOf(_) | Kind::Path, Data::Number(number, true)) => {
                self.text(kind, unit, number, false)
            }
            (Kind::OneOf(words), Data::Bool(false)) if words.contains(&"off") => {
                Ok(Value::Text("off".into()))
            }
            (Kind::List(words), Data::List(items)) => self.list(kind, words, items, tainted),
            (Kind::Map, Data::Table(entries)) => Ok(Value::Map(self.pairs(entries, tainted)?)),
            (Kind::SecretMap, Data::Table(entries)) => Ok(Value::SecretMap(self.pairs(entries, tainted)?)),
            _ => wrong(),
        }
    }

    /// Reads a value from text. Errors do not show text that comes from a variable.
    fn text(&self, kind: Kind, unit: Unit, text: &str, from_variable: bool) -> Result<Value, String> {
        let with_unit = unit.name().map(|unit| format!("{text}{unit}"));
        kind.read(with_unit.as_deref().unwrap_or(text)).map_err(|error| {
            match kind.shown(text).filter(|_| !from_variable) {
                Some(text) => format!("= `{text}` {error}"),
                None => format!("{error} (the value comes from a variable and is not shown)"),
            }
        })
    }

    fn list(&self, kind: Kind, words: &[&str], items: &[Node], tainted: &mut bool) -> Result<Value, String> {
        let item = |item: &Node| match &item.data {
            Data::Text(text) => {
                let expanded = expand(text, self.variables)?;
                *tainted |= expanded.secret;
                list_word(words, &expanded.text)
            }
            other => Err(format!("must be {}, but holds {}", kind.expects(), other.describe())),
        };
        Ok(Value::List(items.iter().map(item).collect::<Result<_, _>>()?))
    }

    /// Reads names with texts. The names of nested sections are joined with dots.
    fn pairs(&self, entries: &[Entry], tainted: &mut bool) -> Result<Vec<(String, String)>, String> {
        let mut all = Vec::new();
        for entry in entries {
            let text = match &entry.node.data {
                Data::Text(text) => {
                    let expanded = expand(text, self.variables)?;
                    *tainted |= expanded.secret;
                    expanded.text
                }
                Data::Number(number, _) => number.clone(),
                Data::Bool(on) => on.to_string(),
                Data::Table(below) => {
                    for (name, text) in self.pairs(below, tainted)? {
                        put(&mut all, joined(&entry.key, &name), text);
                    }
                    continue;
                }
                other => {
                    return Err(format!(
                        "must have a text for {}, but it is {}",
                        entry.key,
                        other.describe()
                    ));
                }
            };
            put(&mut all, entry.key.clone(), text);
        }
        Ok(all)
    }
}

/// What to do about a value of another type.
fn hint(kind: Kind, data: &Data) -> &'static str {
    match (kind, data) {
        (_, Data::Null) => "; write one, or remove the key",
        (Kind::Text | Kind::Secret | Kind::OneOf(_), Data::Number(..)) => "; write it in quotes",
        (Kind::Text | Kind::Secret | Kind::OneOf(_) | Kind::Path | Kind::Url, Data::List(_)) => {
            "; write one text in quotes"
        }
        (Kind::List(_), _) => "; write it in brackets",
        (Kind::Map | Kind::SecretMap, _) => "; write a section with a line for each name",
        _ => "",
    }
}
