//! The ends of threads and processes: what is counted there is not taken for a loss, and every loss is
//! counted.

mod endings;
#[path = "../support/mod.rs"]
mod support;

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use support::in_own_process;
use throughline::adapter::metrics::Reading;
use throughline::{Instrument, counter, info, span};
use throughline_std::{Config, DropReason};

const LONG: Duration = Duration::from_secs(30);

/// Runs its function when the thread's locals are torn down.
struct AtEnd(Cell<Option<fn()>>);

impl Drop for AtEnd {
    fn drop(&mut self) {
        if let Some(run) = self.0.take() {
            run();
        }
    }
}

thread_local! {
    static AT_END: AtEnd = const { AtEnd(Cell::new(None)) };
}

/// Starts a thread that records and that calls `run` after it has left its recorder.
fn at_the_end_of_a_thread(run: fn()) {
    let thread = std::thread::spawn(move || {
        // Create this first, so that it is torn down last.
        AT_END.with(|at_end| at_end.0.set(Some(run)));
        info!("alive");
    });
    thread.join().unwrap();
}

fn quiet() -> Config {
    Config::new("svc").terminal(false)
}

#[test]
fn what_is_counted_as_a_thread_ends_is_no_loss_12() {
    in_own_process("what_is_counted_as_a_thread_ends_is_no_loss_12", || {
        let guard = throughline_std::init(&quiet()).unwrap();
        at_the_end_of_a_thread(|| {
            counter!("late").add(2);
            assert_eq!(throughline::current(), None);
            drop(throughline::Context::current().enter());
        });
        let mut late = 0;
        throughline::adapter::metrics::for_each(|series| {
            if let (Some("late"), Reading::Counter(n)) = (series.blob().map(|blob| blob.name), series.read())
            {
                late = n;
            }
        });
        let report = guard.shutdown(LONG);
        assert_eq!((late, report.ledger.ring.dropped_total()), (2, 0), "{}", report.ledger);
        assert!(report.complete && report.ledger.ring.input == 1, "{report:?}");
    });
}

#[test]
fn what_is_recorded_as_a_thread_ends_is_a_loss_12() {
    in_own_process("what_is_recorded_as_a_thread_ends_is_a_loss_12", || {
        let guard = throughline_std::init(&quiet()).unwrap();
        at_the_end_of_a_thread(|| {
            info!("too late");
            drop(span!("too late as well"));
        });
        let ledger = guard.shutdown(LONG).ledger;
        assert_eq!(ledger.ring.dropped_for(DropReason::NoRecorder), 2, "{ledger}");
        assert_eq!((ledger.ring.input, ledger.ring.output), (3, 1), "{ledger}");
    });
}

#[test]
fn a_guard_that_outlives_its_recorder_touches_nothing_of_another_thread_11() {
    use std::sync::mpsc;
    struct Holder {
        span: Option<throughline::Span>,
        remote: Option<throughline::AttachGuard>,
    }
    impl Drop for Holder {
        fn drop(&mut self) {
            if self.span.is_none() {
                return;
            }
            // The recorder is free, so another thread takes it.
            let (there, is_there) = mpsc::channel();
            let (go_on, may_go_on) = mpsc::channel();
            let other = std::thread::spawn(move || {
                let _root = span!("root of the other");
                let root = throughline::current();
                there.send(()).unwrap();
                may_go_on.recv().unwrap();
                assert_eq!(throughline::current(), root);
                drop(span!("child"));
                assert_eq!(throughline::current(), root);
            });
            is_there.recv().unwrap();
            if let Some(span) = &self.span {
                throughline::record!(span, late = 1);
            }
            drop(self.span.take());
            drop(self.remote.take());
            go_on.send(()).unwrap();
            other.join().unwrap();
        }
    }
    thread_local! {
        static HOLDER: std::cell::RefCell<Holder> = const { std::cell::RefCell::new(Holder { span: None, remote: None }) };
    }
    in_own_process("a_guard_that_outlives_its_recorder_touches_nothing_of_another_thread_11", || {
        let guard = throughline_std::init(&quiet().max_threads(2)).unwrap();
        let holding = std::thread::spawn(|| {
            // Create this first, so that it is torn down last.
            HOLDER.with(|_| ());
            let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
            let remote = throughline::TraceContext::parse(header).map(throughline::attach).unwrap();
            let span = span!("held");
            HOLDER.with_borrow_mut(|holder| *holder = Holder { span: Some(span), remote: Some(remote) });
        });
        holding.join().unwrap();
        let ledger = guard.shutdown(LONG).ledger;
        // The held span and its later fields are lost. The root and its child are there.
        assert_eq!(ledger.ring.dropped_for(DropReason::NoRecorder), 2, "{ledger}");
        assert_eq!(ledger.pump.dropped_for(DropReason::NoExporter), 2, "{ledger}");
        let mut recorders = 0;
        throughline::adapter::recorder::for_each_thread(|_| recorders += 1);
        assert!(recorders <= 2, "the other thread had the holder's: {recorders}");
    });
}

