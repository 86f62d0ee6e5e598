//! Loggers of the API, for appenders such as `opentelemetry-appender-log`.

use super::context::attach_ids;
use super::site::{Scope, What};
use super::span::nanos_ago;
use crate::bridge::{elsewhere, leave_out};
use opentelemetry::logs::{self, AnyValue, Severity};
use opentelemetry::{InstrumentationScope, Key, SpanId, TraceFlags, TraceId};
use std::borrow::Cow;
use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::SystemTime;
use throughline::adapter::bridge::{self, FieldList};
use throughline::adapter::callsite::{Kind, MAX_FIELDS};
use throughline::{Level, SpanKind, field};

/// A logger provider whose log records are this library's. There is no global one; give it to an appender.
///
/// A record has the ids of the current span, or those that it was given. A body that is a text is the message; another
/// body, and lists and maps among the attributes, are shown as JSON. There is room for 14 attributes; further ones are
/// counted in `throughline.bridge.refused`.
///
/// ```
/// use opentelemetry::logs::{LogRecord as _, Logger as _, LoggerProvider as _, Severity};
/// let logger = throughline_std::opentelemetry::LoggerProvider.logger("shop");
/// let mut record = logger.create_log_record();
/// record.set_severity_number(Severity::Info);
/// record.set_body("order placed".into());
/// logger.emit(record);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct LoggerProvider;

impl logs::LoggerProvider for LoggerProvider {
    type Logger = Logger;

    fn logger_with_scope(&self, scope: InstrumentationScope) -> Logger {
        super::context::follow();
        Logger { scope: Arc::new(Scope::new(&scope)) }
    }
}

/// A logger of the API; see [`LoggerProvider`].
#[derive(Clone, Debug)]
pub struct Logger {
    scope: Arc<Scope>,
}

/// A log record of the API; see [`LoggerProvider`].
#[derive(Clone, Debug, Default)]
pub struct LogRecord {
    event_name: &'static str,
    target: Option<Cow<'static, str>>,
    time: Option<SystemTime>,
    severity: Option<Severity>,
    body: Option<AnyValue>,
    attributes: Vec<(Key, AnyValue)>,
    ids: Option<(TraceId, SpanId, Option<TraceFlags>)>,
}

impl logs::LogRecord for LogRecord {
    fn set_event_name(&mut self, name: &'static str) {
        self.event_name = name;
    }

    fn set_target<T: Into<Cow<'static, str>>>(&mut self, target: T) {
        self.target = Some(target.into());
    }

    fn set_timestamp(&mut self, timestamp: SystemTime) {
        self.time = Some(timestamp);
    }

    fn set_observed_timestamp(&mut self, timestamp: SystemTime) {
        self.time = self.time.or(Some(timestamp));
    }

    /// Does nothing: the text is that of the number.
    fn set_severity_text(&mut self, _: &'static str) {}

    fn set_severity_number(&mut self, number: Severity) {
        self.severity = Some(number);
    }

    fn set_body(&mut self, body: AnyValue) {
        self.body = Some(body);
    }

    fn add_attributes<I, K, V>(&mut self, attributes: I)
    where
        I: IntoIterator<Item = (K, V)>,
        K: Into<Key>,
        V: Into<AnyValue>,
    {
        attributes.into_iter().for_each(|(key, value)| self.add_attribute(key, value));
    }

    fn add_attribute<K: Into<Key>, V: Into<AnyValue>>(&mut self, key: K, value: V) {
        // Bounded, because nothing else bounds what a loop adds.
        if self.attributes.len() < ATTRIBUTES {
            self.attributes.push((key.into(), value.into()));
        } else {
            leave_out(1);
        }
    }

    fn set_trace_context(&mut self, trace: TraceId, span: SpanId, flags: Option<TraceFlags>) {
        self.ids = Some((trace, span, flags));
    }
}

/// The most attributes of a record.
const ATTRIBUTES: usize = MAX_FIELDS - 1;

impl logs::Logger for Logger {
    type LogRecord = LogRecord;

    fn create_log_record(&self) -> LogRecord {
        LogRecord::default()
    }

