//! Stops a decode on Ctrl-C, or on a signal that asks the process to end.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::KILLED;

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// From now on the first SIGINT, SIGTERM or SIGHUP ends the decode as if the stream had ended; a second one
/// ends the process at once.
///
/// If no handler can be installed, a signal kills the process as usual.
pub(crate) fn listen() {
    let _ = ctrlc::set_handler(|| {
        if REQUESTED.swap(true, Ordering::Relaxed) {
            process::exit(KILLED.into());
        }
    });
}

/// Whether a signal asked the decode to end.
pub(crate) fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}
