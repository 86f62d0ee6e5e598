//! Spans, events and log records of OpenTelemetry's API.

use super::support::in_own_process;
use super::support::look::{body, log, number};
use super::support::receiver::{Receiver, double, int, text};
use super::support::service::{LONG, config, find, start};
use super::{look_at, recorded, remote};
use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{
    Link, Span as _, SpanContext, SpanKind, Status, TraceContextExt, TraceFlags, TraceState, Tracer,
};
use opentelemetry::{Array, Context, InstrumentationScope, KeyValue, Value, global};
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::trace::v1::Span;
use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use throughline_std::opentelemetry::LoggerProvider;

pub(super) fn tracer() -> global::BoxedTracer {
    global::tracer_with_scope(InstrumentationScope::builder("shop").with_version("1.2").build())
}

/// A span of another process, in the trace of [`remote`].
pub(super) fn their_parent() -> SpanContext {
    let ids = remote();
    SpanContext::new(
        opentelemetry::TraceId::from_bytes(ids.trace_id.to_bytes()),
        opentelemetry::SpanId::from_bytes(ids.span_id.to_bytes()),
        TraceFlags::SAMPLED,
        true,
        TraceState::from_key_value([("congo", "t61")]).unwrap(),
    )
}

pub(super) fn is_child(child: &Span, parent: &Span) -> bool {
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
fn secrets_in_names_of_spans_and_in_lists_are_masked() {
    let secret = "HTTPS://u:hunter2@host/in";
    recorded(
        "api::secrets_in_names_of_spans_and_in_lists_are_masked",
        || {
            let peers = || Value::Array(Array::String(vec!["plain".into(), secret.into()]));
            let tracer = tracer();
            let builder = tracer.span_builder(format!("call {secret}"));
            let mut span = builder.with_attributes([KeyValue::new("peers", peers())]).start(&tracer);
            span.set_attribute(KeyValue::new("later", peers()));
            span.add_event("tried", vec![KeyValue::new("peers", peers())]);
            let logger = LoggerProvider.logger("shop");
            let mut record = logger.create_log_record();
            record.set_severity_number(Severity::Info);
            record.set_body("a list".into());
            let list = AnyValue::ListAny(Box::new(vec!["plain".into(), secret.into()]));
            record.add_attribute("peers", list);
            logger.emit(record);
        },
        |spans, logs, _| {
            let masked = Some(r#"["plain","HTTPS://u:[REDACTED]@host/in"]"#.to_owned());
            let span = find(spans, "call HTTPS://u:[REDACTED]@host/in");
            assert_eq!(
                (&text(&span.attributes, "peers"), &text(&span.attributes, "later")),
                (&masked, &masked)
            );
            assert_eq!(logs.len(), 2);
            logs.iter().for_each(|log| assert_eq!(text(&log.attributes, "peers"), masked));
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
            assert!(number(refused) >= 2.0 * (NAMES as f64) - 2048.0);
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
            assert_eq!(number(refused), 6.0);
        },
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
