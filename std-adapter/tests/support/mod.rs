//! What the integration tests share: a process of one's own for each test that calls `init`, and a strict OTLP receiver.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

#[path = "../../export/tests/support/receiver.rs"]
pub mod receiver;

use std::process::Command;

const CHILD: &str = "THROUGHLINE_TEST_CHILD";

/// Runs `body` in a process of its own, as `init` is once per process: the test binary starts itself again for just this test. A child
/// that hangs is killed after a minute, which fails the test.
pub fn in_own_process(test: &str, body: impl FnOnce()) {
    in_own_process_with(test, &[], body);
}

/// As [`in_own_process`], with environment variables set.
pub fn in_own_process_with(test: &str, env: &[(&str, &str)], body: impl FnOnce()) {
    if std::env::var(CHILD).as_deref() == Ok(test) {
        return body();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(CHILD, test);
    for (key, _) in std::env::vars().filter(|(key, _)| key.starts_with("OTEL_")) {
        command.env_remove(key);
    }
    let mut child = command.envs(env.iter().copied()).env("NO_PROXY", "127.0.0.1").spawn().unwrap();
    for _ in 0..600 {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{test} failed in its own process: {status}");
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    child.kill().unwrap();
    panic!("{test} hangs");
}
