//! More alerts at once than receivers take.
#![cfg(feature = "alerts")]

mod support;

use std::time::Duration;
use support::{assert_balanced, ours, stderr_of, until};
use throughline::counter_family;
use throughline_std::admin::AdminOptions;
use throughline_std::alert::{AlertOptions, Notice, Routing, Rules};
use throughline_std::{Config, Deadline, DropReason, Guard};

/// Options with an alert for each job, each told alone, that are judged all the time.
fn storm() -> AlertOptions {
    let rules = Rules::parse("r.yaml", "[{name: Works, condition: work_total > 0}]").unwrap();
    let alone = Routing::default().group_by(["..."]).group_wait(Duration::ZERO);
    let interval = Duration::from_millis(10);
    AlertOptions::new(rules).interval(interval).routing(alone.group_interval(interval))
}

/// Begins, with so many jobs.
fn begin(options: AlertOptions, jobs: u32) -> Guard {
    let config = Config::new("shop").without_otlp().terminal(false).admin(AdminOptions::default().port(0));
    let guard = throughline_std::init(&config.alerts(options)).unwrap();
    for job in 0..jobs {
        counter_family!("work", labels = ["job"], capacity = 512).add([&*job.to_string()], 1);
    }
    guard
}

/// A receiver that is slower than alerts come loses none: the notices wait, and each is counted once.
#[test]
fn notices_that_find_no_room_wait_and_are_counted_once() {
    let stderr = stderr_of("notices_that_find_no_room_wait_and_are_counted_once", || {
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let all = Routing::default().group_by([]).group_wait(Duration::ZERO);
        let always = all.group_interval(Duration::from_millis(1)).repeat_interval(Duration::from_millis(1));
        let options = storm()
            .notify("slow", None, move |_: &Notice, _: &Deadline| {
                let _ = gate.recv();
                Ok(())
            })
            .notify("clock", Some(always), move |_: &Notice, _: &Deadline| {
                let _ = tell.send(());
                Ok(())
            });
        let guard = begin(options, 300);
        until("the queue is full", || {
            guard.last_error().is_some_and(|error| error.contains("more notices come than are taken"))
        });
        // Further evaluations try again and again.
        for _ in 0..10 {
            told.recv().unwrap();
        }
        drop(open);
        until("all are told", || guard.ledger().exporter("alerts.slow").output == 300);
        until("none waits", || guard.last_error().is_none());
        let report = guard.shutdown(Duration::from_secs(30));
        assert_balanced(&report.ledger);
        let slow = report.ledger.exporter("alerts.slow");
        assert_eq!((slow.input, slow.output, slow.dropped_total()), (300, 300, 0));
    });
    let Some(stderr) = stderr else { return };
    let ours = ours(&stderr);
    assert!(ours[0].contains("alerts.slow: more notices come than are taken, so that they wait"), "{stderr}");
    assert!(ours[1].contains("alerts.slow: keeps up again after ") && ours.len() == 2, "{stderr}");
}

/// What was not told at the end is counted, and no spool is advised, which alerts do not have.
#[test]
fn what_waits_at_the_end_is_lost_and_told() {
    let stderr = stderr_of("what_waits_at_the_end_is_lost_and_told", || {
        let (_open, gate) = std::sync::mpsc::channel::<()>();
        let options = storm().notify("slow", None, move |_: &Notice, _: &Deadline| {
            let _ = gate.recv();
            Ok(())
        });
        let guard = begin(options, 300);
        until("all fire", || guard.alerts().unwrap().list().len() == 300);
        // The notifier hangs, so all of this time goes by.
        let report = guard.shutdown(Duration::from_secs(3));
        let slow = report.ledger.exporter("alerts.slow");
        assert_eq!((slow.input, slow.dropped_for(DropReason::Shutdown)), (300, 300));
    });
    let Some(stderr) = stderr else { return };
    let last = ours(&stderr).last().unwrap().to_string();
    assert!(last.ends_with("(300 shutdown); give the shutdown more time"), "{stderr}");
}
