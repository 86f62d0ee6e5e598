//! The current baggage and trace state. They are kept beside the recorder's place in the trace, because they need
//! allocations, and go with it through futures, tasks and threads.

use super::{Baggage, Carried, Correlation, TraceState};
use crate::sampling;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use throughline::{AttachGuard, Context, ContextGuard, Instrument, Instrumented, TraceContext, TraceId};

/// What goes along with a place in a trace.
#[derive(Clone, Debug, Default)]
pub(super) struct Along {
    /// The trace that the trace state belongs to.
    trace: Option<TraceId>,
    trace_state: TraceState,
    baggage: Baggage,
    correlation: Correlation,
}

/// What was entered on a thread and not left yet, oldest first, each with its number.
type Stack = Vec<(u64, Arc<Along>)>;

thread_local! {
    static STACK: RefCell<Stack> = const { RefCell::new(Vec::new()) };
    static NEXT: Cell<u64> = const { Cell::new(0) };
    /// The number of the correlation fields that the thread's ring has been told last.
    static TOLD: Cell<u64> = const { Cell::new(0) };
}

/// No number of correlation fields: the ring must be told again.
const UNTOLD: u64 = u64::MAX;

/// Tells the thread's ring which correlation fields it has now, if they have changed.
fn tell() {
    let top =
        |stack: &RefCell<Stack>| stack.borrow().last().map_or(0, |(_, along)| along.correlation.number());
    let Ok(number) = STACK.try_with(top) else { return };
    if number != TOLD.get() {
        let is_told = throughline::adapter::recorder::mark_correlation(number);
        TOLD.set(if is_told { number } else { UNTOLD });
    }
}

/// Leaves what was entered. Guards may be dropped in any order.
#[derive(Debug)]
pub(super) struct AlongGuard {
    number: u64,
    not_send: PhantomData<*const ()>,
}

impl AlongGuard {
    fn enter(along: Arc<Along>) -> AlongGuard {
        let guard = AlongGuard::enter_untold(along);
        tell();
        guard
    }

    /// Enters without telling the ring, for callers that enter more.
    fn enter_untold(along: Arc<Along>) -> AlongGuard {
        let number = NEXT.get();
        NEXT.set(number + 1);
        // While the thread is torn down nothing is kept any more.
        _ = STACK.try_with(|stack| stack.borrow_mut().push((number, along)));
        AlongGuard { number, not_send: PhantomData }
    }
}

impl Drop for AlongGuard {
    fn drop(&mut self) {
        _ = STACK.try_with(|stack| {
            let mut stack = stack.borrow_mut();
            let at = stack.iter().rposition(|(number, _)| *number == self.number)?;
            Some(stack.remove(at))
        });
        tell();
    }
}

fn current() -> Option<Arc<Along>> {
    STACK.try_with(|stack| stack.borrow().last().map(|(_, along)| Arc::clone(along))).ok()?
}

pub(super) fn correlation() -> Correlation {
    current().map_or_else(Correlation::default, |along| along.correlation.clone())
}

/// What goes along with the current place, with other correlation fields.
pub(super) fn with_correlation(correlation: Correlation) -> Arc<Along> {
    let along = current().map_or_else(Along::default, |along| (*along).clone());
    Arc::new(Along { correlation, ..along })
}

pub(super) fn correlate(correlation: Correlation) -> AlongGuard {
    AlongGuard::enter(with_correlation(correlation))
}

