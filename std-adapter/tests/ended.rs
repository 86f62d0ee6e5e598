//! After the end of recording: later records are counted, and a guard that was dropped before anything was
//! recorded is reported.

mod support;

use std::time::Duration;
use support::{in_own_process, stderr_of};
use throughline::{counter, info, record, span};
use throughline_std::{Config, DropReason};

const LONG: Duration = Duration::from_secs(30);

fn config() -> Config {
    Config::new("svc").without_otlp().terminal(false)
}

#[test]
fn a_guard_that_is_dropped_at_once_is_told_43() {
    let told = stderr_of("a_guard_that_is_dropped_at_once_is_told_43", || {
        let _ = throughline_std::init(&config()).unwrap();
        for _ in 0..3 {
            let _span = span!("lost");
        }
        std::thread::spawn(|| info!("lost too")).join().unwrap();
        let ledger = throughline_std::ledger();
        assert_eq!((ledger.ring.input, ledger.pump.dropped_for(DropReason::Ended)), (4, 4), "{ledger}");
        assert!(ledger.is_settled(), "{ledger}");
    });
    let Some(told) = told else { return };
    let lines: Vec<_> = told.lines().filter(|line| line.starts_with("throughline: ")).collect();
    assert_eq!(lines.len(), 1, "{told}");
    assert!(lines[0].contains("bind it to a variable such as `_guard`"), "{told}");
}

#[test]
fn a_guard_that_goes_with_nothing_to_record_is_not_told_43() {
    let told = stderr_of("a_guard_that_goes_with_nothing_to_record_is_not_told_43", || {
        // As in a program that prints its usage and ends.
        let _guard = throughline_std::init(&config()).unwrap();
    });
    let Some(told) = told else { return };
    assert!(!told.contains("throughline: "), "{told}");
}

#[test]
fn records_after_a_shutdown_are_counted_43() {
    in_own_process("records_after_a_shutdown_are_counted_43", || {
        let guard = throughline_std::init(&config().ring_slots(64)).unwrap();
        drop(span!("in time"));
        let report = guard.shutdown(LONG);
        assert!(report.complete, "{report:?}");
        let of_none = report.ledger.pump.dropped_for(DropReason::NoExporter);
        assert_eq!((report.ledger.ring.input, of_none), (1, 1), "{}", report.ledger);
        for n in 0..1000 {
            let span = span!("late");
            record!(span, n);
            counter!("late").add(1);
        }
        let ledger = throughline_std::ledger();
        assert_eq!(ledger.ring.input, 2001, "{ledger}");
        assert!(ledger.pump.dropped_for(DropReason::Ended) > 0, "{ledger}");
        assert_eq!(ledger.ring.dropped_total() + ledger.pump.dropped_total() - of_none, 2000, "{ledger}");
        assert!(ledger.is_settled(), "{ledger}");
    });
}
