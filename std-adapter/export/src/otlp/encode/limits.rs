//! How long attributes may be and how many: OpenTelemetry's limits, and counts of what they cost.

use throughline::Value;

/// What an encoder writes beside what a view says, and how much of it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Whether each span and log carries where it was written: `code.module.name`, `code.file.path`, `code.line.number`. About
    /// 100 bytes each, which compress well. On by default.
    pub code_location: bool,
    /// Limits of a span's attributes.
    pub spans: AttributeLimits,
    /// Limits of a log record's attributes.
    pub logs: AttributeLimits,
}

impl Default for Options {
    fn default() -> Self {
        Options { code_location: true, spans: AttributeLimits::default(), logs: AttributeLimits::default() }
    }
}

/// Limits of the attributes of one record. They hold beside those of the recorder, which cuts text to what fits a record.
///
/// A value that is cut, by the recorder or by the limit, is followed by the attribute `<key>.truncated = true`. Attributes beyond the count are left out and counted in
/// OTLP's `dropped_attributes_count`; those that the exporter adds itself, such as `code.line.number` and `busy_ns`, do not count and are not
/// left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttributeLimits {
    /// Most characters of a text, most bytes of a byte string. No limit by default.
    pub value_length: usize,
    /// Most attributes; 128 by default.
    pub count: usize,
}

impl Default for AttributeLimits {
    fn default() -> Self {
        AttributeLimits { value_length: usize::MAX, count: 128 }
    }
}

impl AttributeLimits {
    /// Whether the value was cut by the recorder, or is to be cut.
    #[inline]
    pub(super) fn cuts(&self, value: &Value<'_>) -> bool {
        match *value {
            // A text of no more bytes than the limit has characters has no more characters either.
            Value::Str { text, truncated } | Value::Shown { text, truncated } => {
                truncated || text.len() > self.value_length && self.cuts_text(text)
            }
            Value::Bytes { bytes, truncated } | Value::Postcard { bytes, truncated } => {
                truncated || bytes.len() > self.value_length
            }
            // Extended values are cut by the recorder alone.
            ref other => other.is_truncated(),
        }
    }

    #[cold]
    fn cuts_text(&self, text: &str) -> bool {
        text.chars().nth(self.value_length).is_some()
    }

    /// The value within the limit.
    pub(super) fn cut<'a>(&self, value: Value<'a>) -> Value<'a> {
        let n = self.value_length;
        match value {
            Value::Str { text, .. } | Value::Shown { text, .. } => {
                let end = text.char_indices().nth(n).map_or(text.len(), |(at, _)| at);
                Value::Str { text: &text[..end], truncated: true }
            }
            Value::Bytes { bytes, .. } => {
                Value::Bytes { bytes: &bytes[..bytes.len().min(n)], truncated: true }
            }
            Value::Postcard { bytes, .. } => {
                Value::Postcard { bytes: &bytes[..bytes.len().min(n)], truncated: true }
            }
            other => other,
        }
    }
}

/// What was not sent as it was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Values that were cut, by the recorder or by a limit.
    pub cut_values: u64,
    /// Attributes that were left out, as there were too many.
    pub dropped_attributes: u64,
}
