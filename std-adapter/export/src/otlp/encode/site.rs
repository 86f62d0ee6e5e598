//! Encodes once what a callsite contributes to each of its records.

use super::{
    attribute::{self, EncodedKey, Key},
    limits::AttributeLimits,
    out::Out,
    proto,
    request::ScopeKey,
    trace::HEAD,
    unique,
};
use crate::message;
use crate::view::Scope;
use throughline::adapter::callsite::Blob;
use throughline::{Level, SpanKind, Value};

/// Tag of `Span.attributes`.
pub(super) const SPAN_ATTRIBUTE: u8 = 0x4a;
/// Tag of `LogRecord.attributes`.
pub(super) const LOG_ATTRIBUTE: u8 = 0x32;

/// A prepared callsite, ready to be copied into records: scope, name, kind or severity, code location, and
/// the keys of its fields. It borrows the callsite's texts, so that a field's name can be recognised by its
/// address.
///
/// It is optional. [`TraceEncoder::span`](super::TraceEncoder::span) works without it, but takes four times
/// as long.
#[derive(Clone, Debug)]
pub struct Site<'a> {
    pub(super) scope: ScopeKey<'a>,
    /// The start of a `Span`, up to and including the code location, with ids and times to be filled in.
    pub(super) span: Vec<u8>,
    /// Where in `span` the code location begins.
    pub(super) span_code: usize,
    /// Complete fields of a `LogRecord`.
    pub(super) log: Vec<u8>,
    /// Where in `log` the code location begins.
    pub(super) log_code: usize,
    /// The place in the source, if it is exported.
    pub(super) code: Option<Code<'a>>,
    /// Whether the message has placeholders. If it has none, `log` contains the body.
    pub(super) has_placeholders: bool,
    pub(super) keys: Vec<SiteKey<'a>>,
    /// See [`Site::is_plain`].
    is_plain: bool,
}

/// The key of a field.
#[derive(Clone, Debug)]
pub(super) struct SiteKey<'a> {
    pub(super) name: &'a str,
    /// `None` if the key is too long.
    pub(super) encoded: Option<EncodedKey>,
}

impl<'a> Site<'a> {
    /// Prepares the callsite `blob`, of a span or an event.
    pub fn new(blob: &Blob<'a>, options: super::Options) -> Site<'a> {
        let code =
            options.code_location.then_some(Code { target: blob.target, file: blob.file, line: blob.line });
        let (mut span, mut log) = (Out::default(), Out::default());
        let has_placeholders = blob.name.contains(['{', '}']);
        span_begin(&mut span, blob.name, blob.span_kind);
        let span_code = span.len();
        // For an event, the unit holds its name.
        log_fixed(&mut log, blob.level.unwrap_or(Level::Info), blob.unit);
        if !has_placeholders {
            log_body(&mut log, blob.name);
        }
        let log_code = log.len();
        if let Some(code) = code {
            code.attributes(|name, value| own_attribute(&mut span, SPAN_ATTRIBUTE, name, value));
            code.attributes(|name, value| own_attribute(&mut log, LOG_ATTRIBUTE, name, value));
        }
        let names: Vec<_> = blob.fields().collect();
        let fits = |limits: &AttributeLimits| names.len() <= limits.count;
        let is_plain = fits(&options.spans)
            && fits(&options.logs)
            && names.iter().enumerate().all(|(i, name)| !names[..i].contains(name) && !unique::is_own(name))
            && !names.iter().any(|name| message::is_all(blob.name, name));
        Site {
            scope: ScopeKey::new(Scope::of(blob.package, blob.version, blob.target)),
            span: span.into_vec(),
            span_code,
            log: log.into_vec(),
            log_code,
            code,
            has_placeholders,
            keys: names.iter().map(|name| SiteKey { name, encoded: EncodedKey::new(name) }).collect(),
            is_plain,
        }
    }

    /// Whether its fields can be written without comparing them: their names are unique, none is a name that
    /// the exporter uses itself, and their number is within the limits.
    pub fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// Makes the callsite not plain. The encoder then takes the values of its fields from the view, because
    /// they differ from those of the record.
    #[must_use]
    pub fn not_plain(self) -> Site<'a> {
        Site { is_plain: false, ..self }
    }

    /// The key of the `i`-th field. It is encoded if the name is the callsite's own text.
    #[inline]
    pub(super) fn key<'k>(&'k self, i: usize, name: &'k str) -> Key<'k> {
        match self.keys.get(i) {
            // While the text is borrowed, equal addresses mean equal texts. Comparing the texts would cost
            // more than it saves.
            Some(SiteKey { name: own, encoded: Some(encoded) }) if core::ptr::eq(*own, name) => {
                Key::Encoded(encoded)
            }
            _ => Key::Plain(name),
        }
    }
}

/// The place of a record in the source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Code<'a> {
    pub(super) target: &'a str,
    pub(super) file: &'a str,
    pub(super) line: u32,
}

impl<'a> Code<'a> {
    /// Calls `each` with the names and values of the attributes.
    pub(super) fn attributes(self, mut each: impl FnMut(&'static str, Value<'a>)) {
        let text = |text| Value::Str { text, truncated: false };
        // `code.namespace` is deprecated in favour of `code.function.name`, but a module path is not a
        // function. The crates around `tracing` use `code.module.name`.
        if !self.target.is_empty() {
            each("code.module.name", text(self.target));
        }
        if !self.file.is_empty() {
            each("code.file.path", text(self.file));
            each("code.line.number", Value::U64(self.line.into()));
        }
    }
}

fn own_attribute(out: &mut Out, tag: u8, name: &str, value: Value<'_>) {
    attribute::attribute(out, tag, Key::Plain(name), &value);
}

/// Writes [`HEAD`], `Span.name` and `Span.kind`.
pub(super) fn span_begin(out: &mut Out, name: &str, kind: SpanKind) {
    out.extend_from_slice(&HEAD);
    proto::bytes_field(out, 0x2a, name.as_bytes());
    let kind = match kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    };
    out.extend_from_slice(&[0x30, kind]);
}

/// OpenTelemetry's `SeverityNumber` of the level.
pub(crate) const fn severity_number(level: Level) -> u8 {
    match level {
        Level::Trace => 1,
        Level::Debug => 5,
        Level::Info => 9,
        Level::Warn => 13,
        Level::Error => 17,
    }
}

/// Writes `LogRecord.severity_number`, `severity_text` and, if there is one, `event_name`.
pub(super) fn log_fixed(out: &mut Out, level: Level, event_name: &str) {
    out.extend_from_slice(&[0x10, severity_number(level)]);
    proto::bytes_field(out, 0x1a, level.as_str().as_bytes());
    if !event_name.is_empty() {
        proto::bytes_field(out, 0x62, event_name.as_bytes());
    }
}

/// Writes `LogRecord.body` with a text.
pub(super) fn log_body(out: &mut Out, text: &str) {
    out.push(0x2a);
    proto::varint(out, (1 + proto::varint_len(text.len()) + text.len()) as u64);
    proto::bytes_field(out, 0x0a, text.as_bytes());
}
