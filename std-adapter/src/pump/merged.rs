//! The fields of a span: those of its own record, then those that came in records of their own.

use super::callsites::{Callsites, Entry, Name};
use super::late::Records;
use std::slice::Iter;
use throughline::Value;
use throughline::adapter::record::{KEY_FIELD, LINK_FIELD, Record, Values, ValuesIter};
use throughline_export::REDACTED;

/// Name of a value beyond the callsite's names. This library makes no such record, but the value is still
/// shown.
const NAMELESS: &str = "?";

/// Stands for every secret value.
const SECRET: Value<'static> = Value::Str { text: REDACTED, truncated: false };

/// The value as exporters may see it.
#[inline]
fn hidden_if(is_secret: bool, value: Value<'_>) -> Value<'_> {
    if is_secret && value != Value::Absent { SECRET } else { value }
}

/// The values of a record, then those of the records kept for it, each with its callsite.
#[derive(Clone, Debug)]
pub(super) struct Parts<'a> {
    next: Option<(&'a Entry, Values<'a>)>,
    kept: Records<'a>,
    callsites: &'a Callsites,
}

impl<'a> Parts<'a> {
    #[inline]
    pub(super) fn new(
        entry: &'a Entry,
        values: Values<'a>,
        kept: Records<'a>,
        callsites: &'a Callsites,
    ) -> Parts<'a> {
        Parts { next: Some((entry, values)), kept, callsites }
    }
}

/// The next kept record. It was checked when it was kept: it is a record of fields of a known callsite.
#[inline(always)]
pub(super) fn next_kept<'a>(
    kept: &mut Records<'a>,
    callsites: &'a Callsites,
) -> Option<(&'a Entry, Values<'a>)> {
    match Record::parse(kept.next()?)? {
        Record::Fields(fields) => Some((callsites.get(fields.callsite)?, fields.values)),
        _ => None,
    }
}

/// Whether nothing of the `earlier` values is left to show when the `later` ones of the same callsite have come: each
/// of their names has a later value. Links are never covered, because a span may have several.
pub(super) fn covers(entry: &Entry, later: Values<'_>, earlier: Values<'_>) -> bool {
    let mut before = Pairs { names: entry.names.iter(), values: earlier.into_iter() };
    before.all(|(name, value)| {
        let mut after = Pairs { names: entry.names.iter(), values: later.into_iter() };
        value == Value::Absent
            || name != LINK_FIELD && after.any(|(later, value)| later == name && value != Value::Absent)
    })
}

/// The names and values of a record, as its fields show them.
struct Pairs<'a> {
    names: Iter<'a, Name>,
    values: ValuesIter<'a>,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, Value<'a>);

    fn next(&mut self) -> Option<(&'a str, Value<'a>)> {
        let value = self.values.next()?;
        match (self.names.next(), value) {
            (Some(name), Value::Str { text, .. }) if name.text == KEY_FIELD => {
                self.names.next();
                Some((text, self.values.next()?))
            }
            (name, value) => Some((name.map_or(NAMELESS, |name| name.text), value)),
        }
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = (&'a Entry, Values<'a>);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let current = self.next.take()?;
        self.next = next_kept(&mut self.kept, self.callsites);
        Some(current)
    }
}

/// Names and values of all [`Parts`]. Each name comes once, with its last value; secret values are replaced.
#[derive(Clone, Debug)]
pub(super) struct Merged<'a> {
    parts: Parts<'a>,
    names: Iter<'a, Name>,
    values: Option<ValuesIter<'a>>,
    /// Returns every value without looking for repeated names: either there are none, or the caller compares
    /// them.
    gives_all: bool,
}

impl<'a> Merged<'a> {
    #[inline]
    pub(super) fn new(parts: Parts<'a>, gives_all: bool) -> Merged<'a> {
        Merged { parts, names: [].iter(), values: None, gives_all }
    }
}

impl<'a> Merged<'a> {
    fn next_of_all(&mut self) -> Option<(&'a str, Value<'a>)> {
        loop {
            if let Some(value) = self.next_value() {
                let name = self.names.next();
                return match (name, value) {
                    (Some(name), Value::Str { text, .. }) if name.text == KEY_FIELD => {
                        self.names.next();
                        let value = self.next_value()?;
                        Some((text, hidden_if(self.parts.callsites.is_secret(text), value)))
                    }
                    (Some(name), value) => Some((name.text, hidden_if(name.is_secret, value))),
                    (None, value) => Some((NAMELESS, value)),
                };
            }
            let (entry, values) = self.parts.next()?;
            self.names = entry.names.iter();
            self.values = Some(values.into_iter());
        }
    }

    #[inline]
    fn next_value(&mut self) -> Option<Value<'a>> {
        self.values.as_mut().and_then(Iterator::next)
    }

    /// Whether a later value has this name.
    #[cold]
    fn comes_again(&self, name: &str) -> bool {
        let mut rest = self.clone();
        std::iter::from_fn(|| rest.next_of_all())
            .any(|(later, value)| later == name && value != Value::Absent)
    }
}

impl<'a> Iterator for Merged<'a> {
    type Item = (&'a str, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (name, value) = self.next_of_all()?;
            if self.gives_all || !self.comes_again(name) {
                return Some((name, value));
            }
        }
    }
}
