//! Sampling from the macros to a collector: what is kept when a trace has ended, what travels meanwhile, and that the
//! counts of what is dropped are exact.

mod support;

use std::collections::HashMap;
use std::time::Duration;
use support::receiver::{Receiver, attribute, double, int};
use support::service::{self, LONG};
use support::{assert_balanced, in_own_process, until};
use throughline::sampler::{NewTrace, Sampler, Sampling};
use throughline::{Context, Status, current, error, span};
use throughline_std::propagation::Carried;
use throughline_std::{Config, DropReason, Ledger, ShutdownReport};

/// Whether records have room for what other processes are told.
const IS_WIDE: bool = cfg!(target_pointer_width = "64");

fn config(receiver: &Receiver) -> Config {
    service::config(receiver).ring_slots(1 << 16)
}

/// The spans that arrived, by the number of their trace.
fn arrived(receiver: &Receiver) -> HashMap<i64, Vec<String>> {
    receiver.with(|r| {
        let mut all = HashMap::<i64, Vec<String>>::new();
        for span in &r.spans {
            let n = int(&span.attributes, "n").unwrap();
            all.entry(n).or_default().push(span.name.clone());
        }
        all
    })
}

fn settled(report: &ShutdownReport, receiver: &Receiver) -> Ledger {
    let ledger = report.ledger.clone();
    assert_eq!((report.in_time, report.complete), (true, ledger.losses().is_none()), "{ledger}");
    assert_balanced(&ledger);
    assert_eq!(ledger.ring.dropped_total(), 0, "{ledger}");
    assert_eq!(ledger.tail_sampler.output, receiver.with(|r| r.spans.len() as u64), "{ledger}");
    ledger
}

/// A trace of three spans, one of them on another thread's ring if `elsewhere` is set.
fn trace(n: u64, is_error: bool, elsewhere: bool) {
    let _root = span!("root", n);
    let here = Context::current();
    let below = move || {
        let _here = here.enter();
        let mut child = span!("child", n);
        drop(span!("grandchild", n));
        if is_error {
            child.set_status(Status::Error);
        }
    };
    if elsewhere {
        std::thread::spawn(below).join().unwrap();
    } else {
        below();
    }
}

#[test]
fn under_load_all_traces_with_an_error_are_kept_whole_and_the_rest_is_counted() {
    in_own_process("under_load_all_traces_with_an_error_are_kept_whole_and_the_rest_is_counted", || {
        let receiver = Receiver::start([]);
        // All traces may be waiting at the same time, if the pump comes late.
        let config = config(&receiver).sample_ratio(0.0).always_sample_errors(true).sampling_buffer(
            20_000,
            1 << 30,
            LONG,
        );
        let guard = throughline_std::init(&config).unwrap();
        const EACH: u64 = 5000;
        let work = |thread: u64| {
            for n in thread * EACH..(thread + 1) * EACH {
                trace(n, n % 97 == 0, n % 100 == 0);
            }
        };
        std::thread::scope(|scope| (0..4).for_each(|thread| _ = scope.spawn(move || work(thread))));
        let ledger = settled(&guard.shutdown(LONG), &receiver);
        let expected: Vec<u64> = (0..4 * EACH).filter(|n| n % 97 == 0).collect();
        let all = arrived(&receiver);
        for n in &expected {
            let mut names = all.get(&(*n as i64)).cloned().unwrap_or_default();
            names.sort();
            assert_eq!(names, ["child", "grandchild", "root"], "{n}");
        }
        assert_eq!(all.len(), expected.len());
        let tail = &ledger.tail_sampler;
        assert_eq!((tail.input, tail.output), (4 * EACH * 3, expected.len() as u64 * 3), "{ledger}");
        assert_eq!(tail.dropped, [(DropReason::SampledOut, tail.input - tail.output)]);
    });
}

