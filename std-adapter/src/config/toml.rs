//! Reads TOML into the tree.

use super::node::{Data, Entry, Node};
use super::problem::Problem;
use std::borrow::Cow;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Reads as much as possible.
pub(super) fn parse(text: &str) -> (Node, Vec<Problem>) {
    let lines = Lines::new(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let problem = |error: toml::de::Error| {
        let line = error.span().map_or(1, |span| lines.of(&span));
        // The parser's own words do not name the key.
        if error.message() == "duplicate key"
            && let Some(key) = error.span().and_then(|span| text.get(span))
        {
            return Problem::at(line, format!("{key} is there twice; remove one"));
        }
        Problem::at(line, format!("is not TOML: {}", error.message()))
    };
    let problems = errors.into_iter().map(problem).collect();
    let (line, column) = lines.place(&table.span());
    (Node { line, column, data: lines.table(table.into_inner()) }, problems)
}

/// The text, and the positions of its line breaks.
struct Lines<'t>(&'t str, Vec<usize>);

impl<'t> Lines<'t> {
    fn new(text: &'t str) -> Lines<'t> {
        Lines(text, text.match_indices('\n').map(|(at, _)| at).collect())
    }

    fn of(&self, span: &Range<usize>) -> u32 {
        self.place(span).0
    }

    /// The line and the column at which this begins.
    fn place(&self, span: &Range<usize>) -> (u32, u32) {
        let above = self.1.partition_point(|end| *end < span.start);
        let begin = if above == 0 { 0 } else { self.1[above - 1] + 1 };
        let column = self.0.get(begin..span.start).map_or(0, |before| before.chars().count());
        let counted = |n| u32::try_from(n).unwrap_or(u32::MAX).saturating_add(1);
        (counted(above), counted(column))
    }

    fn table(&self, table: DeTable<'_>) -> Data {
        // The parser sorts the table by name; restore the order of the text.
        let mut entries: Vec<_> = table.into_iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let entry = |(key, value): (Spanned<_>, _)| {
            let line = self.of(&key.span());
            Entry { key: Cow::into_owned(key.into_inner()), line, node: self.node(value) }
        };
        Data::Table(entries.into_iter().map(entry).collect())
    }

    fn node(&self, value: Spanned<DeValue<'_>>) -> Node {
        let (line, column) = self.place(&value.span());
        let data = match value.into_inner() {
            DeValue::String(text) => Data::Text(text.into_owned()),
            DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
                Ok(decimal) => Data::Number(decimal.to_string(), false),
                Err(_) => Data::Number(number.as_str().to_owned(), false),
            },
            DeValue::Float(number) => Data::Number(number.as_str().to_owned(), false),
            DeValue::Boolean(on) => Data::Bool(on),
            DeValue::Datetime(time) => Data::Text(time.to_string()),
            DeValue::Array(items) => Data::List(items.into_iter().map(|item| self.node(item)).collect()),
            DeValue::Table(table) => self.table(table),
        };
        Node { line, column, data }
    }
}
