//! One recorder per thread: it is made at the thread's first record, left behind when the thread ends, and
//! reused by a later thread.

use crate::ended;
use crate::memory;
use crate::propagation::correlation;
use crate::published::Published;
use std::sync::atomic::{AtomicUsize, Ordering};
use throughline::adapter::recorder::{self, Refusal};
use throughline::adapter::ring::Mode;
use throughline::{Clock, Recorder};

/// How recorders are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Slots of 64 bytes in a ring; a power of two.
    pub(crate) slots: usize,
    /// Number of metric cells of 8 bytes.
    pub(crate) cells: usize,
    /// Most threads that may have a recorder at the same time.
    pub(crate) threads: usize,
    /// Whether histograms keep exemplars.
    pub(crate) exemplars: bool,
    pub(crate) clock: Clock,
}

static SETTINGS: Published<Settings> = Published::new();
static MADE: AtomicUsize = AtomicUsize::new(0);

/// Gives every thread of the program a recorder from its next record on.
pub(crate) fn install(settings: Settings) {
    SETTINGS.set(settings);
    recorder::set_thread_hook(hook);
}

/// Called in a forked process, where no recorder of the parent counts.
#[cfg(unix)]
pub(crate) fn forget() {
    MADE.store(0, Ordering::Relaxed);
}

/// Leaves the recorder behind when its thread ends.
struct Leaver;

impl Drop for Leaver {
    fn drop(&mut self) {
        crate::profiling::end_thread();
        crate::outside::hide();
        recorder::release_thread();
    }
}

thread_local! {
    static LEAVER: Leaver = const { Leaver };
}

fn hook() -> Option<&'static Recorder> {
    // Without the leaver the thread is being torn down, and a recorder taken now would never be released.
    if LEAVER.try_with(|_| ()).is_err() {
        recorder::refuse_thread(Refusal::Ending);
        return None;
    }
    ended::tell();
    crate::profiling::begin_thread();
    let recorder = recorder::acquire_thread(|| make(SETTINGS.get()?))?;
    if correlation::is_used() {
        // The thread that had the recorder before may have left without ending its scope.
        recorder.mark_correlation(0);
    }
    crate::profiling::begin_switches(std::ptr::from_ref(recorder).addr());
    crate::outside::show(recorder);
    Some(recorder)
}

fn make(settings: &Settings) -> Option<&'static Recorder> {
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    if number >= settings.threads {
        MADE.fetch_sub(1, Ordering::Relaxed);
        recorder::refuse_thread(Refusal::TooMany);
        return None;
    }
    let Some((slots, cells)) = memory::for_thread(settings.slots, settings.cells) else {
        MADE.fetch_sub(1, Ordering::Relaxed);
        recorder::refuse_thread(Refusal::NoMemory);
        return None;
    };
    let recorder = Recorder::for_thread(slots, Mode::LocalOldest, settings.clock, cells);
    #[cfg(target_has_atomic = "64")]
    let recorder = match settings.exemplars.then(memory::for_exemplars).flatten() {
        Some(exemplars) => recorder.keeping(exemplars),
        None => recorder,
    };
    Some(Box::leak(Box::new(recorder)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use throughline::adapter::ring::{RawRecord, RecordKind};
    use throughline::{counter, span};

    /// Only this test of the binary installs the hook.
    #[test]
    fn a_thread_records_and_leaves_its_recorder_to_the_next() {
        install(Settings { slots: 64, cells: 16, threads: 2, exemplars: false, clock: Clock::mock() });
        for _ in 0..3 {
            let thread = std::thread::spawn(|| {
                let _span = span!("work", n = 3);
                counter!("made").add(1);
            });
            thread.join().unwrap();
        }
        let (mut recorders, mut records) = (0, 0);
        recorder::for_each_thread(|recorder| {
            recorders += 1;
            let mut raw = RawRecord::new();
            let mut reader = recorder.ring().reader().unwrap();
            while reader.next(&mut raw) && reader.commit() {
                // Other tests of the binary may use correlation, which has records of its own.
                records += usize::from(raw.head.kind() == RecordKind::Span);
            }
        });
        assert_eq!((recorders, records), (1, 3));
        assert_eq!(Refusal::ALL.map(recorder::refused), [0; 3]);
    }
}
