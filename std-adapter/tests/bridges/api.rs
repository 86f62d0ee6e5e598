//! Code that uses the API of OpenTelemetry alone: its spans, events and context.

use super::support::in_own_process;
use super::support::receiver::{Receiver, double, int, text};
use super::support::service::{LONG, config, find, start};
use super::{body, log, look_at, recorded, recorded_with, remote};
use opentelemetry::baggage::BaggageExt;
use opentelemetry::context::{ContextObserver, GlobalContextObserver, ObserverContextView};
use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{
    FutureExt, Link, Span as _, SpanContext, SpanKind, Status, TraceContextExt, TraceFlags, TraceState,
    Tracer, get_active_span, mark_span_as_active,
};
use opentelemetry::{Array, Context, InstrumentationScope, KeyValue, Value, global};
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::trace::v1::Span;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use throughline_std::Config;
use throughline_std::opentelemetry::{LoggerProvider, Observer, current_context};
use throughline_std::propagation::{Baggage, FullContext};

fn tracer() -> global::BoxedTracer {
    global::tracer_with_scope(InstrumentationScope::builder("shop").with_version("1.2").build())
}

/// A span of another process, in the trace of [`remote`].
fn their_parent() -> SpanContext {
    let ids = remote();
    SpanContext::new(
        opentelemetry::TraceId::from_bytes(ids.trace_id.to_bytes()),
        opentelemetry::SpanId::from_bytes(ids.span_id.to_bytes()),
        TraceFlags::SAMPLED,
        true,
        TraceState::from_key_value([("congo", "t61")]).unwrap(),
    )
}

fn is_child(child: &Span, parent: &Span) -> bool {
    (&child.parent_span_id, &child.trace_id) == (&parent.span_id, &parent.trace_id)
}

fn nanos(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}

#[test]
fn a_span_arrives_with_all_that_the_api_can_say_of_it() {
    let sender = SpanContext::new(
        opentelemetry::TraceId::from(7),
        opentelemetry::SpanId::from(9),
        TraceFlags::SAMPLED,
        false,
        TraceState::NONE,
    );
    recorded(
        "api::a_span_arrives_with_all_that_the_api_can_say_of_it",
        || {
            let tracer = tracer();
            let many = (0..20).map(|n| KeyValue::new(format!("n{n}"), n));
            let mut span = tracer
                .span_builder("checkout")
                .with_kind(SpanKind::Server)
                .with_attributes(
                    [
                        KeyValue::new("user", "ann"),
                        KeyValue::new("sold", true),
                        KeyValue::new("price", 2.5),
                        KeyValue::new("sizes", Value::Array(Array::I64(vec![1, 2]))),
                        KeyValue::new("names", Value::Array(Array::String(vec!["a".into(), "b".into()]))),
                    ]
                    .into_iter()
                    .chain(many),
                )
                .with_links(vec![Link::with_context(sender.clone())])
                .start(&tracer);
            assert!(span.is_recording() && span.span_context().is_valid());
            assert!(span.span_context().is_sampled() && !span.span_context().is_remote());
            span.set_attribute(KeyValue::new("late", 42));
            span.set_attributes([KeyValue::new("user", "bob"), KeyValue::new("n3", "three")]);
            span.add_event("paid", vec![KeyValue::new("total", 5)]);
            span.record_error(&std::io::Error::other("no change"));
            span.set_status(Status::Ok);
            span.set_status(Status::error("ok is final"));
            span.update_name("checkout of ann");
            span.end();
            assert!(!span.is_recording());
            span.set_attribute(KeyValue::new("too", "late"));
            span.add_event("too late", vec![]);
            span.end();
            let mut failed = tracer.start("failed");
            failed.set_status(Status::error("no such item"));
            failed.set_status(Status::Unset);
            drop(failed);
        },
        |spans, logs, _| {
            let span = find(spans, "checkout of ann");
            let a = &span.attributes;
            assert_eq!(span.kind, 2);
            assert_eq!(
                (text(a, "user").unwrap(), text(a, "names").unwrap()),
                ("bob".into(), "[\"a\",\"b\"]".into())
            );
            assert_eq!((int(a, "n0"), int(a, "n19"), int(a, "late")), (Some(0), Some(19), Some(42)));
            assert_eq!((text(a, "n3").unwrap(), double(a, "price")), ("three".into(), Some(2.5)));
            let sizes = a.iter().find(|kv| kv.key == "sizes").unwrap().value.as_ref().unwrap();
            assert!(
                matches!(&sizes.value, Some(any_value::Value::ArrayValue(list)) if list.values.len() == 2)
            );
            assert_eq!((text(a, "too"), int(a, "busy_ns")), (None, None));
            assert_eq!(span.status.as_ref().unwrap().code, 1);
            assert_eq!(span.links.len(), 1);
            assert_eq!(span.links[0].span_id, sender.span_id().to_bytes());
            let paid = logs.iter().find(|log| log.event_name == "paid").unwrap();
            assert_eq!((&paid.span_id, int(&paid.attributes, "total")), (&span.span_id, Some(5)));
            let thrown = logs.iter().find(|log| log.event_name == "exception").unwrap();
            assert_eq!(text(&thrown.attributes, "exception.message").unwrap(), "no change");
            assert_eq!((logs.len(), thrown.severity_number), (2, 17));
            let failed = find(spans, "failed").status.clone().unwrap();
            assert_eq!((failed.code, &*failed.message), (2, "no such item"));
        },
    );
}

