//! Attributes of a record that may have equal keys: fields added twice, or under the names that the exporter uses itself. OTLP wants each key once; the
//! last value wins, and the program's wins over the exporter's.

use super::{
    attribute::{self, Key},
    limits::{AttributeLimits, Counts},
    out::Out,
    proto,
};
use throughline::Value;

/// Attributes in order, each key perhaps several times.
#[derive(Debug, Default)]
pub(super) struct Attributes<'k, 'a>(Vec<(&'a str, Key<'k>, Value<'a>)>);

impl<'k, 'a: 'k> Attributes<'k, 'a> {
    pub(super) fn push(&mut self, name: &'a str, key: Key<'k>, value: Value<'a>) {
        // A value that is absent is no field, and takes no other's place.
        if value != Value::Absent {
            self.0.push((name, key, value));
        }
    }

    /// The last value of this name.
    pub(super) fn get(&self, name: &str) -> Option<Value<'a>> {
        self.0.iter().rev().find(|(own, ..)| *own == name).map(|(.., value)| *value)
    }

    /// Appends each key once, where it first comes, with the last of its values, as far as the limits allow. Leaves the number of those left out in a field tagged
    /// `dropped_tag`.
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
        for (i, &(name, key, first)) in self.0.iter().enumerate() {
            if self.0[..i].iter().any(|(earlier, ..)| *earlier == name) {
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

    /// Appends an attribute of the exporter's own, unless there is one of this name.
    pub(super) fn write_own(&self, out: &mut Out, tag: u8, name: &str, value: Value<'_>) {
        if self.get(name).is_none() {
            attribute::attribute(out, tag, Key::Plain(name), &value);
        }
    }
}

/// Whether the exporter may itself write an attribute of this name.
pub(super) fn is_own(name: &str) -> bool {
    name.starts_with("code.")
        || name.starts_with("throughline.")
        || name.ends_with(attribute::TRUNCATED)
        || matches!(name, "busy_ns" | "idle_ns")
}
