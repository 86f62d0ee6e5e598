//! The threads that are sampled: found in the system's list of threads, or as they say themselves that they have begun.

use super::CpuSource;
use super::handler::{MAX_THREADS, Slot};
use super::perf::PerfClock;
use super::timer::Timer;
use crate::unwind;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long the end of sampling waits for handlers. One takes microseconds, unless its thread has no processor.
const HANDLER_LIMIT: Duration = Duration::from_millis(200);

static THREADS: Mutex<Threads> = Mutex::new(Threads {
    period: None,
    source: CpuSource::Timer,
    live: BTreeMap::new(),
    ended: Vec::new(),
    free: Vec::new(),
    made: 0,
    untimed: None,
    excluded: 0,
    seed: 0x9E37_79B9_7F4A_7C15,
});

/// The threads. A handler never locks them.
pub(super) struct Threads {
    /// CPU time between two samples, in nanoseconds; `None` while nothing is sampled.
    period: Option<u64>,
    source: CpuSource,
    live: BTreeMap<libc::pid_t, Thread>,
    /// Threads that have ended, whose samples are not all read.
    ended: Vec<Thread>,
    /// Slots that no thread uses.
    free: Vec<Numbered>,
    made: usize,
    /// Threads that got no timer, by id.
    untimed: Option<HashSet<libc::pid_t>>,
    /// The thread that collects the samples. Its work belongs to no one's program.
    excluded: libc::pid_t,
    seed: u64,
}

#[derive(Clone, Copy)]
struct Numbered {
    number: usize,
    slot: &'static Slot,
}

/// A thread that is sampled.
pub(super) struct Thread {
    pub(super) id: libc::pid_t,
    pub(super) name: String,
    numbered: Numbered,
    clock: Option<Clock>,
    /// When it began, in the system's ticks since boot: an id may come back with another thread.
    begun: u64,
}

/// What signals a thread.
enum Clock {
    Timer(Timer),
    Perf(PerfClock),
}

impl Clock {
    /// Changes the period.
    fn run(&self, first: u64, period: u64) {
        match self {
            // A timer whose thread has just ended cannot be set, and need not be.
            Clock::Timer(timer) => _ = timer.run(first, period),
            Clock::Perf(clock) => clock.set_period(period),
        }
    }
}

impl Thread {
    pub(super) fn slot(&self) -> &'static Slot {
        self.numbered.slot
    }

    /// Stops the samples. Those in the ring can still be read.
    fn end(&mut self) {
        self.clock = None;
        self.slot().end_use();
    }
}

pub(super) fn lock() -> MutexGuard<'static, Threads> {
    THREADS.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn current_id() -> libc::pid_t {
    // SAFETY: asks the system for a number.
    unsafe { libc::gettid() }
}

/// Samples the running thread from now on, if anything is sampled. Samples of threads that have called this take less time,
/// whenever sampling begins, because the handler knows their stacks.
pub(crate) fn begin_current() {
    unwind::own_stack();
    if !super::is_forked() {
        lock().begin(current_id());
    }
}

/// The running thread is about to end.
pub(crate) fn end_current() {
    if !super::is_forked() {
        lock().end(current_id());
    }
}

impl Threads {
    /// Begins to sample all threads except the running one.
    pub(super) fn start(&mut self, period: u64, source: CpuSource) {
        self.source = source;
        self.excluded = current_id();
        self.period = Some(period);
        self.untimed = None;
        self.scan();
    }

    /// Changes the period of all threads.
    pub(super) fn set_period(&mut self, period: u64) {
        self.period = Some(period);
        let mut seed = self.seed;
        for thread in self.live.values() {
            thread.slot().set_period(period);
            if let Some(clock) = &thread.clock {
                clock.run(random_phase(&mut seed, period), period);
            }
        }
        self.seed = seed;
    }

