//! OpenTelemetry's current context and this library's current place. Where a context is attached, its span's place is
//! entered here, so that the innermost of both is always current here; and a span that the API begins in its current
//! context is below what is current here.

use super::span::trace_context;
use crate::propagation::{self, Added, Baggage, Carried, FullContext, TraceState};
use opentelemetry::baggage::BaggageExt;
use opentelemetry::context::{ContextObserver, GlobalContextObserver, ObserverContextView};
use opentelemetry::trace::{self, SpanContext, TraceContextExt, TraceFlags};
use opentelemetry::{Context, KeyValue};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::sync::{Arc, Once, OnceLock};
use throughline::{AttachGuard, Context as Place, ContextGuard, TraceContext};

/// OpenTelemetry's context of the running code, with the current span and the baggage of this library, for code that
/// takes such a context to another thread or hands it to a function.
///
/// Where a span of OpenTelemetry is current, this is `Context::current()`.
///
/// ```
/// use opentelemetry::trace::{TraceContextExt, Tracer, TracerProvider as _};
/// let tracer = throughline_std::opentelemetry::TracerProvider.tracer("shop");
/// let _request = throughline::span!("request");
/// let here = throughline_std::opentelemetry::current_context();
/// std::thread::spawn(move || {
///     let _guard = here.attach();
///     tracer.in_span("below the request", |_| ());
/// });
/// ```
pub fn current_context() -> Context {
    follow();
    let mut context = Context::current();
    let place = Place::current();
    let is_own = ATTACHED.try_with(|attached| attached.borrow().last().is_some_and(|top| top.here == place));
    if is_own != Ok(true)
        && let Some(here) = place.trace_context()
    {
        context = context.with_remote_span_context(span_context(here, false, trace_state(here)));
        context = context.with_value(Of { span: here, place });
    }
    let baggage = Carried::current().baggage;
    if baggage.is_empty() { context } else { with_baggage(&context, &baggage) }
}

/// In a context: the place of its span, which is not one of the API.
struct Of {
    span: TraceContext,
    place: Place,
}

/// In a context: its remote parent left it to this process whether the trace is sampled.
pub(super) struct Undecided(pub(super) TraceContext);

/// The same context with this baggage.
pub(super) fn with_baggage(context: &Context, baggage: &Baggage) -> Context {
    context.with_baggage(baggage.iter().map(|(name, value)| KeyValue::new(name.to_owned(), value.to_owned())))
}

/// The baggage of a context.
pub(super) fn baggage_of(context: &Context) -> Baggage {
    let mut baggage = Baggage::default();
    for (name, (value, _)) in context.baggage() {
        baggage.set(name.as_str(), value.as_str());
    }
    baggage
}

/// What a span context has beside ids, for a span of this library in this trace.
pub(super) fn trace_state(here: TraceContext) -> trace::TraceState {
    propagation::trace_state(here.trace_id).map_or(trace::TraceState::NONE, |state| of_own(&state))
}

pub(super) fn of_own(state: &TraceState) -> trace::TraceState {
    trace::TraceState::from_key_value(state.iter()).unwrap_or_default()
}

pub(super) fn span_context(ids: TraceContext, is_remote: bool, state: trace::TraceState) -> SpanContext {
    SpanContext::new(
        opentelemetry::TraceId::from_bytes(ids.trace_id.to_bytes()),
        opentelemetry::SpanId::from_bytes(ids.span_id.to_bytes()),
        TraceFlags::new(ids.flags),
        is_remote,
        state,
    )
}

/// Puts the running code below this span, unless it is there already.
pub(super) fn attach_ids(
    trace: opentelemetry::TraceId,
    span: opentelemetry::SpanId,
    flags: Option<TraceFlags>,
) -> Option<AttachGuard> {
    let ids = SpanContext::new(trace, span, flags.unwrap_or_default(), false, trace::TraceState::NONE);
    let ids = trace_context(&ids)?;
    let here = throughline::current();
    let is_here = here.is_some_and(|here| (here.trace_id, here.span_id) == (ids.trace_id, ids.span_id));
    (!is_here).then(|| throughline::attach(ids))
}

/// What a context carries to another process, or to a place here.
pub(super) fn carried_by(context: &Context) -> Carried {
    let span = context.span();
    let ids = span.span_context();
    let parent = trace_context(ids);
    Carried {
        parent,
        is_undecided: context.get::<Undecided>().is_some_and(|undecided| Some(undecided.0) == parent),
        is_denied: false,
        trace_state: match ids.trace_state() {
            state if *state == trace::TraceState::NONE => TraceState::default(),
            state => TraceState::parse(&state.header()).unwrap_or_default(),
        },
        baggage: baggage_of(context),
    }
}

/// Whether the context is the one that is current on this thread.
pub(super) fn is_current(context: &Context) -> bool {
    Context::map_current(|current| {
        core::ptr::eq(current, context) || address(current).is_some_and(|view| address(context) == Some(view))
    })
}

/// The place of a context's span; outside any trace if it has none.
pub(super) fn place_of(context: &Context) -> Place {
    let seen = context.observer_view().as_ref().and_then(|view| view.as_any().downcast_ref::<Seen>());
    match seen {
        Some(seen) => *seen.place.get_or_init(|| find(context)),
        None => find(context),
    }
}

