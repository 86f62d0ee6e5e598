//! Writes a log record as a line, in compact text or JSON.

use crate::json::{Object, push, push_value};
use crate::message::{self, ValueText};
use crate::text::{Escaped, is_dangerous};
use crate::view::LogView;
use std::time::{Duration, UNIX_EPOCH};
use throughline::Value;

/// The format of a log record. Every record is one line, whatever its texts contain: line breaks, terminal
/// commands and characters that change the direction of writing are escaped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// `TIME LEVEL target trace_id=… span_id=… event_name=… key=value … message`, for people and `grep`:
    ///
    /// ```text
    /// 2026-01-22T10:00:00.123Z INFO shop::events trace_id=0af7651916cd43dd8448eb211c80319c span_id=b7ad6b7169203331 event_id=evt-1 Processing event
    /// ```
    ///
    /// The time is UTC in milliseconds. The ids are left out outside of spans, and `event_name` if the event
    /// has none. Values with spaces, quotes or `=` are in double quotes. A field that the message itself
    /// shows is not repeated.
    #[default]
    Text,
    /// A JSON object with these members. `trace_id`, `span_id` and `fields` are always present:
    ///
    /// | member | contents |
    /// |---|---|
    /// | `timestamp` | RFC 3339, UTC, nanoseconds |
    /// | `level` | `TRACE`, `DEBUG`, `INFO`, `WARN` or `ERROR` |
    /// | `target` | module path of the code |
    /// | `message` | the message, with its values filled in |
    /// | `event_name` | the event's name; absent when it has none |
    /// | `trace_id`, `span_id` | 32 and 16 hexadecimal digits; `null` outside of spans |
    /// | `trace_sampled` | whether the spans of the trace are recorded; absent outside of spans |
    /// | `file`, `line` | location of the code; absent if it is not known |
    /// | `fields` | an object of all fields: numbers and booleans as such, durations in seconds, all else as text |
    /// | `truncated` | names of the fields whose value was cut to fit; absent when there are none |
    ///
    /// ```text
    /// {"timestamp":"2026-01-22T10:00:00.123000000Z","level":"INFO","target":"shop::events","message":"Processing event","trace_id":"0af7…","span_id":"b7ad…","trace_sampled":true,"file":"src/events.rs","line":12,"fields":{"event_id":"evt-1"}}
    /// ```
    Json,
}

impl Format {
    /// Appends the record and a line break.
    pub(crate) fn push(self, out: &mut String, log: &LogView<'_>) {
        match self {
            Format::Text => push_text(out, log),
            Format::Json => push_json(out, log),
        }
        out.push('\n');
    }
}

fn push_text(out: &mut String, log: &LogView<'_>) {
    let target = Escaped(log.target);
    push(out, format_args!("{} {} {target}", millis(log.time_unix_ns), log.level));
    if let Some((trace_id, span_id)) = log.span {
        push(out, format_args!(" trace_id={trace_id} span_id={span_id}"));
    }
    if !log.event_name.is_empty() {
        out.push_str(" event_name=");
        push_word(out, log.event_name);
    }
    for (i, (name, value)) in log.fields.clone().enumerate() {
        if value != Value::Absent && !message::shows(log.message, i, name) {
            push(out, format_args!(" {}=", Escaped(name)));
            push_word(out, &ValueText(&value).to_string());
        }
    }
    if !log.message.is_empty() {
        let text = message::render(log.message, log.fields.clone());
        push(out, format_args!(" {}", Escaped(&text)));
    }
}

/// Appends a value so that its end can be seen.
fn push_word(out: &mut String, text: &str) {
    let is_plain = !text.is_empty()
        && !text.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '=' | '\\') || is_dangerous(c));
    if is_plain { out.push_str(text) } else { crate::json::push_text(out, text) }
}

fn push_json(out: &mut String, log: &LogView<'_>) {
    let mut object = Object::new(out);
    object.plain("timestamp", nanos(log.time_unix_ns));
    object.plain("level", log.level);
    object.text("target", log.target);
    object.text("message", &message::render(log.message, log.fields.clone()));
    if !log.event_name.is_empty() {
        object.text("event_name", log.event_name);
    }
    match log.span {
        Some((trace_id, span_id)) => {
            object.plain("trace_id", trace_id);
            object.plain("span_id", span_id);
            object.key("trace_sampled").push_str(if log.trace_flags & 1 == 1 { "true" } else { "false" });
        }
        None => {
            object.null("trace_id");
            object.null("span_id");
        }
    }
    if !log.file.is_empty() {
        object.text("file", log.file);
        object.number("line", log.line);
    }
    let mut fields = object.object("fields");
    for (name, value) in message::attributes(log) {
        push_value(fields.key(name), &value);
    }
    fields.end();
    let mut cut = log.fields.clone().filter(|(_, value)| value.is_truncated()).map(|(name, _)| name);
    if let Some(first) = cut.next() {
        let out = object.key("truncated");
        out.push('[');
        crate::json::push_text(out, first);
        cut.for_each(|name| {
            out.push(',');
            crate::json::push_text(out, name);
        });
        out.push(']');
    }
    object.end();
}

/// A time in RFC 3339, in UTC and milliseconds.
pub(crate) fn millis(unix_ns: u64) -> impl std::fmt::Display {
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_nanos(unix_ns))
}

/// A time in RFC 3339, in UTC and microseconds.
pub(crate) fn micros(unix_ns: u64) -> impl std::fmt::Display {
    humantime::format_rfc3339_micros(UNIX_EPOCH + Duration::from_nanos(unix_ns))
}

/// A time in RFC 3339, in UTC and nanoseconds.
pub(crate) fn nanos(unix_ns: u64) -> impl std::fmt::Display {
    humantime::format_rfc3339_nanos(UNIX_EPOCH + Duration::from_nanos(unix_ns))
}
