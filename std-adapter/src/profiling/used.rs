//! What spans use, as the profiler tells it.

use super::{CpuOptions, CpuProfiler, ProfileError, Source, Used, adapter};
use crate::published::Published;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError, TryLockError};
use std::time::Duration;
use throughline_export::diagnostics;

/// Has the profiler tell what spans use. Returns whether it can.
pub(crate) fn tell_used() -> bool {
    adapter::tell_used();
    true
}

/// Has it tell the samples alone.
pub(crate) fn tell_samples() -> bool {
    adapter::tell_samples();
    true
}

/// Calls `each` with the id of a span and what it has used since the last call. Only the pump may call this.
pub(crate) fn read_used(mut each: impl FnMut(usize, Used)) {
    adapter::read_used(|span, used| {
        let used = match used {
            adapter::Used::Memory(adapter::Allocated { bytes, net, peak }) => {
                Used::Memory { bytes, net, peak }
            }
            adapter::Used::Sample(nanoseconds) => Used::Cpu { nanoseconds, source: Source::Samples },
        };
        each(span as usize, used);
    });
}

/// Bytes, samples and switches that were not told, because they were not read in time.
pub(crate) fn lost_used() -> [u64; 3] {
    adapter::lost_used()
}

/// The running thread has begun, and has the recorder at this address.
pub(crate) fn begin_switches(recorder: usize) {
    adapter::begin_switches(recorder);
}

/// Whether the kernel records the context switches of threads that begin.
pub(crate) fn has_switches() -> bool {
    SWITCHES.load(Ordering::Relaxed)
}

/// Calls `each` with the address of a thread's recorder and when the thread was not on a CPU since the last call: the begin and the end, in nanoseconds of
/// [`monotonic_ns`]. All threads come first, without a time. Only the pump may call this.
pub(crate) fn read_switches(mut each: impl FnMut(usize, Option<(u64, u64)>)) {
    if has_switches() {
        adapter::switch_owners(|recorder| each(recorder, None));
        adapter::read_switches(|recorder, away| each(recorder, Some((away.from, away.to))));
    }
}

static SWITCHES: AtomicBool = AtomicBool::new(false);

/// Samples CPU time for spans alone, while no session does.
static SAMPLES: Mutex<Option<CpuProfiler>> = Mutex::new(None);
static OPTIONS: Published<CpuOptions> = Published::new();
/// The process whose spans want to know what they use; 0 for none. In one that was forked from it the lock may be held for ever.
static WANTED: AtomicU32 = AtomicU32::new(0);

/// Says whether spans want to know what they use, how CPU time is sampled for them, and whether context switches
/// may tell it instead.
pub(super) fn want(cpu: Option<CpuOptions>, switches: bool) {
    if let Some(cpu) = cpu {
        OPTIONS.set(cpu);
        WANTED.store(std::process::id(), Ordering::Release);
        // Switches tell all of the CPU time, and interrupt nothing.
        SWITCHES.store(switches && adapter::tell_switches().is_ok(), Ordering::Relaxed);
        sample();
    } else if WANTED.swap(0, Ordering::AcqRel) == std::process::id() {
        sample_no_more();
    }
}

/// Samples CPU time, if spans want it and no session does it already.
pub(super) fn sample() {
    if WANTED.load(Ordering::Acquire) != std::process::id() || has_switches() {
        return;
    }
    let samples = match SAMPLES.try_lock() {
        Ok(samples) => Some(samples),
        Err(TryLockError::Poisoned(samples)) => Some(samples.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    };
    let Some(mut samples) = samples.filter(|samples| samples.is_none()) else { return };
    // Nobody wants the profiles, so they are dropped, each minute.
    match CpuProfiler::continuous(OPTIONS.get().copied().unwrap_or_default(), Duration::from_secs(60), drop) {
        Ok(profiler) => *samples = Some(profiler),
        Err(ProfileError::AlreadyRunning) => {}
        Err(error) => diagnostics::tell(format_args!("spans get no CPU time: {error}")),
    }
}

/// Leaves the sampling to a session.
pub(super) fn sample_no_more() {
    SAMPLES.lock().unwrap_or_else(PoisonError::into_inner).take();
}
