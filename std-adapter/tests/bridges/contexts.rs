//! The context of OpenTelemetry's API beside the place that is current here.

use super::api::{is_child, their_parent, tracer};
use super::support::in_own_process;
use super::support::look::log;
use super::support::receiver::text;
use super::support::service::find;
use super::{recorded, recorded_with, remote};
use opentelemetry::baggage::BaggageExt;
use opentelemetry::context::{ContextObserver, GlobalContextObserver, ObserverContextView};
use opentelemetry::trace::{FutureExt, TraceContextExt, Tracer, get_active_span, mark_span_as_active};
use opentelemetry::{Context, ContextGuard, KeyValue, global};
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::Arc;
use throughline_std::Config;
use throughline_std::opentelemetry::{Observer, current_context};
use throughline_std::propagation::{Baggage, FullContext};

#[test]
fn all_libraries_spans_are_one_tree() {
    recorded(
        "contexts::all_libraries_spans_are_one_tree",
        || {
            let tracer = tracer();
            let _ours = throughline::span!("ours");
            tracer.in_span("api in ours", |cx| {
                throughline::info!("ours in api");
                log::info!("log in api");
                tracing::info!("tracing in api");
                assert_eq!(
                    cx.span().span_context().span_id().to_bytes(),
                    throughline::current().unwrap().span_id.to_bytes()
                );
                let _tracing = tracing::info_span!("tracing in api").entered();
                let _deeper = throughline::span!("ours in tracing");
                tracer.in_span("api in ours in tracing", |_| {
                    // Only a value changes: what is current stays so.
                    let _innermost = throughline::span!("innermost");
                    let _more = Context::current_with_value(7_u8).attach();
                    log::info!("in the innermost");
                    drop(tracer.start("below the innermost"));
                });
                get_active_span(|span| span.set_attribute(KeyValue::new("set", "from inside")));
            });
            log::info!("back in ours");
            // An empty context hides spans of the API, a given one all of them.
            tracer.in_span("hidden", |_| {
                let _empty = Context::new().attach();
                log::info!("in ours, not in the hidden one");
            });
            drop(tracer.start_with_context("root", &Context::new()));
        },
        |spans, logs, _| {
            let [ours, api] = ["ours", "api in ours"].map(|name| find(spans, name));
            assert!(is_child(api, ours));
            assert_eq!(text(&api.attributes, "set").unwrap(), "from inside");
            let [tracing, deeper] = ["tracing in api", "ours in tracing"].map(|name| find(spans, name));
            let below = find(spans, "api in ours in tracing");
            assert!(is_child(tracing, api) && is_child(deeper, tracing) && is_child(below, deeper));
            let innermost = find(spans, "innermost");
            assert!(is_child(innermost, below) && is_child(find(spans, "below the innermost"), innermost));
            for (message, span) in [
                ("ours in api", api),
                ("log in api", api),
                ("tracing in api", api),
                ("in the innermost", innermost),
                ("back in ours", ours),
                ("in ours, not in the hidden one", ours),
            ] {
                let log = log(logs, message);
                assert_eq!((&log.span_id, &log.trace_id), (&span.span_id, &span.trace_id), "{message}");
            }
            let root = find(spans, "root");
            assert!(root.parent_span_id.is_empty() && root.trace_id != ours.trace_id);
        },
    );
}

#[test]
fn contexts_may_be_detached_in_any_order() {
    recorded(
        "contexts::contexts_may_be_detached_in_any_order",
        || {
            let tracer = tracer();
            let first = mark_span_as_active(tracer.start("first"));
            let second = mark_span_as_active(tracer.start("second"));
            let third = mark_span_as_active(tracer.start("third"));
            drop(second);
            log::info!("in the third");
            drop(third);
            log::info!("in the first");
            let again = Context::current().attach();
            let ours = throughline::span!("ours");
            drop(again);
            log::info!("in ours");
            drop(first);
            log::info!("still in ours");
            drop(ours);
            log::info!("in none");
        },
        |spans, logs, _| {
            let [first, second, third] = ["first", "second", "third"].map(|name| find(spans, name));
            assert!(is_child(second, first) && is_child(third, second));
            let ours = find(spans, "ours");
            assert!(is_child(ours, first));
            for (message, span) in
                [("in the third", third), ("in the first", first), ("in ours", ours), ("still in ours", ours)]
            {
                assert_eq!(log(logs, message).span_id, span.span_id, "{message}");
            }
            assert!(log(logs, "in none").span_id.is_empty());
        },
    );
}

