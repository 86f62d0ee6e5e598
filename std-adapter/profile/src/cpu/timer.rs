//! A timer on the CPU clock of one thread: it expires each time the thread has used so much CPU time, and signals that
//! thread.

use super::handler::SIGNAL;
use std::io;

/// The timer. Dropping it deletes it.
#[derive(Debug)]
pub(super) struct Timer(libc::timer_t);

// SAFETY: the handle is a number or address that any thread of the process may use.
unsafe impl Send for Timer {}

/// The CPU clock of a thread of this process (`CPUCLOCK_PERTHREAD_MASK | CPUCLOCK_SCHED` in the kernel's
/// `posix-timers.h`).
pub(super) fn clock_of(thread: libc::pid_t) -> libc::clockid_t {
    !thread << 3 | 0b110
}

impl Timer {
    /// Makes a timer that is not running. `value` comes with each signal.
    pub(super) fn new(thread: libc::pid_t, value: usize) -> io::Result<Timer> {
        // SAFETY: a `sigevent` of zeros is valid.
        let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = SIGNAL;
        event.sigev_value = libc::sigval { sival_ptr: std::ptr::without_provenance_mut(value) };
        event.sigev_notify_thread_id = thread;
        let mut timer: libc::timer_t = std::ptr::null_mut();
        // SAFETY: both pointers are valid.
        match unsafe { libc::timer_create(clock_of(thread), &mut event, &mut timer) } {
            0 => Ok(Timer(timer)),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Expires first after `first` and then after each `period`, in nanoseconds of CPU time.
    pub(super) fn run(&self, first: u64, period: u64) -> io::Result<()> {
        let time = |nanoseconds: u64| libc::timespec {
            tv_sec: (nanoseconds / 1_000_000_000) as libc::time_t,
            tv_nsec: (nanoseconds % 1_000_000_000) as libc::c_long,
        };
        let new = libc::itimerspec { it_interval: time(period), it_value: time(first.max(1)) };
        // SAFETY: the timer exists, and the pointer is valid.
        match unsafe { libc::timer_settime(self.0, 0, &new, std::ptr::null_mut()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: the timer exists until here.
        unsafe { libc::timer_delete(self.0) };
    }
}
