//! A process that was forked from one that records. Its only thread is a copy of the one that forked: there is no pump in it, and its rings hold copies
//! of what the parent exports. So it begins as a process without `init`, with ids of its own, and says so when something would have been recorded.

use crate::{init, thread};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use throughline::Recorder;
use throughline::adapter::{IdKey, recorder};

static REPORT: AtomicBool = AtomicBool::new(false);
static TOLD: AtomicBool = AtomicBool::new(false);

/// Has children of this process begin anew, from now on. `report`: whether they say that they do not record.
pub(crate) fn watch(report: bool) {
    static WATCHED: Once = Once::new();
    REPORT.store(report, Ordering::Relaxed);
    TOLD.store(false, Ordering::Relaxed);
    WATCHED.call_once(|| {
        // SAFETY: the handler is a function of this program; in a child of a process with many threads it does no more than is allowed there. That it may
        // fail for want of memory changes nothing for this process.
        #[cfg(unix)]
        unsafe {
            libc::pthread_atfork(None, None, Some(child));
        }
    });
}

/// Runs in a child, before its fork returns. It may do only what a signal handler may: here atomic stores, and reading a clock and the process id.
#[cfg(unix)]
extern "C" fn child() {
    recorder::forget_threads();
    recorder::set_thread_hook(off);
    thread::forget();
    init::forget();
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time is written to a place of ours.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    // SAFETY: it only reads.
    let pid = unsafe { libc::getpid() };
    // No two children of one parent have the same, and none the parent's.
    let salt = (pid as u64) << 40 ^ (now.tv_sec as u64) << 30 ^ now.tv_nsec as u64;
    let seed = u64::from_be_bytes(recorder::id_key().span_id(salt).to_bytes());
    recorder::set_id_key(IdKey::new(seed, 0));
}

/// What gives a thread of a child its recorder: none, and the first time a line that says why.
#[cfg(unix)]
fn off() -> Option<&'static Recorder> {
    if !TOLD.swap(true, Ordering::Relaxed) && REPORT.load(Ordering::Relaxed) {
        let line: &[u8] =
            b"throughline: this process was forked from one that records, and records nothing itself; \
            call throughline_std::init in it, after the fork\n";
        // Not by way of `std::io::stderr`: a thread of the parent's may have held its lock when the process was forked.
        // SAFETY: the bytes are there, and the descriptor is looked at by the system alone.
        unsafe { libc::write(2, line.as_ptr().cast(), line.len()) };
    }
    None
}
