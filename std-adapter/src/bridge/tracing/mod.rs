//! The bridge from `tracing`: a layer for `tracing-subscriber`.

mod entered;
mod place;
mod site;
mod visit;

pub use place::SpanExt;

use super::Deeper;
use place::GetContext;
use site::Site;
use std::any::TypeId;
use std::marker::PhantomData;
use throughline::adapter::bridge;
use throughline::{Context, DetachedSpan, Level, Status};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::Context as Ctx;
use tracing_subscriber::registry::{LookupSpan, SpanRef};
use visit::{ErrorText, Fields, LogEvent};

/// A layer that makes this library's spans and log records from those of `tracing`.
/// [`Config::tracing_subscriber`](crate::Config::tracing_subscriber) installs a subscriber of it alone.
///
/// * A span begins when it is made, is current here whenever it is entered, on any thread, and ends when `tracing`
///   closes it. To enter it again inside of itself changes nothing, as in `tracing`. Its parent is the one given, or the innermost span of `tracing` *or of this library* that is current;
///   below [`attach`](throughline::attach) it is the remote parent. `follows_from` becomes a link.
/// * An event becomes a log record with the ids of the current span. One of level `ERROR` makes the span's status error,
///   and one that `#[instrument(err)]` makes also gives the reason.
///   Records of the crate `log` that `tracing-log` passes on have their own target, file and line.
/// * `otel.name`, `otel.kind`, `otel.status_code` and `otel.status_description` mean what they mean to
///   `tracing-opentelemetry`.
/// * The configuration's levels and filters decide what is recorded. Filters of `tracing-subscriber` on this layer do so
///   before them.
///
/// ```
/// use tracing_subscriber::prelude::*;
/// let subscriber = tracing_subscriber::registry().with(throughline_std::tracing::layer());
/// tracing::subscriber::with_default(subscriber, || {
///     let _span = tracing::info_span!("checkout", items = 3).entered();
///     tracing::info!("order placed");
/// });
/// ```
///
/// Cost: the rows `throughline (tracing)` of `cargo xtask bench`, beside `tracing-opentelemetry` in the same run.
pub fn layer<S>() -> Layer<S>
where
    S: Subscriber + for<'l> LookupSpan<'l>,
{
    Layer { is_alone: false, get_context: GetContext::of::<S>(), subscriber: PhantomData }
}

/// The only layer of a subscriber: what this library does not record need not be made at all.
pub(crate) fn only_layer<S>() -> Layer<S>
where
    S: Subscriber + for<'l> LookupSpan<'l>,
{
    Layer { is_alone: true, ..layer() }
}

/// Makes a subscriber of this layer the global one.
pub(crate) fn install() -> Result<(), tracing::subscriber::SetGlobalDefaultError> {
    use tracing_subscriber::prelude::*;
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(only_layer()))
}

/// See [`layer`].
#[derive(Debug)]
pub struct Layer<S> {
    is_alone: bool,
    get_context: GetContext,
    subscriber: PhantomData<fn(S)>,
}

