//! When threads were not on a CPU: the kernel's records of their context switches (`perf_event_open` with `context_switch`).
//! A process may have those of its own threads where `perf_event_paranoid` is 2 or less and the sandbox permits the call.
//!
//! The kernel writes a record of 24 bytes when a thread leaves a CPU and when it comes back. Nothing else costs the thread
//! anything, and nothing that it runs is interrupted.

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Pages for the records of a thread, without the one that describes them: 680 records.
const PAGES: usize = 4;

static ON: AtomicBool = AtomicBool::new(false);
static EVENTS: Mutex<Vec<Event>> = Mutex::new(Vec::new());
static LOST: AtomicU64 = AtomicU64::new(0);

/// The records of one thread.
struct Event {
    file: libc::c_int,
    pages: NonNull<u8>,
    page: usize,
    thread: libc::pid_t,
    owner: usize,
    ended: bool,
    /// When it left the CPU, until it is back.
    away_since: Option<u64>,
}

// SAFETY: the mapping and the file belong to the process, not to a thread.
unsafe impl Send for Event {}

/// A time during which a thread was not on a CPU, in nanoseconds of `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Away {
    /// When it left.
    pub from: u64,
    /// When it came back.
    pub to: u64,
}

fn lock() -> MutexGuard<'static, Vec<Event>> {
    EVENTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has threads that begin from now on recorded.
///
/// # Errors
///
/// Fails if the system does not permit it.
pub(crate) fn turn_on() -> io::Result<()> {
    drop(Event::of_this_thread(0)?);
    ON.store(true, Ordering::Relaxed);
    Ok(())
}

pub(crate) fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// Records the running thread from now on, for the reader that knows it as `owner`.
pub(crate) fn begin_current(owner: usize) {
    if is_on() && !crate::cpu::is_forked() {
        // Without it, the thread's spans have no CPU time from switches.
        if let Ok(event) = Event::of_this_thread(owner) {
            lock().push(event);
        }
    }
}

/// The running thread is about to end.
pub(crate) fn end_current() {
    if is_on() && !crate::cpu::is_forked() {
        let thread = crate::cpu::current_id();
        lock().iter_mut().filter(|event| event.thread == thread).for_each(|event| event.ended = true);
    }
}

/// Now, in nanoseconds of `CLOCK_MONOTONIC`.
pub fn monotonic_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is valid.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Calls `each` with the owners of threads, and when the threads were away since the last call, in order. There must be one
/// caller at a time.
pub(crate) fn read(mut each: impl FnMut(usize, Away)) {
    if !is_on() || crate::cpu::is_forked() {
        return;
    }
    lock().retain_mut(|event| {
        event.read(&mut each);
        !event.ended
    });
}

/// The owners of the threads that are recorded.
pub(crate) fn owners(mut each: impl FnMut(usize)) {
    if is_on() && !crate::cpu::is_forked() {
        lock().iter().for_each(|event| each(event.owner));
    }
}

/// Records that the kernel had no room for.
pub(crate) fn lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

impl Event {
    fn of_this_thread(owner: usize) -> io::Result<Event> {
        /// `perf_event_attr` in words, as `perf_event_open(2)` has it.
        const SOFTWARE: u64 = 1;
        const SIZE: u64 = 128;
        const DUMMY: u64 = 9;
        const TID_AND_TIME: u64 = 1 << 1 | 1 << 2;
        /// `exclude_kernel`, `exclude_hv`, `sample_id_all`, `use_clockid`, `context_switch`.
        const FLAGS: u64 = 1 << 5 | 1 << 6 | 1 << 18 | 1 << 25 | 1 << 26;
        const CLOEXEC: libc::c_ulong = 8;
        let mut attributes = [0_u64; 16];
        attributes[0] = SOFTWARE | SIZE << 32;
        attributes[1] = DUMMY;
        attributes[3] = TID_AND_TIME;
        attributes[5] = FLAGS;
        attributes[11] = (libc::CLOCK_MONOTONIC as u64) << 32;
        // SAFETY: the attributes are as long as they say. 0 and -1 stand for this thread on any CPU.
        let file =
            unsafe { libc::syscall(libc::SYS_perf_event_open, attributes.as_ptr(), 0, -1, -1, CLOEXEC) }
                as libc::c_int;
        if file < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: asks the system for a number.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        let (length, access) = ((1 + PAGES) * page, libc::PROT_READ | libc::PROT_WRITE);
        // SAFETY: this makes a new mapping at an address that the system chooses.
        let pages = unsafe { libc::mmap(std::ptr::null_mut(), length, access, libc::MAP_SHARED, file, 0) };
        let Some(pages) = NonNull::new(pages.cast::<u8>()).filter(|_| pages != libc::MAP_FAILED) else {
            let error = io::Error::last_os_error();
            // SAFETY: the file is open and nobody else's.
            unsafe { libc::close(file) };
            return Err(error);
        };
        let thread = crate::cpu::current_id();
        Ok(Event { file, pages, page, thread, owner, ended: false, away_since: None })
    }