thread_local! {
    /// The place of the span that was asked last whether it is recording.
    static ASKED: Cell<Option<Place>> = const { Cell::new(None) };
    /// The contexts that are attached on this thread, as far as the observer knows of them.
    static ATTACHED: RefCell<Vec<Attached>> = const { RefCell::new(Vec::new()) };
}

/// Called by a span that is asked whether it is recording.
pub(super) fn tell(place: Place) {
    // A thread that is being torn down has no use for it.
    let _ = ASKED.try_with(|asked| asked.set(Some(place)));
}

fn find(context: &Context) -> Place {
    if !context.has_active_span() {
        return Place::default();
    }
    if let Some(of) = context.get::<Of>()
        && trace_context(context.span().span_context()) == Some(of.span)
    {
        return of.place;
    }
    // The API hides the span itself, so ask it something that makes it tell its place.
    let _ = ASKED.try_with(|asked| asked.set(None));
    context.span().is_recording();
    if let Ok(Some(place)) = ASKED.try_with(Cell::take) {
        return place;
    }
    // A span of another process, or of another implementation of the API.
    let carried = carried_by(context);
    if carried.parent.is_some() { FullContext::of(&carried).place() } else { Place::default() }
}

/// What is kept with each context.
#[derive(Debug, Default)]
struct Seen {
    place: OnceLock<Place>,
    baggage: OnceLock<Baggage>,
}

impl ObserverContextView for Seen {
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Tells contexts apart; equal for clones.
fn address(context: &Context) -> Option<usize> {
    context.observer_view().as_ref().map(|view| Arc::as_ptr(view).addr())
}

/// An attached context.
struct Attached {
    address: Option<usize>,
    /// The place that is current in it.
    here: Place,
    /// The place around it and the contexts that are attached directly around it.
    outside: Place,
    #[allow(dead_code, reason = "its drop leaves the place")]
    guard: Option<ContextGuard>,
    #[allow(dead_code, reason = "its drop leaves the baggage")]
    along: Option<Added>,
}

impl Attached {
    fn new(from: &Context, to: &Context, around: Option<&Attached>) -> Attached {
        let current = Place::current();
        let is_directly_in = around.filter(|around| around.here == current);
        let outside = is_directly_in.map_or(current, |around| around.outside);
        let (from_span, to_span) = (from.span(), to.span());
        let (before, ids) = (from_span.span_context(), to_span.span_context());
        let moves_to = if (before.span_id(), before.trace_id()) == (ids.span_id(), ids.trace_id()) {
            // Only values change. What is current here may be further in than the span.
            None
        } else if ids.is_valid() {
            Some(place_of(to))
        } else {
            // A context without a span hides those of the contexts around it, but not a span of this library.
            is_directly_in.map(|around| around.outside)
        };
        let state = (moves_to.is_some() && *ids.trace_state() != trace::TraceState::NONE)
            .then(|| carried_by(to))
            .and_then(|carried| Some((carried.parent?.trace_id, carried.trace_state)));
        let has_baggage = !to.baggage().is_empty() && !core::ptr::eq(from.baggage(), to.baggage());
        let along = (has_baggage || state.is_some()).then(|| Added::enter(&kept_baggage(to), state));
        let here = moves_to.unwrap_or(current);
        Attached { address: address(to), here, outside, guard: moves_to.map(Place::enter), along }
    }
}

/// The baggage of a context, converted once.
fn kept_baggage(context: &Context) -> Baggage {
    let seen = context.observer_view().as_ref().and_then(|view| view.as_any().downcast_ref::<Seen>());
    match seen {
        Some(seen) => seen.baggage.get_or_init(|| baggage_of(context)).clone(),
        None => baggage_of(context),
    }
}

/// Follows OpenTelemetry's current context from now on.
pub(super) fn follow() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| GlobalContextObserver::set(Arc::new(Observer)));
}

/// Whether it is followed: another observer may have come first.
pub(super) fn is_followed() -> bool {
    let attached = || ATTACHED.try_with(|attached| attached.borrow().len());
    let before = attached();
    let _guard = Context::new().attach();
    attached() != before
}

/// Follows OpenTelemetry's current context, so that the span of an attached context is current here. It is installed by
/// [`Config::opentelemetry_providers`](crate::Config::opentelemetry_providers), or with the first tracer. There is one
/// observer in a process: a program that has one of its own calls all methods of this one in it, `make_view` too.
// It must not call functions that read or change the current context.
#[derive(Clone, Copy, Debug, Default)]
pub struct Observer;

impl ContextObserver for Observer {
    fn on_context_enter(&self, from: &Context, to: &Context) {
        // A thread that is being torn down attaches nothing here.
        let _ = ATTACHED.try_with(|attached| {
            let mut attached = attached.borrow_mut();
            let new = Attached::new(from, to, attached.last());
            attached.push(new);
        });
    }

    fn on_context_exit(&self, _: &Context, to: &Context) {
        let to = address(to);
        let _ = ATTACHED.try_with(|attached| {
            let mut attached = attached.borrow_mut();
            // Contexts that were detached while others were attached inside of them are gone too.
            while attached.pop().is_some() && attached.last().is_some_and(|top| top.address != to) {}
        });
    }

    fn make_view(&self, _: &Context) -> Option<Arc<dyn ObserverContextView>> {
        Some(Arc::<Seen>::default())
    }
}
