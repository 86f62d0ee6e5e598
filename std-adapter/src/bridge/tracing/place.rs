//! From a span of `tracing` to its place here.

use throughline::{Context, DetachedSpan, TraceContext};
use tracing::span::Id;
use tracing::{Dispatch, Subscriber};
use tracing_subscriber::registry::LookupSpan;

/// What this library knows about a span of `tracing`. The other direction needs no method: spans of `tracing` that begin
/// inside a span, a [`Context`] or a remote parent of this library are below it.
///
/// ```
/// use throughline_std::tracing::SpanExt;
/// // For a header of an outgoing request:
/// let header = tracing::Span::current().trace_context().map(|here| here.traceparent());
/// ```
pub trait SpanExt {
    /// The place of the span, where spans of this library can be put; see [`Context`]. Outside any trace if the span is
    /// disabled, or if its subscriber has no [`layer`](super::layer).
    fn context(&self) -> Context;

    /// The span's ids, as they travel to another process.
    fn trace_context(&self) -> Option<TraceContext> {
        self.context().trace_context()
    }
}

impl SpanExt for tracing::Span {
    fn context(&self) -> Context {
        self.with_subscriber(|(id, dispatch)| {
            dispatch.downcast_ref::<GetContext>().and_then(|get| (get.0)(dispatch, id))
        })
        .flatten()
        .unwrap_or_default()
    }
}

/// Finds the place of a span in a subscriber of a type that only the layer knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct GetContext(fn(&Dispatch, &Id) -> Option<Context>);

impl GetContext {
    pub(super) fn of<S>() -> GetContext
    where
        S: Subscriber + for<'l> LookupSpan<'l>,
    {
        GetContext(|dispatch, id| {
            let span = dispatch.downcast_ref::<S>()?.span(id)?;
            let extensions = span.extensions();
            extensions.get::<DetachedSpan>().map(DetachedSpan::context)
        })
    }
}
