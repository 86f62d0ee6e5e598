//! Spans and events of `tracing`.

use super::support::look::{body, log};
use super::support::receiver::{int, text};
use super::support::service::find;
use super::{recorded, remote};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};
use throughline_std::tracing::SpanExt;

#[test]
fn spans_and_events_of_tracing_arrive_with_their_fields() {
    recorded(
        "spans::spans_and_events_of_tracing_arrive_with_their_fields",
        || {
            let outer = tracing::info_span!(
                "outer",
                user = "ann",
                n = 7,
                big = u64::MAX,
                ratio = 0.5,
                shown = %1.5,
                late = tracing::field::Empty,
                never = tracing::field::Empty,
            );
            let _entered = outer.enter();
            outer.record("late", 42);
            outer.record("n", 8);
            {
                let _inner = tracing::debug_span!("inner").entered();
                tracing::warn!(user = "bob", tries = 3, "odd {} of {{user}}", 9);
            }
            tracing::event!(name: "paid", tracing::Level::INFO, total = 5);
        },
        |spans, logs, _| {
            let (outer, inner) = (find(spans, "outer"), find(spans, "inner"));
            assert_eq!((&inner.parent_span_id, &inner.trace_id), (&outer.span_id, &outer.trace_id));
            assert!(outer.parent_span_id.is_empty());
            let a = &outer.attributes;
            assert_eq!((int(a, "n"), int(a, "late")), (Some(8), Some(42)));
            assert_eq!(
                (text(a, "user"), text(a, "shown"), text(a, "never")),
                (Some("ann".into()), Some("1.5".into()), None)
            );
            assert_eq!(text(a, "code.module.name").unwrap(), module_path!());
            assert!(text(a, "code.file.path").unwrap().ends_with("bridges/spans.rs"));
            let odd = log(logs, "odd 9 of {user}");
            assert_eq!(
                (&odd.span_id, &odd.trace_id, odd.severity_number),
                (&inner.span_id, &inner.trace_id, 13)
            );
            assert_eq!(
                (
                    text(&odd.attributes, "user"),
                    int(&odd.attributes, "tries"),
                    text(&odd.attributes, "message")
                ),
                (Some("bob".into()), Some(3), None)
            );
            let paid = logs.iter().find(|log| log.event_name == "paid").unwrap();
            assert_eq!((&paid.span_id, int(&paid.attributes, "total")), (&outer.span_id, Some(5)));
        },
    );
}

#[test]
fn a_span_entered_on_several_threads_ends_once_and_was_busy_there() {
    recorded(
        "spans::a_span_entered_on_several_threads_ends_once_and_was_busy_there",
        || {
            let job = tracing::info_span!("job", parts = tracing::field::Empty);
            let threads: Vec<_> = (0..3)
                .map(|part| {
                    let job = job.clone();
                    std::thread::spawn(move || {
                        job.in_scope(|| {
                            // Entered twice on one thread, and left in another order than entered.
                            let again = job.enter();
                            let other = tracing::info_span!("other");
                            let other = other.enter();
                            drop(again);
                            tracing::info!(part, "in the other");
                            drop(other);
                            tracing::info!(part, "in the job");
                        });
                    })
                })
                .collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            job.record("parts", 3);
            std::thread::spawn(move || drop(job)).join().unwrap();
        },
        |spans, logs, _| {
            let job = find(spans, "job");
            assert_eq!(int(&job.attributes, "parts"), Some(3));
            assert!(int(&job.attributes, "busy_ns").unwrap() > 0);
            let others: Vec<_> = spans.iter().filter(|span| span.name == "other").collect();
            assert_eq!(others.len(), 3);
            assert!(others.iter().all(|span| span.parent_span_id == job.span_id));
            let in_job: Vec<_> = logs.iter().filter(|log| body(log) == "in the job").collect();
            assert!(in_job.len() == 3 && in_job.iter().all(|log| log.span_id == job.span_id));
            let in_other = logs.iter().filter(|log| body(log) == "in the other");
            assert!(in_other.clone().all(|log| others.iter().any(|span| span.span_id == log.span_id)));
        },
    );
}

#[test]
fn a_span_entered_twice_on_a_thread_is_busy_once() {
    /// Lasts a while, as seen from this thread, and returns how long in nanoseconds.
    fn last(at_least: Duration) -> i64 {
        let begun = Instant::now();
        while begun.elapsed() < at_least {}
        i64::try_from(begun.elapsed().as_nanos()).unwrap()
    }
    let idle = Arc::new(AtomicI64::new(0));
    let measured = Arc::clone(&idle);
    recorded(
        "spans::a_span_entered_twice_on_a_thread_is_busy_once",
        move || {
            let job = tracing::info_span!("job");
            measured.store(last(Duration::from_millis(40)), Ordering::Relaxed);
            job.in_scope(|| job.in_scope(|| last(Duration::from_millis(20))));
        },
        |spans, _, _| {
            let job = find(spans, "job");
            let lasted = (job.end_time_unix_nano - job.start_time_unix_nano) as i64;
            let busy = int(&job.attributes, "busy_ns").unwrap();
            // It was idle for at least the measured time, of which a tenth is left for differences of the clocks.
            assert!(
                busy > 0 && busy <= lasted - idle.load(Ordering::Relaxed) / 10 * 9,
                "{busy} of {lasted} ns"
            );
        },
    );
}

