//! Datadog: decimal ids of 64 bits, and the upper half of a trace id of 128 bits in `_dd.p.tid`:
//! <https://docs.datadoghq.com/tracing/trace_collection/trace_context_propagation/#datadog-format>.

use super::super::Carried;
use super::super::carrier::{Extractor, Injector, only};
use super::{set_parent, u128_of};
use throughline::{SpanId, TraceId};

const TRACE: &str = "x-datadog-trace-id";
const PARENT: &str = "x-datadog-parent-id";
const PRIORITY: &str = "x-datadog-sampling-priority";
const TAGS: &str = "x-datadog-tags";
const UPPER: &str = "_dd.p.tid=";

pub(super) fn extract(carrier: &dyn Extractor, carried: &mut Carried) {
    _ = found(carrier, carried);
}

fn found(carrier: &dyn Extractor, carried: &mut Carried) -> Option<()> {
    let lower = decimal(&only(carrier, TRACE)?)?;
    let tags = only(carrier, TAGS).unwrap_or_default();
    let upper = tags.split(',').find_map(|tag| tag.trim().strip_prefix(UPPER));
    let upper = upper.filter(|hex| hex.len() == 16).and_then(|hex| u128_of(hex, 16)).unwrap_or(0);
    let trace = TraceId::from_bytes((upper << 64 | u128::from(lower)).to_be_bytes())?;
    let span = SpanId::from_bytes(decimal(&only(carrier, PARENT)?)?.to_be_bytes())?;
    // 1 and 2 mean keep, 0 and -1 mean drop.
    let sampled =
        only(carrier, PRIORITY).and_then(|text| text.parse::<i8>().ok()).map(|priority| priority > 0);
    // The lower half must not be 0 in this format.
    (lower != 0).then(|| set_parent(carried, trace, span, sampled))
}

fn decimal(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

pub(super) fn inject(carried: &Carried, carrier: &mut dyn Injector) {
    let Some(parent) = carried.parent else { return };
    let trace = u128::from_be_bytes(parent.trace_id.to_bytes());
    carrier.set(TRACE, &(trace as u64).to_string());
    carrier.set(PARENT, &u64::from_be_bytes(parent.span_id.to_bytes()).to_string());
    carrier.set(PRIORITY, if parent.sampled() { "1" } else { "0" });
    if trace >> 64 != 0 {
        carrier.set(TAGS, &format!("{UPPER}{:016x}", trace >> 64));
    }
}
