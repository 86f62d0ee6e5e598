//! The ends of threads and processes: nothing that is counted there is taken for a loss, nothing that is lost is forgotten.

mod support;

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use support::in_own_process;
use throughline::{Instrument, counter, info, span};
use throughline_std::{Config, DropReason};

const LONG: Duration = Duration::from_secs(30);

/// Runs its closure when its thread's locals are torn down.
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

/// A thread that has recorded, and calls `run` after it has left its recorder.
fn at_the_end_of_a_thread(run: fn()) {
    let thread = std::thread::spawn(move || {
        // First, so that it is torn down last.
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
            if series.blob().is_some_and(|blob| blob.name == "late") {
                late = series.cell(0);
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
fn records_that_wait_when_the_pump_ends_are_counted_12() {
    in_own_process("records_that_wait_when_the_pump_ends_are_counted_12", || {
        static OVER: AtomicBool = AtomicBool::new(false);
        let guard = throughline_std::init(&quiet()).unwrap();
        let threads = [(); 2].map(|()| {
            std::thread::spawn(|| {
                while !OVER.load(Ordering::Relaxed) {
                    // Spans of futures wait for a round, as their fields may be in another thread's ring.
                    let mut future = std::pin::pin!(async {}.instrument(span!("work")));
                    assert_eq!(
                        future.as_mut().poll(&mut Context::from_waker(Waker::noop())),
                        Poll::Ready(())
                    );
                }
            })
        });
        while guard.ledger().pump.output == 0 {
            std::thread::yield_now();
        }
        let report = guard.shutdown(LONG);
        OVER.store(true, Ordering::Relaxed);
        threads.map(|thread| thread.join().unwrap());
        assert!(report.complete, "{}", report.ledger);
        assert!(report.ledger.hops().iter().all(|(_, hop)| hop.pending == 0), "{}", report.ledger);
        let ledger = throughline_std::ledger();
        assert!(ledger.is_settled(), "{ledger}");
    });
}