#[test]
fn what_the_buffer_cannot_hold_is_counted_to_the_last_span() {
    in_own_process("what_the_buffer_cannot_hold_is_counted_to_the_last_span", || {
        let receiver = Receiver::start([]);
        let config =
            config(&receiver).sample_ratio(0.0).always_sample_errors(true).sampling_buffer(10, 1 << 20, LONG);
        let guard = throughline_std::init(&config).unwrap();
        // A thousand open traces, each with a span that has ended.
        let mut open = Vec::new();
        for n in 0..1000u64 {
            let root = span!(root: true, "root", n);
            drop(span!("child", n));
            open.push(root);
        }
        assert!(guard.flush(LONG));
        let now = throughline_std::ledger().tail_sampler;
        assert_eq!((now.input, now.pending, now.dropped_for(DropReason::SamplerFull)), (1000, 10, 990));
        // Every trace then ends with an error.
        for mut root in open.into_iter().rev() {
            root.set_status(Status::Error);
        }
        let ledger = settled(&guard.shutdown(LONG), &receiver);
        let all = arrived(&receiver);
        assert_eq!(all.len(), 1000, "all errors are kept");
        assert_eq!(all.values().filter(|names| names.len() == 2).count(), 10, "these were still there");
        assert_eq!(ledger.tail_sampler.dropped, [(DropReason::SamplerFull, 990)]);
    });
}

#[test]
fn a_full_buffer_is_no_reason_to_drop_traces_whose_end_is_known() {
    in_own_process("a_full_buffer_is_no_reason_to_drop_traces_whose_end_is_known", || {
        let receiver = Receiver::start([]);
        let config =
            config(&receiver).sample_ratio(0.0).always_sample_errors(true).sampling_buffer(3, 1 << 20, LONG);
        let guard = throughline_std::init(&config).unwrap();
        for n in 0..1000u64 {
            drop(span!(root: true, "root", n));
        }
        let ledger = settled(&guard.shutdown(LONG), &receiver);
        assert_eq!(ledger.tail_sampler.dropped, [(DropReason::SampledOut, 1000)], "{ledger}");
    });
}

#[test]
fn a_buffer_of_few_bytes_or_of_no_time_is_a_bound_too() {
    for (bytes, time, reason) in
        [(0, LONG, DropReason::SamplerFull), (1 << 20, Duration::ZERO, DropReason::SamplerExpired)]
    {
        let name = "a_buffer_of_few_bytes_or_of_no_time_is_a_bound_too";
        support::in_own_process_with(name, &[("WHICH", reason.as_str())], || {
            if std::env::var("WHICH").as_deref() != Ok(reason.as_str()) {
                return;
            }
            let receiver = Receiver::start([]);
            let config = config(&receiver)
                .sample_ratio(0.0)
                .always_sample_errors(true)
                .sampling_buffer(100, bytes, time);
            let guard = throughline_std::init(&config).unwrap();
            let mut root = span!("root", n = 0u64);
            drop(span!("child", n = 0u64));
            assert!(guard.flush(LONG));
            root.set_status(Status::Error);
            drop(root);
            drop(span!("late", n = 1u64));
            let ledger = settled(&guard.shutdown(LONG), &receiver);
            assert_eq!(arrived(&receiver), HashMap::from([(0, vec!["root".to_owned()])]));
            // The trace that had ended was sampled out, whatever the buffer holds.
            assert_eq!(ledger.tail_sampler.dropped, [(DropReason::SampledOut, 1), (reason, 1)], "{ledger}");
        });
    }
}

#[test]
fn slow_traces_are_kept_and_a_route_may_have_its_own_limit() {
    in_own_process("slow_traces_are_kept_and_a_route_may_have_its_own_limit", || {
        let receiver = Receiver::start([]);
        let slow = Duration::from_millis(20);
        let config = config(&receiver)
            .sample_ratio(0.0)
            .always_sample_slow(slow)
            .always_sample_slow_at("/export/*", Duration::from_secs(3600));
        let guard = throughline_std::init(&config).unwrap();
        for n in 0..100u64 {
            let _root = span!("root", n);
            let _child = span!("child", n);
            if n % 10 == 0 {
                std::thread::sleep(slow);
            }
            if n % 20 == 0 {
                throughline::record!(_root, http.route = "/export/all");
            }
        }
        settled(&guard.shutdown(LONG), &receiver);
        let all = arrived(&receiver);
        for n in (10..100).step_by(20) {
            assert_eq!(all[&n].len(), 2, "{n}");
        }
        assert!((0..100).step_by(20).all(|n| !all.contains_key(&n)), "not slow for an export: {all:?}");
        receiver.with(|r| {
            let roots = r.spans.iter().filter(|span| span.name == "root");
            let took = |start: u64, end: u64| Duration::from_nanos(end - start);
            roots.for_each(|it| assert!(took(it.start_time_unix_nano, it.end_time_unix_nano) >= slow));
        });
    });
}

