//! What a callsite contributes to each of its records, encoded once.

use super::{
    attribute::{EncodedKey, Key, int_attribute, text_attribute},
    out::Out,
    proto,
    trace::HEAD,
};
use throughline::adapter::callsite::Blob;
use throughline::{Level, SpanKind};

/// Tag of `Span.attributes`.
pub(super) const SPAN_ATTRIBUTE: u8 = 0x4a;
/// Tag of `LogRecord.attributes`.
pub(super) const LOG_ATTRIBUTE: u8 = 0x32;

/// A callsite ready to be copied into records: name, kind or severity, code location, and the keys of its fields. It borrows the callsite's
/// texts, so that a field's name can be recognised by its address.
///
/// Optional: [`TraceEncoder::span`](super::TraceEncoder::span) does without, and takes four times as long.
#[derive(Clone, Debug)]
pub struct Site<'a> {
    /// A `Span` up to its code location, ids and times to be filled in.
    pub(super) span: Vec<u8>,
    /// Fields of a `LogRecord`, complete.
    pub(super) log: Vec<u8>,
    /// Whether the message has placeholders; if not, `log` has the body already.
    pub(super) has_placeholders: bool,
    pub(super) keys: Vec<SiteKey<'a>>,
}

/// The key of a field.
#[derive(Clone, Debug)]
pub(super) struct SiteKey<'a> {
    pub(super) name: &'a str,
    /// `None` when it is too long.
    pub(super) encoded: Option<EncodedKey>,
}

impl<'a> Site<'a> {
    /// Prepares the callsite `blob`, a span's or an event's.
    pub fn new(blob: &Blob<'a>, options: super::Options) -> Site<'a> {
        let code =
            options.code_location.then_some(Code { target: blob.target, file: blob.file, line: blob.line });
        let (mut span, mut log) = (Out::default(), Out::default());
        let has_placeholders = blob.name.contains(['{', '}']);
        span_begin(&mut span, blob.name, blob.span_kind, code);
        log_fixed(&mut log, blob.level.unwrap_or(Level::Info), code);
        if !has_placeholders {
            log_body(&mut log, blob.name);
        }
        let keys = blob.fields().map(|name| SiteKey { name, encoded: EncodedKey::new(name) });
        Site { span: span.into_vec(), log: log.into_vec(), has_placeholders, keys: keys.collect() }
    }

    /// The key of the `i`-th field, encoded if it is the callsite's own.
    #[inline]
    pub(super) fn key<'k>(&'k self, i: usize, name: &'k str) -> Key<'k> {
        match self.keys.get(i) {
            // Equal addresses while we borrow the text mean equal texts; comparing them would cost more than it saves.
            Some(SiteKey { name: own, encoded: Some(encoded) }) if core::ptr::eq(*own, name) => {
                Key::Encoded(encoded)
            }
            _ => Key::Plain(name),
        }
    }
}

/// Where a record was written.
#[derive(Clone, Copy)]
pub(super) struct Code<'a> {
    pub(super) target: &'a str,
    pub(super) file: &'a str,
    pub(super) line: u32,
}

impl Code<'_> {
    fn write(self, out: &mut Out, tag: u8) {
        // `code.namespace` is deprecated in favour of `code.function.name`, which a module path is not; the `tracing` world
        // settled on `code.module.name`.
        if !self.target.is_empty() {
            text_attribute(out, tag, "code.module.name", self.target);
        }
        if !self.file.is_empty() {
            text_attribute(out, tag, "code.file.path", self.file);
            int_attribute(out, tag, "code.line.number", i64::from(self.line));
        }
    }
}

/// [`HEAD`], `Span.name`, `Span.kind` and the code location.
pub(super) fn span_begin(out: &mut Out, name: &str, kind: SpanKind, code: Option<Code<'_>>) {
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
    if let Some(code) = code {
        code.write(out, SPAN_ATTRIBUTE);
    }
}

/// `LogRecord.severity_number`, `severity_text` and the code location.
pub(super) fn log_fixed(out: &mut Out, level: Level, code: Option<Code<'_>>) {
    let number = match level {
        Level::Trace => 1,
        Level::Debug => 5,
        Level::Info => 9,
        Level::Warn => 13,
        Level::Error => 17,
    };
    out.extend_from_slice(&[0x10, number]);
    proto::bytes_field(out, 0x1a, level.as_str().as_bytes());
    if let Some(code) = code {
        code.write(out, LOG_ATTRIBUTE);
    }
}

/// `LogRecord.body`, a text.
pub(super) fn log_body(out: &mut Out, text: &str) {
    out.push(0x2a);
    proto::varint(out, (1 + proto::varint_len(text.len()) + text.len()) as u64);
    proto::bytes_field(out, 0x0a, text.as_bytes());
}
