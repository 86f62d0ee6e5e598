//! Spans and log records as CloudEvents.
//!
//! Source: *CloudEvents, version 1.0.2*, its JSON format (§3.1 and §4 on batches), and the extensions for distributed tracing, partitioning and severity.

use crate::Resource;
use crate::json::{Object, push_text, push_value};
use crate::log::format_nanos;
use crate::message;
use crate::otlp::severity_number;
use crate::text::percent_encode;
use crate::view::{LogView, SpanView};
use std::hash::{BuildHasher, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};
use throughline::{SpanId, TraceId, Value};

/// One event: its attributes without `specversion` and `datacontenttype`, which are always the same, and its data in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloudEvent {
    attributes: Vec<(String, String)>,
    data: String,
}

/// Makes CloudEvents of spans and log records.
///
/// | attribute | of a log record | of a span |
/// |---|---|---|
/// | `id` | unique, the same whenever the event is sent again | that of the trace and that of the span |
/// | `source` | `/NAMESPACE/SERVICE/INSTANCE` | the same |
/// | `type` | the event's name, or `throughline.log` | `throughline.span` |
/// | `subject` | the module | the span's name |
/// | `time` | when it was recorded | when it ended |
/// | `traceparent` | of its span, if it has one | of the span |
/// | `partitionkey` | the trace, if it has one | the trace |
/// | `severitytext`, `severitynumber` | its level, as OpenTelemetry has it | |
///
/// The data is a JSON object. A log record has `message`, `level`, `target` and `attributes`. A span has `name`, `kind`, `status`, `start`, `end`,
/// `duration_ms`, `parent_span_id` and `attributes`.
#[derive(Debug)]
pub struct CloudEventEncoder {
    source: String,
    /// Before the number of an event, so that ids of different runs differ.
    run: u64,
    number: u64,
}

impl CloudEventEncoder {
    /// Events of this resource.
    pub fn new(resource: &Resource) -> CloudEventEncoder {
        let parts = ["service.namespace", "service.name", "service.instance.id"];
        let parts = parts.into_iter().filter_map(|name| resource.get(name)).filter(|part| !part.is_empty());
        let source: String = parts.map(|part| format!("/{}", percent_encode(part))).collect();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        // The keys of std's hash tables come from the system's source of random numbers.
        let run = RandomState::new().hash_one((std::process::id(), now));
        CloudEventEncoder { source: if source.is_empty() { "/".into() } else { source }, run, number: 0 }
    }

    /// A log record.
    pub fn log(&mut self, log: &LogView<'_>) -> CloudEvent {
        self.number += 1;
        let id = format!("{:016x}-{}", self.run, self.number);
        let kind = if log.event_name.is_empty() { "throughline.log" } else { log.event_name };
        let mut event = self.event(id, kind, log.target, log.time_unix_ns);
        if let Some((trace, span)) = log.span {
            event.trace(trace, span, log.trace_flags);
        }
        event.put("severitytext", log.level.as_str());
        event.put("severitynumber", &severity_number(log.level).to_string());
        let mut data = Object::new(&mut event.data);
        data.text("message", &message::render(log.message, log.fields.clone()));
        data.plain("level", log.level);
        data.text("target", log.target);
        fields(data.object("attributes"), log.fields.clone());
        data.end();
        event
    }

    /// A span.
    pub fn span(&self, span: &SpanView<'_>) -> CloudEvent {
        let id = format!("{}-{}", span.trace_id, span.span_id);
        let mut event = self.event(id, "throughline.span", span.name, span.end_unix_ns);
        event.trace(span.trace_id, span.span_id, 1);
        let mut data = Object::new(&mut event.data);
        data.text("name", span.name);
        data.plain("kind", span.kind.as_str());
        data.plain("status", span.status.as_str());
        data.plain("start", format_nanos(span.start_unix_ns));
        data.plain("end", format_nanos(span.end_unix_ns));
        let duration = span.end_unix_ns.saturating_sub(span.start_unix_ns) as f64 / 1e6;
        push_value(data.key("duration_ms"), &Value::F64(duration));
        if let Some(parent) = span.parent_span_id {
            data.plain("parent_span_id", parent);
        }
        data.text("target", span.target);
        fields(data.object("attributes"), span.fields.clone());
        data.end();
        event
    }