#[test]
fn the_decision_of_the_beginning_travels_and_what_was_kept_by_chance_says_how_likely_it_was() {
    in_own_process(
        "the_decision_of_the_beginning_travels_and_what_was_kept_by_chance_says_how_likely_it_was",
        || {
            let receiver = Receiver::start([]);
            let config = config(&receiver).sample_ratio(0.25).always_sample_errors(true);
            let guard = throughline_std::init(&config).unwrap();
            let mut told = HashMap::new();
            for n in 0..4000u64 {
                let mut root = span!("root", n);
                let carried = Carried::current();
                let here = carried.parent.unwrap();
                assert!(!IS_WIDE || current() == Some(here));
                told.insert(here.trace_id.to_bytes().to_vec(), here.sampled());

                assert_eq!(carried.trace_state.to_string(), if here.sampled() { "ot=th:c" } else { "" });
                if n % 10 == 0 {
                    root.set_status(Status::Error);
                    error!("broken");
                }
            }
            settled(&guard.shutdown(LONG), &receiver);
            receiver.with(|r| {
                let mut weight = 0.0;
                for span in &r.spans {
                    let is_error = int(&span.attributes, "n").unwrap() % 10 == 0;
                    let probability = double(&span.attributes, "sampling.probability");
                    assert_eq!(probability, (!is_error).then_some(0.25));
                    assert!(is_error || told[&span.trace_id]);
                    weight += 1.0 / probability.unwrap_or(1.0);
                }
                // The counts can be weighted up: 400 errors are certain, and 3600 others have a standard deviation of 104.
                assert!((weight - 4000.0_f64).abs() < 6.0 * 104.0, "{weight}");
                let likely = told.values().filter(|sampled| **sampled).count();
                assert!((likely as f64 - 1000.0).abs() < 6.0 * 28.0, "{likely}");
                assert_eq!(r.logs.len(), 400, "logs are never sampled away");
                for log in &r.logs {
                    assert!(!IS_WIDE || (log.flags & 1 == 1) == told[&log.trace_id]);
                }
            });
        },
    );
}

#[test]
fn rules_decide_by_name_and_by_route_and_rare_routes_are_seen() {
    in_own_process("rules_decide_by_name_and_by_route_and_rare_routes_are_seen", || {
        let receiver = Receiver::start([]);
        let config = config(&receiver)
            .sample_ratio(0.0)
            .sample_rare(2)
            .critical_paths(["/api/chat"])
            .sampling_rule("job.never", 0.0)
            .sampling_rule("job.*", 1.0);
        let guard = throughline_std::init(&config).unwrap();
        let served = |n: u64, route: &str| {
            let _request = span!("request", n, http.route = route);
            assert!(!IS_WIDE || !current().unwrap().sampled(), "the route is not known yet");
        };
        (0..10).for_each(|_| served(1, "/api/chat"));
        (0..10).for_each(|_| served(2, "/other"));
        for _ in 0..10 {
            let _job = span!("job.often", n = 3u64);
            assert!(current().unwrap().sampled());
        }
        (0..10).for_each(|_| drop(span!("job.never", n = 4u64)));
        {
            let request = span!("request", n = 5u64);
            request.set_name("GET /api/chat");
        }
        settled(&guard.shutdown(LONG), &receiver);
        let all = arrived(&receiver);
        let counts: Vec<_> = (1..6).map(|n| all.get(&n).map_or(0, Vec::len)).collect();
        assert_eq!(counts, [10, 2, 10, 2, 1], "a rare name is seen twice a minute, whatever a rule says");
        receiver.with(|r| {
            r.spans.iter().for_each(|it| assert_eq!(attribute(&it.attributes, "sampling.probability"), None))
        });
    });
}