#[test]
fn records_that_wait_when_the_pump_ends_are_counted_12() {
    in_own_process("records_that_wait_when_the_pump_ends_are_counted_12", || {
        static OVER: AtomicBool = AtomicBool::new(false);
        let guard = throughline_std::init(&quiet()).unwrap();
        let threads = [(); 2].map(|()| {
            std::thread::spawn(|| {
                while !OVER.load(Ordering::Relaxed) {
                    // Spans of futures wait for a round, because their fields may be in another thread's
                    // ring.
                    let mut future = std::pin::pin!(async {}.instrument(span!("work")));
                    assert_eq!(
                        future.as_mut().poll(&mut Context::from_waker(Waker::noop())),
                        Poll::Ready(())
                    );
                }
            })
        });
        while guard.ledger().pump.dropped_for(DropReason::NoExporter) == 0 {
            std::thread::yield_now();
        }
        // These fields wait for the end of their span, which the pump does not see.
        let open = span!("open");
        throughline::record!(current, late = 1);
        let report = guard.shutdown(LONG);
        OVER.store(true, Ordering::Relaxed);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        drop(open);
        assert!(report.in_time, "{}", report.ledger);
        assert_eq!(report.ledger.pump.dropped_for(DropReason::Unclaimed), 1, "{}", report.ledger);
        assert!(report.ledger.hops().all(|(_, hop)| hop.pending == 0), "{}", report.ledger);
        let ledger = throughline_std::ledger();
        assert!(ledger.is_settled(), "{ledger}");
    });
}

/// Forks. The child runs `run` and exits with its result, which the parent gets.
#[cfg(unix)]
fn forked(run: impl FnOnce() -> u8) -> i32 {
    // SAFETY: the child is a copy of this thread. What it may run is what this tests.
    match unsafe { libc::fork() } {
        0 => {
            let number = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_or(255);
            // SAFETY: this ends the process.
            unsafe { libc::_exit(number.into()) }
        }
        child => {
            let mut status = 0;
            // SAFETY: this waits for the child made above and writes to a local variable.
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            libc::WEXITSTATUS(status)
        }
    }
}

/// What a child writes once into a pipe.
#[cfg(unix)]
fn told_by_child(run: impl FnOnce() -> String) -> (i32, String) {
    use std::io::{Read, Write};
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    let number = forked(|| {
        writer.write_all(run().as_bytes()).unwrap();
        0
    });
    drop(writer);
    let mut told = String::new();
    reader.read_to_string(&mut told).unwrap();
    (number, told)
}

#[cfg(unix)]
#[test]
fn a_forked_child_is_off_says_so_and_exits_at_once_22() {
    const HANGS: Duration = Duration::from_secs(3600);
    let stderr = support::stderr_of("a_forked_child_is_off_says_so_and_exits_at_once_22", || {
        let guard = throughline_std::init(&quiet().drop_deadline(HANGS)).unwrap();
        let open = span!("open");
        info!("in the parent");
        let mut guard = Some(guard);
        let number = forked(|| {
            info!("in the child");
            drop(open);
            drop(span!("in the child"));
            assert!(throughline::current().is_none());
            assert!(guard.as_ref().is_some_and(|guard| guard.flush(HANGS)));
            // Record in another thread of the child too.
            std::thread::spawn(|| info!("in a thread of the child")).join().unwrap();
            assert_eq!(throughline_std::ledger().ring.input, 0);
            drop(guard.take());
            7
        });
        assert_eq!(number, 7);
        info!("in the parent, after");
        let report = guard.take().unwrap().shutdown(LONG);
        // The open span ended in both processes.
        assert!(report.complete && report.ledger.ring.input == 3, "{}", report.ledger);
    });
    if let Some(stderr) = stderr {
        let told: Vec<_> = stderr.lines().filter(|line| line.contains("forked")).collect();
        assert!(told.len() == 1 && told[0].contains("throughline_std::init"), "{stderr}");
    }
}