pub(super) fn carried() -> Carried {
    let parent = throughline::current();
    let along = current();
    let mut carried = Carried { parent, ..Carried::default() };
    if let Some(along) = &along {
        carried.baggage.clone_from(&along.baggage);
    }
    let Some(mut parent) = parent else { return carried };
    let along = along.filter(|along| along.trace == Some(parent.trace_id));
    if along.is_none() && !sampling::is_told(parent.trace_id) {
        parent.flags &= !1;
        carried.parent = Some(parent);
    }
    match along {
        // The trace began elsewhere, and so did the decision, unless it was changed here.
        Some(along) => {
            carried.trace_state = along.trace_state.clone();
            // A probability that does not fit the decision would falsify counts.
            let fits = |probability| is_in(parent.trace_id, &carried.trace_state, probability);
            if !parent.sampled() || !carried.trace_state.probability().is_none_or(fits) {
                carried.trace_state.set_probability(None);
            }
        }
        None if parent.sampled() => carried.trace_state.set_probability(sampling::told_probability()),
        None => {}
    }
    carried
}

/// Adds to the baggage and the trace state of the running code what a bridge finds in the context of another API, until it is dropped.
#[cfg(feature = "opentelemetry")]
#[derive(Debug)]
pub(crate) struct Added(#[allow(dead_code, reason = "dropping it is its use")] AlongGuard);

#[cfg(feature = "opentelemetry")]
impl Added {
    /// Entries that are known get the new value.
    pub(crate) fn enter(baggage: &Baggage, state: Option<(TraceId, TraceState)>) -> Added {
        let mut along = current().map_or_else(Along::default, |along| (*along).clone());
        along.baggage.add(baggage.clone());
        if let Some((trace, state)) = state {
            (along.trace, along.trace_state) = (Some(trace), state);
        }
        Added(AlongGuard::enter(Arc::new(along)))
    }
}

/// The trace state that came with this trace, if it is the current one.
#[cfg(feature = "opentelemetry")]
pub(crate) fn trace_state(trace: TraceId) -> Option<TraceState> {
    let along = current().filter(|along| along.trace == Some(trace))?;
    Some(along.trace_state.clone()).filter(|state| !state.is_empty())
}

pub(super) fn enter(carried: &Carried) -> CarriedGuard {
    let parent = carried.parent.map(|parent| decided(parent, carried));
    let along = Along {
        trace: parent.map(|parent| parent.trace_id),
        trace_state: carried.trace_state.clone(),
        baggage: carried.baggage.clone(),
        correlation: Correlation::default(),
    };
    let along = AlongGuard::enter(Arc::new(along));
    let place = match parent {
        Some(parent) => Place::Remote(throughline::attach(parent)),
        None => Place::Outside(Context::default().enter()),
    };
    CarriedGuard { place, along }
}

/// The parent, with a decision of this process if the sender left it open.
fn decided(parent: TraceContext, carried: &Carried) -> TraceContext {
    if !carried.is_undecided {
        return parent;
    }
    let sampled = is_in(parent.trace_id, &carried.trace_state, sampling::share());
    TraceContext { flags: parent.flags & !1 | u8::from(sampled), ..parent }
}

/// Whether a trace is in this share: by the random number of its state, or else by its id.
fn is_in(trace: TraceId, state: &TraceState, share: f64) -> bool {
    match state.randomness() {
        Some(random) => sampling::is_random_in(random, share),
        None => sampling::is_in(trace, share),
    }
}

/// The random number that the sender of this trace has given it, if it is the current one.
pub(crate) fn randomness(trace: TraceId) -> Option<u64> {
    current().filter(|along| along.trace == Some(trace))?.trace_state.randomness()
}

/// Leaves the context of another process when it is dropped; see [`Carried::enter`].
#[derive(Debug)]
pub struct CarriedGuard {
    #[allow(dead_code, reason = "dropping it is its use")]
    place: Place,
    #[allow(dead_code, reason = "dropping it is its use")]
    along: AlongGuard,
}

#[derive(Debug)]
#[allow(dead_code, reason = "dropping them is their use")]
enum Place {
    /// Below the sender's span.
    Remote(AttachGuard),
    /// Outside any trace.
    Outside(ContextGuard),
}

/// A place in a trace with its trace state and baggage. Take it to another task or thread and enter it there.
/// [`throughline::Context`] is the place alone, without an allocation.
///
/// ```
/// use throughline_std::propagation::{Baggage, FullContext};
/// let mut baggage = Baggage::default();
/// baggage.set("tenant", "acme");
/// let here = FullContext::current().with_baggage(baggage);
/// std::thread::spawn(move || {
///     let _there = here.enter();
///     assert_eq!(FullContext::current().baggage().get("tenant"), Some("acme"));
/// })
/// .join()
/// .unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct FullContext {
    place: Context,
    along: Arc<Along>,
}

