//! Stopping a decode from outside: Ctrl-C, or a signal that asks it to end.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::KILLED;

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// From here on the first SIGINT, SIGTERM or SIGHUP asks the decode to end as if the stream had ended; a second one ends the process at once.
///
/// Where no handler can be installed, a signal kills the process as it would have anyway.
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
