//! What spans are beyond their own record: fields and names that come later, causes, remote parents, futures and threads.

use super::{SpanRecord, V, int, kv, named, spans, stage, text, unsigned};
use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use throughline::{Context, Instrument, Span, TraceContext, field, instrument, record, span};

#[test]
fn names_given_later_and_links_are_the_spans_own() {
    let mut stage = stage();
    let sender = TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
    let cause = {
        let request = span!("request");
        let apart = span!(root: true, "apart", n = 1_u64);
        apart.set_name("GET /");
        apart.follows_from(&request);
        apart.set_name("GET /users/{id}");
        apart.link(sender);
        request.context().trace_context().unwrap()
    };
    let spans = spans(&mut stage);
    let (apart, request) = (named(&spans, "GET /users/{id}"), named(&spans, "request"));
    assert_eq!(apart.attributes, [unsigned("n", 1)]);
    assert_ne!(apart.trace_id, request.trace_id);
    let links: Vec<_> =
        apart.links.iter().map(|link| (&link.trace_id[..], &link.span_id[..], link.flags)).collect();
    let expected = [
        (&cause.trace_id.to_bytes()[..], &cause.span_id.to_bytes()[..], 1),
        (&sender.trace_id.to_bytes()[..], &sender.span_id.to_bytes()[..], 1),
    ];
    assert_eq!(links, expected);
}

#[test]
fn fields_recorded_under_keys_that_no_callsite_knows_are_the_spans_own() {
    let mut stage = stage();
    {
        let query = span!("query", rows = throughline::Empty, table = "users");
        query.record("rows", 1).record("rows", 42);
        let key = String::from("table");
        Span::current().record(&key, "orders").record("cached", true).record("plan", field::debug(Some(1)));
        let child = span!("child");
        query.context().record("late", -1_i64);
        Span::current().set_name("renamed");
        Span::current().follows_from(&query);
        drop(child);
        // It was declared absent, and stays so.
        drop(span!("empty", rows = throughline::Empty));
    }
    let spans = spans(&mut stage);
    let expected = [
        int("rows", 42),
        text("table", "orders"),
        kv("cached", V::BoolValue(true)),
        text("plan", "Some(1)"),
        int("late", -1),
    ];
    let found = &named(&spans, "query").attributes;
    assert_eq!(found.len(), expected.len(), "{found:?}");
    assert!(expected.iter().all(|kv| found.contains(kv)), "{found:?}");
    let renamed = named(&spans, "renamed");
    assert_eq!((&*renamed.attributes, renamed.links.len()), (&[][..], 1));
    assert_eq!(named(&spans, "empty").attributes, []);
}

#[test]
fn a_span_that_gets_fields_without_end_costs_another_span_none() {
    let mut stage = stage();
    let (quiet, again, anew) = (span!("quiet"), span!("again", n = 0), span!("anew"));
    record!(quiet, rows = 7);
    for n in 0..6_000u64 {
        record!(again, n);
        again.record("percent", n);
        anew.record(&format!("key {n}"), n);
        if n % 500 == 0 {
            assert_eq!(spans(&mut stage), []);
        }
    }
    drop((quiet, again, anew));
    let spans = spans(&mut stage);
    assert_eq!(named(&spans, "quiet").attributes, [int("rows", 7)]);
    assert_eq!(named(&spans, "again").attributes, [int("n", 5_999), int("percent", 5_999)]);
    let anew = &named(&spans, "anew").attributes;
    assert_eq!((anew.len(), anew.last()), (128, Some(&int("key 127", 127))));
}

#[test]
fn a_future_that_runs_in_the_current_span_ends_none() {
    let mut stage = stage();
    let run = |mut future: Pin<Box<dyn Future<Output = ()> + Send>>| {
        assert!(
            future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_ready()
        );
    };
    let request = span!("request");
    let part = Box::pin(async { drop(span!("part")) }.in_current_span());
    let other = Box::pin(async { drop(span!("other")) }.instrument(request.context()));
    let unpolled = async {}.instrument(Span::current());
    std::thread::scope(|scope| _ = scope.spawn(|| run(part)));
    let apart = span!(root: true, "apart");
    run(other);
    drop((apart, unpolled, request));
    let spans = spans(&mut stage);
    let request = named(&spans, "request");
    assert_eq!(request.status, None);
    for name in ["part", "other"] {
        assert_eq!(named(&spans, name).parent_span_id, request.span_id, "{name}");
    }
    assert_eq!(spans.len(), 4);
}

#[instrument(skip_all, follows_from = causes)]
fn merge(causes: &[Context]) -> usize {
    causes.len()
}

#[instrument(skip_all, follows_from = Some(cause))]
async fn clean_up(cause: &throughline::Span) {}

