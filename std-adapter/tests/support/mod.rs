//! Support for the integration tests: a process of its own for each test that calls `init`, and a strict OTLP
//! receiver.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

pub mod keep;
pub mod look;
#[path = "../../export/tests/support/receiver.rs"]
pub mod receiver;
pub mod service;

use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use throughline_std::Ledger;

const CHILD: &str = "TEST_OF_THROUGHLINE";
/// How long a process of a test may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs `body` in a process of its own, because `init` may be called once per process: the test binary starts
/// itself again for this test only. A child that hangs is killed after a minute, which fails the test.
pub fn in_own_process(test: &str, body: impl FnOnce()) {
    in_own_process_with(test, &[], body);
}

/// Like [`in_own_process`], with environment variables set.
pub fn in_own_process_with(test: &str, env: &[(&str, &str)], body: impl FnOnce()) {
    run(test, env, Stdio::inherit(), LIMIT, body);
}

/// Like [`in_own_process`], with another limit of time.
pub fn in_own_process_within(test: &str, limit: Duration, body: impl FnOnce()) {
    run(test, &[], Stdio::inherit(), limit, body);
}

/// Like [`in_own_process`]. Returns what the process wrote to standard error; `None` in that process itself.
pub fn stderr_of(test: &str, body: impl FnOnce()) -> Option<String> {
    stderr_of_with(test, &[], body)
}

/// Like [`stderr_of`], with environment variables set.
pub fn stderr_of_with(test: &str, env: &[(&str, &str)], body: impl FnOnce()) -> Option<String> {
    let stderr = run(test, env, Stdio::piped(), LIMIT, body)?;
    eprint!("{stderr}");
    Some(stderr)
}

fn run(
    test: &str,
    env: &[(&str, &str)],
    stderr: Stdio,
    limit: Duration,
    body: impl FnOnce(),
) -> Option<String> {
    if std::env::var(CHILD).as_deref() == Ok(test) {
        body();
        return None;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--include-ignored", "--nocapture", "--test-threads=1"])
        .env(CHILD, test)
        .stderr(stderr);
    for (key, _) in std::env::vars().filter(|(key, _)| key.starts_with("OTEL_")) {
        command.env_remove(key);
    }
    let mut child = command.envs(env.iter().copied()).env("NO_PROXY", "127.0.0.1").spawn().unwrap();
    let stderr = child.stderr.take().map(|mut stderr| {
        std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).map(|_| text)
        })
    });
    for _ in 0..limit.as_millis() / 100 {
        if let Some(status) = child.try_wait().unwrap() {
            let stderr = stderr.map(|reader| reader.join().unwrap().unwrap()).unwrap_or_default();
            assert!(status.success(), "{test} failed in its own process: {status}\n{stderr}");
            return Some(stderr);
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    child.kill().unwrap();
    panic!("{test} hangs");
}

/// Waits until the condition holds, however busy the machine is.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Checks that at every hop everything that came in went out, was absorbed, or was dropped for a reason.
pub fn assert_balanced(ledger: &Ledger) {
    assert!(ledger.is_settled(), "{ledger}");
    for (name, hop) in ledger.hops() {
        assert_eq!(hop.input, hop.output + hop.absorbed + hop.dropped_total(), "{name}\n{ledger}");
    }
}

/// The lines that the library wrote to standard error.
pub fn ours(stderr: &str) -> Vec<&str> {
    stderr.lines().filter(|line| line.starts_with("throughline: ")).collect()
}

/// An address of the loopback interface where nothing listens. Another program may take it before it is bound; the
/// test fails then, and says so.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Limits the size of files that this process writes, and lets writing beyond that be an error instead of a signal. Only the soft limit changes, so that it
/// can be raised again: the test harness writes to standard output, which may be a longer file.
#[cfg(unix)]
pub fn limit_files(bytes: libc::rlim_t) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a limit that is valid and writable during the call.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) }, 0);
    limit.rlim_cur = bytes.min(limit.rlim_max);
    // SAFETY: the pointer is to a limit that is valid during the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) }, 0);
    // SAFETY: ignoring a signal is always sound.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}
