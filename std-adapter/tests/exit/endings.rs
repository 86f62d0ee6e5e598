//! Real processes that end in all ways: by a signal, by `exit`, inside an async runtime. What they recorded arrives.

#![cfg(unix)]

use crate::support::receiver::{Answer, Receiver};
use crate::support::{in_own_process, until};
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use throughline::span;
use throughline_std::{Config, Guard};

const SPANS: usize = 100;
const LONG: Duration = Duration::from_secs(30);
/// Tells a test that it is the program, and where its collector is.
const ENDPOINT: &str = "THROUGHLINE_TEST_ENDPOINT";

/// Starts this test again as a program. Returns it when it has written a line with `ready`.
fn program(test: &str, endpoint: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("endings::{test}"), "--nocapture"]).stdout(Stdio::piped());
    let mut child = command.env(ENDPOINT, endpoint).env("NO_PROXY", "127.0.0.1").spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("ready")), "{test} has not begun");
    // It may write more, which must not end it.
    std::thread::spawn(move || lines.for_each(drop));
    child
}

fn kill(child: &Child, signal: libc::c_int) {
    // SAFETY: the process is a child that nobody has waited for yet.
    assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
}

fn ended(child: &mut Child) -> ExitStatus {
    let mut status = None;
    until("it ends", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap()
}

/// Records in a program whose batches are sent at the end only.
fn record(config: Config) -> Guard {
    let endpoint = std::env::var(ENDPOINT).unwrap();
    let config = config.otlp(&endpoint).unwrap().batch(1 << 20, Duration::from_secs(3600));
    let guard = throughline_std::init(&config).unwrap();
    for n in 0..SPANS {
        drop(span!("work", n));
    }
    guard
}

fn is_program() -> bool {
    let is_program = std::env::var_os(ENDPOINT).is_some();
    if is_program {
        end_by_itself();
        // A shell that starts the tests in the background has them ignore it.
        // SAFETY: this sets no handler.
        unsafe { libc::signal(libc::SIGINT, libc::SIG_DFL) };
    }
    is_program
}

/// Ends this process after a minute, in case the test has failed and nobody else does.
fn end_by_itself() {
    // SAFETY: alarm is always sound.
    unsafe { libc::alarm(60) };
}

fn arrived(receiver: &Receiver) -> usize {
    receiver.with(|r| r.spans.len())
}

/// Does nothing itself about the signal.
fn idle() -> ! {
    println!("ready");
    loop {
        std::thread::park();
    }
}

#[test]
fn a_signal_delivers_everything_and_then_kills() {
    const TEST: &str = "a_signal_delivers_everything_and_then_kills";
    if is_program() {
        let _guard = record(Config::new("svc").flush_on_signals(true));
        idle();
    }
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let receiver = Receiver::start([]);
        let mut child = program(TEST, &receiver.endpoint);
        kill(&child, signal);
        assert_eq!(ended(&mut child).signal(), Some(signal));
        assert_eq!(arrived(&receiver), SPANS);
    }
}

#[test]
fn a_signal_kills_in_time_when_the_collector_hangs() {
    const TEST: &str = "a_signal_kills_in_time_when_the_collector_hangs";
    if is_program() {
        let config = Config::new("svc").flush_on_signals(true).drop_deadline(Duration::from_millis(100));
        let _guard = record(config);
        idle();
    }
    let receiver = Receiver::start(std::iter::repeat_n(Answer::Hang, 100));
    let mut child = program(TEST, &receiver.endpoint);
    kill(&child, libc::SIGTERM);
    assert_eq!(ended(&mut child).signal(), Some(libc::SIGTERM));
}

/// Starts a test as a program, signals it, and checks that it ends with status 7 after one more span.
fn assert_ends_by_itself(test: &str) {
    let receiver = Receiver::start([]);
    let mut child = program(test, &receiver.endpoint);
    kill(&child, libc::SIGTERM);
    assert_eq!(ended(&mut child).code(), Some(7));
    assert_eq!(arrived(&receiver), SPANS + 1);
}

#[test]
fn a_signal_runs_the_handler_of_before_after_the_flush() {
    const TEST: &str = "a_signal_runs_the_handler_of_before_after_the_flush";
    static HANDLED: AtomicBool = AtomicBool::new(false);
    extern "C" fn handler(_: libc::c_int) {
        HANDLED.store(true, Ordering::Relaxed);
    }
    if is_program() {
        // SAFETY: the handler does only what a handler may do.
        unsafe { libc::signal(libc::SIGTERM, handler as *const () as usize) };
        let guard = record(Config::new("svc").flush_on_signals(true));
        println!("ready");
        until("the handler has run", || HANDLED.load(Ordering::Relaxed));
        let output = guard.ledger().exporter("otlp.traces").output;
        assert_eq!(output, SPANS as u64, "delivered before the handler ran");
        drop(span!("more"));
        drop(guard);
        std::process::exit(7);
    }
    assert_ends_by_itself(TEST);
}