#[test]
fn an_instrumented_function_follows_from_its_causes() {
    let mut stage = stage();
    let (first, second) = (span!(root: true, "first"), span!(root: true, "second"));
    let causes = [first.context(), second.context()];
    assert_eq!(merge(&causes), 2);
    let mut cleaning = Box::pin(clean_up(&first));
    assert!(cleaning.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_ready());
    drop(cleaning);
    let spans = spans(&mut stage);
    let links = |name| named(&spans, name).links.iter().map(|link| link.span_id.clone()).collect::<Vec<_>>();
    let [first, second] = causes.map(|cause| cause.trace_context().unwrap().span_id.to_bytes().to_vec());
    assert_eq!(links("merge"), [first.clone(), second]);
    assert_eq!(links("clean_up"), [first]);
}

#[test]
fn a_remote_parent_is_the_parent_wherever_its_record_is() {
    let mut stage = stage();
    let remote = TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
    let _attached = throughline::attach(remote);
    let here = Context::current();
    drop(span!("near", route = "/"));
    // The ring of this thread does not have the remote parent, and may be read before the ring that has it.
    std::thread::spawn(move || {
        let _entered = here.enter();
        drop(span!("far", route = "/far"));
    })
    .join()
    .unwrap();
    let spans = spans(&mut stage);
    for (name, route) in [("near", "/"), ("far", "/far")] {
        let span = named(&spans, name);
        assert_eq!(span.trace_id, remote.trace_id.to_bytes());
        assert_eq!(span.parent_span_id, remote.span_id.to_bytes());
        assert_eq!(span.attributes, [text("route", route)]);
    }
}

#[test]
fn a_future_has_busy_and_idle_time_and_what_became_of_it() {
    let mut stage = stage();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut done = Box::pin(async { record!(current, n = 7_u8) }.instrument(span!("done", user = "ann")));
    assert!(done.as_mut().poll(&mut context).is_ready());
    let mut left = Box::pin(std::future::pending::<()>().instrument(span!("left", id = 3)));
    assert!(left.as_mut().poll(&mut context).is_pending());
    drop(left);
    let spans = spans(&mut stage);
    for (name, given, cancelled) in
        [("done", vec![text("user", "ann"), int("n", 7)], false), ("left", vec![int("id", 3)], true)]
    {
        let span = named(&spans, name);
        let number = |key: &str| {
            let found = span.attributes.iter().find(|attribute| attribute.key == key);
            match found.and_then(|attribute| attribute.value.clone()?.value) {
                Some(V::IntValue(n)) => n as u64,
                other => panic!("{key} is {other:?}"),
            }
        };
        let (busy, idle) = (number("busy_ns"), number("idle_ns"));
        assert_eq!(busy + idle, span.end_time_unix_nano - span.start_time_unix_nano);
        let mut expected = given;
        expected.extend([int("busy_ns", busy as i64), int("idle_ns", idle as i64)]);
        if cancelled {
            expected.push(kv("throughline.cancelled", V::BoolValue(true)));
        }
        assert_eq!(span.attributes, expected);
        assert!(span.status.is_none());
    }
}

#[test]
fn threads_that_record_at_once_are_kept_apart() {
    const THREADS: u64 = 4;
    const TRACES: u64 = 50;
    let mut stage = stage();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                for trace in 0..TRACES {
                    let root = span!("root", thread, trace, what = "the root");
                    for child in 0..3_u64 {
                        let child = span!("child", thread, trace, child, what = "a child");
                        record!(child, late = "child");
                    }
                    record!(root, late = "root");
                }
            });
        }
    });
    let spans = spans(&mut stage);
    assert_eq!(spans.len() as u64, THREADS * TRACES * 4);
    let ids: HashSet<_> = spans.iter().map(|span| span.span_id.clone()).collect();
    assert_eq!(ids.len(), spans.len());
    let mut traces = HashMap::<_, Vec<&SpanRecord>>::new();
    for span in &spans {
        traces.entry(&span.trace_id).or_default().push(span);
    }
    assert_eq!(traces.len() as u64, THREADS * TRACES);
    for spans in traces.values() {
        let root = spans.iter().find(|span| span.name == "root").unwrap();
        let (thread, trace) = (&root.attributes[0], &root.attributes[1]);
        assert_eq!(root.attributes[2..], [text("what", "the root"), text("late", "root")]);
        let mut children = Vec::new();
        for span in spans.iter().filter(|span| span.name == "child") {
            assert_eq!(span.parent_span_id, root.span_id);
            assert_eq!((&span.attributes[0], &span.attributes[1]), (thread, trace));
            assert_eq!(span.attributes[3..], [text("what", "a child"), text("late", "child")]);
            children.push(span.attributes[2].clone());
        }
        assert_eq!(children, [int("child", 0), int("child", 1), int("child", 2)]);
    }
}
