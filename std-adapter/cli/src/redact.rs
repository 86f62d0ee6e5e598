//! Replaces the values of secret fields and labels before any output sees them.

use std::borrow::Cow;

use throughline::Value;
use throughline_decode::trace::{Assembled, Entry};
use throughline_decode::{Item, OwnedValue};
use throughline_export::{REDACTED, Redaction};

/// Replaces values whose names are secret; none if the user wants to see everything.
pub(crate) struct Redactor(Redaction);

impl Redactor {
    pub(crate) fn new(is_on: bool) -> Redactor {
        Redactor(if is_on { Redaction::default() } else { Redaction::none() })
    }

    /// Replaces the values in a trace, an event or fields.
    pub(crate) fn assembled(&self, assembled: &mut Assembled<'_>) {
        match assembled {
            Assembled::Trace(trace) => trace.entries.iter_mut().for_each(|(_, entry)| match entry {
                Entry::Span(span) => self.fields(&mut span.fields),
                Entry::Event(event) | Entry::Fields(event) => self.fields(&mut event.fields),
                Entry::Loss(_) => {}
            }),
            Assembled::Event(event) => self.fields(&mut event.fields),
            Assembled::Loss(_) => {}
        }
    }

    /// The item with its labels replaced. Spans, events and fields are shown when they come again in traces.
    pub(crate) fn item<'i, 'elf, 'r>(&self, item: &'i Item<'elf, 'r>) -> Cow<'i, Item<'elf, 'r>> {
        let Item::Metrics(snapshot) = item else { return Cow::Borrowed(item) };
        let is_secret = |name: &str| self.0.hides(name);
        if !snapshot.points.iter().flat_map(|point| &point.labels).any(|(name, _)| is_secret(name)) {
            return Cow::Borrowed(item);
        }
        let mut snapshot = snapshot.clone();
        for (name, value) in snapshot.points.iter_mut().flat_map(|point| &mut point.labels) {
            if is_secret(name) {
                *value = REDACTED.to_owned();
            }
        }
        Cow::Owned(Item::Metrics(snapshot))
    }

    fn fields(&self, fields: &mut [(Cow<'_, str>, OwnedValue)]) {
        for (name, value) in fields {
            // A field that is absent shows nothing.
            if !matches!(value, OwnedValue::Absent) && self.0.hides(name) {
                *value = Value::Str { text: REDACTED, truncated: false }.into();
            }
        }
    }
}
