//! A process that is forked from one that records. Its only thread is a copy of the thread that forked: it
//! has no pump, and its rings hold copies of records that the parent exports. Therefore it starts like a
//! process without `init`, and prints a message when something would have been recorded. Its ids are its own once
//! it calls `init`.

use crate::{init, thread};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use throughline::{Recorder, adapter::recorder};

static REPORT: AtomicBool = AtomicBool::new(false);
static TOLD: AtomicBool = AtomicBool::new(false);

/// Makes future children of this process start anew. `report` is whether they print a message that they do
/// not record.
pub(crate) fn watch(report: bool) {
    static WATCHED: Once = Once::new();
    REPORT.store(report, Ordering::Relaxed);
    TOLD.store(false, Ordering::Relaxed);
    WATCHED.call_once(|| {
        // SAFETY: the handler is a function of this program. In a child of a multi-threaded process it does
        // only what is allowed there. The call fails only without memory, which this process may ignore.
        unsafe {
            libc::pthread_atfork(None, None, Some(child));
        }
    });
}

/// Runs in a child before `fork` returns. It may do only what a signal handler may do: here atomic stores.
extern "C" fn child() {
    recorder::forget_threads();
    crate::outside::hide();
    recorder::set_thread_hook(off);
    thread::forget();
    init::forget();
}

/// The thread hook of a child. It returns no recorder, and on its first call prints why.
fn off() -> Option<&'static Recorder> {
    if !TOLD.swap(true, Ordering::Relaxed) && REPORT.load(Ordering::Relaxed) {
        let line: &[u8] =
            b"throughline: this process was forked from one that records, and records nothing itself; \
            call throughline_std::init in it, after the fork\n";
        // `std::io::stderr` has a lock, which a thread of the parent may have held when the process was
        // forked.
        throughline_export::diagnostics::write_now(line);
    }
    None
}