impl FullContext {
    /// That of the running code.
    pub fn current() -> FullContext {
        FullContext { place: Context::current(), along: current().unwrap_or_default() }
    }

    /// That of a request that arrived. Cost: as [`Carried::enter`].
    pub fn of(carried: &Carried) -> FullContext {
        let _guard = enter(carried);
        FullContext::current()
    }

    /// Another place, with the trace state and baggage of the running code.
    #[cfg(feature = "tower")]
    pub(crate) fn at(place: Context) -> FullContext {
        FullContext { place, along: current().unwrap_or_default() }
    }

    /// Another place, with what goes along here.
    pub(crate) fn moved_to(self, place: Context) -> FullContext {
        FullContext { place, ..self }
    }

    /// The same place with other baggage.
    #[must_use]
    pub fn with_baggage(self, baggage: Baggage) -> FullContext {
        let along = Arc::new(Along { baggage, ..(*self.along).clone() });
        FullContext { along, ..self }
    }

    /// Its baggage.
    pub fn baggage(&self) -> &Baggage {
        &self.along.baggage
    }

    /// Its correlation fields.
    pub fn correlation(&self) -> &Correlation {
        &self.along.correlation
    }

    /// The same place with other correlation fields.
    #[must_use]
    pub fn with_correlation(self, correlation: Correlation) -> FullContext {
        let along = Arc::new(Along { correlation, ..(*self.along).clone() });
        FullContext { along, ..self }
    }

    /// The place in the trace.
    pub fn place(&self) -> Context {
        self.place
    }

    /// Moves the running code there until the guard is dropped. Guards may be dropped in any order.
    #[must_use = "dropping the guard leaves the context"]
    pub fn enter(&self) -> FullGuard {
        FullGuard { place: self.place.enter(), along: AlongGuard::enter(Arc::clone(&self.along)) }
    }
}

/// Takes the current context along with a closure that runs elsewhere: on a thread, in a pool such as rayon's, in
/// `tokio::task::spawn_blocking` or `JoinSet::spawn_blocking`. A future takes it along by
/// [`Propagate::in_current_context`].
///
/// ```
/// use throughline::{info, span};
/// use throughline_std::propagation::carrying;
/// let _request = span!("request");
/// // Also: `tokio::task::spawn_blocking(carrying(…))`, `rayon::spawn(carrying(…))`, `rayon::join(carrying(…), carrying(…))`.
/// std::thread::spawn(carrying(|| info!("in the request"))).join().unwrap();
/// ```
pub fn carrying<R>(work: impl FnOnce() -> R) -> impl FnOnce() -> R {
    let here = FullContext::current();
    move || {
        let _there = here.enter();
        work()
    }
}

/// Like [`carrying`], for a closure of one argument that is called often and on several threads, such as one for rayon's
/// `par_iter().map(…)`.
///
/// ```
/// use throughline::span;
/// use throughline_std::propagation::carrying_each;
/// let _request = span!("request");
/// let price = carrying_each(|item: u32| {
///     let _span = span!("price", item);
///     item * 2
/// });
/// assert_eq!((1..4).map(price).sum::<u32>(), 12); // `(1..4).into_par_iter().map(price)`
/// ```
pub fn carrying_each<T, R>(work: impl Fn(T) -> R) -> impl Fn(T) -> R {
    let here = FullContext::current();
    move |value| {
        let _there = here.enter();
        work(value)
    }
}

