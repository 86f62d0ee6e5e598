//! Correlation fields: everything that is recorded within a scope has them, wherever the work goes, and nothing else.

mod support;

use std::time::Duration;
use support::keep::{All, Keep, Kept};
use support::{assert_balanced, in_own_process};
use throughline::{info, span};
use throughline_std::propagation::{Propagate, carrying};
use throughline_std::{Config, Correlate, Correlation, correlate};

const LONG: Duration = Duration::from_secs(30);

/// What `work` records, in a process of its own.
fn recorded(test: &str, config: impl FnOnce(Config) -> Config, work: impl FnOnce(), look: impl FnOnce(&All)) {
    in_own_process(test, || {
        let keep = Keep::default();
        let config = config(Config::new("svc").without_otlp().exporter("keep", keep.clone()));
        let guard = throughline_std::init(&config).unwrap();
        work();
        let report = guard.shutdown(LONG);
        assert!(report.complete, "{report:?}");
        assert_balanced(&report.ledger);
        look(&keep.take());
    });
}

#[test]
fn spans_and_logs_within_a_scope_have_its_fields() {
    recorded(
        "spans_and_logs_within_a_scope_have_its_fields",
        |config| config,
        || {
            let request = span!("request", path = "/pay");
            info!("before");
            let scope = correlate(&[("request_id", "r-7"), ("agent.name", "outer"), ("password", "p")]);
            info!("within");
            {
                let _span = span!("inner", request_id = "own", n = 1);
                let _scope = correlate(&[("agent.name", "inner"), ("session_id", "s")]);
                info!("deeper", session_id = "own");
                drop(span!("deepest"));
            }
            info!("within again");
            drop(scope);
            info!("after");
            drop(request);
            drop(span!("alone"));
        },
        |all| {
            let of =
                |kept: &Kept| ["request_id", "agent.name", "session_id"].map(|f| kept.field(f).to_owned());
            assert_eq!(of(all.log("before")), ["", "", ""]);
            assert_eq!(of(all.log("within")), ["r-7", "outer", ""]);
            assert_eq!(of(all.log("deeper")), ["r-7", "inner", "own"]);
            assert_eq!(of(all.log("within again")), ["r-7", "outer", ""]);
            assert_eq!(of(all.log("after")), ["", "", ""]);
            assert_eq!(of(all.span("deepest")), ["r-7", "inner", "s"]);
            // It says its own request id; the others it was given while it was current.
            assert_eq!(of(all.span("inner")), ["own", "inner", "s"]);
            assert_eq!(of(all.span("request")), ["r-7", "outer", ""]);
            assert_eq!(of(all.span("alone")), ["", "", ""]);
            assert_eq!(all.log("within").field("password"), throughline_std::REDACTED);
            assert_eq!(all.span("deepest").field("password"), throughline_std::REDACTED);
        },
    );
}

#[test]
fn fields_go_with_tasks_and_closures_and_to_no_others() {
    recorded(
        "fields_go_with_tasks_and_closures_and_to_no_others",
        |config| config,
        || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
            let task = |n: usize| async move {
                let id = n.to_string();
                async move {
                    for step in 0..5 {
                        info!("step {step} of {n}", step, n);
                        tokio::task::yield_now().await;
                    }
                    let child = async move { info!("child of {n}", n) }.in_current_context();
                    tokio::spawn(child).await.unwrap();
                    let blocking = carrying(move || drop(span!("blocking", n)));
                    tokio::task::spawn_blocking(blocking).await.unwrap();
                    std::thread::spawn(carrying(move || info!("thread of {n}", n))).join().unwrap();
                    tokio::spawn(async move { info!("stranger to {n}", n) }).await.unwrap();
                }
                .correlated(&[("request_id", &id)])
                .await;
            };
            let tasks: Vec<_> = (0..20).map(|n| runtime.spawn(task(n))).collect();
            for task in tasks {
                runtime.block_on(task).unwrap();
            }
            runtime.block_on(async { info!("nobody's") });
        },
        |all| {
            assert_eq!(all.logs.len(), 20 * 8 + 1);
            for log in &all.logs {
                let is_correlated = !log.name.starts_with("stranger") && log.name != "nobody's";
                let expected = if is_correlated { log.field("n") } else { "" };
                assert_eq!(log.field("request_id"), expected, "{log:?}");
            }
            assert_eq!(all.spans.len(), 20);
            for span in &all.spans {
                assert_eq!(span.field("request_id"), span.field("n"), "{span:?}");
            }
        },
    );
}