#[test]
fn scopes_of_the_api_are_scopes_of_the_collector() {
    in_own_process("api::scopes_of_the_api_are_scopes_of_the_collector", || {
        let receiver = Receiver::start([]);
        let guard = start(&config(&receiver).opentelemetry_providers());
        tracer().start("checkout").end();
        assert!(guard.shutdown(LONG).complete);
        receiver.with(|r| {
            let scope = r.scopes.iter().map(|(_, scope)| scope).find(|scope| scope.name == "shop").unwrap();
            assert_eq!(scope.version, "1.2");
        });
    });
}

#[test]
fn given_times_count() {
    let start = SystemTime::now() - Duration::from_secs(5);
    recorded(
        "api::given_times_count",
        || {
            let tracer = tracer();
            let at = |ms| start + Duration::from_millis(ms);
            let mut span = tracer.span_builder("past").with_start_time(start).start(&tracer);
            span.add_event_with_timestamp("then", at(100), vec![]);
            span.end_with_timestamp(at(250));
            let mut backwards = tracer.start("backwards");
            backwards.end_with_timestamp(start);
            let mut now = tracer.start("now");
            now.end_with_timestamp(SystemTime::now());
        },
        |spans, logs, _| {
            // The clocks are mapped to each other with an error of microseconds.
            let close = |a: u64, b: u64| a.abs_diff(b) < 5_000_000;
            let past = find(spans, "past");
            assert!(past.end_time_unix_nano - past.start_time_unix_nano > 240_000_000);
            assert!(past.end_time_unix_nano - past.start_time_unix_nano < 260_000_000);
            // The test's process began after `start` of the parent process was read: only its distance is known.
            let then = logs.iter().find(|log| log.event_name == "then").unwrap();
            assert!(close(then.time_unix_nano, past.start_time_unix_nano + 100_000_000));
            let backwards = find(spans, "backwards");
            assert_eq!(backwards.start_time_unix_nano, backwards.end_time_unix_nano);
            let now = find(spans, "now");
            assert!(now.start_time_unix_nano > past.end_time_unix_nano);
            assert!(now.end_time_unix_nano >= now.start_time_unix_nano);
            assert!(past.start_time_unix_nano < nanos(SystemTime::now()) - 4_000_000_000);
        },
    );
}