impl<S> tracing_subscriber::Layer<S> for Layer<S>
where
    S: Subscriber + for<'l> LookupSpan<'l>,
{
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // The configuration's filter may change at any time, so `tracing` must not remember an answer of "never".
        if self.is_alone { Interest::sometimes() } else { Interest::always() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Ctx<'_, S>) -> bool {
        // Another layer may want what this one does not.
        !self.is_alone || site::is_enabled(metadata)
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Ctx<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        let site = Site::of(attributes.metadata());
        if !site.is_enabled() {
            return;
        }
        let Some(_deeper) = Deeper::enter() else { return };
        let mut fields = Fields::new(site);
        attributes.record(&mut fields);
        let Some(callsite) = site.span(fields.special.kind) else { return };
        let parent = match attributes.parent() {
            // Not by the parent's id: a filter may hide that span from this layer, but not the spans around it.
            Some(_) => nearest(span.scope().skip(1)),
            None if attributes.is_root() => Context::default(),
            None => Context::current(),
        };
        let own = DetachedSpan::begin(callsite, parent, &mut fields.list);
        if site.is_elsewhere() {
            own.set_name(attributes.metadata().name());
        }
        fields.apply(&own);
        span.extensions_mut().insert(own);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Ctx<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        let site = Site::of(span.metadata());
        let Some(_deeper) = Deeper::enter() else { return };
        // Read the values first: their code may use this span, whose extensions are locked below.
        let mut fields = Fields::new(site);
        values.record(&mut fields);
        let extensions = span.extensions();
        let Some(own) = extensions.get::<DetachedSpan>() else { return };
        if let Some(callsite) = site.late() {
            own.add_list(callsite, &mut fields.list);
        }
        fields.apply(own);
    }

    fn on_follows_from(&self, id: &Id, cause: &Id, ctx: Ctx<'_, S>) {
        let cause = context_of(&ctx, cause);
        with_own(&ctx, id, |own| own.follows_from(cause));
    }

    fn on_event(&self, event: &Event<'_>, ctx: Ctx<'_, S>) {
        let Some(_deeper) = Deeper::enter() else { return };
        let metadata = event.metadata();
        let site = Site::of(metadata);
        let record = || {
            if site.is_of_log {
                let mut log = LogEvent::default();
                event.record(&mut log);
                return log.record(level(metadata));
            }
            let Some(callsite) = site.event() else { return };
            let mut fields = Fields::new(site);
            event.record(&mut fields);
            match fields.further() {
                0 => {}
                further => super::leave_out(further),
            }
            bridge::event(callsite, &mut fields.list);
        };
        match event.parent() {
            Some(parent) => context_of(&ctx, parent).in_scope(record),
            None if event.is_root() => Context::default().in_scope(record),
            None => record(),
        }
        // As in `tracing-opentelemetry`, an event that consists of an error, as `#[instrument(err)]` makes it, is why
        // its span failed.
        let mut error = ErrorText::default();
        if site.is_error {
            event.record(&mut error);
        }
        if (*metadata.level() == tracing::Level::ERROR || error.0.is_some())
            && let Some(span) = ctx.event_span(event)
            && let Some(own) = span.extensions().get::<DetachedSpan>()
        {
            match error.0 {
                Some(error) => own.fail(&error),
                None => own.set_status_if_unset(Status::Error),
            }
        }
    }

    fn on_enter(&self, id: &Id, ctx: Ctx<'_, S>) {
        let place_of = |id: &Id| with_own(&ctx, id, DetachedSpan::context);
        if let Some((place, since)) = with_own(&ctx, id, |own| (own.context(), own.busy_since())) {
            entered::enter(id, place, since, place_of);
        }
    }

    fn on_exit(&self, id: &Id, ctx: Ctx<'_, S>) {
        if let Some(since) = entered::exit(id) {
            with_own(&ctx, id, |own| own.count_busy(since));
        }
    }

    fn on_close(&self, id: Id, ctx: Ctx<'_, S>) {
        let own = ctx.span(&id).and_then(|span| span.extensions_mut().remove::<DetachedSpan>());
        // The span ends here, when its extensions are no longer locked.
        drop(own);
    }

    unsafe fn downcast_raw(&self, id: TypeId) -> Option<*const ()> {
        if id == TypeId::of::<Self>() {
            Some(core::ptr::from_ref(self).cast())
        } else if id == TypeId::of::<GetContext>() {
            Some(core::ptr::from_ref(&self.get_context).cast())
        } else {
            None
        }
    }
}

/// Calls `f` with this library's span for a span of `tracing`, if there is one.
fn with_own<S, T>(ctx: &Ctx<'_, S>, id: &Id, f: impl FnOnce(&DetachedSpan) -> T) -> Option<T>
where
    S: Subscriber + for<'l> LookupSpan<'l>,
{
    ctx.span(id)?.extensions().get::<DetachedSpan>().map(f)
}

/// The place of a span of `tracing`, or of the nearest span around it that is recorded here.
fn context_of<S>(ctx: &Ctx<'_, S>, id: &Id) -> Context
where
    S: Subscriber + for<'l> LookupSpan<'l>,
{
    nearest(ctx.span_scope(id).into_iter().flatten())
}

/// The place of the first of these spans that is recorded here.
fn nearest<'l, S: LookupSpan<'l> + 'l>(mut spans: impl Iterator<Item = SpanRef<'l, S>>) -> Context {
    let found = spans.find_map(|span| span.extensions().get::<DetachedSpan>().map(DetachedSpan::context));
    found.unwrap_or_default()
}

fn level(metadata: &Metadata<'_>) -> Level {
    match *metadata.level() {
        tracing::Level::ERROR => Level::Error,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::INFO => Level::Info,
        tracing::Level::DEBUG => Level::Debug,
        _ => Level::Trace,
    }
}