/// A guard that a future of a single-threaded executor holds across an `await` counts only while that future runs.
#[test]
fn a_guard_held_across_an_await_is_not_seen_by_other_tasks() {
    recorded(
        "a_guard_held_across_an_await_is_not_seen_by_other_tasks",
        |config| config,
        || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let local = tokio::task::LocalSet::new();
            for n in 0..3 {
                let task = async move {
                    let id = n.to_string();
                    let scope = correlate(&[("request_id", &id)]);
                    for step in 0..3 {
                        info!("step {step} of {n}", step, n);
                        tokio::task::yield_now().await;
                    }
                    drop(scope);
                    info!("over for {n}", n);
                };
                local.spawn_local(task.in_current_context());
            }
            runtime.block_on(local);
        },
        |all| {
            assert_eq!(all.logs.len(), 12);
            for log in &all.logs {
                let expected = if log.name.starts_with("over") { "" } else { log.field("n") };
                assert_eq!(log.field("request_id"), expected, "{log:?}");
            }
        },
    );
}

/// The end of a scope is a record, which a full ring loses. What follows then has no fields rather than wrong ones.
#[test]
fn a_full_ring_gives_no_record_the_fields_of_a_scope_that_has_ended() {
    in_own_process("a_full_ring_gives_no_record_the_fields_of_a_scope_that_has_ended", || {
        let keep = Keep::default();
        let config = Config::new("svc").without_otlp().exporter("keep", keep.clone()).report_errors(false);
        let guard = throughline_std::init(&config.ring_slots(64)).unwrap();
        for round in 0..400 {
            let scope = correlate(&[("request_id", "r")]);
            (0..round % 61).for_each(|_| info!("within"));
            drop(scope);
            (0..round % 7).for_each(|_| info!("outside"));
            if round % 3 == 0 {
                assert!(guard.flush(LONG));
                (0..round % 5).for_each(|_| info!("outside"));
            }
        }
        let ledger = guard.shutdown(LONG).ledger;
        assert!(ledger.ring.dropped_total() > 0, "{ledger}");
        let all = keep.take();
        let wrong = all.logs.iter().find(|log| log.name == "outside" && !log.field("request_id").is_empty());
        assert_eq!(wrong, None);
        assert!(all.logs.iter().any(|log| log.field("request_id") == "r"));
    });
}

#[test]
fn a_thread_does_not_inherit_the_scope_that_another_has_left_open() {
    recorded(
        "a_thread_does_not_inherit_the_scope_that_another_has_left_open",
        |config| config.max_threads(2),
        || {
            let run = |work: fn()| std::thread::spawn(work).join().unwrap();
            run(|| {
                std::mem::forget(correlate(&[("request_id", "leaked")]));
                info!("within");
            });
            run(|| info!("another thread's"));
        },
        |all| {
            assert_eq!(all.log("within").field("request_id"), "leaked");
            assert_eq!(all.log("another thread's").field("request_id"), "");
        },
    );
}

#[test]
fn sets_that_nobody_uses_are_forgotten() {
    recorded(
        "sets_that_nobody_uses_are_forgotten",
        |config| config.ring_slots(1 << 16),
        || {
            // More sets than may exist at the same time, in steps that a ring has room for.
            for n in 0..100_000 {
                let id = n.to_string();
                drop(correlate(&[("request_id", &id)]));
                if n % 5_000 == 0 {
                    support::until("the pump forgets them", || {
                        info!("so far {n}", n);
                        std::thread::sleep(Duration::from_millis(2));
                        Correlation::in_use() < 1_000
                    });
                }
            }
            assert_eq!(Correlation::refused(), 0);
        },
        |_| {},
    );
}