#[test]
fn all_libraries_spans_are_one_tree() {
    recorded(
        "api::all_libraries_spans_are_one_tree",
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
        "api::contexts_may_be_detached_in_any_order",
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

#[test]
fn a_context_goes_with_futures_and_to_threads() {
    recorded(
        "api::a_context_goes_with_futures_and_to_threads",
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
        "api::remote_parents_trace_state_and_baggage_go_both_ways",
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
fn what_is_not_sampled_or_suppressed_is_not_recorded() {
    in_own_process("api::what_is_not_sampled_or_suppressed_is_not_recorded", || {
        let receiver = Receiver::start([]);
        let guard = start(&config(&receiver).bridges().sample_ratio(0.0));
        let tracer = tracer();
        tracer.in_span("out", |cx| {
            let ids = cx.span().span_context().clone();
            assert!(ids.is_valid() && !ids.is_sampled() && !cx.span().is_recording());
            cx.span().add_event("nothing", vec![]);
            tracer.in_span("below", |_| log::info!("in an unsampled trace"));
        });
        let arrived = HashMap::from([("traceparent".to_owned(), remote().traceparent().as_str().to_owned())]);
        let cx = throughline_std::opentelemetry::Propagator::default().extract(&arrived);
        drop(tracer.start_with_context("sampled by the caller", &cx));
        let _quiet = Context::enter_telemetry_suppressed_scope();
        drop(
            tracer.start_with_context(
                "suppressed",
                &Context::current().with_remote_span_context(their_parent()),
            ),
        );
        look_at(&receiver, guard.shutdown(LONG), |spans, logs, _| {
            assert_eq!(spans.len(), 1);
            assert_eq!(find(spans, "sampled by the caller").parent_span_id, remote().span_id.to_bytes());
            assert_eq!((logs.len(), body(&logs[0])), (1, "in an unsampled trace".into()));
            assert!(!logs[0].trace_id.is_empty() && logs[0].flags & 1 == 0);
        });
    });
}

#[test]
fn names_and_keys_without_end_take_no_more_room_and_all_arrive() {
    const NAMES: usize = 2500;
    recorded(
        "api::names_and_keys_without_end_take_no_more_room_and_all_arrive",
        || {
            let tracer = tracer();
            for n in 0..NAMES {
                let mut span = tracer
                    .span_builder(format!("visit {n}"))
                    .with_kind(SpanKind::Client)
                    .with_attributes([KeyValue::new(format!("key {n}"), n as i64)])
                    .start(&tracer);
                span.set_attribute(KeyValue::new(format!("late {n}"), n as i64));
            }
            tracer.in_span("outer", |cx| {
                cx.span().add_event("event of no callsite", vec![KeyValue::new("k", 1)])
            });
            log::info!("places of other bridges have room");
        },
        |spans, logs, metrics| {
            assert_eq!(spans.len(), NAMES + 1);
            for n in [0, NAMES - 1] {
                let span = find(spans, &format!("visit {n}"));
                assert_eq!((span.kind, int(&span.attributes, &format!("key {n}"))), (3, Some(n as i64)));
                assert_eq!(int(&span.attributes, &format!("late {n}")), Some(n as i64));
            }
            let event = log(logs, "event of no callsite");
            assert_eq!(
                (int(&event.attributes, "k"), &event.span_id),
                (Some(1), &find(spans, "outer").span_id)
            );
            assert!(
                text(&log(logs, "places of other bridges have room").attributes, "code.file.path").is_some()
            );
            let refused = metrics.iter().find(|metric| metric.name == "throughline.bridge.refused").unwrap();
            assert!(super::counts::number(refused) >= 2.0 * (NAMES as f64) - 2048.0);
        },
    );
}

#[test]
fn log_records_of_the_api_arrive_with_body_attributes_and_ids() {
    recorded(
        "api::log_records_of_the_api_arrive_with_body_attributes_and_ids",
        || {
            let logger = LoggerProvider.logger("appender");
            let request = throughline::span!("request");
            let mut slow = logger.create_log_record();
            slow.set_severity_number(Severity::Warn2);
            slow.set_target("shop::db");
            slow.set_body("slow {query}".into());
            slow.add_attributes([("rows", AnyValue::Int(3)), ("ok", AnyValue::Boolean(true))]);
            slow.add_attribute("list", AnyValue::from_iter(["a\"b", "c"]));
            logger.emit(slow);
            drop(request);
            let mut event = logger.create_log_record();
            event.set_event_name("paid");
            event.set_timestamp(SystemTime::now() - Duration::from_secs(3));
            event.set_trace_context(
                their_parent().trace_id(),
                their_parent().span_id(),
                Some(TraceFlags::SAMPLED),
            );
            (0..20).for_each(|n| event.add_attribute(format!("n{n}"), n));
            logger.emit(event);
            let mut map = logger.create_log_record();
            map.set_body(AnyValue::from_iter([("k", AnyValue::from_iter([1, 2]))]));
            logger.emit(map);
            assert!(logger.event_enabled(Severity::Trace, "shop", None));
        },
        |spans, logs, metrics| {
            let slow = log(logs, "slow {query}");
            let a = &slow.attributes;
            assert_eq!((&slow.span_id, slow.severity_number), (&find(spans, "request").span_id, 13));
            assert_eq!((int(a, "rows"), text(a, "list").unwrap()), (Some(3), "[\"a\\\"b\",\"c\"]".into()));
            assert_eq!(text(a, "code.module.name").unwrap(), "shop::db");
            let paid = logs.iter().find(|log| log.event_name == "paid").unwrap();
            assert_eq!(
                (&*paid.span_id, &*paid.trace_id),
                (&remote().span_id.to_bytes()[..], &remote().trace_id.to_bytes()[..])
            );
            assert!(paid.time_unix_nano + 2_000_000_000 < slow.time_unix_nano);
            assert_eq!((int(&paid.attributes, "n13"), int(&paid.attributes, "n14")), (Some(13), None));
            log(logs, "{\"k\":[1,2]}");
            let refused = metrics.iter().find(|metric| metric.name == "throughline.bridge.refused").unwrap();
            assert_eq!(super::counts::number(refused), 6.0);
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
    in_own_process("api::another_observer_of_contexts_is_an_error_that_says_what_to_do", || {
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
        "api::an_observer_of_the_programs_own_may_call_ours",
        || GlobalContextObserver::set(Arc::new(Theirs::default())),
        || tracer().in_span("outer", |_| log::info!("in it")),
        |spans, logs, _| assert_eq!(log(logs, "in it").span_id, find(spans, "outer").span_id),
    );
}

#[test]
fn a_panic_fails_its_span() {
    recorded(
        "api::a_panic_fails_its_span",
        || {
            let caught =
                std::panic::catch_unwind(|| tracer().in_span("broken", |_| panic!("as the test wants it")));
            assert!(caught.is_err());
        },
        |spans, _, _| {
            let status = find(spans, "broken").status.clone().unwrap();
            assert_eq!((status.code, &*status.message), (2, "as the test wants it"));
        },
    );
}