#[test]
fn a_handler_that_is_set_later_and_calls_ours_decides_when_the_process_ends() {
    const TEST: &str = "a_handler_that_is_set_later_and_calls_ours_decides_when_the_process_ends";
    static BEFORE: AtomicUsize = AtomicUsize::new(0);
    static HANDLED: AtomicBool = AtomicBool::new(false);
    /// As the handlers of tokio and signal-hook do.
    extern "C" fn handler(signal: libc::c_int) {
        let before = BEFORE.load(Ordering::Relaxed);
        // SAFETY: this is the handler that was set before this one.
        let before: extern "C" fn(libc::c_int) = unsafe { std::mem::transmute(before) };
        before(signal);
        HANDLED.store(true, Ordering::Relaxed);
    }
    if is_program() {
        let guard = record(Config::new("svc").flush_on_signals(true));
        // SAFETY: the handler does only what a handler may do.
        BEFORE
            .store(unsafe { libc::signal(libc::SIGTERM, handler as *const () as usize) }, Ordering::Relaxed);
        println!("ready");
        until("the handler has run", || HANDLED.load(Ordering::Relaxed));
        until("all is delivered", || guard.ledger().exporter("otlp.traces").output == SPANS as u64);
        drop(span!("more"));
        drop(guard);
        std::process::exit(7);
    }
    assert_ends_by_itself(TEST);
}

#[test]
fn a_signal_that_is_ignored_stays_so_and_after_the_end_all_is_as_before() {
    in_own_process("endings::a_signal_that_is_ignored_stays_so_and_after_the_end_all_is_as_before", || {
        let of = |signal| {
            let mut now = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
            // SAFETY: the pointer is to an action, and nothing is set.
            unsafe { libc::sigaction(signal, std::ptr::null(), now.as_mut_ptr()) };
            // SAFETY: the call has written it.
            unsafe { now.assume_init() }.sa_sigaction
        };
        // SAFETY: ignoring a signal is always sound.
        unsafe { libc::signal(libc::SIGINT, libc::SIG_IGN) };
        let config = Config::new("svc").terminal(false).flush_on_signals(true);
        let guard = throughline_std::init(&config).unwrap();
        assert_eq!(of(libc::SIGINT), libc::SIG_IGN);
        assert_ne!(of(libc::SIGTERM), libc::SIG_DFL);
        drop(guard);
        assert_eq!((of(libc::SIGINT), of(libc::SIGTERM)), (libc::SIG_IGN, libc::SIG_DFL));
    });
}

#[test]
fn a_forked_child_dies_by_the_signal_alone() {
    in_own_process("endings::a_forked_child_dies_by_the_signal_alone", || {
        let config = Config::new("svc").terminal(false).flush_on_signals(true);
        let guard = throughline_std::init(&config).unwrap();
        // SAFETY: the child only waits for the signal.
        let child = unsafe { libc::fork() };
        if child == 0 {
            end_by_itself();
            loop {
                // SAFETY: pause is always sound.
                unsafe { libc::pause() };
            }
        }
        let mut status = 0;
        // SAFETY: this signals the child made above.
        unsafe { libc::kill(child, libc::SIGTERM) };
        // SAFETY: this waits for the child made above and writes to a local variable.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGTERM, "{status}");
        drop(span!("of the parent, which lives"));
        let report = guard.shutdown(LONG);
        assert!(report.complete && report.ledger.ring.input == 1, "{report:?}");
    });
}

#[test]
fn exit_delivers_everything() {
    const TEST: &str = "exit_delivers_everything";
    if is_program() {
        let _guard = record(Config::new("svc"));
        println!("ready");
        std::process::exit(3);
    }
    let receiver = Receiver::start([]);
    let mut child = program(TEST, &receiver.endpoint);
    assert_eq!(ended(&mut child).code(), Some(3));
    assert_eq!(arrived(&receiver), SPANS);
}

#[test]
fn exit_on_another_thread_while_the_guard_is_dropped_delivers_everything_once() {
    const TEST: &str = "exit_on_another_thread_while_the_guard_is_dropped_delivers_everything_once";
    if is_program() {
        let guard = record(Config::new("svc"));
        println!("ready");
        std::thread::spawn(|| std::process::exit(3));
        drop(guard);
        idle();
    }
    let receiver = Receiver::start([Answer::Slow(Duration::from_millis(50))]);
    let mut child = program(TEST, &receiver.endpoint);
    assert_eq!(ended(&mut child).code(), Some(3));
    assert_eq!(arrived(&receiver), SPANS);
}

/// Drops the guard in a task, and in another case with the runtime still alive around it.
fn inside_a_runtime(runtime: &tokio::runtime::Runtime) {
    let receiver = Receiver::start([]);
    let config = Config::new("svc").otlp(&receiver.endpoint).unwrap();
    let guard = throughline_std::init(&config).unwrap();
    runtime.block_on(async {
        let worker = tokio::spawn(async {
            for n in 0..SPANS {
                drop(span!("work", n));
                tokio::task::yield_now().await;
            }
        });
        worker.await.unwrap();
        // The default deadline is that of the guard's drop.
        tokio::spawn(async move { drop(guard) }).await.unwrap();
    });
    let ledger = throughline_std::ledger();
    assert_eq!(ledger.exporter("otlp.traces").output, SPANS as u64, "{ledger}");
    assert_eq!(arrived(&receiver), SPANS);
}

#[test]
fn a_drop_inside_a_current_thread_runtime() {
    in_own_process("endings::a_drop_inside_a_current_thread_runtime", || {
        inside_a_runtime(&tokio::runtime::Builder::new_current_thread().build().unwrap());
    });
}

#[test]
fn a_drop_inside_a_multi_thread_runtime() {
    in_own_process("endings::a_drop_inside_a_multi_thread_runtime", || {
        inside_a_runtime(&tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap());
    });
}
