//! OpenTelemetry's limits of the length and number of attributes, and counts of what they removed.

use throughline::Value;

/// Options of an encoder.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Whether each span and log carries its place in the source: `code.module.name`, `code.file.path`,
    /// `code.line.number`. This takes about 100 bytes for each record, which compress well. On by default.
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

/// Limits of the attributes of one record. They apply in addition to those of the recorder, which cuts text
/// to fit into a record.
///
/// A value that the recorder or the limit cuts is followed by the attribute `<key>.truncated = true`.
/// Attributes beyond the count are left out, and are counted in OTLP's `dropped_attributes_count`. Attributes
/// that the exporter adds itself, such as `code.line.number` and `busy_ns`, do not count and are never left
/// out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttributeLimits {
    /// Most characters of a text and most bytes of a byte string. There is no limit by default.
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
    /// Whether the recorder has cut the value, or the limit requires a cut.
    #[inline]
    pub(super) fn cuts(&self, value: &Value<'_>) -> bool {
        match *value {
            // A text never has more characters than bytes, so a short one needs no count of characters.
            Value::Str { text, truncated } | Value::Shown { text, truncated } => {
                truncated || text.len() > self.value_length && self.cuts_text(text)
            }
            Value::Bytes { bytes, truncated } | Value::Postcard { bytes, truncated } => {
                truncated || bytes.len() > self.value_length
            }
            // Only the recorder cuts extended values.
            ref other => other.is_truncated(),
        }
    }

    #[cold]
    fn cuts_text(&self, text: &str) -> bool {
        text.chars().nth(self.value_length).is_some()
    }

    /// Cuts the value to the limit.
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

/// Counts of values and attributes that were not sent as they were recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Values that the recorder or a limit cut.
    pub cut_values: u64,
    /// Attributes that were left out because there were too many.
    pub dropped_attributes: u64,
}

impl std::ops::Add for Counts {
    type Output = Counts;

    fn add(self, other: Counts) -> Counts {
        Counts {
            cut_values: self.cut_values + other.cut_values,
            dropped_attributes: self.dropped_attributes + other.dropped_attributes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_at_characters_46() {
        let limits = AttributeLimits { value_length: 3, count: 1 };
        let text = |text| Value::Str { text, truncated: false };
        assert!(!limits.cuts(&text("abc")) && !limits.cuts(&text("世世世")));
        assert!(limits.cuts(&text("世世世界")));
        assert_eq!(limits.cut(text("世世世界")), Value::Str { text: "世世世", truncated: true });
        let bytes = |bytes| Value::Bytes { bytes, truncated: false };
        assert!(!limits.cuts(&bytes(b"abc")) && limits.cuts(&bytes(b"abcd")));
        assert_eq!(limits.cut(bytes(b"abcd")), Value::Bytes { bytes: b"abc", truncated: true });
    }
}