    /// A word of the mapping.
    fn word(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: all offsets are within the mapping, at multiples of 8.
        let at = unsafe { self.pages.add(offset) };
        // SAFETY: the word is mapped, and the kernel writes it as atomically as others do.
        unsafe { at.cast::<AtomicU64>().as_ref() }
    }

    fn read(&mut self, each: &mut impl FnMut(usize, Away)) {
        /// `data_head` and `data_tail` in `perf_event_mmap_page`.
        const HEAD: usize = 1024;
        const TAIL: usize = 1032;
        const LOST_RECORDS: u32 = 2;
        const SWITCH: u32 = 14;
        const SWITCH_OUT: u64 = 1 << 13;
        let size = PAGES * self.page;
        let head = self.word(HEAD).load(Ordering::Acquire);
        let mut tail = self.word(TAIL).load(Ordering::Relaxed);
        while tail < head {
            let word = |n: u64| {
                let offset = (tail + 8 * n) as usize % size;
                self.word(self.page + offset).load(Ordering::Relaxed)
            };
            let header = word(0);
            let (kind, flags, length) = (header as u32, header >> 32 & 0xffff, header >> 48);
            match kind {
                SWITCH if flags & SWITCH_OUT != 0 => self.away_since = Some(word(2)),
                SWITCH => {
                    let to = word(2);
                    if let Some(from) = self.away_since.take() {
                        each(self.owner, Away { from, to });
                    }
                }
                LOST_RECORDS => {
                    LOST.fetch_add(word(2), Ordering::Relaxed);
                    self.away_since = None;
                }
                _ => {}
            }
            // A record of no length would never end.
            tail += length.max(8);
        }
        self.word(TAIL).store(tail, Ordering::Release);
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: the mapping is this long, and nothing refers to it.
        unsafe { libc::munmap(self.pages.as_ptr().cast(), (1 + PAGES) * self.page) };
        // SAFETY: the file is open and nobody else's.
        unsafe { libc::close(self.file) };
    }
}

#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn a_thread_that_sleeps_is_away_meanwhile() {
        let mut event = match Event::of_this_thread(7) {
            Ok(event) => event,
            Err(error) => return println!("not permitted here: {error}"),
        };
        let mut slept = Vec::new();
        // More than the ring holds at once, so it wraps.
        for _ in 0..300 {
            let from = monotonic_ns();
            std::thread::sleep(Duration::from_micros(100));
            slept.push(Away { from, to: monotonic_ns() });
            if slept.len() % 100 == 0 {
                let mut away = Vec::new();
                event.read(&mut |owner, time| {
                    assert_eq!(owner, 7);
                    away.push(time);
                });
                let whole = |sleep: &Away| {
                    let inside = |time: &&Away| time.from >= sleep.from && time.to <= sleep.to;
                    let found: u64 = away.iter().filter(inside).map(|time| time.to - time.from).sum();
                    found >= 100_000
                };
                // A virtual processor that is held up before the thread leaves it makes the time away shorter than the sleep.
                let found = slept.iter().filter(|sleep| whole(sleep)).count();
                assert!(found >= 90, "{found} of 100 sleeps are found whole: {slept:?}");
                slept.clear();
            }
        }
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(20) {}
        let (mut away, mut records) = (0, 0);
        event.read(&mut |_, time| (away, records) = (away + time.to - time.from, records + 1));
        println!("computing for 20 ms, it was away for {away} ns, {records} times");
    }
}