#[test]
fn the_two_libraries_spans_are_one_tree() {
    recorded(
        "spans::the_two_libraries_spans_are_one_tree",
        || {
            let attached = throughline::attach(remote());
            let theirs = tracing::info_span!("theirs");
            let entered = theirs.enter();
            drop(attached);
            assert_eq!(theirs.trace_context(), throughline::current());
            assert_eq!(theirs.trace_context().unwrap().trace_id, remote().trace_id);
            {
                let _ours = throughline::span!("ours");
                throughline::info!("ours in ours");
                log::info!("log in ours");
                tracing::info!("theirs in ours");
                let _below = tracing::info_span!("theirs below ours").entered();
                throughline::info!("ours in theirs");
            }
            drop(entered);
            let apart = tracing::info_span!(parent: None, "apart");
            let _given = tracing::info_span!(parent: &apart, "given");
            let elsewhere = theirs.context();
            std::thread::spawn(move || {
                let _there = elsewhere.enter();
                drop(tracing::info_span!("on another thread"));
            })
            .join()
            .unwrap();
            apart.follows_from(&theirs);
            tracing::info!(parent: &apart, "given its span");
            assert_eq!(tracing::Span::none().trace_context(), None);
        },
        |spans, logs, _| {
            let theirs = find(spans, "theirs");
            assert_eq!(theirs.trace_id, remote().trace_id.to_bytes());
            assert_eq!(theirs.parent_span_id, remote().span_id.to_bytes());
            let (ours, below) = (find(spans, "ours"), find(spans, "theirs below ours"));
            assert_eq!((&ours.parent_span_id, &below.parent_span_id), (&theirs.span_id, &ours.span_id));
            assert_eq!(find(spans, "on another thread").parent_span_id, theirs.span_id);
            let apart = find(spans, "apart");
            assert!(apart.parent_span_id.is_empty() && apart.trace_id != theirs.trace_id);
            assert_eq!(find(spans, "given").parent_span_id, apart.span_id);
            assert_eq!(apart.links.len(), 1);
            assert_eq!(
                (&apart.links[0].span_id, &apart.links[0].trace_id),
                (&theirs.span_id, &theirs.trace_id)
            );
            for (message, span) in [
                ("ours in ours", ours),
                ("log in ours", ours),
                ("theirs in ours", ours),
                ("ours in theirs", below),
                ("given its span", apart),
            ] {
                let log = log(logs, message);
                assert_eq!((&log.span_id, &log.trace_id), (&span.span_id, &span.trace_id), "{message}");
            }
        },
    );
}

#[test]
fn fields_of_opentelemetry_mean_what_they_say_and_an_error_fails_its_span() {
    recorded(
        "spans::fields_of_opentelemetry_mean_what_they_say_and_an_error_fails_its_span",
        || {
            drop(tracing::info_span!("route", otel.name = "GET /users/{id}", otel.kind = "server", n = 1));
            let late = tracing::info_span!(
                "late",
                otel.status_code = tracing::field::Empty,
                otel.status_description = tracing::field::Empty
            );
            late.record("otel.status_description", "no such user");
            drop(late);
            let fine = tracing::info_span!("fine", otel.status_code = "OK").entered();
            tracing::error!("but it was fine");
            drop(fine);
            tracing::info_span!("failed").in_scope(|| tracing::error!("lost it"));
            let many = tracing::info_span!(
                "many",
                a = 1,
                b = 2,
                c = 3,
                d = 4,
                e = 5,
                f = 6,
                g = 7,
                h = 8,
                i = 9,
                j = 10,
                k = 11,
                l = 12,
                m = 13,
                n = 14,
                o = 15,
                p = 16,
                q = "seventeen"
            );
            drop(many);
        },
        |spans, _, _| {
            let route = find(spans, "GET /users/{id}");
            assert_eq!((route.kind, int(&route.attributes, "n")), (2, Some(1)));
            assert_eq!(text(&route.attributes, "otel.kind"), None);
            let status = |name| find(spans, name).status.clone().unwrap_or_default();
            assert_eq!((status("late").code, &*status("late").message), (2, "no such user"));
            assert_eq!((status("fine").code, status("failed").code), (1, 2));
            let many = &find(spans, "many").attributes;
            assert_eq!(
                (int(many, "o"), int(many, "p"), text(many, "q")),
                (Some(15), Some(16), Some("seventeen".into()))
            );
        },
    );
}
