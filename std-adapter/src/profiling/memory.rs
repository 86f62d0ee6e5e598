//! The process's memory as metrics: what the system and the allocator tell, what is allocated, and what leaks.

use super::{
    AllocationCounts, AllocatorFigures, HeapOptions, HeapProfiler, LeakFinder, LeakSeverity, ProcessMemory,
    ProfileError, Sizes, adapter, allocation_counts, allocator_figures,
};
use crate::published::Published;
use crate::spawn::spawn;
use std::collections::HashMap;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use throughline_export::diagnostics;

/// The length of a window for leaks.
const WINDOW: Duration = Duration::from_secs(60);
/// Most leaks that are counted. Further ones are not.
const MOST_LEAKS: usize = 1000;

/// The labels of all memory metrics.
#[derive(Clone, Debug)]
pub(crate) struct Labels {
    pub(crate) component: String,
    /// Distinguishes this process from others, and from itself after a restart.
    pub(crate) session_id: String,
}

static LABELS: Published<Labels> = Published::new();
static LEAKS: Mutex<Option<Leaks>> = Mutex::new(None);
/// Ends the thread when it is dropped.
static THREAD: Mutex<Option<Sender<()>>> = Mutex::new(None);

/// The leaks that were found, by the number of their place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leaks {
    pub(crate) found: HashMap<u64, Found>,
}

/// A leak.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// How bad it was when it was found.
    pub(crate) severity: LeakSeverity,
    /// Bytes by which it had grown when it was found.
    pub(crate) size: u64,
    /// The most blocks that were in use.
    pub(crate) blocks: u64,
    /// How fast it grows, in MB an hour; 0 if it does not any more.
    pub(crate) mb_per_hour: f64,
}

/// The memory now.
pub(crate) struct MemoryNow {
    pub(crate) labels: &'static Labels,
    pub(crate) process: Option<ProcessMemory>,
    pub(crate) allocator: Option<AllocatorFigures>,
    pub(crate) counts: AllocationCounts,
    pub(crate) sizes: Sizes,
    pub(crate) leaks: Leaks,
}

/// Begins to watch the memory, if it is wanted.
pub(super) fn begin(component: Option<String>) {
    let Some(component) = component else { return };
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    LABELS.set(Labels { component, session_id: format!("{}-{since}", std::process::id()) });
    let (end, ended) = mpsc::channel();
    let watch = move || {
        // A session may have one that samples already.
        let _own = match HeapProfiler::start(HeapOptions::default()) {
            Ok(profiler) => Some(profiler),
            Err(ProfileError::AlreadyRunning) => None,
            Err(error) => {
                diagnostics::tell(format_args!("memory metrics are without allocations and leaks: {error}"));
                return;
            }
        };
        let mut finder = LeakFinder::default();
        while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(WINDOW) {
            if let Some(profile) = adapter::running_profile() {
                finder.observe(profile);
                note(&finder);
            }
        }
    };
    match spawn("memory", Box::new(watch)) {
        Ok(_) => *THREAD.lock().unwrap_or_else(PoisonError::into_inner) = Some(end),
        Err(error) => diagnostics::tell(format_args!("memory metrics are without leaks: {error}")),
    }
}

/// Ends the watch. The last metrics still have what was found.
pub(super) fn end() {
    // In a forked process the lock may be held for ever.
    if LABELS.get().is_some_and(|labels| labels.session_id.starts_with(&format!("{}-", std::process::id()))) {
        THREAD.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

fn note(finder: &LeakFinder) {
    let mut leaks = LEAKS.lock().unwrap_or_else(PoisonError::into_inner);
    let found = &mut leaks.get_or_insert_default().found;
    found.values_mut().for_each(|leak| leak.mb_per_hour = 0.0);
    for leak in finder.leaks() {
        if found.len() >= MOST_LEAKS && !found.contains_key(&leak.id) {
            continue;
        }
        let (severity, size) = (leak.severity, leak.grown_bytes);
        let known = found.entry(leak.id).or_insert(Found { severity, size, blocks: 0, mb_per_hour: 0.0 });
        known.blocks = known.blocks.max(leak.blocks_in_use);
        known.mb_per_hour = leak.mb_per_hour;
    }
}

/// The memory now; `None` unless its metrics are wanted. Cost: some 30 µs.
pub(crate) fn memory_now() -> Option<MemoryNow> {
    Some(MemoryNow {
        labels: LABELS.get()?,
        process: ProcessMemory::read().ok(),
        allocator: allocator_figures(),
        counts: allocation_counts(),
        sizes: adapter::all_sizes(),
        leaks: LEAKS.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default(),
    })
}
