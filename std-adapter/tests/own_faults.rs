//! Faults of the program itself and of its surroundings: a callback or clock that hangs, threads without a ring, a
//! disk that stays full, standard error that nobody reads. Records go on, every loss is counted and told, and the
//! shutdown ends in time.

#![cfg(unix)]

mod support;

use opentelemetry_proto::tonic::metrics::v1::Metric;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use support::receiver::Receiver;
use support::{assert_balanced, in_own_process, ours, stderr_of, until};
use throughline::{info, span};
use throughline_std::log::{Format, Lines};
use throughline_std::otlp::ClientConfig;
use throughline_std::{Config, DropReason, observe};

const LONG: Duration = Duration::from_secs(30);
const SPANS: u64 = 200;

fn quiet() -> Config {
    Config::new("svc").terminal(false)
}

fn hang() -> ! {
    loop {
        std::thread::park();
    }
}

#[test]
fn a_callback_that_hangs() {
    let told = stderr_of("a_callback_that_hangs", || {
        let receiver = Receiver::start([]);
        observe::gauge("before").with(|| 7).keep();
        observe::gauge("stuck").with(|| -> i64 { hang() }).keep();
        observe::counter("after").with(|| 8).keep();
        let client = ClientConfig::new(&receiver.endpoint).unwrap();
        let config = quiet().otlp_client(client).metrics_every(Duration::from_millis(5));
        let guard = throughline_std::init(&config.batch(1, Duration::ZERO).queue(1000)).unwrap();
        for n in 0..SPANS {
            drop(span!("work", n));
        }
        until("records go on", || guard.ledger().exporter("otlp.traces").output == SPANS);
        let has =
            |name: &str| receiver.with(|r| r.metrics.iter().flatten().any(|metric| metric.name == name));
        until("the other metrics are sent", || has("before") && has("after"));
        let sent = receiver.with(|r| r.metrics.len());
        until("they are sent again", || receiver.with(|r| r.metrics.len() > sent + 2));
        assert!(!has("stuck"));
        let is_named = |metric: &Metric| {
            metric.name == "throughline.observe.left_out" && format!("{metric:?}").contains("stuck")
        };
        until("it is counted by name", || receiver.with(|r| r.metrics.iter().flatten().any(is_named)));
        let report = guard.shutdown(LONG);
        assert!(report.complete, "{report:?}");
        assert_balanced(&report.ledger);
    });
    let Some(told) = told else { return };
    let lines = ours(&told);
    assert_eq!(lines.len(), 1, "{told}");
    assert!(lines[0].contains(r#"the callback of the metric "stuck" has not returned"#), "{told}");
}

#[test]
fn callbacks_that_hang_hold_up_no_shutdown() {
    let told = stderr_of("callbacks_that_hang_hold_up_no_shutdown", || {
        let receiver = Receiver::start([]);
        for _ in 0..20 {
            observe::gauge("stuck").with(|| -> i64 { hang() }).keep();
        }
        let client = ClientConfig::new(&receiver.endpoint).unwrap();
        let guard = throughline_std::init(&quiet().otlp_client(client)).unwrap();
        for n in 0..SPANS {
            drop(span!("work", n));
        }
        let report = guard.shutdown(LONG);
        assert!(report.complete, "{report:?}");
        assert_balanced(&report.ledger);
        assert_eq!(report.ledger.exporter("otlp.traces").output, SPANS, "{}", report.ledger);
    });
    let Some(told) = told else { return };
    assert!(ours(&told).iter().any(|line| line.contains("no callback is called until one does")), "{told}");
}

/// Whether [`clock`] is to hang, and whether it does. Each test that uses it runs in a process of its own.
static HANGS: AtomicBool = AtomicBool::new(false);
static HUNG: AtomicBool = AtomicBool::new(false);

fn clock() -> SystemTime {
    if HANGS.load(Ordering::Relaxed) {
        HUNG.store(true, Ordering::Relaxed);
        hang();
    }
    SystemTime::now()
}

#[test]
fn a_clock_that_hangs() {
    let told = stderr_of("a_clock_that_hangs", || {
        let receiver = Receiver::start([]);
        let client = ClientConfig::new(&receiver.endpoint).unwrap();
        let guard = throughline_std::init(&quiet().otlp_client(client).wall_clock(clock)).unwrap();
        drop(span!("in time"));
        assert!(guard.flush(LONG));
        HANGS.store(true, Ordering::Relaxed);
        until("the pump is stuck", || HUNG.load(Ordering::Relaxed));
        for n in 0..SPANS {
            drop(span!("too late", n));
        }
        let report = guard.shutdown(Duration::from_millis(50));
        let ledger = &report.ledger;
        assert!(!report.complete && report.took < LONG, "{report:?}");
        assert_balanced(ledger);
        assert_eq!((ledger.ring.input, ledger.exporter("otlp.traces").output), (SPANS + 1, 1), "{ledger}");
        assert_eq!(ledger.pump.dropped_for(DropReason::Shutdown), SPANS, "{ledger}");
        drop(span!("after the end"));
        assert_eq!(throughline_std::ledger().pump.dropped_for(DropReason::Ended), 1);
    });
    let Some(told) = told else { return };
    let last = ours(&told).pop().unwrap();
    assert!(last.contains("pump lost 200 of 201 records (200 shutdown)"), "{told}");
}

#[test]
fn a_clock_that_hangs_while_spans_wait_for_the_end_of_their_trace() {
    in_own_process("a_clock_that_hangs_while_spans_wait_for_the_end_of_their_trace", || {
        let receiver = Receiver::start([]);
        let client = ClientConfig::new(&receiver.endpoint).unwrap();
        let config =
            quiet().otlp_client(client).wall_clock(clock).sample_ratio(0.0).always_sample_errors(true);
        let guard = throughline_std::init(&config).unwrap();
        let open = span!("open");
        (0..3).for_each(|_| drop(span!("waits")));
        until("they wait", || guard.ledger().tail_sampler.pending == 3);
        HANGS.store(true, Ordering::Relaxed);
        until("the pump is stuck", || HUNG.load(Ordering::Relaxed));
        let report = guard.shutdown(Duration::from_millis(50));
        assert_balanced(&report.ledger);
        let waited = &report.ledger.tail_sampler;
        assert_eq!(waited.dropped_for(DropReason::Shutdown), 3, "{}", report.ledger);
        drop(open);
    });
}

#[test]
fn more_threads_than_may_record() {
    let told = stderr_of("more_threads_than_may_record", || {
        let guard = throughline_std::init(&quiet().max_threads(1)).unwrap();
        info!("the one that may");
        std::thread::spawn(|| (0..3).for_each(|_| info!("one too many"))).join().unwrap();
        let ledger = guard.shutdown(LONG).ledger;
        assert_eq!(ledger.ring.dropped_for(DropReason::TooManyThreads), 3, "{ledger}");
        assert_balanced(&ledger);
    });
    let Some(told) = told else { return };
    let lines = ours(&told);
    assert!(lines.len() == 2 && lines[0].contains("raise recording.max_threads"), "{told}");
    assert!(lines[1].contains("ring lost 3 of 4 records (3 too_many_threads)"), "{told}");
}

/// What is lost in rings is told when it begins and when it ends, as what exporters lose is.
#[test]
fn rings_that_overflow() {
    let told = stderr_of("rings_that_overflow", || {
        let config = quiet().exporter("file", Lines::new(std::io::sink(), Format::Json)).ring_slots(64);
        let guard = throughline_std::init(&config).unwrap();
        (0..10_000).for_each(|n| info!("more than it holds", n));
        assert!(guard.flush(LONG));
        assert!(guard.ledger().ring.dropped_for(DropReason::RingFull) > 0, "{}", guard.ledger());
        assert!(guard.last_error().is_some());
        until("it keeps up", || guard.last_error().is_none());
        assert!(!guard.shutdown(LONG).complete);
    });
    let Some(told) = told else { return };
    let lines = ours(&told);
    assert_eq!(lines.len(), 3, "{told}");
    assert!(
        lines[0].contains("pump: a thread's ring is full: ") && lines[0].contains("recording.ring_slots"),
        "{told}"
    );
    assert!(lines[1].contains("pump: keeps up again after "), "{told}");
    let (_, lost) = lines[1].rsplit_once("; ").unwrap();
    let lost = lost.strip_suffix(" records lost").unwrap();
    assert!(lines[2].contains(&format!("({lost} ring_full)")), "{told}");
}

#[test]
fn no_memory_for_a_ring() {
    let told = stderr_of("no_memory_for_a_ring", || {
        let limit = libc::rlimit { rlim_cur: 8 << 30, rlim_max: libc::RLIM_INFINITY };
        // SAFETY: the pointer is to a limit that is valid during the call.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
        let guard = throughline_std::init(&quiet().ring_slots(1 << 30)).unwrap();
        (0..3).for_each(|_| info!("too large"));
        let ledger = guard.shutdown(LONG).ledger;
        assert_eq!(ledger.ring.dropped_for(DropReason::NoMemory), 3, "{ledger}");
    });
    let Some(told) = told else { return };
    let lines = ours(&told);
    assert!(lines.len() == 2 && lines[0].contains("make rings smaller with recording.ring_slots"), "{told}");
}

/// A disk that is full from the beginning to the end.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_stays_full() {
    let told = stderr_of("a_disk_that_stays_full", || {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let guard = throughline_std::init(&quiet().exporter("file", Lines::new(full, Format::Json))).unwrap();
        for _ in 0..3 {
            info!("lost");
            assert!(guard.flush(LONG));
        }
        let ledger = guard.shutdown(LONG).ledger;
        assert_eq!(ledger.exporter("file").dropped_for(DropReason::WriteError), 3, "{ledger}");
    });
    let Some(told) = told else { return };
    let lines = ours(&told);
    assert_eq!(lines.len(), 3, "{told}");
    assert!(lines[0].contains("file: log lines cannot be written"), "{told}");
    assert!(lines[1].contains("file: still failing at the end, after"), "{told}");
    assert!(lines[1].ends_with("; 3 records lost"), "{told}");
    assert!(lines[2].ends_with("file lost 3 of 3 records (3 write_error)"), "{told}");
}

#[test]
fn standard_error_that_nobody_reads() {
    in_own_process("standard_error_that_nobody_reads", || {
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        let nonblocking = |on: bool| {
            // SAFETY: this changes flags of a descriptor that is open.
            unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETFL, if on { libc::O_NONBLOCK } else { 0 }) }
        };
        nonblocking(true);
        let mut filled = 0;
        while let Ok(n) = (&writer).write(&[b'x'; 4096]) {
            filled += n;
        }
        nonblocking(false);
        // SAFETY: the descriptor is open.
        let kept = unsafe { libc::dup(2) };
        // SAFETY: both descriptors are open.
        assert_eq!(unsafe { libc::dup2(writer.as_raw_fd(), 2) }, 2);
        let client = ClientConfig::new("http://127.0.0.1:1").unwrap().retry_for(Duration::ZERO);
        let guard = throughline_std::init(&quiet().otlp_client(client)).unwrap();
        for _ in 0..3 {
            drop(span!("lost"));
            assert!(guard.flush(LONG));
        }
        let mut rest = vec![0; filled];
        reader.read_exact(&mut rest).unwrap();
        let report = guard.shutdown(LONG);
        assert_eq!(report.ledger.exporter("otlp.traces").dropped_total(), 3, "{}", report.ledger);
        // SAFETY: both descriptors are open.
        unsafe { libc::dup2(kept, 2) };
        writer.flush().unwrap();
        drop(writer);
        let mut told = String::new();
        reader.read_to_string(&mut told).unwrap();
        let lines = ours(&told);
        assert!(lines[0].contains("1 line before this one could not be written"), "{told}");
        assert!(lines[1].contains("otlp: still failing at the end"), "{told}");
        assert!(lines[2].contains("not everything was delivered: otlp.traces lost 3"), "{told}");
    });
}
