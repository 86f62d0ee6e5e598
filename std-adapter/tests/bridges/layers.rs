//! Further behaviours that the suites of `tracing-subscriber` ask of any layer; see `suites.rs`.

use super::filters::Counting;
use super::recorded;
use super::support::look::{body, log};
use super::support::service::find;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use throughline_std::tracing::{Layer as Ours, SpanExt, layer};
use tracing::field::{Field, Visit};
use tracing::instrument::WithSubscriber;
use tracing::subscriber::{NoSubscriber, with_default};
use tracing::{Event, Instrument, Metadata, Span, Subscriber, debug, info, info_span};
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Registry, registry};

fn said(logs: &[LogRecord]) -> Vec<String> {
    let mut all: Vec<_> = logs.iter().map(body).collect();
    all.sort();
    all
}

#[test]
fn a_scope_has_gaps_where_a_filter_hides_spans() {
    recorded(
        "layers::a_scope_has_gaps_where_a_filter_hides_spans",
        || {
            let of_a = filter_fn(|metadata| [module_path!(), "a"].contains(&metadata.target()));
            with_default(registry().with(layer().with_filter(of_a)), || {
                let _a1 = tracing::trace_span!(target: "a", "a1").entered();
                let _b1 = info_span!(target: "b", "b1").entered();
                let _a2 = info_span!(target: "a", "a2").entered();
                let b2 = tracing::trace_span!(target: "b", "b2").entered();
                info!("in a2");
                debug!(target: "a", "of a");
                debug!(target: "b", "of b");
                drop(info_span!("below a2"));
                // A hidden parent stands for the next one around it that is seen.
                drop(info_span!(parent: &b2, "below b2"));
                // That of an event does not: `tracing` tells the layer nothing about it.
                info!(parent: &b2, "in b2");
            });
            with_default(registry().with(layer().with_filter(LevelFilter::WARN)), || {
                let _trace = tracing::trace_span!("trace").entered();
                let _debug = tracing::debug_span!("debug").entered();
                let _info = info_span!("info").entered();
                let _warn = tracing::warn_span!("warn").entered();
                let _error = tracing::error_span!("error").entered();
                tracing::error!("levels");
            });
        },
        |spans, logs, _| {
            let a2 = find(spans, "a2");
            assert_eq!(a2.parent_span_id, find(spans, "a1").span_id);
            for message in ["in a2", "of a"] {
                assert_eq!(log(logs, message).span_id, a2.span_id, "{message}");
            }
            assert!(log(logs, "in b2").span_id.is_empty());
            for name in ["below a2", "below b2"] {
                assert_eq!(find(spans, name).parent_span_id, a2.span_id, "{name}");
            }
            assert!(find(spans, "warn").parent_span_id.is_empty());
            let error = find(spans, "error");
            assert_eq!(error.parent_span_id, find(spans, "warn").span_id);
            assert_eq!(log(logs, "levels").span_id, error.span_id);
            assert_eq!((spans.len(), logs.len()), (6, 4));
        },
    );
}

#[test]
fn a_layer_works_anywhere_in_a_tree_of_layers_and_filters() {
    recorded(
        "layers::a_layer_works_anywhere_in_a_tree_of_layers_and_filters",
        || {
            let (inner, outer) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let counting = |count: &Arc<AtomicUsize>| Counting(Arc::clone(count));
            let of_mine = || filter_fn(|metadata| metadata.target() == "mine");
            let say = |of: &str| {
                let span = info_span!(target: "mine", "of tree");
                assert!(span.trace_context().is_some(), "it is found in {of}");
                info!("info {of}");
                debug!("debug {of}");
                info!(target: "mine", "mine {of}");
                debug!(target: "mine", "mine at debug {of}");
            };
            let first = layer().and_then(counting(&inner).with_filter(of_mine()));
            let first = registry().with(first.with_filter(LevelFilter::INFO)).with(counting(&outer));
            with_default(first, || say("first"));
            assert_eq!((inner.swap(0, Ordering::Relaxed), outer.swap(0, Ordering::Relaxed)), (1, 4));
            let last = counting(&inner).and_then(layer().with_filter(of_mine()));
            let last = registry().with(last.with_filter(LevelFilter::INFO)).with(counting(&outer));
            with_default(last, || say("last"));
            assert_eq!((inner.load(Ordering::Relaxed), outer.load(Ordering::Relaxed)), (2, 4));
        },
        |spans, logs, _| {
            assert_eq!(said(logs), ["info first", "mine first", "mine last"]);
            assert_eq!(spans.len(), 2);
        },
    );
}

/// Another layer, which wants errors.
fn other<S>() -> impl tracing_subscriber::Layer<S> + Send + Sync
where
    S: Subscriber + for<'l> LookupSpan<'l> + Send + Sync,
{
    Counting(Arc::default()).with_filter(LevelFilter::ERROR)
}

/// Another layer, whose filter tells no level.
fn by_closure<S>() -> impl tracing_subscriber::Layer<S>
where
    S: Subscriber + for<'l> LookupSpan<'l>,
{
    Counting(Arc::default()).with_filter(filter_fn(|_| false))
}

