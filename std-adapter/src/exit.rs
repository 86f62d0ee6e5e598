//! Ends recording when the process exits and the guard was not dropped: after `std::process::exit`, with a guard in a
//! static, or when a panic aborts the process.

use crate::guard::Running;
use crate::published::Published;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What runs, and in which process: a forked child ends nothing of its parent's.
static RUNNING: Published<(u32, Arc<Running>)> = Published::new();

/// Ends `running` when the process exits.
pub(crate) fn watch(running: &Arc<Running>) {
    RUNNING.set((std::process::id(), Arc::clone(running)));
    #[cfg(unix)]
    {
        static WATCHED: std::sync::Once = std::sync::Once::new();
        WATCHED.call_once(|| {
            // SAFETY: the function is of this program, which is not unloaded. Without memory the call fails, and the
            // exit only delivers nothing.
            unsafe { libc::atexit(at_exit) };
        });
    }
}

#[cfg(unix)]
extern "C" fn at_exit() {
    end();
}

/// Delivers the remaining records, for as long as dropping the guard may take. Does nothing if that is done.
pub(crate) fn end() {
    if let Some((process, running)) = RUNNING.get()
        && *process == std::process::id()
    {
        // A panic must not reach the C library.
        let _ = catch_unwind(AssertUnwindSafe(|| running.end(running.drop_deadline)));
    }
}
