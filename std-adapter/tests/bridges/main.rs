//! Code that uses `tracing`, `log` and `metrics` alone: its spans, events, log records and metrics arrive at a collector
//! as this library's own do.
#![cfg(all(feature = "tracing", feature = "log", feature = "metrics"))]

#[cfg(feature = "opentelemetry")]
mod api;
#[cfg(feature = "opentelemetry")]
mod contexts;
mod counts;
#[cfg(feature = "opentelemetry")]
mod instruments;
mod suites;
#[path = "../support/mod.rs"]
mod support;

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::look::{body, log, number};
use support::receiver::{Receiver, int, text};
use support::service::{LONG, config, find, start};
use support::{assert_balanced, in_own_process, stderr_of};
use throughline::TraceContext;
use throughline_std::tracing::SpanExt;
use throughline_std::{Config, InitError, ShutdownReport};
use tracing_subscriber::prelude::*;

/// Runs `work` in a process that records what all three libraries report. Returns what the collector got.
fn recorded(test: &str, work: impl FnOnce(), look: impl FnOnce(&[Span], &[LogRecord], &[Metric])) {
    recorded_with(test, || (), work, look);
}

/// Like [`recorded`], after `before` has run in the process.
fn recorded_with(
    test: &str,
    before: impl FnOnce(),
    work: impl FnOnce(),
    look: impl FnOnce(&[Span], &[LogRecord], &[Metric]),
) {
    in_own_process(test, || {
        before();
        let receiver = Receiver::start([]);
        let guard = start(&config(&receiver).bridges());
        work();
        look_at(&receiver, guard.shutdown(LONG), look);
    });
}

fn look_at(receiver: &Receiver, report: ShutdownReport, look: impl FnOnce(&[Span], &[LogRecord], &[Metric])) {
    assert!(report.complete, "{report:?}");
    assert_balanced(&report.ledger);
    receiver.with(|r| look(&r.spans, &r.logs, r.metrics.last().map_or(&[], |metrics| metrics)));
}

fn remote() -> TraceContext {
    TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap()
}