    fn emit(&self, record: LogRecord) {
        let _there = record.ids.and_then(|(trace, span, flags)| attach_ids(trace, span, flags));
        let what = What {
            kind: Kind::Event,
            span_kind: SpanKind::Internal,
            level: level(record.severity),
            name: record.event_name,
            has_message: record.body.is_some(),
            target: record.target.as_deref().unwrap_or(&self.scope.name),
        };
        let nanos = record.time.map_or(0, nanos_ago);
        let Some(callsite) =
            what.callsite(&self.scope, record.attributes.iter().map(|(key, _)| key.as_str()))
        else {
            return emit_elsewhere(&record, what, nanos);
        };
        let Some(callsite) = callsite.enabled() else { return };
        let mut list = FieldList::expecting(MAX_FIELDS.min(1 + record.attributes.len()));
        if let Some(body) = &record.body {
            push(&mut list, body);
        }
        record.attributes.iter().for_each(|(_, value)| push(&mut list, value));
        bridge::event_ago(callsite, &mut list, nanos);
    }

    fn event_enabled(&self, severity: Severity, _: &str, _: Option<&str>) -> bool {
        match level(Some(severity)) {
            Level::Trace => throughline::enabled!(Trace),
            Level::Debug => throughline::enabled!(Debug),
            Level::Info => throughline::enabled!(Info),
            Level::Warn => throughline::enabled!(Warn),
            Level::Error => throughline::enabled!(Error),
        }
    }
}

/// Records what has no callsite, with its keys.
#[cold]
fn emit_elsewhere(record: &LogRecord, what: What<'_>, nanos: i64) {
    let Some(callsite) = elsewhere::elsewhere(what.level) else { return };
    let mut list = FieldList::expecting(elsewhere::NAMES.len());
    match &record.body {
        Some(body) => push(&mut list, body),
        None => _ = list.push(what.name),
    }
    let room = elsewhere::PAIR_NAMES.len() / 2;
    for (key, value) in record.attributes.iter().take(room) {
        list.push(key.as_str());
        push(&mut list, value);
    }
    leave_out(record.attributes.len().saturating_sub(room));
    bridge::event_ago(callsite, &mut list, nanos);
}

fn level(severity: Option<Severity>) -> Level {
    match severity.map_or(Severity::Info as u8, |severity| severity as u8) {
        ..5 => Level::Trace,
        5..9 => Level::Debug,
        9..13 => Level::Info,
        13..17 => Level::Warn,
        17.. => Level::Error,
    }
}

fn push(list: &mut FieldList, value: &AnyValue) {
    match value {
        AnyValue::Int(value) => list.push(value),
        AnyValue::Double(value) => list.push(value),
        AnyValue::String(value) => list.push(value.as_str()),
        AnyValue::Boolean(value) => list.push(value),
        AnyValue::Bytes(bytes) => list.push(&bytes[..]),
        other => list.push(&field::display(Json(other, 0))),
    };
}

/// A value as JSON, lists and maps within others as far as this many deep.
struct Json<'a>(&'a AnyValue, usize);

const DEEPEST: usize = 16;

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Json(value, depth) = *self;
        match value {
            AnyValue::Int(value) => write!(f, "{value}"),
            AnyValue::Double(value) => write!(f, "{value}"),
            AnyValue::Boolean(value) => write!(f, "{value}"),
            AnyValue::String(value) => text(f, value.as_str()),
            AnyValue::Bytes(bytes) => write!(f, "{bytes:?}"),
            AnyValue::ListAny(values) if depth < DEEPEST => {
                f.write_char('[')?;
                for (i, value) in values.iter().enumerate() {
                    write!(f, "{}{}", if i > 0 { "," } else { "" }, Json(value, depth + 1))?;
                }
                f.write_char(']')
            }
            AnyValue::Map(entries) if depth < DEEPEST => {
                f.write_char('{')?;
                for (i, (key, value)) in entries.iter().enumerate() {
                    f.write_str(if i > 0 { "," } else { "" })?;
                    text(f, key.as_str())?;
                    write!(f, ":{}", Json(value, depth + 1))?;
                }
                f.write_char('}')
            }
            _ => f.write_str("null"),
        }
    }
}

fn text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            c if c < ' ' => write!(f, "\\u{:04x}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}
