//! Programs with `panic = "abort"`, and programs that abort: how far what they recorded gets. `cargo xtask test --only
//! abort` builds `examples/aborting.rs` that way and runs these.

#![cfg(unix)]

mod support;

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use support::receiver::{Receiver, int};
use support::until;

/// Runs the program until it has ended in this way.
fn run(args: &[&str]) -> ExitStatus {
    const PROGRAM: &str = "THROUGHLINE_ABORTING_PROGRAM";
    let program = std::env::var(PROGRAM)
        .unwrap_or_else(|_| panic!("{PROGRAM} is not set: run `cargo xtask test --only abort`"));
    let mut command = Command::new(program);
    let mut child = command.args(args).env("NO_PROXY", "127.0.0.1").stdin(Stdio::null()).spawn().unwrap();
    let mut status = None;
    until("it ends", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap()
}

/// The numbers of the spans that arrived, sorted.
fn arrived(receiver: &Receiver) -> Vec<i64> {
    let mut numbers: Vec<_> =
        receiver.with(|r| r.spans.iter().map(|span| int(&span.attributes, "n").unwrap()).collect());
    numbers.sort_unstable();
    numbers
}

#[test]
#[ignore = "needs a program with panic = \"abort\": cargo xtask test --only abort"]
fn a_panic_that_aborts_delivers_what_was_recorded() {
    for way in ["panic", "thread"] {
        let receiver = Receiver::start([]);
        assert_eq!(run(&[way, &receiver.endpoint]).signal(), Some(libc::SIGABRT), "{way}");
        assert_eq!(arrived(&receiver), (0..100).collect::<Vec<_>>(), "{way}");
    }
}

#[test]
#[ignore = "needs a program with panic = \"abort\": cargo xtask test --only abort"]
fn a_panic_that_aborts_waits_for_no_collector_that_hangs() {
    let dir = std::env::temp_dir().join(format!("throughline-aborting-hang-{}", std::process::id()));
    let receiver = Receiver::hanging_at("/v1/traces", []);
    // The spool takes what the collector does not, so that the flush of the first half ends.
    assert_eq!(run(&["panic", &receiver.endpoint, dir.to_str().unwrap()]).signal(), Some(libc::SIGABRT));
    let next = Receiver::start([]);
    assert_eq!(run(&["exit", &next.endpoint, dir.to_str().unwrap()]).code(), Some(3));
    let twice: Vec<_> = (0..100).flat_map(|n| [n, n]).collect();
    assert_eq!(arrived(&next), twice, "of the run that panicked, and of its own");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
#[ignore = "needs a program with panic = \"abort\": cargo xtask test --only abort"]
fn an_abort_costs_what_was_not_sent_or_spooled_yet() {
    let receiver = Receiver::start([]);
    assert_eq!(run(&["abort", &receiver.endpoint]).signal(), Some(libc::SIGABRT));
    assert_eq!(arrived(&receiver), (0..50).collect::<Vec<_>>());

    let dir = std::env::temp_dir().join(format!("throughline-aborting-{}", std::process::id()));
    let spool = dir.to_str().unwrap();
    assert_eq!(run(&["abort", "http://127.0.0.1:1", spool]).signal(), Some(libc::SIGABRT));
    let receiver = Receiver::start([]);
    assert_eq!(run(&["exit", &receiver.endpoint, spool]).code(), Some(3));
    let both: Vec<_> = (0..50).flat_map(|n| [n, n]).chain(50..100).collect();
    assert_eq!(arrived(&receiver), both, "what was spooled, and what the next run recorded");
    std::fs::remove_dir_all(dir).unwrap();
}