#[cfg(unix)]
#[test]
fn a_forked_child_that_calls_init_starts_clean_22() {
    use support::receiver::Receiver;
    in_own_process("a_forked_child_that_calls_init_starts_clean_22", || {
        let receiver = Receiver::start([]);
        let client = throughline_std::otlp::ClientConfig::new(&receiver.endpoint).unwrap();
        let guard = throughline_std::init(&quiet()).unwrap();
        for _ in 0..10 {
            drop(span!("of the parent"));
        }
        let number = forked(|| {
            let guard = throughline_std::init(&quiet().otlp_client(client)).unwrap();
            drop(span!("of the child"));
            std::thread::spawn(|| drop(span!("of the child"))).join().unwrap();
            let report = guard.shutdown(LONG);
            assert!(report.complete, "{report:?}");
            report.ledger.exporter("otlp").output as u8
        });
        assert_eq!(number, 2, "the child's spans, and none of the parent's");
        assert!(guard.shutdown(LONG).complete);
    });
}

#[cfg(all(unix, feature = "tracing", feature = "log", feature = "metrics", feature = "opentelemetry"))]
#[test]
fn a_forked_child_that_calls_init_has_the_bridges_of_its_parent() {
    in_own_process("a_forked_child_that_calls_init_has_the_bridges_of_its_parent", || {
        let guard = throughline_std::init(&quiet().bridges()).unwrap();
        let number = forked(|| {
            let guard = throughline_std::init(&quiet().bridges()).unwrap();
            tracing::info_span!("of the child").in_scope(|| tracing::info!("in it"));
            guard.shutdown(LONG).ledger.ring.input as u8
        });
        assert_eq!(number, 2);
        assert!(guard.shutdown(LONG).complete);
    });
}

#[cfg(unix)]
#[test]
fn a_forked_child_has_ids_of_its_own_41() {
    in_own_process("a_forked_child_has_ids_of_its_own_41", || {
        let ids = || {
            let _span = span!("next");
            let here = throughline::current();
            here.map_or_else(|| "none".to_owned(), |here| format!("{} {}", here.trace_id, here.span_id))
        };
        let _guard = throughline_std::init(&quiet()).unwrap();
        drop(span!("first"));
        let off = told_by_child(ids);
        let child = || {
            let _guard = throughline_std::init(&quiet()).unwrap();
            ids()
        };
        let (first, second) = (told_by_child(child), told_by_child(child));
        assert_eq!((off.0, first.0, second.0), (0, 0, 0));
        let all = [ids(), off.1, first.1, second.1];
        let words: std::collections::HashSet<_> = all.iter().flat_map(|ids| ids.split(' ')).collect();
        assert_eq!(words.len(), 7, "three traces and spans, and none: {all:?}");
    });
}

/// Masks of blocked signals of this library's threads.
#[cfg(target_os = "linux")]
fn masks_of_our_threads() -> Vec<(String, u64)> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let mask = |task: std::path::PathBuf| {
        let name = std::fs::read_to_string(task.join("comm")).ok()?;
        let status = std::fs::read_to_string(task.join("status")).ok()?;
        let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:"))?;
        let mask = u64::from_str_radix(mask.trim(), 16).unwrap();
        name.starts_with("throughline-").then(|| (name.trim().to_owned(), mask))
    };
    tasks.filter_map(mask).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn no_signal_handler_of_the_program_runs_on_our_threads() {
    in_own_process("no_signal_handler_of_the_program_runs_on_our_threads", || {
        throughline_std::observe::gauge("observed").with(|| 1).keep();
        let guard = throughline_std::init(&quiet().otlp("http://127.0.0.1:1").unwrap()).unwrap();
        assert!(!guard.flush(Duration::ZERO));
        // A thread that starts blocks everything for a moment.
        let has_started = |mask: u64| mask >> (libc::SIGSEGV - 1) & 1 == 0;
        support::until("all have started, and no fault is hidden from crash handlers", || {
            let masks = masks_of_our_threads();
            masks.len() == 5 && masks.iter().all(|(_, mask)| has_started(*mask))
        });
        for (name, mask) in masks_of_our_threads() {
            let blocks = |signal: libc::c_int| mask >> (signal - 1) & 1 == 1;
            for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGPROF, libc::SIGUSR1, libc::SIGCHLD, 40] {
                assert!(blocks(signal), "{name} does not block {signal}");
            }
        }
        let own = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        assert!(own.lines().any(|line| line == "SigBlk:\t0000000000000000"), "{own}");
        drop(guard);
    });
}
