//! Writes attributes that may have equal keys, because a field was added twice or has a name that the
//! exporter uses itself. OTLP requires unique keys. The last value wins, and the program's value wins over
//! the exporter's.

use super::{
    attribute::{self, Key},
    limits::{AttributeLimits, Counts},
    out::Out,
    proto,
};
use throughline::Value;
use throughline::adapter::record::{LINK_FIELD, NAME_FIELD};

/// Attributes in order, in which keys may repeat, and fields with a special meaning that are not attributes.
#[derive(Debug, Default)]
pub(super) struct Attributes<'k, 'a> {
    all: Vec<(&'a str, Key<'k>, Value<'a>)>,
    /// The name that the span got after it began.
    name: Option<&'a str>,
    /// Trace id, span id and flags of each span that this one is linked to.
    links: Vec<&'a [u8; LINK]>,
}

/// Number of bytes of a link.
const LINK: usize = 25;

impl<'k, 'a: 'k> Attributes<'k, 'a> {
    pub(super) fn push(&mut self, name: &'a str, key: Key<'k>, value: Value<'a>) {
        match value {
            // An absent value is not a field, so it replaces no earlier one.
            Value::Absent => {}
            Value::Str { text, .. } if name == NAME_FIELD => self.name = Some(text),
            Value::Bytes { bytes, truncated: false } if name == LINK_FIELD => {
                self.links.extend(<&[u8; LINK]>::try_from(bytes).ok())
            }
            value => self.all.push((name, key, value)),
        }
    }

    /// Appends `Span.links`, and `Span.name` again if the name was changed. Readers of protobuf take the last
    /// occurrence of such a field.
    pub(super) fn write_relations(&self, out: &mut Out) {
        if let Some(name) = self.name {
            proto::bytes_field(out, 0x2a, name.as_bytes());
        }
        for link in &self.links {
            out.extend_from_slice(&[0x6a, 2 + 16 + 2 + 8 + 5, 0x0a, 16]);
            out.extend_from_slice(&link[..16]);
            out.extend_from_slice(&[0x12, 8]);
            out.extend_from_slice(&link[16..24]);
            // The flags are 32 bits wide; only the lowest eight are W3C's.
            out.extend_from_slice(&[0x35, link[24], 0, 0, 0]);
        }
    }

    /// The last value with this name.
    pub(super) fn get(&self, name: &str) -> Option<Value<'a>> {
        self.all.iter().rev().find(|(own, ..)| *own == name).map(|(.., value)| *value)
    }

    /// Appends each key once, at its first position, with its last value, as far as the limits allow. The
    /// field with the tag `dropped_tag` says how many were left out.
    pub(super) fn write(
        &self,
        out: &mut Out,
        tag: u8,
        dropped_tag: u8,
        limits: &AttributeLimits,
        counts: &mut Counts,
    ) {
        let mut written = 0;
        let mut dropped = 0;
        for (i, &(name, key, first)) in self.all.iter().enumerate() {
            if self.all[..i].iter().any(|(earlier, ..)| *earlier == name) {
                continue;
            }
            let value = self.get(name).unwrap_or(first);
            if written == limits.count {
                dropped += 1;
                continue;
            }
            written += 1;
            if !limits.cuts(&value) {
                attribute::attribute(out, tag, key, &value);
                continue;
            }
            attribute::attribute(out, tag, key, &limits.cut(value));
            counts.cut_values += 1;
            let mark = attribute::truncated_name(name);
            if self.get(&mark).is_none() {
                attribute::attribute(out, tag, Key::Plain(&mark), &Value::Bool(true));
            }
        }
        if dropped > 0 {
            out.push(dropped_tag);
            proto::varint(out, dropped);
            counts.dropped_attributes += dropped;
        }
    }

    /// Appends an attribute of the exporter's own, unless the record has one with this name.
    pub(super) fn write_own(&self, out: &mut Out, tag: u8, name: &str, value: Value<'_>) {
        if self.get(name).is_none() {
            attribute::attribute(out, tag, Key::Plain(name), &value);
        }
    }
}

/// Whether the exporter may write an attribute with this name itself.
pub(super) fn is_own(name: &str) -> bool {
    name.starts_with("code.")
        || name.starts_with("throughline.")
        || name.ends_with(attribute::TRUNCATED)
        || matches!(name, "busy_ns" | "idle_ns")
}
