//! Tests that a spool keeps records on disk that cannot be delivered, until the collector is back or the
//! program runs again. Every record is delivered, is on disk, or is counted as dropped with a reason, and
//! none is delivered twice.

#![cfg(unix)]

mod support;

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::receiver::{Answer, Receiver};
use support::{in_own_process, limit_files};
use throughline::{info, span};
use throughline_std::otlp::{ClientConfig, Signal};
use throughline_std::{Config, DropReason, Guard, Ledger, SpoolConfig};

const LONG: Duration = Duration::from_secs(30);

/// A folder that is removed when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("throughline-{test}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Sends traces to this endpoint, with this spool. Every span is a batch of its own.
fn start(endpoint: &str, spool: SpoolConfig) -> Guard {
    start_with(endpoint, spool, |client| client)
}

fn start_with(
    endpoint: &str,
    spool: SpoolConfig,
    change: impl FnOnce(ClientConfig) -> ClientConfig,
) -> Guard {
    let client = ClientConfig::new(endpoint).unwrap().first_backoff(Duration::from_millis(1)).spool(spool);
    let client = change(client);
    let client = client.without_signal(Signal::Metrics).without_signal(Signal::Logs);
    let config = Config::new("svc").otlp_client(client).report_errors(false);
    throughline_std::init(&config.batch(1, Duration::ZERO).queue(1000)).unwrap()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LONG, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Checks that every record was delivered, spooled or dropped.
fn assert_balanced(ledger: &Ledger) {
    let otlp = ledger.exporter("otlp");
    assert_eq!(otlp.input, otlp.output + otlp.spooled + otlp.dropped_total(), "{ledger}");
    assert_eq!(otlp.pending, 0, "{ledger}");
}

/// The numbers of the spans that arrived, in the order of arrival.
fn arrived(receiver: &Receiver) -> Vec<i64> {
    receiver
        .with(|r| r.spans.iter().map(|span| support::receiver::int(&span.attributes, "n").unwrap()).collect())
}

/// An endpoint that refuses connections.
const NOBODY: &str = "http://127.0.0.1:1";

#[test]
fn an_outage_is_bridged_in_order() {
    in_own_process("an_outage_is_bridged_in_order", || {
        let folder = Folder::new("outage");
        let receiver = Receiver::start(std::iter::repeat_n(Answer::Status(503, "", vec![]), 10));
        let guard = start(&receiver.endpoint, SpoolConfig::new(&folder.0));
        for n in 0..100 {
            drop(span!("work", n));
        }
        until("all is delivered", || guard.ledger().exporter("otlp").output == 100);
        let report = guard.shutdown(LONG);
        assert!(report.complete, "{report:?}");
        assert_balanced(&report.ledger);
        assert_eq!(report.ledger.exporter("otlp").spooled, 0, "{}", report.ledger);
        assert_eq!(arrived(&receiver), (0..100).collect::<Vec<_>>());
    });
}

#[test]
fn what_the_collector_refuses_does_not_hold_up_the_spool() {
    in_own_process("what_the_collector_refuses_does_not_hold_up_the_spool", || {
        let folder = Folder::new("refused");
        let answers = [503, 503, 400].map(|status| Answer::Status(status, "", vec![]));
        let receiver = Receiver::start(answers);
        let guard = start(&receiver.endpoint, SpoolConfig::new(&folder.0));
        for n in 0..10 {
            drop(span!("work", n));
        }
        until("all is decided", || guard.ledger().exporter("otlp").output == 9);
        let ledger = guard.shutdown(LONG).ledger;
        assert_balanced(&ledger);
        assert_eq!(ledger.exporter("otlp").dropped_for(DropReason::Refused), 1, "{ledger}");
        assert_eq!(arrived(&receiver), (1..10).collect::<Vec<_>>());
    });
}

#[test]
fn the_next_run_delivers_what_this_one_could_not() {
    const TEST: &str = "the_next_run_delivers_what_this_one_could_not";
    if let Ok(dir) = std::env::var("THROUGHLINE_TEST_SPOOL") {
        let guard = start(NOBODY, SpoolConfig::new(dir));
        for n in 0..50 {
            drop(span!("work", n));
        }
        assert!(guard.flush(LONG), "what is on disk is done with");
        let report = guard.shutdown(LONG);
        assert!(report.complete && report.took < LONG, "{report:?}");
        assert_balanced(&report.ledger);
        assert_eq!(report.ledger.exporter("otlp").spooled, 50, "{}", report.ledger);
        return;
    }
    let folder = Folder::new("next");
    let status = child(TEST, &folder.0).status().unwrap();
    assert!(status.success(), "{status}");
    in_next_run(&folder.0, |numbers, counts| {
        assert_eq!((counts.input, counts.output), (51, 51), "{counts:?}");
        let expected: Vec<_> = (0..50).chain([1000]).collect();
        assert_eq!(numbers, expected, "what is older comes first");
    });
}

#[test]
fn a_program_that_is_killed_loses_nothing_that_was_spooled() {
    const TEST: &str = "a_program_that_is_killed_loses_nothing_that_was_spooled";
    if let Ok(dir) = std::env::var("THROUGHLINE_TEST_SPOOL") {
        let guard = start(NOBODY, SpoolConfig::new(dir));
        for n in 0.. {
            drop(span!("work", n));
            // Print how many are on disk, because the parent needs that number after this process is killed.
            println!("spooled {}", guard.ledger().exporter("otlp").spooled);
        }
    }
    for kill_after in [1, 37, 200] {
        let folder = Folder::new(&format!("killed-{kill_after}"));
        let mut running = child(TEST, &folder.0).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(running.stdout.take().unwrap()).lines().map_while(Result::ok);
        let said = lines.filter_map(|line| line.strip_prefix("spooled ")?.parse::<i64>().ok());
        let spooled = said.into_iter().find(|spooled| *spooled >= kill_after).unwrap();
        running.kill().unwrap();
        running.wait().unwrap();
        in_next_run(&folder.0, |numbers, _| {
            let (last, old) = numbers.split_last().unwrap();
            assert_eq!(*last, 1000);
            assert_eq!(old, (0..old.len() as i64).collect::<Vec<_>>(), "in order, none twice, none missing");
            assert!(old.len() as i64 >= spooled, "{} of {spooled} that were on disk", old.len());
        });
    }
}

#[test]
fn what_is_damaged_is_counted_and_the_rest_delivered() {
    const TEST: &str = "what_is_damaged_is_counted_and_the_rest_delivered";
    if let Ok(dir) = std::env::var("THROUGHLINE_TEST_SPOOL") {
        let guard = start(NOBODY, SpoolConfig::new(dir));
        for n in 0..20 {
            drop(span!("work", n));
        }
        assert!(guard.shutdown(LONG).complete);
        return;
    }
    let folder = Folder::new("damaged");
    assert!(child(TEST, &folder.0).status().unwrap().success());
    let segments =
        std::fs::read_dir(folder.0.join("otlp.traces")).unwrap().map(|entry| entry.unwrap().path());
    let segment = segments.into_iter().find(|path| path.extension().is_some()).unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(&segment, bytes).unwrap();
    in_next_run(&folder.0, |_, counts| {
        assert_eq!((counts.input, counts.output, counts.corrupt), (21, 20, 1), "{counts:?}");
    });
}

#[test]
fn a_shutdown_spools_what_a_hanging_collector_holds_up() {
    const TEST: &str = "a_shutdown_spools_what_a_hanging_collector_holds_up";
    if let Ok(dir) = std::env::var("THROUGHLINE_TEST_SPOOL") {
        let receiver = Receiver::start([Answer::Hang]);
        let guard = start(&receiver.endpoint, SpoolConfig::new(dir));
        drop(span!("work", n = 0));
        until("the first request is under way", || receiver.with(|r| r.requests == 1));
        for n in 1..30 {
            drop(span!("work", n));
        }
        let report = guard.shutdown(Duration::from_millis(300));
        assert!(report.took < Duration::from_secs(5), "{report:?}");
        assert_balanced(&report.ledger);
        assert_eq!(report.ledger.exporter("otlp").spooled, 30, "{}", report.ledger);
        assert!(report.complete && !report.in_time, "all of it is in the spool: {report:?}");
        return;
    }
    let folder = Folder::new("hanging");
    assert!(child(TEST, &folder.0).status().unwrap().success());
    in_next_run(&folder.0, |numbers, _| {
        let expected: Vec<_> = (0..30).chain([1000]).collect();
        assert_eq!(numbers, expected);
    });
}

#[test]
fn the_limit_is_a_counted_loss() {
    in_own_process("the_limit_is_a_counted_loss", || {
        let folder = Folder::new("limit");
        let guard = start(NOBODY, SpoolConfig::new(&folder.0).max_bytes(20_000));
        for n in 0..200 {
            drop(span!("work", n));
        }
        assert!(guard.flush(LONG));
        assert!(guard.last_error().unwrap().contains("limit"), "{:?}", guard.last_error());
        let ledger = guard.shutdown(LONG).ledger;
        assert_balanced(&ledger);
        let otlp = ledger.exporter("otlp");
        assert!(otlp.dropped_for(DropReason::SpoolFull) > 0 && otlp.spooled > 0, "{ledger}");
        assert_eq!(otlp.spooled + otlp.dropped_for(DropReason::SpoolFull), 200, "{ledger}");
    });
}

#[test]
fn a_full_disk_is_a_counted_loss() {
    in_own_process("a_full_disk_is_a_counted_loss", || {
        limit_files(8192);
        let folder = Folder::new("full");
        // What cannot be spooled is tried once more.
        let guard =
            start_with(NOBODY, SpoolConfig::new(&folder.0), |client| client.retry_for(Duration::ZERO));
        for n in 0..200 {
            drop(span!("work", n));
        }
        assert!(guard.flush(LONG));
        let ledger = guard.shutdown(LONG).ledger;
        // Raise the limit again, because the test harness writes to standard output, which may be a longer
        // file.
        limit_files(libc::RLIM_INFINITY);
        assert_balanced(&ledger);
        let otlp = ledger.exporter("otlp");
        assert!(otlp.dropped_for(DropReason::SpoolError) > 0 && otlp.spooled > 0, "{ledger}");
        assert_eq!(otlp.spooled + otlp.dropped_for(DropReason::SpoolError), 200, "{ledger}");
    });
}

#[test]
fn a_full_disk_costs_nothing_while_the_collector_takes_requests() {
    in_own_process("a_full_disk_costs_nothing_while_the_collector_takes_requests", || {
        limit_files(64);
        let folder = Folder::new("unwritable");
        let receiver = Receiver::start(std::iter::repeat_n(Answer::Status(503, "", vec![]), 10));
        let guard = start(&receiver.endpoint, SpoolConfig::new(&folder.0));
        for n in 0..20 {
            drop(span!("work", n));
        }
        until("all is delivered", || guard.ledger().exporter("otlp").output == 20);
        // Nothing waits in memory, so the full disk is no trouble now.
        until("nothing is wrong", || guard.last_error().is_none());
        let ledger = guard.shutdown(LONG).ledger;
        limit_files(libc::RLIM_INFINITY);
        assert_balanced(&ledger);
        assert_eq!(ledger.exporter("otlp").dropped_total(), 0, "{ledger}");
        assert_eq!(arrived(&receiver), (0..20).collect::<Vec<_>>());
    });
}

#[test]
fn a_spool_that_cannot_be_opened_is_done_without() {
    in_own_process("a_spool_that_cannot_be_opened_is_done_without", || {
        let receiver = Receiver::start([]);
        let guard = start(&receiver.endpoint, SpoolConfig::new("/dev/null/spool"));
        drop(span!("work", n = 1));
        info!("not sent");
        let report = guard.shutdown(LONG);
        assert!(report.complete, "{report:?}");
        assert_eq!(arrived(&receiver), [1]);
    });
}

/// The command that runs this test again as the program that fills the spool.
fn child(test: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture"])
        .env("THROUGHLINE_TEST_SPOOL", dir)
        .env("NO_PROXY", "127.0.0.1");
    command
}

/// Runs a program that finds the spool, records one more span, and delivers everything.
fn in_next_run(dir: &Path, check: impl FnOnce(&[i64], &Counts)) {
    let receiver = Receiver::start([]);
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "helper_that_delivers", "--nocapture", "--ignored"])
        .env("THROUGHLINE_TEST_NEXT", dir)
        .env("THROUGHLINE_TEST_ENDPOINT", &receiver.endpoint)
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{said}\n{}", String::from_utf8_lossy(&child.stderr));
    let numbers: Vec<u64> = said
        .lines()
        .find_map(|line| line.split_once("ledger "))
        .unwrap()
        .1
        .split(' ')
        .map(|n| n.parse().unwrap())
        .collect();
    let [input, output, corrupt, dropped] = numbers[..] else { panic!("{said}") };
    let counts = Counts { input, output, corrupt };
    assert_eq!(input, output + dropped, "{counts:?}");
    let arrived = arrived(&receiver);
    assert_eq!(arrived.len() as u64, output, "{counts:?}");
    assert_eq!(arrived.iter().collect::<HashSet<_>>().len(), arrived.len(), "none twice");
    check(&arrived, &counts);
}

/// The counts of the exporter in the next run.
#[derive(Debug)]
struct Counts {
    input: u64,
    output: u64,
    corrupt: u64,
}

#[test]
#[ignore = "the program that finds a spool, started by other tests"]
fn helper_that_delivers() {
    let Ok(dir) = std::env::var("THROUGHLINE_TEST_NEXT") else { return };
    let guard = start(&std::env::var("THROUGHLINE_TEST_ENDPOINT").unwrap(), SpoolConfig::new(dir));
    drop(span!("work", n = 1000));
    until("the spool is empty", || {
        let otlp = guard.ledger().exporter("otlp");
        otlp.input > 0 && otlp.spooled + otlp.pending == 0 && otlp.output > 0
    });
    let report = guard.shutdown(LONG);
    assert!(report.in_time, "{report:?}");
    let otlp = report.ledger.exporter("otlp");
    let corrupt = otlp.dropped_for(DropReason::SpoolCorrupt);
    println!("ledger {} {} {corrupt} {}", otlp.input, otlp.output, otlp.dropped_total());
}
