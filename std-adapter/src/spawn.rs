//! Starts the threads of this library.

use throughline::adapter::recorder;

/// Starts a thread that records nothing and on which no signal handler of the program runs. Otherwise a library that it calls, such as an HTTP client
/// that logs, would create new records for every export.
pub(crate) fn spawn(name: &str, run: Box<dyn FnOnce() + Send>) -> std::io::Result<()> {
    spawn_recording(
        name,
        Box::new(move || {
            recorder::mute_thread();
            run();
        }),
    )
}

/// Starts a thread whose work is the program's, so that it records. No signal handler of the program runs on it.
pub(crate) fn spawn_recording(name: &str, run: Box<dyn FnOnce() + Send>) -> std::io::Result<()> {
    // A thread inherits the mask of the one that starts it.
    #[cfg(unix)]
    let _blocked = signals::Blocked::now();
    // The thread is detached, because joining it could take longer than any deadline.
    std::thread::Builder::new().name(format!("throughline-{name}")).spawn(run).map(drop)
}

#[cfg(unix)]
mod signals {
    /// Signals that a thread's own mistake raises. They come to that thread only, and the program's crash handlers
    /// should see them.
    const OF_FAULTS: [libc::c_int; 6] =
        [libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGSEGV, libc::SIGSYS, libc::SIGTRAP];

    /// Blocks all other signals on this thread until it is dropped.
    pub(super) struct Blocked {
        before: libc::sigset_t,
    }

    impl Blocked {
        pub(super) fn now() -> Blocked {
            let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
            // SAFETY: this initialises the set that the pointer leads to.
            unsafe { libc::sigfillset(all.as_mut_ptr()) };
            // SAFETY: it was initialised above.
            let mut all = unsafe { all.assume_init() };
            for signal in OF_FAULTS {
                // SAFETY: the set is initialised, and the signal exists.
                unsafe { libc::sigdelset(&raw mut all, signal) };
            }
            let mut before = all;
            // SAFETY: both sets are initialised. The call changes this thread's mask alone.
            unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, &raw mut before) };
            Blocked { before }
        }
    }

    impl Drop for Blocked {
        fn drop(&mut self) {
            // SAFETY: the set is the mask that this thread had.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, std::ptr::null_mut()) };
        }
    }
}
