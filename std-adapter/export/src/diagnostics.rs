//! Lines on standard error that report what the operator should know. They never block, because the reader of a
//! pipe may have stopped: a line that finds no room is left out, and the next one says how many were.

use std::fmt;
use std::sync::{Mutex, PoisonError};

/// Lines that were left out since the last one that was written. Locked while a line is written, which takes no time,
/// so that two threads of this library do not take the same room.
static LEFT_OUT: Mutex<u64> = Mutex::new(0);

/// Writes `throughline: ` and this line to standard error, unless that would block. Any thread may call it.
pub fn tell(line: impl fmt::Display) {
    let mut left_out = LEFT_OUT.lock().unwrap_or_else(PoisonError::into_inner);
    if *left_out > 0 {
        let s = if *left_out == 1 { "" } else { "s" };
        let why = "because nothing read standard error";
        let text = format!("throughline: {left_out} line{s} before this one could not be written, {why}\n");
        if !write_now(text.as_bytes()) {
            *left_out += 1;
            return;
        }
        *left_out = 0;
    }
    if !write_now(format!("throughline: {line}\n").as_bytes()) {
        *left_out += 1;
    }
}

/// Writes to standard error what can be written without blocking. Returns whether that was everything. It takes no
/// lock and allocates nothing, so a forked child may call it.
#[cfg(unix)]
pub fn write_now(bytes: &[u8]) -> bool {
    // A pipe that is ready has room for this many bytes.
    for part in bytes.chunks(libc::PIPE_BUF) {
        let mut stderr = libc::pollfd { fd: libc::STDERR_FILENO, events: libc::POLLOUT, revents: 0 };
        // SAFETY: the pointer is to one descriptor that is valid during the call, which returns at once.
        let ready = unsafe { libc::poll(&raw mut stderr, 1, 0) };
        // A pipe without a reader is "ready" with an error too; writing to it would be a signal.
        if ready != 1 || stderr.revents != libc::POLLOUT {
            return false;
        }
        // SAFETY: the bytes are valid, and only the system uses the descriptor.
        let written = unsafe { libc::write(libc::STDERR_FILENO, part.as_ptr().cast(), part.len()) };
        if usize::try_from(written) != Ok(part.len()) {
            return false;
        }
    }
    true
}

/// Writes to standard error. Returns whether that was everything.
#[cfg(not(unix))]
pub fn write_now(bytes: &[u8]) -> bool {
    use std::io::Write;
    std::io::stderr().write_all(bytes).is_ok()
}
