//! AWS X-Ray: <https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>.

use super::super::Carried;
use super::super::carrier::{Extractor, Injector, only};
use super::{set_parent, span_id, trace_id};

const HEADER: &str = "x-amzn-trace-id";

/// `Root=1-EPOCH-REST;Parent=SPAN;Sampled=1`, in any order, with parts of others between them.
pub(super) fn extract(carrier: &dyn Extractor, carried: &mut Carried) {
    let Some(text) = only(carrier, HEADER) else { return };
    let (mut trace, mut span, mut sampled) = (None, None, None);
    for part in text.split(';') {
        match part.trim().split_once('=') {
            Some(("Root", root)) => trace = trace_of(root),
            Some(("Parent", parent)) if parent.len() == 16 => span = span_id(parent),
            Some(("Sampled", "1")) => sampled = Some(true),
            Some(("Sampled", "0")) => sampled = Some(false),
            // `Sampled=?` asks this process to decide.
            _ => {}
        }
    }
    if let (Some(trace), Some(span)) = (trace, span) {
        set_parent(carried, trace, span, sampled);
    }
}

fn trace_of(root: &str) -> Option<throughline::TraceId> {
    let (epoch, rest) = root.strip_prefix("1-")?.split_once('-')?;
    if epoch.len() != 8 || rest.len() != 24 {
        return None;
    }
    trace_id(&format!("{epoch}{rest}"))
}

pub(super) fn inject(carried: &Carried, carrier: &mut dyn Injector) {
    let Some(parent) = carried.parent else { return };
    let trace = parent.trace_id.to_string();
    let (epoch, rest) = trace.split_at(8);
    let sampled = u8::from(parent.sampled());
    carrier.set(HEADER, &format!("Root=1-{epoch}-{rest};Parent={};Sampled={sampled}", parent.span_id));
}
