//! The QEMU process: watched from its start, killed after its time limit, and asked how it ended.

use std::io::{PipeReader, Read};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Result, bail};

use crate::net;

/// Longest time until QEMU opens its sockets. It takes about 50 ms on an idle machine.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);

/// How a guest ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The firmware's exit code over semihosting; `None` if it was killed.
    pub code: Option<i32>,
    /// Whether it was killed because of its time limit.
    pub timed_out: bool,
    /// What the firmware printed over semihosting, and messages of QEMU, which usually prints none.
    pub semihosting: String,
}

impl Outcome {
    /// Whether the firmware exited with code 0.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.code == Some(0)
    }
}

/// The process, shared by its readers.
#[derive(Debug)]
pub(super) struct Guest {
    pid: u32,
    child: Arc<Mutex<Child>>,
    timed_out: Arc<AtomicBool>,
    output: Arc<Mutex<Vec<u8>>>,
    output_thread: Mutex<Option<JoinHandle<()>>>,
    // Dropping this with the guest ends the thread that watches it.
    _alive: Sender<()>,
}

impl Guest {
    /// Watches a child whose standard output and error go to the pipe `output`.
    pub(super) fn watch(child: Child, mut output: PipeReader, limit: Duration) -> Self {
        let pid = child.id();
        let child = Arc::new(Mutex::new(child));
        let timed_out = Arc::new(AtomicBool::new(false));
        let (alive, dropped) = mpsc::channel();
        {
            let (child, timed_out) = (Arc::clone(&child), Arc::clone(&timed_out));
            thread::spawn(move || {
                if dropped.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                    let mut child = lock(&child);
                    // A guest that exits just at its time limit has not timed out.
                    if matches!(child.try_wait(), Ok(None)) {
                        timed_out.store(true, Ordering::Relaxed);
                        let _ = child.kill();
                    }
                }
            });
        }
        let collected = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&collected);
        let thread = thread::spawn(move || {
            let mut chunk = [0; 1024];
            while let Ok(count @ 1..) = output.read(&mut chunk) {
                lock(&sink).extend_from_slice(&chunk[..count]);
            }
        });
        let output_thread = Mutex::new(Some(thread));
        Self { pid, child, timed_out, output: collected, output_thread, _alive: alive }
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Connects to a socket that QEMU is about to open.
    pub(super) fn connect(&self, socket: &Path) -> Result<UnixStream> {
        net::wait_for("QEMU to open its sockets", CONNECT_LIMIT, || {
            if let Ok(stream) = UnixStream::connect(socket) {
                return Ok(Some(stream));
            }
            if let Some(status) = lock(&self.child).try_wait()? {
                self.join_output();
                bail!("QEMU ended at once: {status}");
            }
            Ok(None)
        })
    }

    /// What the child has written so far.
    pub(super) fn output(&self) -> String {
        String::from_utf8_lossy(&lock(&self.output)).into_owned()
    }

    pub(super) fn wait(&self) -> Result<Outcome> {
        // Poll for the exit, so that the lock is free in between for the thread that kills the guest.
        let status = loop {
            if let Some(status) = lock(&self.child).try_wait()? {
                break status;
            }
            thread::sleep(net::POLL);
        };
        self.join_output();
        Ok(Outcome {
            code: status.code(),
            timed_out: self.timed_out.load(Ordering::Relaxed),
            semihosting: self.output(),
        })
    }

    pub(super) fn kill(&self) {
        let mut child = lock(&self.child);
        // Both calls fail only if the process has already ended.
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Waits for the rest of the output. Call it after the process has ended.
    fn join_output(&self) {
        if let Some(thread) = lock(&self.output_thread).take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Ignores poisoning, because a panic elsewhere does not damage a process handle or a byte buffer.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::process::Command;
    use std::time::Instant;

    use super::*;

    fn guest(script: &str, limit: Duration) -> Guest {
        let (output, both) = io::pipe().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdout(both.try_clone().unwrap()).stderr(both);
        Guest::watch(command.spawn().unwrap(), output, limit)
    }

    #[test]
    fn the_exit_code_and_the_whole_of_the_output_are_told() {
        let outcome = guest("echo one; echo two >&2; exit 7", Duration::from_secs(20)).wait().unwrap();
        assert_eq!(outcome, Outcome { code: Some(7), timed_out: false, semihosting: "one\ntwo\n".into() });
        assert!(!outcome.is_success());
    }

    #[test]
    fn one_that_hangs_is_killed_in_time() {
        let start = Instant::now();
        let outcome = guest("exec sleep 100", Duration::from_millis(50)).wait().unwrap();
        assert!(outcome.timed_out && outcome.code.is_none());
        assert!(start.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn one_that_ends_at_once_is_not_waited_for() {
        let guest = guest("echo no such machine >&2; exit 1", Duration::from_secs(20));
        let error = guest.connect(Path::new("/no/such/socket")).unwrap_err().to_string();
        assert!(error.contains("ended at once"), "{error}");
        assert!(guest.output().contains("no such machine"));
    }
}
