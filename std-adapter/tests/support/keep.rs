//! An exporter that keeps names, ids and fields, for tests that compare them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use throughline::{SpanId, TraceId, Value};
use throughline_std::view::{LogView, SpanView};
use throughline_std::{Deadline, ExportError, Exporter, message};

/// A span or a log record.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// The name of a span, or the message of a log record.
    pub name: String,
    pub trace: Option<TraceId>,
    /// The span, or that of the log record.
    pub span: Option<SpanId>,
    pub parent: Option<SpanId>,
    /// Of a future's span: how long its polls took, in nanoseconds.
    pub busy: Option<u64>,
    pub fields: BTreeMap<String, String>,
}

impl Kept {
    /// The value of a field; "" if there is none.
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", |value| value)
    }
}

#[derive(Debug, Default)]
pub struct All {
    pub spans: Vec<Kept>,
    pub logs: Vec<Kept>,
}

impl All {
    pub fn span(&self, name: &str) -> &Kept {
        one(&self.spans, name)
    }

    pub fn log(&self, name: &str) -> &Kept {
        one(&self.logs, name)
    }
}

fn one<'a>(all: &'a [Kept], name: &str) -> &'a Kept {
    let mut found = all.iter().filter(|kept| kept.name == name);
    match (found.next(), found.next()) {
        (Some(kept), None) => kept,
        _ => panic!("not one {name}: {all:#?}"),
    }
}

/// Keeps everything. Clones keep the same.
#[derive(Clone, Debug, Default)]
pub struct Keep(Arc<Mutex<All>>);

impl Keep {
    /// Takes what has been kept so far.
    pub fn take(&self) -> All {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn fields<'a>(fields: impl Iterator<Item = (&'a str, Value<'a>)>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (name, value) in fields {
        let value = match value {
            Value::Absent => continue,
            Value::Str { text, .. } | Value::Shown { text, .. } => text.to_owned(),
            Value::U64(n) => n.to_string(),
            Value::I64(n) => n.to_string(),
            other => format!("{other:?}"),
        };
        assert!(all.insert(name.to_owned(), value).is_none(), "{name} comes twice");
    }
    all
}

impl Exporter for Keep {
    fn span(&mut self, span: &SpanView<'_>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).spans.push(Kept {
            name: span.name.to_owned(),
            trace: Some(span.trace_id),
            span: Some(span.span_id),
            parent: span.parent_span_id,
            busy: span.busy_ns,
            fields: fields(span.fields.clone()),
        });
    }

    fn log(&mut self, log: &LogView<'_>) {
        let name = message::render(log.message, log.fields.clone()).into_owned();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).logs.push(Kept {
            name,
            trace: log.span.map(|(trace, _)| trace),
            span: log.span.map(|(_, span)| span),
            parent: None,
            busy: None,
            fields: fields(log.fields.clone()),
        });
    }

    fn flush(&mut self, _: &Deadline) -> Result<(), ExportError> {
        Ok(())
    }
}