/// Leaves a [`FullContext`] when it is dropped.
#[derive(Debug)]
pub struct FullGuard {
    #[allow(dead_code, reason = "dropping it is its use")]
    place: ContextGuard,
    #[allow(dead_code, reason = "dropping it is its use")]
    along: AlongGuard,
}

/// Futures that take context along.
pub trait Propagate: Future + Sized {
    /// Runs the future below the sender's span, with its trace state and baggage. If there is no sender, the future
    /// is outside any trace, so that its first span begins one.
    fn in_carried(self, carried: &Carried) -> WithAlong<Instrumented<Self>> {
        self.in_context(FullContext::of(carried))
    }

    /// Runs the future where the running code is now, on whatever thread: for `tokio::spawn`.
    fn in_current_context(self) -> WithAlong<Instrumented<Self>> {
        self.in_context(FullContext::current())
    }

    /// Runs the future in this context.
    fn in_context(self, context: FullContext) -> WithAlong<Instrumented<Self>> {
        WithAlong::new(context.along, self.instrument(context.place))
    }

    /// Runs the future in this span, with the current trace state and baggage. The span ends with it.
    fn in_span(self, span: throughline::Span) -> WithAlong<Instrumented<Self>> {
        WithAlong::new(current().unwrap_or_default(), self.instrument(span))
    }
}

impl<F: Future> Propagate for F {}

/// A future with its own baggage and trace state; see [`Propagate`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct WithAlong<F> {
    along: Arc<Along>,
    /// What guards that the future holds across an `await` have entered.
    held: Stack,
    inner: F,
}

impl<F> WithAlong<F> {
    pub(super) fn new(along: Arc<Along>, inner: F) -> WithAlong<F> {
        WithAlong { along, held: Vec::new(), inner }
    }

    /// Polls what is inside where it belongs.
    fn poll_inside<R>(self: Pin<&mut Self>, poll: impl FnOnce(Pin<&mut F>) -> R) -> R {
        // SAFETY: `inner` is never moved out of `self`, and there is no `Drop`. Nothing else here needs pinning.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: `this.inner` is pinned because `self` is.
        let inner = unsafe { Pin::new_unchecked(&mut this.inner) };
        let below = AlongGuard::enter_untold(Arc::clone(&this.along));
        let entered = Entered { held: &mut this.held, number: below.number };
        _ = STACK.try_with(|stack| stack.borrow_mut().append(entered.held));
        tell();
        let result = poll(inner);
        drop(entered);
        drop(below);
        result
    }
}

impl<F: Future> Future for WithAlong<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<F::Output> {
        self.poll_inside(|future| future.poll(cx))
    }
}

#[cfg(feature = "futures-core")]
impl<S: futures_core::Stream> futures_core::Stream for WithAlong<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<S::Item>> {
        self.poll_inside(|stream| stream.poll_next(cx))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.size_hint()
    }
}

/// Runs a stream in this span, with the current trace state and baggage: the span is current whenever the stream is
/// polled, and ends with it. With the feature `futures-core`.
///
/// ```
/// # fn example(stream: impl futures_core::Stream<Item = u32>) -> impl futures_core::Stream<Item = u32> {
/// use throughline::span;
/// use throughline_std::propagation::instrument_stream;
/// instrument_stream(stream, span!("download"))
/// # }
/// ```
#[cfg(feature = "futures-core")]
pub fn instrument_stream<S: futures_core::Stream>(
    stream: S,
    span: throughline::Span,
) -> WithAlong<Instrumented<S>> {
    WithAlong::new(current().unwrap_or_default(), stream.instrument(span))
}

/// Takes what the future's guards have entered off the thread's stack, also when the poll panics.
struct Entered<'a> {
    held: &'a mut Stack,
    number: u64,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        _ = STACK.try_with(|stack| {
            let mut stack = stack.borrow_mut();
            let at = stack.iter().rposition(|(number, _)| *number == self.number)?;
            self.held.extend(stack.drain(at + 1..));
            Some(())
        });
    }
}
