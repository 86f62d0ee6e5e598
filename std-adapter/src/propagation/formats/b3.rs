//! Zipkin's B3, in one header or in several: <https://github.com/openzipkin/b3-propagation>.

use super::super::Carried;
use super::super::carrier::{Extractor, Injector, only};
use super::{set_parent, span_id, trace_id};
use std::hash::{BuildHasher, Hasher, RandomState};
use throughline::{SpanId, TraceId};

pub(super) fn extract(carrier: &dyn Extractor, carried: &mut Carried) {
    let found = single(carrier, carried).or_else(|| multi(carrier, carried));
    if found.is_none() && is_denied(carrier) {
        // What is below is not recorded, so that nobody sees the ids.
        let [high, low, span] = [(); 3].map(|()| RandomState::new().build_hasher().finish() | 1);
        let trace = u128::from(high) << 64 | u128::from(low);
        let ids = (TraceId::from_bytes(trace.to_be_bytes()), SpanId::from_bytes(span.to_be_bytes()));
        if let (Some(trace), Some(span)) = ids {
            set_parent(carried, trace, span, Some(false));
            carried.is_denied = true;
        }
    }
}

/// Whether the caller says without any ids that nothing is to be recorded: `b3: 0`, or `x-b3-sampled: 0` alone. That something is to be
/// recorded needs ids to be of use.
fn is_denied(carrier: &dyn Extractor) -> bool {
    let denies = |name| only(carrier, name).is_some_and(|decision| decision_of(&decision) == Some(false));
    let mut has_ids = false;
    ["x-b3-traceid", "x-b3-spanid"].iter().for_each(|name| carrier.values(name, &mut |_| has_ids = true));
    denies("b3") || !has_ids && denies("x-b3-sampled")
}

/// `TRACE-SPAN`, `TRACE-SPAN-SAMPLED` or `TRACE-SPAN-SAMPLED-PARENT`.
fn single(carrier: &dyn Extractor, carried: &mut Carried) -> Option<()> {
    let text = only(carrier, "b3")?;
    let mut parts = text.split('-');
    let (trace, span) = (id_of(parts.next()?)?, span_id(parts.next()?.get(..16)?)?);
    let sampled = match parts.next() {
        None => None,
        Some(decision) => Some(decision_of(decision)?),
    };
    let above = parts.next().is_none_or(|parent| parent.len() == 16 && span_id(parent).is_some());
    (above && parts.next().is_none()).then(|| set_parent(carried, trace, span, sampled))
}

fn multi(carrier: &dyn Extractor, carried: &mut Carried) -> Option<()> {
    let trace = id_of(&only(carrier, "x-b3-traceid")?)?;
    let span = only(carrier, "x-b3-spanid").filter(|text| text.len() == 16)?;
    // The flag 1 means debug, which includes sampled.
    let sampled = match only(carrier, "x-b3-flags").as_deref() {
        Some("1") => Some(true),
        _ => only(carrier, "x-b3-sampled").and_then(|text| decision_of(&text)),
    };
    set_parent(carried, trace, span_id(&span)?, sampled);
    Some(())
}

fn id_of(hex: &str) -> Option<TraceId> {
    trace_id(hex).filter(|_| matches!(hex.len(), 16 | 32))
}

fn decision_of(text: &str) -> Option<bool> {
    match text {
        "1" | "d" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

pub(super) fn inject(carried: &Carried, carrier: &mut dyn Injector) {
    let Some(parent) = carried.parent else { return };
    let sampled = u8::from(parent.sampled());
    carrier.set("b3", &format!("{}-{}-{sampled}", parent.trace_id, parent.span_id));
}

pub(super) fn inject_multi(carried: &Carried, carrier: &mut dyn Injector) {
    let Some(parent) = carried.parent else { return };
    carrier.set("x-b3-traceid", &parent.trace_id.to_string());
    carrier.set("x-b3-spanid", &parent.span_id.to_string());
    carrier.set("x-b3-sampled", if parent.sampled() { "1" } else { "0" });
}