#[test]
fn spans_and_events_of_tracing_arrive_with_their_fields() {
    recorded(
        "spans_and_events_of_tracing_arrive_with_their_fields",
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
            assert!(text(a, "code.file.path").unwrap().ends_with("bridges/main.rs"));
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
        "a_span_entered_on_several_threads_ends_once_and_was_busy_there",
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
        "a_span_entered_twice_on_a_thread_is_busy_once",
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
        "the_two_libraries_spans_are_one_tree",
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
        "fields_of_opentelemetry_mean_what_they_say_and_an_error_fails_its_span",
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

#[test]
fn a_filter_on_the_layer_and_the_configurations_filter_both_count() {
    in_own_process("a_filter_on_the_layer_and_the_configurations_filter_both_count", || {
        let receiver = Receiver::start([]);
        let guard = start(&config(&receiver).min_level(Some(throughline::Level::Info)));
        let all = Arc::new(AtomicUsize::new(0));
        let not_noisy = tracing_subscriber::filter::filter_fn(|metadata| metadata.target() != "noisy");
        let subscriber = tracing_subscriber::registry()
            .with(throughline_std::tracing::layer().with_filter(not_noisy))
            .with(Counting(Arc::clone(&all)));
        tracing::subscriber::with_default(subscriber, || {
            let outer = tracing::info_span!("outer").entered();
            let noisy = tracing::info_span!(target: "noisy", "noisy").entered();
            tracing::info!(target: "noisy", "not this");
            let fine = tracing::debug_span!("too fine").entered();
            tracing::debug!("nor this");
            tracing::info!("this one");
            let explicit = tracing::info_span!(parent: &noisy, "below the noisy one");
            drop((explicit, fine, noisy, outer));
        });
        assert_eq!(all.load(Ordering::Relaxed), 3, "the other layer gets everything");
        look_at(&receiver, guard.shutdown(LONG), |spans, logs, _| {
            let outer = find(spans, "outer");
            assert_eq!(find(spans, "below the noisy one").parent_span_id, outer.span_id);
            assert_eq!((spans.len(), logs.len()), (2, 1));
            assert_eq!((body(&logs[0]), &logs[0].span_id), ("this one".into(), &outer.span_id));
        });
    });
}

/// Counts events.
struct Counting(Arc<AtomicUsize>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Counting {
    fn on_event(&self, _: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn who_asks_before_a_record_is_made_gets_the_filters_answer() {
    in_own_process("who_asks_before_a_record_is_made_gets_the_filters_answer", || {
        let receiver = Receiver::start([]);
        let file = std::env::temp_dir().join(format!("throughline-asks-{}.toml", std::process::id()));
        std::fs::write(&file, "[logging]\nfilter = 'warn,loud=debug'\n[tracing]\nlevel = 'error'").unwrap();
        let config = config(&receiver).bridges().with_file(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        let guard = start(&config);
        let asked = [
            tracing::event_enabled!(target: "shop", tracing::Level::WARN),
            tracing::event_enabled!(target: "shop", tracing::Level::INFO),
            tracing::event_enabled!(target: "loud", tracing::Level::DEBUG),
            tracing::span_enabled!(target: "loud", tracing::Level::DEBUG),
            tracing::span_enabled!(target: "loud", tracing::Level::ERROR),
            tracing::enabled!(target: "loud", tracing::Level::DEBUG),
            tracing::enabled!(target: "loud", tracing::Level::TRACE),
            log::log_enabled!(target: "loud", log::Level::Debug),
            log::log_enabled!(target: "shop", log::Level::Info),
        ];
        assert_eq!(asked, [true, false, true, false, true, true, false, true, false]);
        throughline::set_min_level(None);
        assert!(!tracing::enabled!(target: "loud", tracing::Level::ERROR));
        drop(guard);
    });
}

#[test]
fn a_level_that_changes_while_the_program_runs_counts_at_once() {
    recorded(
        "a_level_that_changes_while_the_program_runs_counts_at_once",
        || {
            for level in [throughline::Level::Warn, throughline::Level::Info, throughline::Level::Error] {
                throughline::set_min_level(Some(level));
                tracing::info!("of tracing, at {level}");
                log::info!("of log, at {level}");
                drop(tracing::info_span!("span", %level));
            }
            throughline::set_min_level(Some(throughline::Level::Trace));
        },
        |spans, logs, _| {
            let mut bodies: Vec<_> = logs.iter().map(body).collect();
            bodies.sort();
            assert_eq!(bodies, ["of log, at INFO", "of tracing, at INFO"]);
            assert_eq!(text(&find(spans, "span").attributes, "level").unwrap(), "INFO");
        },
    );
}

#[test]
fn secrets_in_finished_messages_are_found_by_their_names() {
    recorded(
        "secrets_in_finished_messages_are_found_by_their_names",
        || {
            let password = "hunter2";
            tracing::info!(n = 1, "user ann password={password} is in");
            log::info!(user = "ann"; r#"sent {{"apiKey":"{password}","n":1}}"#);
            log::info!("Authorization: Bearer {password}, as {:?}", "ann");
        },
        |_, logs, _| {
            assert!(!format!("{logs:?}").contains("hunter"), "{logs:?}");
            assert_eq!(int(&log(logs, "user ann password=[REDACTED] is in").attributes, "n"), Some(1));
            log(logs, r#"sent {"apiKey":"[REDACTED]","n":1}"#);
            log(logs, r#"Authorization: [REDACTED], as "ann""#);
        },
    );
}

#[test]
fn records_of_log_have_their_place_their_pairs_and_the_current_spans_ids() {
    recorded(
        "records_of_log_have_their_place_their_pairs_and_the_current_spans_ids",
        || {
            let _span = tracing::info_span!("request").entered();
            log::warn!(target: "shop::db", user = "ann", rows = 3_u64, ratio = 0.5, ok = true; "slow {{query}}");
            /// Logs while it is shown.
            struct Chatty(u32);
            impl std::fmt::Display for Chatty {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    if self.0 > 0 {
                        log::info!("shown, {} to go", Chatty(self.0 - 1));
                    }
                    write!(f, "{}", self.0)
                }
            }
            log::info!("chatty {}", Chatty(1));
            log::info!("endless {}", Chatty(u32::MAX));
        },
        |spans, logs, metrics| {
            let request = find(spans, "request");
            let slow = log(logs, "slow {query}");
            let a = &slow.attributes;
            assert_eq!((&slow.span_id, slow.severity_number), (&request.span_id, 13));
            assert_eq!((text(a, "user"), int(a, "rows")), (Some("ann".into()), Some(3)));
            assert_eq!(text(a, "code.module.name").unwrap(), "shop::db");
            assert!(text(a, "code.file.path").unwrap().ends_with("bridges/main.rs"));
            assert_eq!(a.len(), 4 + 3, "{a:#?}");
            assert!(body(log(logs, "chatty 1")).starts_with("chatty"));
            assert!(logs.iter().any(|log| body(log) == "shown, 0 to go"));
            let endless: Vec<_> = logs.iter().filter(|log| body(log).starts_with("endless")).collect();
            assert_eq!(endless.len(), 1);
            let refused = metrics.iter().find(|metric| metric.name == "throughline.bridge.refused");
            assert_eq!(number(refused.unwrap()), 1.0, "the record that would never have ended");
        },
    );
}

#[test]
fn a_value_that_uses_tracing_whenever_it_is_shown_comes_to_an_end() {
    struct Endless;
    impl std::fmt::Debug for Endless {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            tracing::info!("shown: {self:?}");
            let _span = tracing::info_span!("shown", value = ?self);
            tracing::Span::current().record("late", tracing::field::debug(self));
            f.write_str("endless")
        }
    }
    recorded(
        "a_value_that_uses_tracing_whenever_it_is_shown_comes_to_an_end",
        || {
            let span = tracing::info_span!("request", late = tracing::field::Empty);
            span.in_scope(|| tracing::info!("first: {Endless:?}"));
        },
        |spans, logs, metrics| {
            assert!(find(spans, "request").end_time_unix_nano > 0);
            assert!(logs.iter().any(|log| body(log).starts_with("first: endless")));
            let refused = metrics.iter().find(|metric| metric.name == "throughline.bridge.refused");
            assert!(number(refused.unwrap()) > 0.0);
        },
    );
}

#[test]
fn records_of_log_that_come_by_way_of_tracing_have_their_own_place() {
    in_own_process("records_of_log_that_come_by_way_of_tracing_have_their_own_place", || {
        let receiver = Receiver::start([]);
        let guard = start(&config(&receiver).tracing_subscriber());
        tracing_log::LogTracer::init().unwrap();
        tracing::info_span!("request").in_scope(|| {
            log::warn!(target: "shop::db", "slow {{query}}");
        });
        look_at(&receiver, guard.shutdown(LONG), |spans, logs, _| {
            let slow = log(logs, "slow {query}");
            assert_eq!((&slow.span_id, slow.severity_number), (&find(spans, "request").span_id, 13));
            assert_eq!(text(&slow.attributes, "code.module.name").unwrap(), "shop::db");
            assert!(text(&slow.attributes, "code.file.path").unwrap().ends_with("bridges/main.rs"));
            assert_eq!(slow.attributes.len(), 3);
        });
    });
}

#[test]
fn the_threads_of_this_library_make_no_records_through_a_bridge() {
    recorded(
        "the_threads_of_this_library_make_no_records_through_a_bridge",
        || log::info!("the only one"),
        |spans, logs, _| assert_eq!((spans.len(), logs.len()), (0, 1)),
    );
}

#[test]
fn a_place_that_another_library_has_is_an_error_that_says_what_to_do() {
    in_own_process("a_place_that_another_library_has_is_an_error_that_says_what_to_do", || {
        tracing::subscriber::set_global_default(tracing_subscriber::registry()).unwrap();
        let config = Config::new("svc").without_otlp().terminal(false).bridges();
        let error = throughline_std::init(&config).unwrap_err();
        assert!(matches!(error, InitError::Taken { of: "tracing", .. }));
        assert_eq!(
            error.to_string(),
            "`tracing` has a global subscriber already: install throughline_std::tracing::layer() there, in place of Config's method for it"
        );
    });
}

#[test]
fn a_file_chooses_bridges() {
    in_own_process("a_file_chooses_bridges", || {
        let receiver = Receiver::start([]);
        let path = std::env::temp_dir().join(format!("throughline-bridges-{}.toml", std::process::id()));
        let text =
            format!("[otlp]\nendpoint = \"{}\"\n[bridges]\nenabled = true\nlog = false\n", receiver.endpoint);
        std::fs::write(&path, text).unwrap();
        let guard = start(&Config::load(&path).unwrap().report_errors(false));
        std::fs::remove_file(path).unwrap();
        tracing::info_span!("request").in_scope(|| log::info!("left alone"));
        metrics::counter!("orders").increment(1);
        look_at(&receiver, guard.shutdown(LONG), |spans, logs, metrics| {
            assert_eq!((spans.len(), logs.len()), (1, 0));
            assert!(metrics.iter().any(|metric| metric.name == "orders"));
        });
        log::set_logger(&throughline_std::log::Logger).expect("the place is free");
    });
}

#[test]
fn without_a_collector_the_terminal_draws_them() {
    let drawn = stderr_of("without_a_collector_the_terminal_draws_them", || {
        let guard = throughline_std::init(&Config::new("svc").bridges()).unwrap();
        tracing::info_span!("request", n = 1).in_scope(|| log::info!("handled"));
        assert!(guard.shutdown(LONG).complete);
    });
    if let Some(drawn) = drawn {
        assert!(drawn.contains("request  n=1") && drawn.contains("INFO handled\n"), "{drawn}");
    }
}
