//! Encodes what a process is for readers outside of it: `ProcessContext { resource, attributes }` of OpenTelemetry's OTEP 4719.

use super::attribute::text_attribute;
use super::out::Out;
use super::proto::bytes_field;
use super::request::encoded;
use crate::Resource;

/// The resource, and how the records of threads are laid out, by the name of the schema; OTEP 4947 has its names. Threads
/// publish no attributes, so their table of keys is empty.
pub fn process_context(resource: &Resource, schema: &str) -> Vec<u8> {
    // `resource` has the number that it has in `ResourceSpans`.
    let mut out = Out::default();
    out.extend_from_slice(&encoded(resource));
    // attributes: KeyValue { key, value: AnyValue { string_value } }
    text_attribute(&mut out, 0x12, "threadlocal.schema_version", schema);
    let mut keys = Out::default();
    bytes_field(&mut keys, 0x0a, b"threadlocal.attribute_key_map");
    // value: AnyValue { array_value: ArrayValue {} }
    bytes_field(&mut keys, 0x12, &[0x2a, 0]);
    bytes_field(&mut out, 0x12, keys.as_slice());
    out.into_vec()
}