/// Something that makes its span current as long as it lives.
enum Alive {
    Api(#[allow(dead_code)] ContextGuard),
    Ours(#[allow(dead_code)] throughline::Span),
    Tracing(#[allow(dead_code)] tracing::span::EnteredSpan),
}

#[test]
fn what_is_current_is_the_innermost_of_any_guards_in_any_order() {
    in_own_process("contexts::what_is_current_is_the_innermost_of_any_guards_in_any_order", || {
        let guard =
            throughline_std::init(&Config::new("svc").without_otlp().terminal(false).bridges()).unwrap();
        let step = (0..6_u8, any::<prop::sample::Index>());
        proptest!(ProptestConfig::with_cases(256), |(steps in prop::collection::vec(step, 1..40))| {
            let tracer = tracer();
            let mut alive: Vec<(throughline::SpanId, Alive)> = Vec::new();
            for (kind, which) in steps {
                let new = match kind {
                    0 => Alive::Api(mark_span_as_active(tracer.start("api"))),
                    1 => Alive::Ours(throughline::span!("ours")),
                    2 => Alive::Tracing(tracing::info_span!("tracing").entered()),
                    _ => {
                        if !alive.is_empty() {
                            drop(alive.remove(which.index(alive.len())));
                        }
                        let here = throughline::current().map(|here| here.span_id);
                        prop_assert_eq!(here, alive.last().map(|(id, _)| *id));
                        continue;
                    }
                };
                let id = throughline::current().unwrap().span_id;
                prop_assert!(alive.iter().all(|(other, _)| *other != id), "a new span is current");
                alive.push((id, new));
            }
        });
        drop(guard);
    });
}

#[test]
fn a_context_goes_with_futures_and_to_threads() {
    recorded(
        "contexts::a_context_goes_with_futures_and_to_threads",
        || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
            let tasks: Vec<_> = (0..8)
                .map(|n| {
                    let cx = Context::current_with_span(tracer().start(format!("task {n}")));
                    let work = async move {
                        for step in 0..3 {
                            log::info!("step {step} of {n}");
                            tokio::task::yield_now().await;
                        }
                        drop(tracer().start(format!("below {n}")));
                    };
                    runtime.spawn(work.with_context(cx))
                })
                .collect();
            tasks.into_iter().for_each(|task| runtime.block_on(task).unwrap());
            let _ours = throughline::span!("ours");
            let here = current_context();
            std::thread::spawn(move || {
                drop(tracer().start("nowhere"));
                let with_value = here.with_value(1_u8);
                drop(tracer().start_with_context("given", &with_value));
                let _here = with_value.attach();
                drop(tracer().start("elsewhere"));
                log::info!("elsewhere");
            })
            .join()
            .unwrap();
        },
        |spans, logs, _| {
            for n in 0..8 {
                let task = find(spans, &format!("task {n}"));
                assert!(task.parent_span_id.is_empty());
                assert!(is_child(find(spans, &format!("below {n}")), task));
                for step in 0..3 {
                    assert_eq!(log(logs, &format!("step {step} of {n}")).span_id, task.span_id);
                }
            }
            let ours = find(spans, "ours");
            assert!(find(spans, "nowhere").parent_span_id.is_empty());
            assert!(is_child(find(spans, "elsewhere"), ours) && is_child(find(spans, "given"), ours));
            assert_eq!(log(logs, "elsewhere").span_id, ours.span_id);
        },
    );
}

#[test]
fn remote_parents_trace_state_and_baggage_go_both_ways() {
    let headers = |pairs: &[(&str, &str)]| -> HashMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    recorded(
        "contexts::remote_parents_trace_state_and_baggage_go_both_ways",
        || {
            let tracer = tracer();
            let traceparent = remote().traceparent();
            let arrived = headers(&[
                ("traceparent", traceparent.as_str()),
                ("tracestate", "congo=t61"),
                ("baggage", "tenant=acme"),
            ]);
            let cx = global::get_text_map_propagator(|propagator| {
                assert!(propagator.fields().any(|field| field == "traceparent"));
                propagator.extract(&arrived)
            });
            assert_eq!(cx.span().span_context(), &their_parent());
            assert_eq!(cx.baggage().get("tenant").unwrap().as_str(), "acme");
            let sent = |cx: Option<&Context>| {
                let mut sent: HashMap<String, String> = HashMap::new();
                global::get_text_map_propagator(|propagator| match cx {
                    Some(cx) => propagator.inject_context(cx, &mut sent),
                    None => propagator.inject(&mut sent),
                });
                sent
            };
            assert_eq!(sent(Some(&cx)), arrived, "a context that is not attached");
            let _guard = cx.attach();
            tracer.in_span("server", |cx| {
                assert_eq!(cx.span().span_context().trace_state().get("congo"), Some("t61"));
                let sent_here = sent(None);
                assert_eq!(sent_here["tracestate"], "congo=t61");
                assert_eq!(sent_here["baggage"], "tenant=acme");
                assert_eq!(sent_here["traceparent"], throughline::current().unwrap().traceparent().as_str());
                assert_eq!(FullContext::current().baggage().get("tenant"), Some("acme"));
                {
                    let _more = Context::current_with_baggage([KeyValue::new("user", "ann")]).attach();
                    let mut baggage: Vec<_> = sent(None)["baggage"].split(',').map(str::to_owned).collect();
                    baggage.sort();
                    assert_eq!(baggage, ["tenant=acme", "user=ann"]);
                }
                let mut ours = Baggage::default();
                ours.set("session", "1");
                let _ours = FullContext::current().with_baggage(ours).enter();
                assert_eq!(current_context().baggage().get("session").unwrap().as_str(), "1");
                std::thread::spawn({
                    let cx = cx.clone();
                    move || {
                        let _there = cx.attach();
                        assert_eq!(sent(None)["tracestate"], "congo=t61");
                        drop(throughline::span!("on another thread"));
                    }
                })
                .join()
                .unwrap();
            });
        },
        |spans, _, _| {
            let server = find(spans, "server");
            assert_eq!(server.trace_id, remote().trace_id.to_bytes());
            assert_eq!(server.parent_span_id, remote().span_id.to_bytes());
            assert!(is_child(find(spans, "on another thread"), server));
        },
    );
}

#[test]
fn another_observer_of_contexts_is_an_error_that_says_what_to_do() {
    struct Theirs;

    impl ContextObserver for Theirs {
        fn on_context_enter(&self, _: &Context, _: &Context) {}

        fn on_context_exit(&self, _: &Context, _: &Context) {}
    }
    in_own_process("contexts::another_observer_of_contexts_is_an_error_that_says_what_to_do", || {
        GlobalContextObserver::set(Arc::new(Theirs));
        let config = Config::new("svc").without_otlp().terminal(false).opentelemetry_providers();
        let error = throughline_std::init(&config).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`opentelemetry` has a global context observer already: install throughline_std::opentelemetry::Observer there, in place of Config's method for it"
        );
    });
}

#[test]
fn an_observer_of_the_programs_own_may_call_ours() {
    #[derive(Default)]
    struct Theirs(Observer);

    impl ContextObserver for Theirs {
        fn on_context_enter(&self, from: &Context, to: &Context) {
            self.0.on_context_enter(from, to);
        }

        fn on_context_exit(&self, from: &Context, to: &Context) {
            self.0.on_context_exit(from, to);
        }

        fn make_view(&self, context: &Context) -> Option<Arc<dyn ObserverContextView>> {
            self.0.make_view(context)
        }
    }
    recorded_with(
        "contexts::an_observer_of_the_programs_own_may_call_ours",
        || GlobalContextObserver::set(Arc::new(Theirs::default())),
        || tracer().in_span("outer", |_| log::info!("in it")),
        |spans, logs, _| assert_eq!(log(logs, "in it").span_id, find(spans, "outer").span_id),
    );
}
