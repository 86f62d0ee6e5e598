//! The formats in which a context travels.

mod b3;
mod datadog;
mod jaeger;
mod w3c;
mod xray;

use super::carrier::{Extractor, Injector};
use super::{Carried, Propagator};
use std::str::FromStr;
use throughline::{SpanId, TraceContext, TraceId};

/// A standard format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// W3C Trace Context: `traceparent` and `tracestate`.
    TraceContext,
    /// W3C Baggage: `baggage`.
    Baggage,
    /// Zipkin's single header `b3`. Reads the several headers too.
    B3,
    /// Zipkin's headers `X-B3-TraceId`, `X-B3-SpanId` and `X-B3-Sampled`. Reads the single header too.
    B3Multi,
    /// Jaeger's `uber-trace-id`, and `uberctx-…` for baggage.
    Jaeger,
    /// AWS X-Ray's `X-Amzn-Trace-Id`.
    XRay,
    /// Datadog's `x-datadog-…`, with ids of 128 bits.
    Datadog,
}

impl Format {
    pub(crate) const ALL: [(&str, Format); 7] = [
        ("tracecontext", Format::TraceContext),
        ("baggage", Format::Baggage),
        ("b3", Format::B3),
        ("b3multi", Format::B3Multi),
        ("jaeger", Format::Jaeger),
        ("xray", Format::XRay),
        ("datadog", Format::Datadog),
    ];
}

/// Reads a name as in `OTEL_PROPAGATORS`.
impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Format, UnknownFormat> {
        let found = Format::ALL.into_iter().find(|(known, _)| *known == name);
        found.map(|(_, format)| format).ok_or_else(|| UnknownFormat(name.into()))
    }
}

/// A format of context that this library does not have.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a format of context; use tracecontext, baggage, b3, b3multi, jaeger, xray or datadog")]
pub struct UnknownFormat(String);

throughline_export::__debug_as_display!(UnknownFormat);

impl Propagator for Format {
    fn extract(&self, carrier: &dyn Extractor, carried: &mut Carried) {
        match self {
            Format::TraceContext => w3c::extract(carrier, carried),
            Format::Baggage => w3c::extract_baggage(carrier, carried),
            Format::B3 | Format::B3Multi => b3::extract(carrier, carried),
            Format::Jaeger => jaeger::extract(carrier, carried),
            Format::XRay => xray::extract(carrier, carried),
            Format::Datadog => datadog::extract(carrier, carried),
        }
    }

    fn inject(&self, carried: &Carried, carrier: &mut dyn Injector) {
        match self {
            Format::TraceContext => w3c::inject(carried, carrier),
            Format::Baggage => w3c::inject_baggage(carried, carrier),
            Format::B3 => b3::inject(carried, carrier),
            Format::B3Multi => b3::inject_multi(carried, carrier),
            Format::Jaeger => jaeger::inject(carried, carrier),
            Format::XRay => xray::inject(carried, carrier),
            Format::Datadog => datadog::inject(carried, carrier),
        }
    }

    fn headers(&self) -> Vec<&'static str> {
        let names: &[&str] = match self {
            Format::TraceContext => &["traceparent", "tracestate"],
            Format::Baggage => &["baggage"],
            Format::B3 => &["b3"],
            Format::B3Multi => &["x-b3-traceid", "x-b3-spanid", "x-b3-sampled"],
            Format::Jaeger => &["uber-trace-id"],
            Format::XRay => &["x-amzn-trace-id"],
            Format::Datadog => &[
                "x-datadog-trace-id",
                "x-datadog-parent-id",
                "x-datadog-sampling-priority",
                "x-datadog-tags",
            ],
        };
        names.to_vec()
    }
}

/// A parent with this decision about sampling; `None` leaves it to this process.
fn set_parent(carried: &mut Carried, trace_id: TraceId, span_id: SpanId, sampled: Option<bool>) {
    carried.parent = Some(TraceContext { trace_id, span_id, flags: u8::from(sampled == Some(true)) });
    carried.is_undecided = sampled.is_none();
}

/// A trace id of up to 32 hexadecimal digits; missing ones at the front are zeros.
fn trace_id(hex: &str) -> Option<TraceId> {
    TraceId::from_bytes(u128_of(hex, 32)?.to_be_bytes())
}

/// A span id of up to 16 hexadecimal digits; missing ones at the front are zeros.
fn span_id(hex: &str) -> Option<SpanId> {
    SpanId::from_bytes((u128_of(hex, 16)? as u64).to_be_bytes())
}

fn u128_of(hex: &str, most: usize) -> Option<u128> {
    // `from_str_radix` would take a sign.
    let is_hex = (1..=most).contains(&hex.len()) && hex.bytes().all(|b| b.is_ascii_hexdigit());
    is_hex.then(|| u128::from_str_radix(hex, 16).ok())?
}
