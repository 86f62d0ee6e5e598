//! W3C Trace Context (level 2) and W3C Baggage.

use super::super::baggage::Baggage;
use super::super::carrier::{Extractor, Injector, MOST, only};
use super::super::{Carried, TraceState};
use throughline::TraceContext;

pub(super) fn extract(carrier: &dyn Extractor, carried: &mut Carried) {
    // With two `traceparent` headers nobody knows which one is right, so there is none.
    let Some(parent) = only(carrier, "traceparent").and_then(|text| TraceContext::parse(&text).ok()) else {
        return;
    };
    carried.parent = Some(parent);
    carried.trace_state =
        joined(carrier, "tracestate").and_then(|text| TraceState::parse(&text)).unwrap_or_default();
}

pub(super) fn inject(carried: &Carried, carrier: &mut dyn Injector) {
    let Some(parent) = carried.parent else { return };
    // Of the flags this version defines the two lower ones; the rest are sent as zeros.
    let parent = TraceContext { flags: parent.flags & 3, ..parent };
    carrier.set("traceparent", &parent.traceparent());
    if !carried.trace_state.is_empty() {
        carrier.set("tracestate", &carried.trace_state.to_string());
    }
}

pub(super) fn extract_baggage(carrier: &dyn Extractor, carried: &mut Carried) {
    if let Some(text) = joined(carrier, "baggage") {
        carried.baggage.add(Baggage::parse(&text));
    }
}

pub(super) fn inject_baggage(carried: &Carried, carrier: &mut dyn Injector) {
    if !carried.baggage.is_empty() {
        carrier.set("baggage", &carried.baggage.to_string());
    }
}

/// All values of a header as one list. `None` if there are none, or they are too long.
fn joined(carrier: &dyn Extractor, name: &str) -> Option<String> {
    let (mut all, mut is_short) = (String::new(), true);
    carrier.values(name, &mut |value| {
        is_short &= all.len() + value.len() < MOST;
        if is_short {
            all.push_str(value);
            all.push(',');
        }
    });
    (is_short && !all.is_empty()).then_some(all)
}
