//! Attributes of OpenTelemetry as fields.

use crate::bridge::elsewhere::{PAIR_NAMES, pairs};
use opentelemetry::{Array, KeyValue, Value};
use throughline::adapter::bridge::FieldList;
use throughline::adapter::callsite::MAX_FIELDS;
use throughline::{DetachedSpan, field};

/// Appends a value. A list of texts becomes one text, as OpenTelemetry shows it.
pub(super) fn push(list: &mut FieldList, value: &Value) {
    match value {
        Value::Bool(value) => list.push(value),
        Value::I64(value) => list.push(value),
        Value::F64(value) => list.push(value),
        Value::String(value) => list.push(value.as_str()),
        Value::Array(Array::Bool(values)) => list.push(&values[..]),
        Value::Array(Array::I64(values)) => list.push(&values[..]),
        Value::Array(Array::F64(values)) => list.push(&values[..]),
        other => list.push(&field::display(other.as_str())),
    };
}

/// The values of the attributes that have a place in a record.
pub(super) fn list(attributes: &[KeyValue]) -> FieldList {
    let mut list = FieldList::expecting(attributes.len());
    attributes.iter().take(MAX_FIELDS).for_each(|attribute| push(&mut list, &attribute.value));
    list
}

/// Adds attributes to a span, with their keys in the record.
pub(super) fn add(span: &DetachedSpan, attributes: &[KeyValue]) {
    for attributes in attributes.chunks(PAIR_NAMES.len() / 2) {
        let mut list = FieldList::expecting(2 * attributes.len());
        for attribute in attributes {
            list.push(attribute.key.as_str());
            push(&mut list, &attribute.value);
        }
        if let Some(callsite) = pairs() {
            span.add_list(callsite, &mut list);
        }
    }
}
