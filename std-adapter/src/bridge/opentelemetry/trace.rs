//! Tracers of the API.

use super::context;
use super::site::{Scope, What};
use super::span::Span;
use super::value;
use opentelemetry::trace::{self, SpanBuilder, SpanContext, TraceContextExt};
use opentelemetry::{Context, InstrumentationScope};
use std::sync::Arc;
use throughline::adapter::bridge::FieldList;
use throughline::adapter::callsite::{Kind, MAX_FIELDS};
use throughline::{Context as Place, DetachedSpan, Level, SpanKind};

/// A tracer provider whose spans are this library's.
/// [`Config::opentelemetry_providers`](crate::Config::opentelemetry_providers) makes it the global one.
///
/// * A span begins when it is built, is current here wherever a context with it is attached, and ends at `end`, or with
///   its last owner. Its parent is the span of the given context, or what is current here: a span of OpenTelemetry, of
///   this library, of `tracing`, or of another process. A given context without a span begins a new trace.
/// * Name, kind, attributes, late attributes, `update_name`, status and links arrive. An event becomes a log record with
///   the span's ids, as an event of `tracing` does. Spans have the level `INFO`, and the name of their instrumentation
///   scope is their target for filters and samplers.
/// * Given times count, back to the start of the machine's clock; on a 32-bit machine they do not.
/// * Attributes of links and of instrumentation scopes, and schema URLs, have no place in records; those of links are
///   counted in `throughline.bridge.refused`. A list of texts becomes one text.
/// * The configuration's sampler decides, and its levels and filters. A span that is not sampled has ids, and
///   `is_recording` is false.
///
/// Names and keys should be few: each list of keys of a name is kept for the life of the process, at most 2048 of them
/// together. Further ones are recorded too, with their names and keys in the record.
///
/// ```
/// use opentelemetry::trace::{Tracer, TracerProvider as _};
/// let tracer = throughline_std::opentelemetry::TracerProvider.tracer("shop");
/// tracer.in_span("checkout", |_| throughline::info!("in the checkout"));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct TracerProvider;

impl trace::TracerProvider for TracerProvider {
    type Tracer = Tracer;

    fn tracer_with_scope(&self, scope: InstrumentationScope) -> Tracer {
        context::follow();
        Tracer { scope: Arc::new(Scope::new(&scope)) }
    }
}

/// A tracer of the API; see [`TracerProvider`].
#[derive(Clone, Debug)]
pub struct Tracer {
    scope: Arc<Scope>,
}

impl trace::Tracer for Tracer {
    type Span = Span;

    fn build_with_context(&self, builder: SpanBuilder, parent: &Context) -> Span {
        let is_current = context::is_current(parent);
        let place = if is_current { Place::current() } else { context::place_of(parent) };
        let SpanBuilder { span_kind, name, start_time, attributes, events, links } = builder;
        let attributes = attributes.unwrap_or_default();
        let mut own = if parent.is_telemetry_suppressed() {
            DetachedSpan::at(place)
        } else {
            self.begin(&name, kind(span_kind), &attributes, place)
        };
        if let Some(time) = start_time {
            own.begin_ago(super::span::nanos_ago(time));
        }
        let ids = own.context().trace_context().map_or(SpanContext::NONE, |ids| {
            let state = if is_current {
                context::trace_state(ids)
            } else {
                parent.span().span_context().trace_state().clone()
            };
            context::span_context(ids, false, state)
        });
        let mut span = Span::new(own, ids, &self.scope);
        span.begin_with(events.unwrap_or_default(), links.unwrap_or_default());
        span
    }
}

impl Tracer {
    fn begin(
        &self,
        name: &str,
        kind: SpanKind,
        attributes: &[opentelemetry::KeyValue],
        place: Place,
    ) -> DetachedSpan {
        let what = What {
            kind: Kind::Span,
            span_kind: kind,
            level: Level::Info,
            name,
            has_message: false,
            target: &self.scope.name,
        };
        let keys = attributes.iter().map(|attribute| attribute.key.as_str());
        let Some(callsite) = what.callsite(&self.scope, keys) else {
            let Some(callsite) = what.elsewhere() else { return DetachedSpan::at(place) };
            let own = DetachedSpan::begin(callsite, place, &mut FieldList::expecting(0));
            own.leave_out_busy();
            own.set_name(name);
            value::add(&own, attributes);
            return own;
        };
        let Some(callsite) = callsite.enabled() else { return DetachedSpan::at(place) };
        let own = DetachedSpan::begin(callsite, place, &mut value::list(attributes));
        own.leave_out_busy();
        if let Some(further) = attributes.get(MAX_FIELDS..) {
            value::add(&own, further);
        }
        own
    }
}

fn kind(kind: Option<trace::SpanKind>) -> SpanKind {
    match kind {
        Some(trace::SpanKind::Server) => SpanKind::Server,
        Some(trace::SpanKind::Client) => SpanKind::Client,
        Some(trace::SpanKind::Producer) => SpanKind::Producer,
        Some(trace::SpanKind::Consumer) => SpanKind::Consumer,
        Some(trace::SpanKind::Internal) | None => SpanKind::Internal,
    }
}