#[test]
fn a_sampler_of_the_program_decides_at_the_beginning() {
    in_own_process("a_sampler_of_the_program_decides_at_the_beginning", || {
        struct Wanted;
        impl Sampler for Wanted {
            fn sample(&self, trace: &NewTrace) -> Sampling {
                if trace.name() == Some("wanted") { Sampling::Record } else { Sampling::Drop }
            }
        }
        let receiver = Receiver::start([]);
        let config = config(&receiver).sampler(Wanted).always_sample_errors(true).sample_ratio(0.0);
        let guard = throughline_std::init(&config).unwrap();
        drop(span!("wanted", n = 1u64));
        drop(span!("unwanted", n = 2u64));
        span!("unwanted", n = 3u64).set_status(Status::Error);
        let ledger = settled(&guard.shutdown(LONG), &receiver);
        let mut all: Vec<_> = arrived(&receiver).into_keys().collect();
        all.sort_unstable();
        assert_eq!(all, if IS_WIDE { vec![1, 3] } else { vec![3] });
        assert_eq!(
            ledger.sampler.dropped_total(),
            0,
            "all are recorded, because any could end with an error"
        );
    });
}

#[test]
fn a_limit_of_traces_in_a_second_is_kept_at_their_beginning() {
    in_own_process("a_limit_of_traces_in_a_second_is_kept_at_their_beginning", || {
        let receiver = Receiver::start([]);
        let begun = std::time::Instant::now();
        let guard = throughline_std::init(&config(&receiver).trace_rate_limit(10)).unwrap();
        for n in 0..1000u64 {
            let _root = span!("root", n);
            drop(span!("child", n));
        }
        let most = 10 + 10 * begun.elapsed().as_secs() + 10;
        let report = guard.shutdown(LONG);
        assert_balanced(&report.ledger);
        let all = arrived(&receiver);
        assert!((10..=most).contains(&(all.len() as u64)), "{} of {most}", all.len());
        assert!(all.values().all(|names| names.len() == 2));
        assert_eq!(report.ledger.sampler.dropped_for(DropReason::SampledOut), 2000 - 2 * all.len() as u64);
        assert_eq!(report.ledger.tail_sampler.input, 0, "nothing waits for the end of its trace");
    });
}

#[test]
fn the_share_adapts_to_the_load_and_is_told() {
    in_own_process("the_share_adapts_to_the_load_and_is_told", || {
        let receiver = Receiver::start([]);
        let guard = throughline_std::init(&config(&receiver).target_spans_per_second(10)).unwrap();
        let load = || (0..1000u64).for_each(|n| drop(span!("root", n)));
        until("the share falls", || {
            load();
            throughline_std::ledger().sampler.dropped_total() > 5000
        });
        let told = || {
            let _root = span!("root", n = 0u64);
            Carried::current().trace_state.probability()
        };
        // The load goes on, because the share rises again without it.
        until("a trace is kept", || {
            load();
            told().is_some_and(|probability| probability < 0.5)
        });
        let least = || {
            receiver.with(|r| {
                let all = r.spans.iter().filter_map(|span| double(&span.attributes, "sampling.probability"));
                all.fold(1.0, f64::min)
            })
        };
        until("a span that was kept says how likely that was", || {
            load();
            least() < 0.5
        });
        let ledger = guard.shutdown(LONG).ledger;
        assert_balanced(&ledger);
        assert_eq!(ledger.tail_sampler.dropped, [], "the share decides at the beginning");
    });
}

#[test]
fn rules_of_a_file_change_while_the_program_runs() {
    in_own_process("rules_of_a_file_change_while_the_program_runs", || {
        let receiver = Receiver::start([]);
        let path = std::env::temp_dir().join(format!("throughline-sampling-{}.toml", std::process::id()));
        let put = |text: &str| {
            std::fs::write(&path, format!("[tracing.sampling]\nprobability = 0.0\n{text}")).unwrap()
        };
        put("");
        let guard = throughline_std::init(&config(&receiver).with_file(&path).unwrap()).unwrap();
        let failed = |n: u64| span!("root", n).set_status(Status::Error);
        failed(1);
        put("always_sample_errors = true");
        guard.reload().unwrap();
        failed(2);
        // The pump follows in its next round, before it reads what was recorded since.
        assert!(guard.flush(LONG));
        put("rules = { root = 1.0 }");
        guard.reload().unwrap();
        drop(span!("root", n = 3u64));
        assert!(guard.flush(LONG));
        put("");
        guard.reload().unwrap();
        failed(4);
        assert!(guard.shutdown(LONG).complete);
        std::fs::remove_file(&path).unwrap();
        let mut all: Vec<_> = arrived(&receiver).into_keys().collect();
        all.sort_unstable();
        assert_eq!(all, [2, 3]);
    });
}
