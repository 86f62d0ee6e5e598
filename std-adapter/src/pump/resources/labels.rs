//! Labels that the samples of a span get from its fields and from those of the spans above it, such as an agent's name.

use super::Generations;
use std::sync::{Mutex, MutexGuard, PoisonError};
use throughline::SpanId;
use throughline::adapter::ring::Word;

/// Longest value, in bytes; longer ones are cut.
const LONGEST: usize = 128;

/// Spans above a span that are looked at.
const LEVELS: usize = 64;

/// Those of the process's spans: the pump writes them, and profiles read them.
static LABELS: Mutex<Option<SpanLabels>> = Mutex::new(None);

/// What is known of spans that ended lately.
#[derive(Debug)]
pub(crate) struct SpanLabels {
    fields: Vec<String>,
    spans: Generations<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    parent: Option<SpanId>,
    /// In the order of the fields; empty if the span has none of them.
    values: Vec<Option<Box<str>>>,
}

/// Notes the values of these fields from now on.
pub(crate) fn begin(fields: Vec<String>) {
    *lock() = Some(SpanLabels { fields, spans: Generations::default() });
}

/// The labels of a span's samples; empty unless [`begin`] was called. A span that has not ended yet has none, and hides those of the spans above it.
pub(crate) fn of(span: SpanId) -> Vec<(String, String)> {
    lock().as_ref().map_or(Vec::new(), |labels| labels.of(span))
}

pub(in crate::pump) fn note(span: SpanId, parent: Option<SpanId>, value: impl FnMut(&str) -> Option<String>) {
    if let Some(labels) = &mut *lock() {
        labels.note(span, parent, value);
    }
}

fn lock() -> MutexGuard<'static, Option<SpanLabels>> {
    LABELS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key(span: SpanId) -> Word {
    u64::from_be_bytes(span.to_bytes()) as Word
}

impl SpanLabels {
    fn note(&mut self, span: SpanId, parent: Option<SpanId>, mut value: impl FnMut(&str) -> Option<String>) {
        let mut values: Vec<_> = self
            .fields
            .iter()
            .map(|field| {
                let mut value = value(field)?;
                value.truncate(value.floor_char_boundary(LONGEST));
                Some(value.into_boxed_str())
            })
            .collect();
        if values.iter().all(Option::is_none) {
            values = Vec::new();
        }
        *self.spans.entry(key(span)) = Noted { parent, values };
    }

    fn of(&self, span: SpanId) -> Vec<(String, String)> {
        let mut found = vec![None; self.fields.len()];
        let mut next = Some(span);
        for _ in 0..LEVELS {
            let Some(noted) = next.and_then(|span| self.spans.get(key(span))) else { break };
            for (found, value) in found.iter_mut().zip(&noted.values) {
                *found = found.or(value.as_deref());
            }
            next = noted.parent;
        }
        // Labels of pprof have no dots in tools that make metrics' labels of them.
        let pairs = self.fields.iter().zip(found);
        pairs.filter_map(|(field, value)| Some((field.replace('.', "_"), value?.to_owned()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_span_with_the_field_gives_the_label() {
        let id = |n: u8| SpanId::from_bytes([0, 0, 0, 0, 0, 0, 0, n]).unwrap();
        let fields = vec!["agent.name".to_owned(), "invocation_id".to_owned()];
        let mut labels = SpanLabels { fields, spans: Generations::default() };
        let say = |field: &'static str, value: &'static str| {
            move |name: &str| (name == field).then(|| value.to_owned())
        };
        labels.note(id(3), Some(id(2)), |_| None);
        labels.note(id(2), Some(id(1)), say("agent.name", "inner"));
        let named = |value: &str| ("agent_name".to_owned(), value.to_owned());
        assert_eq!(labels.of(id(3)), [named("inner")]);
        labels.note(id(1), None, |name| Some(if name == "agent.name" { "outer" } else { "i-7" }.to_owned()));
        let invocation = ("invocation_id".to_owned(), "i-7".to_owned());
        assert_eq!(labels.of(id(3)), [named("inner"), invocation.clone()]);
        assert_eq!(labels.of(id(1)), [named("outer"), invocation]);
        assert_eq!(labels.of(id(9)), []);
        // A span that is its own ancestor, which only a mistaken remote parent can make, ends the search.
        labels.note(id(4), Some(id(4)), |_| None);
        assert_eq!(labels.of(id(4)), []);
        labels.note(id(5), None, |_| Some("ü".repeat(100)));
        assert_eq!(labels.of(id(5))[0].1, "ü".repeat(64));
    }
}
