//! Shop and warehouse, from a request to a collector: over real sockets, with real axum, hyper, tonic, reqwest and sqlx.

mod layers;
mod program;
mod spans;
#[path = "../../../../std-adapter/tests/support/mod.rs"]
mod support;

use opentelemetry_proto::tonic::trace::v1::Span;
use support::receiver::text;

/// What is ordered, and how it ends: sold, none left, never sold.
const ORDERS: [(&str, u16); 3] = [("lamp", 200), ("unicorn", 503), ("moon", 404)];

/// The span around this one.
fn parent<'s>(spans: &'s [Span], span: &Span) -> Option<&'s Span> {
    if span.parent_span_id.is_empty() {
        return None;
    }
    let parent = spans.iter().find(|other| other.span_id == span.parent_span_id);
    let parent = parent.unwrap_or_else(|| panic!("the parent of {} is missing", span.name));
    assert_eq!(parent.trace_id, span.trace_id, "{} has the trace of its parent", span.name);
    Some(parent)
}

/// The names of the spans from the root to this one; what was ordered tells apart those of the same name.
fn path(spans: &[Span], span: &Span) -> String {
    let mark = ["item", "uri", "currency"].iter().find_map(|key| text(&span.attributes, key));
    let own = mark.map_or_else(|| span.name.clone(), |mark| format!("{} {mark}", span.name));
    parent(spans, span).map_or(own.clone(), |parent| format!("{} > {own}", path(spans, parent)))
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(work)
}
