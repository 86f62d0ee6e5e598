//! From the macros to a collector: everything arrives or is counted, and the end comes in time.

mod support;

use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data, number_data_point};
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::receiver::{Answer, Receiver, int, text};
use support::service::{LONG, config, find, start};
use support::{in_own_process, in_own_process_with};
use throughline::{
    Context, Status, TraceContext, counter, histogram, info, record, span, up_down_counter, warn,
};
use throughline_std::{Config, DropReason, InitError, otlp::ClientConfig, terminal::Style};

#[test]
fn spans_logs_and_metrics_arrive() {
    in_own_process("spans_logs_and_metrics_arrive", || {
        let receiver = Receiver::start([]);
        let guard = start(&config(&receiver).attribute("zone", "z1"));
        {
            let mut outer = span!(kind: Server, "outer", user = "ann", n = 7, big = u64::MAX);
            record!(outer, rows = 3);
            {
                let _inner = span!("inner");
                warn!("odd {} of {user}", 9, user = "bob");
            }
            outer.set_status(Status::Error);
        }
        info!("outside");
        std::thread::spawn(|| {
            let _span = span!("elsewhere");
            counter!("hits", route = "/a").add(2);
        })
        .join()
        .unwrap();
        counter!("hits", route = "/a").add(3);
        up_down_counter!("open").add(-4);
        for v in [0, 1, 1, 5, 1000] {
            histogram!("took", unit = "us", scale = 2).record(v);
        }
        let report = guard.shutdown(LONG);
        assert!(report.complete && report.last_error.is_none(), "{report:?}");
        assert_eq!(
            (report.ledger.exporter("otlp").output, report.ledger.exporter("otlp").dropped_total()),
            (5, 0),
            "{}",
            report.ledger
        );
        assert_eq!(report.ledger.pump.absorbed, 2, "the text at the start, and the rows");
        receiver.with(|r| {
            assert_eq!(text(&r.resource, "service.name").unwrap(), "svc");
            assert_eq!(text(&r.resource, "zone").unwrap(), "z1");
            assert_eq!((r.spans.len(), r.logs.len()), (3, 2));
            let (outer, inner, other) =
                (find(&r.spans, "outer"), find(&r.spans, "inner"), find(&r.spans, "elsewhere"));
            assert_eq!((outer.kind, outer.status.as_ref().unwrap().code), (2, 2));
            assert!(outer.parent_span_id.is_empty() && other.parent_span_id.is_empty());
            assert_eq!((&inner.parent_span_id, &inner.trace_id), (&outer.span_id, &outer.trace_id));
            assert_ne!(other.trace_id, outer.trace_id);
            assert!(outer.start_time_unix_nano <= inner.start_time_unix_nano);
            assert!(inner.end_time_unix_nano <= outer.end_time_unix_nano);
            let a = &outer.attributes;
            assert_eq!(
                (text(a, "user").unwrap(), int(a, "n"), int(a, "rows")),
                ("ann".into(), Some(7), Some(3))
            );
            assert_eq!(text(a, "big").unwrap(), u64::MAX.to_string());
            assert_eq!(text(a, "code.module.name").unwrap(), module_path!());
            assert!(text(a, "code.file.path").unwrap().ends_with("pipeline.rs"));
            let log = r.logs.iter().find(|l| l.span_id == inner.span_id).unwrap();
            let body = log.body.clone().unwrap().value.unwrap();
            assert_eq!(format!("{body:?}"), r#"StringValue("odd 9 of bob")"#);
            assert_eq!((log.severity_number, &log.trace_id), (13, &outer.trace_id));
            assert!(r.logs.iter().any(|l| l.span_id.is_empty()));

            let metrics = r.metrics.last().unwrap();
            assert_eq!(sum(metrics, "hits"), 5);
            assert_eq!(sum(metrics, "open"), -4);
            let Some(Data::ExponentialHistogram(h)) =
                &metrics.iter().find(|m| m.name == "took").unwrap().data
            else {
                panic!()
            };
            let p = &h.data_points[0];
            assert_eq!((p.count, p.sum, p.zero_count, p.scale), (5, Some(1007.0), 1, 2));
            let positive = p.positive.as_ref().unwrap();
            // 1 is at index -1; 5 = 2^2.32 is at ⌈9.29⌉ - 1; 1000 = 2^9.97 is at ⌈39.86⌉ - 1.
            let at = |index: i32| positive.bucket_counts[(index - positive.offset) as usize];
            assert_eq!((positive.offset, at(-1), at(9), at(39)), (-1, 2, 1, 1));
            assert!(sum(metrics, "throughline.records") > 0);
        });
    });
}

fn sum(metrics: &[Metric], name: &str) -> i64 {
    let metric = metrics.iter().find(|m| m.name == name).unwrap_or_else(|| panic!("no metric {name}"));
    let Some(Data::Sum(sum)) = &metric.data else { panic!("{name} is no sum") };
    let values = sum.data_points.iter().map(|p| match p.value {
        Some(number_data_point::Value::AsInt(n)) => n,
        ref other => panic!("{other:?}"),
    });
    values.sum()
}

#[test]
fn a_remote_parent_is_continued() {
    in_own_process("a_remote_parent_is_continued", || {
        let receiver = Receiver::start([]);
        let guard = start(&config(&receiver));
        let remote = TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        {
            let _attached = throughline::attach(remote);
            info!("before any span of ours");
            let _span = span!("handle", route = "/long/enough/to/be/a/record/of/its/own");
            let here = Context::current();
            assert_eq!(throughline::current().unwrap().trace_id, remote.trace_id);
            std::thread::spawn(move || {
                let _there = here.enter();
                let _span = span!("child");
            })
            .join()
            .unwrap();
        }
        {
            let unsampled = TraceContext { flags: 0, ..remote };
            let _attached = throughline::attach(unsampled);
            let _span = span!("not recorded");
        }
        let _ours = span!("ours");
        drop(_ours);
        assert!(guard.shutdown(LONG).complete);
        receiver.with(|r| {
            assert_eq!(r.spans.len(), 3);
            let (handle, child, ours) =
                (find(&r.spans, "handle"), find(&r.spans, "child"), find(&r.spans, "ours"));
            assert_eq!(handle.trace_id, remote.trace_id.to_bytes());
            assert_eq!(handle.parent_span_id, remote.span_id.to_bytes());
            assert!(text(&handle.attributes, "route").is_some());
            assert_eq!((&child.trace_id, &child.parent_span_id), (&handle.trace_id, &handle.span_id));
            assert_ne!(ours.trace_id, handle.trace_id);
            assert_eq!(r.logs[0].span_id, remote.span_id.to_bytes());
            assert_eq!(r.logs[0].trace_id, remote.trace_id.to_bytes());
        });
    });
}

#[test]
fn with_tiny_rings_every_loss_is_counted() {
    in_own_process("with_tiny_rings_every_loss_is_counted", || {
        const THREADS: u64 = 3;
        const EACH: u64 = 50_000;
        let receiver = Receiver::start([Answer::Status(503, "", vec![])]);
        let guard = start(&config(&receiver).ring_slots(8).batch(4096, Duration::from_millis(1)));
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                std::thread::spawn(|| {
                    for _ in 0..EACH {
                        let _span = span!("work");
                        counter!("made").add(1);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|t| t.join().unwrap());
        let report = guard.shutdown(LONG);
        assert!(report.in_time, "{report:?}");
        let ledger = report.ledger;
        assert_eq!(ledger.ring.input, THREADS * EACH, "{ledger}");
        assert!(ledger.ring.dropped_for(DropReason::RingFull) > 0, "{ledger}");
        assert_eq!(ledger.ring.input, ledger.ring.output + ledger.ring.dropped_total(), "{ledger}");
        assert_eq!(ledger.pump.output, ledger.exporter("otlp").input, "{ledger}");
        receiver.with(|r| {
            assert_eq!(r.spans.len() as u64, ledger.exporter("otlp").output, "{ledger}");
            let emitted = ledger.ring.dropped_total()
                + ledger.pump.dropped_total()
                + ledger.exporter("otlp").dropped_total();
            assert_eq!(r.spans.len() as u64 + emitted, THREADS * EACH);
            assert_eq!(
                sum(r.metrics.last().unwrap(), "made"),
                (THREADS * EACH) as i64,
                "metrics lose nothing"
            );
        });
    });
}

#[test]
fn short_lived_threads_lose_nothing_and_use_rings_again() {
    in_own_process("short_lived_threads_lose_nothing_and_use_rings_again", || {
        const THREADS: u64 = 10_000;
        let receiver = Receiver::start([]);
        let guard = start(&config(&receiver).ring_slots(64));
        for i in 0..THREADS {
            std::thread::spawn(|| {
                let _span = span!("brief");
                counter!("threads").add(1);
            })
            .join()
            .unwrap();
            // One ring serves all the threads, and would overflow if it were not emptied.
            if i % 32 == 31 {
                assert!(guard.flush(LONG));
            }
        }
        let mut recorders = 0;
        throughline::adapter::recorder::for_each_thread(|_| recorders += 1);
        assert_eq!(recorders, 1, "of one thread at a time; threads that deliver records have none");
        let report = guard.shutdown(LONG);
        assert!(report.complete, "{report:?}");
        assert_eq!(report.ledger.exporter("otlp").output, THREADS, "{}", report.ledger);
        receiver.with(|r| {
            assert_eq!(r.spans.len() as u64, THREADS);
            let ids: std::collections::HashSet<_> = r.spans.iter().map(|s| &s.span_id).collect();
            assert_eq!(ids.len() as u64, THREADS, "ids are not used again with the rings");
            assert_eq!(sum(r.metrics.last().unwrap(), "threads"), THREADS as i64);
        });
    });
}

#[test]
fn a_hanging_collector_does_not_hold_up_the_end() {
    in_own_process("a_hanging_collector_does_not_hold_up_the_end", || {
        let receiver = Receiver::start(std::iter::repeat_n(Answer::Hang, 100));
        let client = ClientConfig::new(&receiver.endpoint).unwrap().timeout(Duration::from_secs(3600));
        let guard = start(
            &Config::new("svc").otlp_client(client).queue(1).batch(1, Duration::ZERO).report_errors(false),
        );
        for _ in 0..10 {
            let _span = span!("stuck");
        }
        assert!(!guard.flush(Duration::from_millis(100)));
        let report = guard.shutdown(Duration::from_millis(100));
        assert!(!report.complete);
        let ledger = report.ledger;
        assert_eq!(ledger.ring.input, 10, "{ledger}");
        let otlp = ledger.exporter("otlp");
        assert_eq!((otlp.output, otlp.pending, otlp.dropped_total()), (0, 0, 10), "{ledger}");
    });
}

#[test]
fn dropping_the_guard_delivers_and_does_not_hang() {
    in_own_process("dropping_the_guard_delivers_and_does_not_hang", || {
        let receiver = Receiver::start([]);
        let guard = start(&config(&receiver).drop_deadline(LONG));
        drop(span!("last"));
        drop(guard);
        receiver.with(|r| assert_eq!(r.spans.len(), 1));
        assert!(throughline_std::ledger().is_settled());
    });
}

#[test]
fn rejected_records_are_counted() {
    in_own_process("rejected_records_are_counted", || {
        let receiver = Receiver::start([Answer::Partial(2, "no room")]);
        let guard = start(&config(&receiver));
        for _ in 0..5 {
            let _span = span!("one");
        }
        assert!(guard.flush(LONG));
        let ledger = guard.ledger();
        assert_eq!(
            (ledger.exporter("otlp").output, ledger.exporter("otlp").dropped_for(DropReason::Rejected)),
            (3, 2),
            "{ledger}"
        );
        assert!(guard.shutdown(LONG).in_time);
    });
}

#[test]
fn an_outage_is_counted_and_reported() {
    in_own_process("an_outage_is_counted_and_reported", || {
        let client = ClientConfig::new("http://127.0.0.1:1").unwrap().retry_for(Duration::ZERO);
        let guard = start(&Config::new("svc").otlp_client(client).report_errors(false));
        drop(span!("lost"));
        assert!(guard.flush(LONG));
        let ledger = guard.ledger();
        assert_eq!(ledger.exporter("otlp").dropped_for(DropReason::Unreachable), 1, "{ledger}");
        let error = guard.last_error().unwrap();
        assert!(error.contains("check that a collector listens there"), "{error}");
        let report = guard.shutdown(LONG);
        assert!(report.in_time && !report.complete, "it was in time, but nothing arrived: {report:?}");
    });
}

#[test]
fn only_once() {
    in_own_process("only_once", || {
        let guard = start(&Config::new("a").without_otlp().terminal(false));
        let error = throughline_std::init(&Config::new("b").without_otlp()).unwrap_err();
        assert!(matches!(error, InitError::AlreadyBegun));
        assert_eq!(
            error.to_string(),
            "throughline_std::init was called before; call it once, in main, and pass its guard on"
        );
        assert!(guard.shutdown(LONG).complete);
        assert!(throughline_std::init(&Config::new("b").without_otlp()).is_err(), "not after the end either");
    });
}

#[test]
fn the_environment_configures_and_disables() {
    let env = [("OTEL_SDK_DISABLED", "TRUE"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "nonsense")];
    in_own_process_with("the_environment_configures_and_disables", &env, || {
        if std::env::var("OTEL_SDK_DISABLED").is_ok() {
            let guard = start(&Config::new("svc"));
            drop(span!("nothing"));
            assert!(guard.flush(LONG) && guard.shutdown(LONG).complete);
            assert_eq!(throughline_std::ledger(), throughline_std::Ledger::default());
        }
    });
}

#[test]
fn a_wrong_endpoint_in_the_environment_is_an_error() {
    let env = [("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4317")];
    in_own_process_with("a_wrong_endpoint_in_the_environment_is_an_error", &env, || {
        let error = throughline_std::init(&Config::new("svc")).unwrap_err().to_string();
        assert!(error.contains("`localhost:4317` is not an http:// URL"), "{error}");
    });
}

#[test]
fn sampling_drops_whole_traces_and_no_counts() {
    in_own_process("sampling_drops_whole_traces_and_no_counts", || {
        let receiver = Receiver::start([]);
        let guard = start(&config(&receiver).sample_ratio(0.25).ring_slots(1 << 16));
        for _ in 0..4000 {
            let _root = span!("root");
            let _child = span!("child");
            counter!("roots").add(1);
        }
        assert!(guard.shutdown(LONG).complete);
        receiver.with(|r| {
            let roots = r.spans.iter().filter(|s| s.name == "root").count();
            let children = r.spans.iter().filter(|s| s.name == "child").count();
            assert_eq!(roots, children);
            assert!((800..1200).contains(&roots), "{roots}");
            assert_eq!(sum(r.metrics.last().unwrap(), "roots"), 4000);
        });
    });
}

/// A writer that records, like a bridge from a log crate.
struct Recording(Arc<Mutex<Vec<u8>>>);

impl Write for Recording {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        info!("writing", len = buf.len());
        self.0.lock().unwrap().write(buf)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        drop(span!("flushing"));
        Ok(())
    }
}

#[test]
fn the_terminal_draws_and_exporting_records_nothing() {
    in_own_process("the_terminal_draws_and_exporting_records_nothing", || {
        let text = Arc::new(Mutex::new(Vec::new()));
        let out = Arc::new(Mutex::new(Recording(Arc::clone(&text))));
        let guard = start(&Config::new("svc").without_otlp().terminal_to(out, Style::PLAIN));
        {
            let _outer = span!("outer", name = "x y");
            let _inner = span!("inner");
            info!("in {}", "there");
        }
        counter!("n").add(3);
        assert!(guard.flush(LONG));
        let report = guard.shutdown(LONG);
        assert!(report.complete, "{report:?}");
        assert_eq!(
            (report.ledger.exporter("terminal").input, report.ledger.exporter("terminal").output),
            (3, 3),
            "{}",
            report.ledger
        );
        let text = String::from_utf8(text.lock().unwrap().clone()).unwrap();
        let shape: Vec<&str> =
            text.lines().map(|l| l.split_once("  ").map_or(l, |(_, rest)| rest).trim_start()).collect();
        assert!(text.starts_with(|c: char| c.is_ascii_digit()) && text.contains(" trace "), "{text}");
        assert!(text.contains("  outer  name=\"x y\"\n"), "{text}");
        assert!(text.contains("  └─ inner\n") && text.contains("     └─ INFO in there\n"), "{text}");
        assert!(text.ends_with("n .. 3\n"), "{text}");
        assert_eq!(shape.len(), 5, "{text}");
    });
}