    /// Ends all sampling, and waits for handlers that are not done yet, at most [`HANDLER_LIMIT`].
    pub(super) fn stop(&mut self) {
        self.period = None;
        let all: Vec<_> = self.live.keys().copied().collect();
        all.into_iter().for_each(|id| self.end(id));
        let deadline = Instant::now() + HANDLER_LIMIT;
        self.ended.iter().for_each(|thread| thread.slot().wait_for_handler(deadline));
    }

    /// Finds threads that have begun or ended.
    pub(super) fn scan(&mut self) {
        let here: HashMap<_, _> = tasks().filter_map(|id| Some((id, stat(id)?))).collect();
        let gone = |thread: &&Thread| here.get(&thread.id) != Some(&thread.begun);
        let gone: Vec<_> = self.live.values().filter(gone).map(|thread| thread.id).collect();
        gone.into_iter().for_each(|id| self.end(id));
        here.into_keys().for_each(|id| self.begin(id));
    }

    fn begin(&mut self, id: libc::pid_t) {
        let Some(period) = self.period else { return };
        if id == self.excluded || self.live.contains_key(&id) {
            return;
        }
        let thread = self.begin_with_timer(id, period);
        match thread {
            Some(thread) => _ = self.live.insert(id, thread),
            None => _ = self.untimed.get_or_insert_default().insert(id),
        }
    }

    fn begin_with_timer(&mut self, id: libc::pid_t, period: u64) -> Option<Thread> {
        let begun = stat(id)?;
        let numbered = self.free.pop().or_else(|| {
            let number = self.made;
            self.made += usize::from(number < MAX_THREADS);
            (number < MAX_THREADS).then(|| Numbered { number, slot: Slot::install(number) })
        })?;
        let value = numbered.slot.begin_use(numbered.number, id, period);
        let first = random_phase(&mut self.seed, period);
        let clock = match self.source {
            CpuSource::Timer => Timer::new(id, value)
                .and_then(|timer| timer.run(first, period).map(|()| timer))
                .map(Clock::Timer),
            CpuSource::Perf => PerfClock::start(id, value, period).map(Clock::Perf),
        };
        let Ok(clock) = clock else {
            numbered.slot.end_use();
            self.free.push(numbered);
            return None;
        };
        Some(Thread { id, name: name(id), numbered, clock: Some(clock), begun })
    }

    fn end(&mut self, id: libc::pid_t) {
        if let Some(mut thread) = self.live.remove(&id) {
            thread.end();
            self.ended.push(thread);
        }
    }

    /// Calls `read` with every thread that may have samples. Slots of ended threads are free afterwards.
    pub(super) fn read(&mut self, mut read: impl FnMut(&Thread)) {
        self.live.values().for_each(&mut read);
        for thread in self.ended.drain(..) {
            read(&thread);
            self.free.push(thread.numbered);
        }
    }

    /// Reads the names of threads again, which may have changed.
    pub(super) fn rename(&mut self) {
        for thread in self.live.values_mut() {
            let name = name(thread.id);
            if !name.is_empty() {
                thread.name = name;
            }
        }
    }

    /// The number of threads that could not be sampled, since the last call.
    pub(super) fn take_untimed(&mut self) -> u64 {
        self.untimed.take().map_or(0, |threads| threads.len() as u64)
    }
}

/// When a timer expires first: anywhere in the period, so that a thread that lives shorter than a period has its share
/// of the samples. (SplitMix64.)
fn random_phase(seed: &mut u64, period: u64) -> u64 {
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (*seed ^ *seed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    1 + (x ^ x >> 31) % period
}

/// The ids of all threads of this process.
fn tasks() -> impl Iterator<Item = libc::pid_t> {
    let entries = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// When a thread began, in ticks since boot; `None` if there is no such thread.
fn stat(id: libc::pid_t) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/self/task/{id}/stat")).ok()?;
    // The name, in parentheses, may contain anything. `starttime` is field 22, and the name is field 2.
    text.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

fn name(id: libc::pid_t) -> String {
    let text = std::fs::read(format!("/proc/self/task/{id}/comm")).unwrap_or_default();
    String::from_utf8_lossy(text.trim_ascii_end()).into_owned()
}
