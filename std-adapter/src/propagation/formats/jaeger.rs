//! Jaeger's format: <https://www.jaegertracing.io/docs/1.76/sdk-migration/#propagation-format>.

use super::super::Carried;
use super::super::baggage::{Baggage, encoded};
use super::super::carrier::{Extractor, Injector, MOST, only};
use super::{set_parent, span_id, trace_id, u128_of};
use throughline_export::text::percent_decode_lossy;

const BAGGAGE: &str = "uberctx-";

pub(super) fn extract(carrier: &dyn Extractor, carried: &mut Carried) {
    let parent = only(carrier, "uber-trace-id").and_then(|text| parent_of(&percent_decode_lossy(&text)));
    if let Some((trace, span, flags)) = parent {
        set_parent(carried, trace, span, Some(flags & 1 == 1));
    }
    let mut baggage = Baggage::default();
    carrier.names(&mut |name| {
        let entry = name.get(..BAGGAGE.len()).filter(|prefix| prefix.eq_ignore_ascii_case(BAGGAGE));
        if entry.is_some() {
            carrier.values(name, &mut |value| {
                if value.len() <= MOST {
                    baggage.set(&name[BAGGAGE.len()..], &percent_decode_lossy(value));
                }
            });
        }
    });
    carried.baggage.add(baggage);
}

/// `TRACE:SPAN:PARENT:FLAGS`, in hexadecimal digits without zeros at the front.
fn parent_of(text: &str) -> Option<(throughline::TraceId, throughline::SpanId, u128)> {
    let mut parts = text.split(':');
    let (trace, span) = (trace_id(parts.next()?)?, span_id(parts.next()?)?);
    // The parent's parent is deprecated; some send nothing there.
    let _above = parts.next()?;
    let flags = u128_of(parts.next()?, 2)?;
    parts.next().is_none().then_some((trace, span, flags))
}

pub(super) fn inject(carried: &Carried, carrier: &mut dyn Injector) {
    if let Some(parent) = carried.parent {
        let flags = u8::from(parent.sampled());
        carrier.set("uber-trace-id", &format!("{}:{}:0:{flags}", parent.trace_id, parent.span_id));
    }
    for (name, value) in carried.baggage.iter() {
        carrier.set(&format!("{BAGGAGE}{name}"), &encoded(value));
    }
}
