//! The kernel's own clock of a thread's CPU time as the source of signals: `perf_event_open` with `PERF_COUNT_SW_CPU_CLOCK`. It is not bound
//! to the kernel's ticks, so a thread can have up to 999 samples per second, and it tells how much CPU time passed since the last one.
//!
//! A process may do that to its own threads where `perf_event_paranoid` is 2 or less and the sandbox permits it. With 2, code of the kernel is
//! not interrupted; its time then belongs to the next sample of the program's code.

use super::handler::{SIGNAL, Slot};
use std::io;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

/// Files that can be told apart; a power of two. Of files whose numbers differ by a multiple of it, one is used.
const FILES: usize = 1 << 13;
/// The number of the file at its place, or -1, and the value of the slot whose samples it signals.
static PLACES: [(AtomicI32, AtomicUsize); FILES] =
    [const { (AtomicI32::new(-1), AtomicUsize::new(0)) }; FILES];

const DISABLE: libc::Ioctl = 0x2401;
const ENABLE: libc::Ioctl = 0x2400;
/// `_IOW('$', 4, __u64)`
const PERIOD: libc::Ioctl = 0x4008_2404;

/// The clock of one thread. Dropping it ends its signals.
#[derive(Debug)]
pub(super) struct PerfClock {
    file: libc::c_int,
}

fn place(file: libc::c_int) -> &'static (AtomicI32, AtomicUsize) {
    &PLACES[file.cast_unsigned() as usize % FILES]
}

impl PerfClock {
    /// Signals the thread each time it has used so much CPU time, in nanoseconds. `value` is that of the slot.
    pub(super) fn start(thread: libc::pid_t, value: usize, period: u64) -> io::Result<PerfClock> {
        // With the code of the kernel where that is permitted.
        let clock =
            PerfClock::open(thread, period, 0).or_else(|_| PerfClock::open(thread, period, 1 << 5))?;
        let (number, of_slot) = place(clock.file);
        if number.load(Ordering::Relaxed) != -1 {
            return Err(io::Error::from(io::ErrorKind::ResourceBusy));
        }
        of_slot.store(value, Ordering::Relaxed);
        number.store(clock.file, Ordering::Release);
        clock.signal(thread)?;
        Ok(clock)
    }

    fn open(thread: libc::pid_t, period: u64, exclude: u64) -> io::Result<PerfClock> {
        /// `perf_event_attr` in words, as `perf_event_open(2)` has it.
        const SOFTWARE: u64 = 1;
        const SIZE: u64 = 128;
        const CPU_CLOCK: u64 = 0;
        /// `disabled`, `exclude_hv`.
        const FLAGS: u64 = 1 | 1 << 6;
        /// `wakeup_events`: each.
        const EACH: u64 = 1;
        const CLOEXEC: libc::c_ulong = 8;
        let mut attributes = [0_u64; 16];
        attributes[0] = SOFTWARE | SIZE << 32;
        attributes[1] = CPU_CLOCK;
        attributes[2] = period;
        attributes[5] = FLAGS | exclude;
        attributes[6] = EACH;
        // SAFETY: the attributes are as long as they say. -1 stands for any CPU and for no group.
        let file =
            unsafe { libc::syscall(libc::SYS_perf_event_open, attributes.as_ptr(), thread, -1, -1, CLOEXEC) }
                as libc::c_int;
        if file < 0 { Err(io::Error::last_os_error()) } else { Ok(PerfClock { file }) }
    }

    /// Has the file signal that thread, and begins.
    fn signal(&self, thread: libc::pid_t) -> io::Result<()> {
        /// `F_SETOWN_EX` and `F_SETSIG` of `fcntl.h`, and the owner that is a thread.
        const SET_OWNER: libc::c_int = 15;
        const SET_SIGNAL: libc::c_int = 10;
        const THREAD: libc::c_int = 0;
        let owner: [libc::c_int; 2] = [THREAD, thread];
        let done = |result: libc::c_int| if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) };
        // SAFETY: the file is open, and the owner is valid.
        done(unsafe { libc::fcntl(self.file, SET_OWNER, owner.as_ptr()) })?;
        // SAFETY: the file is open.
        done(unsafe { libc::fcntl(self.file, SET_SIGNAL, SIGNAL) })?;
        // SAFETY: the file is open.
        done(unsafe { libc::fcntl(self.file, libc::F_SETFL, libc::O_ASYNC | libc::O_NONBLOCK) })?;
        // SAFETY: the file is open and an event.
        done(unsafe { libc::ioctl(self.file, ENABLE, 0) })
    }

    /// Changes the period from the next signal on.
    pub(super) fn set_period(&self, period: u64) {
        // SAFETY: the file is open and an event, and the pointer is valid.
        unsafe { libc::ioctl(self.file, PERIOD, &raw const period) };
    }

    /// Whether the system permits it.
    pub(super) fn is_permitted() -> io::Result<()> {
        PerfClock::open(0, 1_000_000_000, 1 << 5).map(drop)
    }
}

impl Drop for PerfClock {
    fn drop(&mut self) {
        // SAFETY: the file is open and an event.
        unsafe { libc::ioctl(self.file, DISABLE, 0) };
        let _ = place(self.file).0.compare_exchange(self.file, -1, Ordering::AcqRel, Ordering::Relaxed);
        // SAFETY: the file is open and nobody else's.
        unsafe { libc::close(self.file) };
    }
}

/// The slot for a signal of this file on the running thread, and the CPU time since its last signal. For the handler: it asks the system for two numbers.
pub(super) fn of_signal(file: libc::c_int) -> Option<(&'static Slot, u64)> {
    let (number, of_slot) = place(file);
    if number.load(Ordering::Acquire) != file {
        return None;
    }
    let slot = Slot::of_signal(of_slot.load(Ordering::Relaxed))?;
    // SAFETY: asks the system for a number. A late signal of a file with this number may be another thread's.
    if !slot.is_of(unsafe { libc::gettid() }) {
        return None;
    }
    let mut counted = 0_u64;
    // SAFETY: the buffer is as long as the count of an event.
    let read = unsafe { libc::read(file, (&raw mut counted).cast(), size_of::<u64>()) };
    (read == size_of::<u64>() as isize).then(|| (slot, slot.since_last(counted)))
}
