//! Delivers what was recorded when a signal asks the process to end, then lets the signal do what it did before: its
//! handler runs, or the process dies by it.
//!
//! The handler only writes the signal's number into a pipe. A thread of this library reads it and does the rest.

use crate::guard::Running;
use crate::published::Published;
use crate::spawn::spawn;
use libc::{c_int, sigaction};
use std::io::{self, PipeReader, Read};
use std::mem::MaybeUninit;
use std::os::fd::IntoRawFd;
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

/// The signals, and what each did before.
static WATCHED: [(c_int, Published<sigaction>); 2] =
    [(libc::SIGTERM, Published::new()), (libc::SIGINT, Published::new())];
/// The end of the pipe that the handler writes to, and the process whose pipe it is.
static PIPE: AtomicI32 = AtomicI32::new(-1);
static PROCESS: AtomicI32 = AtomicI32::new(0);

/// Begins to watch for the signals, except those that the process ignores.
pub(crate) fn watch(running: &Arc<Running>) -> io::Result<()> {
    let (reader, writer) = io::pipe()?;
    let writer = writer.into_raw_fd();
    // SAFETY: the descriptor is open. The handler must not wait when the pipe is full.
    unsafe { libc::fcntl(writer, libc::F_SETFL, libc::O_NONBLOCK) };
    let running = Arc::clone(running);
    spawn("signals", Box::new(move || serve(reader, &running)))?;
    PIPE.store(writer, Ordering::Relaxed);
    PROCESS.store(std::process::id() as i32, Ordering::Release);
    for (signal, before) in &WATCHED {
        let now = action(*signal, None);
        if now.sa_sigaction != libc::SIG_IGN && now.sa_sigaction != handle as *const () as usize {
            // This comes first, because the handler needs it.
            before.set(now);
            let mut ours = now;
            ours.sa_sigaction = handle as *const () as usize;
            ours.sa_flags = libc::SA_RESTART | (now.sa_flags & libc::SA_ONSTACK);
            // SAFETY: the set is initialised.
            unsafe { libc::sigemptyset(&raw mut ours.sa_mask) };
            action(*signal, Some(&ours));
        }
    }
    Ok(())
}

/// Lets the signals do what they did before, unless somebody has set another handler since.
pub(crate) fn forget() {
    for (signal, before) in &WATCHED {
        if let Some(before) = before.get()
            && action(*signal, None).sa_sigaction == handle as *const () as usize
        {
            action(*signal, Some(before));
        }
    }
}

/// Sets what a signal does, if `new` is given. Returns what it did before. Signal handlers may call it.
fn action(signal: c_int, new: Option<&sigaction>) -> sigaction {
    let mut before = MaybeUninit::<sigaction>::zeroed();
    let new = new.map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the pointers are null or valid. The handlers that this sets are functions of this program that do only
    // what a handler may do, or were set before.
    unsafe { libc::sigaction(signal, new, before.as_mut_ptr()) };
    // SAFETY: an action of zeros is valid, and the call wrote a valid one over it.
    unsafe { before.assume_init() }
}

/// The handler. It does only what a handler may do.
extern "C" fn handle(signal: c_int) {
    // SAFETY: getpid is always sound.
    if PROCESS.load(Ordering::Acquire) == unsafe { libc::getpid() } {
        let number = signal as u8;
        let _kept = Errno::keep();
        // SAFETY: the byte is valid. If the pipe is full, the thread has enough to do.
        unsafe { libc::write(PIPE.load(Ordering::Relaxed), (&raw const number).cast(), 1) };
        return;
    }
    // A forked child has nothing to deliver. The signal comes again when this handler has returned.
    let before = WATCHED.iter().find(|(of, _)| *of == signal).and_then(|(_, before)| before.get());
    if let Some(before) = before {
        action(signal, Some(before));
        // SAFETY: raise is sound in a handler.
        unsafe { libc::raise(signal) };
    }
}

/// The main function of the thread.
fn serve(mut reader: PipeReader, running: &Running) {
    let mut number = [0];
    while reader.read_exact(&mut number).is_ok() {
        let signal = c_int::from(number[0]);
        let Some((_, before)) = WATCHED.iter().find(|(of, _)| *of == signal) else { continue };
        let Some(before) = before.get() else { continue };
        if action(signal, None).sa_sigaction != handle as *const () as usize {
            // A handler that was set later has called this one, such as that of an orderly end that the service waits for. The process
            // ends when it says so, and more may be recorded until then.
            running.flush(running.drop_deadline);
            continue;
        }
        if before.sa_sigaction == libc::SIG_DFL {
            running.end(running.drop_deadline);
            action(signal, Some(before));
            // The process dies by the signal even if all other threads block it.
            unblock(signal);
        } else {
            // Its handler decides when the process ends, and more may be recorded until then.
            running.flush(running.drop_deadline);
            action(signal, Some(before));
        }
        // SAFETY: sending a signal to the own process is sound.
        unsafe { libc::kill(std::process::id() as i32, signal) };
    }
}

fn unblock(signal: c_int) {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: this initialises the set that the pointer leads to.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: the set is initialised, and the signal exists.
    unsafe { libc::sigaddset(set.as_mut_ptr(), signal) };
    // SAFETY: the set is initialised. The call changes this thread's mask alone.
    unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), null_mut()) };
}

/// Keeps `errno` for the code that a handler interrupts.
struct Errno {
    at: *mut c_int,
    value: c_int,
}

impl Errno {
    fn keep() -> Errno {
        // SAFETY: the functions return the address of this thread's `errno`.
        #[cfg(target_os = "linux")]
        let at = unsafe { libc::__errno_location() };
        // SAFETY: as above.
        #[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
        let at = unsafe { libc::__error() };
        // SAFETY: as above.
        #[cfg(any(target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
        let at = unsafe { libc::__errno() };
        // SAFETY: the address is valid on this thread.
        Errno { at, value: unsafe { at.read() } }
    }
}

impl Drop for Errno {
    fn drop(&mut self) {
        // SAFETY: the address is valid on this thread.
        unsafe { self.at.write(self.value) };
    }
}