    /// An event of another kind. What happened has always the same `id`, the data is JSON, and an empty subject is left out. The trace, the span and their
    /// flags are added if there are any.
    pub fn other(
        &self,
        id: impl Into<String>,
        kind: &str,
        subject: &str,
        time_unix_ns: u64,
        span: Option<(TraceId, SpanId, u8)>,
        data: impl Into<String>,
    ) -> CloudEvent {
        let mut event = self.event(id.into(), kind, subject, time_unix_ns);
        if let Some((trace, span, flags)) = span {
            event.trace(trace, span, flags);
        }
        CloudEvent { data: data.into(), ..event }
    }

    fn event(&self, id: String, kind: &str, subject: &str, time_unix_ns: u64) -> CloudEvent {
        let mut event = CloudEvent::default();
        event.attributes.push(("id".into(), id));
        event.put("source", &self.source);
        event.put("type", kind);
        if !subject.is_empty() {
            event.put("subject", subject);
        }
        event.attributes.push(("time".into(), format_nanos(time_unix_ns).to_string()));
        event
    }
}

impl CloudEvent {
    fn put(&mut self, name: &str, value: &str) {
        self.attributes.push((name.into(), value.into()));
    }

    fn trace(&mut self, trace: TraceId, span: SpanId, flags: u8) {
        self.attributes.push(("traceparent".into(), format!("00-{trace}-{span}-{:02x}", flags & 1)));
        self.attributes.push(("partitionkey".into(), trace.to_string()));
    }

    /// An attribute.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// The attributes with `specversion` before them: those of binary mode, without the prefix that a protocol gives them.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        let own = self.attributes.iter().map(|(name, value)| (&**name, &**value));
        std::iter::once(("specversion", "1.0")).chain(own)
    }

    /// The data, which is JSON.
    pub fn data(&self) -> &str {
        &self.data
    }

    /// Appends the event as a JSON object: structured mode.
    pub fn push_json(&self, out: &mut String) {
        let mut object = Object::new(out);
        for (name, value) in self.attributes() {
            match name {
                // The one attribute that is a number.
                "severitynumber" => object.key(name).push_str(value),
                _ => push_text(object.key(name), value),
            }
        }
        object.text("datacontenttype", "application/json");
        object.key("data").push_str(&self.data);
        object.end();
    }

    /// Appends the event in a form that [`read`](CloudEvent::read) reads.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut text = |text: &str| {
            out.extend((text.len() as u32).to_le_bytes());
            out.extend(text.as_bytes());
        };
        text(&self.data);
        for (name, value) in &self.attributes {
            text(name);
            text(value);
        }
        // An attribute without a name is the end.
        text("");
    }

    /// Takes an event from the front of the bytes; `None` if there is none.
    pub(super) fn read(bytes: &mut &[u8]) -> Option<CloudEvent> {
        let mut text = || {
            let (length, rest) = bytes.split_first_chunk::<4>()?;
            let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            *bytes = rest;
            Some(std::str::from_utf8(text).ok()?.to_owned())
        };
        let mut event = CloudEvent { data: text()?, attributes: Vec::new() };
        loop {
            let name = text()?;
            if name.is_empty() {
                return Some(event);
            }
            event.attributes.push((name, text()?));
        }
    }
}

fn fields<'a>(mut object: Object<'_>, fields: impl Iterator<Item = (&'a str, Value<'a>)> + Clone) {
    let mut seen: Vec<&str> = Vec::new();
    let all: Vec<_> = fields.filter(|(_, value)| *value != Value::Absent).collect();
    // Keys of JSON are unique, and the last one wins.
    for (name, value) in all.iter().rev() {
        if !seen.contains(name) {
            seen.push(name);
            push_value(object.key(name), value);
        }
    }
    object.end();
}
