//! Converts the protobuf bytes of a request to OTLP's JSON encoding. The hot path has only the protobuf
//! encoder, and the thread that delivers pays the cost of JSON.
//!
//! The rules differ from protobuf's own JSON mapping: ids are hexadecimal, enumerations are numbers, keys are
//! lowerCamelCase. Source: <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>.

mod find;
mod schema;

pub(crate) use find::{find_number, find_text};
use schema::{Field, Kind};

use super::Signal;
use super::protobuf::{Fields, Wire};
use std::fmt::Write;

/// Converts the body of a request, such as [`TraceEncoder::finish`](super::TraceEncoder::finish) returns, to
/// one line of JSON, for OTLP/JSON over HTTP or for a file that the Collector's file receiver reads.
///
/// It never panics: unknown fields are left out, and a malformed message ends at the malformed byte. Cost:
/// about 2 µs for a span with two attributes.
///
/// ```
/// use throughline_export::{Resource, otlp::{Options, Signal, TraceEncoder, to_json}};
/// let mut encoder = TraceEncoder::new(&Resource::new("shop"), Options::default());
/// let json = to_json(Signal::Traces, encoder.finish());
/// assert!(json.starts_with(r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}"#));
/// ```
pub fn to_json(signal: Signal, body: &[u8]) -> String {
    let mut out = String::with_capacity(3 * body.len());
    append(&mut out, signal, body);
    out
}

/// Like [`to_json`], but appends to `out`.
pub(super) fn append(out: &mut String, signal: Signal, body: &[u8]) {
    let schema = match signal {
        Signal::Traces => &schema::TRACES,
        Signal::Logs => &schema::LOGS,
        Signal::Metrics => &schema::METRICS,
    };
    message(out, schema, body);
}

fn message(out: &mut String, schema: &[Field], bytes: &[u8]) {
    out.push('{');
    let mut first = true;
    // Occurrences of a repeated field may lie apart, so search the message once for each field. Messages are
    // small, except for those with one field that occurs often.
    for field in schema {
        let mut found = Fields(bytes).filter(|(number, _)| *number == u64::from(field.number));
        if field.is_repeated {
            let Some(value) = found.next() else { continue };
            key(out, field, &mut first);
            out.push('[');
            put(out, field.kind, value.1);
            for (_, value) in found {
                out.push(',');
                put(out, field.kind, value);
            }
            out.push(']');
        } else if let Some((_, value)) = found.last() {
            key(out, field, &mut first);
            put(out, field.kind, value);
        }
    }
    out.push('}');
}

fn key(out: &mut String, field: &Field, first: &mut bool) {
    if !std::mem::replace(first, false) {
        out.push(',');
    }
    _ = write!(out, "\"{}\":", field.name);
}

/// Writes one value; `null` if its wire type does not fit its kind.
fn put(out: &mut String, kind: Kind, value: Wire<'_>) {
    // Writing to a String cannot fail.
    _ = match (kind, value) {
        (Kind::Message(schema), Wire::Bytes(bytes)) => {
            message(out, schema, bytes);
            Ok(())
        }
        (Kind::Text, Wire::Bytes(bytes)) => {
            text(out, &String::from_utf8_lossy(bytes));
            Ok(())
        }
        (Kind::Hex, Wire::Bytes(bytes)) => {
            out.push('"');
            bytes.iter().for_each(|byte| _ = write!(out, "{byte:02x}"));
            out.push('"');
            Ok(())
        }
        (Kind::Base64, Wire::Bytes(bytes)) => {
            out.push('"');
            base64(out, bytes);
            out.push('"');
            Ok(())
        }
        (Kind::Bool, Wire::Varint(n)) => write!(out, "{}", n != 0),
        // 64-bit numbers are written as strings, because JavaScript's numbers have only 53 bits.
        (Kind::Int64, Wire::Varint(n)) => write!(out, "\"{}\"", n as i64),
        (Kind::Fixed64, Wire::Fixed64(n)) => write!(out, "\"{n}\""),
        (Kind::Sfixed64, Wire::Fixed64(n)) => write!(out, "\"{}\"", n as i64),
        (Kind::Double, Wire::Fixed64(bits)) => double(out, f64::from_bits(bits)),
        (Kind::Int32, Wire::Varint(n)) => write!(out, "{}", n as i32),
        (Kind::Fixed32, Wire::Fixed32(n)) => write!(out, "{n}"),
        (Kind::Sint32, Wire::Varint(n)) => write!(out, "{}", (n >> 1) as i32 ^ -((n & 1) as i32)),
        (Kind::PackedUint64, Wire::Bytes(bytes)) => {
            let mut rest = Fields(bytes);
            list(out, || rest.varint(), |out, n| write!(out, "\"{n}\""))
        }
        (Kind::PackedFixed64, Wire::Bytes(bytes)) => {
            let mut rest = Fields(bytes);
            list(out, || rest.fixed64(), |out, n| write!(out, "\"{n}\""))
        }
        (Kind::PackedDouble, Wire::Bytes(bytes)) => {
            let mut rest = Fields(bytes);
            list(out, || rest.fixed64(), |out, bits| double(out, f64::from_bits(bits)))
        }
        _ => write!(out, "null"),
    };
}

fn list(
    out: &mut String,
    mut next: impl FnMut() -> Option<u64>,
    mut put: impl FnMut(&mut String, u64) -> std::fmt::Result,
) -> std::fmt::Result {
    out.push('[');
    let mut separator = "";
    while let Some(n) = next() {
        out.push_str(separator);
        separator = ",";
        put(out, n)?;
    }
    out.push(']');
    Ok(())
}

fn double(out: &mut String, x: f64) -> std::fmt::Result {
    if x.is_nan() {
        write!(out, "\"NaN\"")
    } else if x.is_infinite() {
        write!(out, "\"{}Infinity\"", if x < 0.0 { "-" } else { "" })
    } else {
        // `Debug` writes the shortest number that reads back the same, with an exponent if it is very large
        // or small.
        write!(out, "{x:?}")
    }
}

fn text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => _ = write!(out, "\\u{:04x}", u32::from(c)),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Appends the bytes as Base64, in the standard alphabet with padding.
pub(crate) fn base64(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * i)) as usize & 63];
            out.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
}