#[test]
fn what_other_layers_want_hides_nothing_in_any_order() {
    recorded(
        "layers::what_other_layers_want_hides_nothing_in_any_order",
        || {
            let say = |of: &str| {
                let _span = tracing::trace_span!("span").entered();
                tracing::trace!("trace {of}");
                tracing::error!("error {of}");
            };
            // Each twice, because `tracing` remembers what a callsite's filters said.
            for _ in 0..2 {
                with_default(registry().with(other()).with(layer()), || say("above"));
                with_default(registry().with(layer()).with(other()), || say("below"));
                with_default(registry().with(by_closure()).with(layer()).with(other()), || say("between"));
                let filtered = layer().with_filter(LevelFilter::TRACE);
                with_default(registry().with(other()).with(filtered).with(by_closure()), || say("filtered"));
                with_default(registry().with(layer()).with(None::<Ours<_>>), || say("beside none"));
                with_default(registry().with(vec![layer().boxed(), other().boxed()]), || say("in a list"));
                with_default(registry().with(Vec::<Ours<Registry>>::new()), || say("in no list"));
            }
        },
        |spans, logs, _| {
            let mut expected: Vec<_> = ["above", "below", "beside none", "between", "filtered", "in a list"]
                .iter()
                .flat_map(|of| [format!("trace {of}"), format!("error {of}")])
                .flat_map(|text| [text.clone(), text])
                .collect();
            expected.sort();
            assert_eq!(said(logs), expected);
            assert_eq!(spans.len(), 2 * 6);
        },
    );
}

/// Enables events by the values of their field `enable`, as a filter of one layer or for all.
struct ByValue;

impl ByValue {
    fn enables(event: &Event<'_>) -> bool {
        struct Enable(bool);
        impl Visit for Enable {
            fn record_bool(&mut self, field: &Field, value: bool) {
                self.0 |= field.name() == "enable" && value;
            }
            fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
        }
        let mut enable = Enable(false);
        event.record(&mut enable);
        enable.0
    }
}

impl<S> Filter<S> for ByValue {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        ByValue::enables(event)
    }
}

impl<S: Subscriber> tracing_subscriber::Layer<S> for ByValue {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        ByValue::enables(event)
    }
}

#[test]
fn filters_may_look_at_the_values_of_events() {
    recorded(
        "layers::filters_may_look_at_the_values_of_events",
        || {
            let say = |of: &str| {
                let _span = info_span!("span").entered();
                info!(enable = true, "enabled {of}");
                info!(enable = false, "disabled {of}");
                tracing::error!("an error {of}");
            };
            with_default(registry().with(layer().with_filter(ByValue)), || say("for the layer"));
            with_default(registry().with(layer()).with(ByValue), || say("for all"));
        },
        |spans, logs, _| {
            assert_eq!(said(logs), ["enabled for all", "enabled for the layer"]);
            let is_failed = |span: &&_| super::support::look::status(span) as i32 == 2;
            assert_eq!((spans.len(), spans.iter().filter(is_failed).count()), (2, 0));
        },
    );
}

#[test]
fn a_span_that_is_entered_again_does_not_become_current_again() {
    recorded(
        "layers::a_span_that_is_entered_again_does_not_become_current_again",
        || {
            let root = info_span!("root");
            root.in_scope(|| {
                let leaf = info_span!("leaf");
                leaf.in_scope(|| {
                    root.in_scope(|| {
                        assert_eq!(Span::current(), leaf, "what `tracing` says");
                        info!("in the leaf");
                        drop(info_span!("below the leaf"));
                        tracing::error!("of the leaf");
                    });
                    info!("still in the leaf");
                });
                info!("in the root");
                root.in_scope(|| info!("in the root again"));
                info!("in the root at last");
            });
            info!("outside");
        },
        |spans, logs, _| {
            let (root, leaf) = (find(spans, "root"), find(spans, "leaf"));
            for message in ["in the leaf", "of the leaf", "still in the leaf"] {
                assert_eq!(log(logs, message).span_id, leaf.span_id, "{message}");
            }
            assert_eq!(find(spans, "below the leaf").parent_span_id, leaf.span_id);
            let failed = [root, leaf].map(|span| super::support::look::status(span) as i32);
            assert_eq!(failed, [0, 2], "the span that has the record fails");
            for message in ["in the root", "in the root again", "in the root at last"] {
                assert_eq!(log(logs, message).span_id, root.span_id, "{message}");
            }
            assert!(log(logs, "outside").span_id.is_empty());
        },
    );
}

#[test]
fn futures_and_threads_have_their_own_subscribers() {
    recorded(
        "layers::futures_and_threads_have_their_own_subscribers",
        || {
            let own = || registry().with(layer());
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let _foo = info_span!("foo").entered();
                let work = async {
                    tokio::task::yield_now().await;
                    info!("in hi");
                };
                let of_task = async move { work.instrument(info_span!("hi")).await };
                tokio::spawn(of_task.with_subscriber(own())).await.unwrap();
                tokio::spawn(async { info!("to nobody") }.with_subscriber(NoSubscriber::default()))
                    .await
                    .unwrap();
                info!("in foo");
            });
            let current =
                with_default(own(), || async { info!("of the subscriber") }.with_current_subscriber());
            runtime.block_on(current);
            // On a thread that does not know the subscriber of the span.
            let far = with_default(own(), || info_span!("far"));
            std::thread::spawn(move || {
                let _far = far.entered();
                info!("far away");
            })
            .join()
            .unwrap();
        },
        |spans, logs, _| {
            assert_eq!(said(logs), ["far away", "in foo", "in hi", "of the subscriber"]);
            for (message, name) in [("in hi", "hi"), ("in foo", "foo"), ("far away", "far")] {
                assert_eq!(log(logs, message).span_id, find(spans, name).span_id, "{message}");
            }
            assert_eq!(spans.len(), 3);
        },
    );
}
