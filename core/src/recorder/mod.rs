//! The recorder, which spans and events reach from anywhere in the program. The binary chooses it; a library
//! never names it.
//!
//! Firmware installs one static recorder, whose ring all contexts share. On a server (feature `std`, enabled
//! by `throughline-std`) each thread has its own recorder, reached by a thread-local read that is inlined
//! into the caller. Without either, instrumentation costs one load and one branch. The measurements are in
//! ADR 1, `core/docs/adr/0001-recorder-seam.md`.

mod context;
mod enabled;
mod ended;
mod extended;
#[cfg(not(registered_callsites))]
pub(crate) mod gate;
#[cfg(feature = "std")]
mod ids;
#[cfg(feature = "thread-context")]
mod outside;
#[cfg(feature = "std")]
mod pool;
pub mod sampler;
#[cfg(feature = "std")]
mod thread;

pub(crate) use context::Resting;
pub use context::{AttachGuard, Context, ContextGuard, attach, current};
#[cfg(feature = "std")]
pub use context::{remote_parent, turn_remote_parents};
pub use enabled::{is_enabled, set_min_level};
#[cfg(feature = "std")]
pub use extended::{mark_correlation, record_polls};
#[cfg(feature = "thread-context")]
pub use outside::OutsideRecord;
#[cfg(feature = "std")]
pub use sampler::set_sample_ratio;
#[cfg(feature = "std")]
pub use thread::{
    Refusal, ThreadHook, ThreadPlace, acquire_thread, for_each_thread, forget_threads, interrupted_place,
    mute_thread, recorded_span, refuse_thread, refused, release_thread, set_thread_hook,
};

use crate::clock::Clock;
use crate::id::IdKey;
use crate::place;
#[cfg(feature = "std")]
use crate::ring::Slot;
use crate::ring::{Head, Mode, RecordKind, Ring, Slots, Word};
use crate::sync::{Acquire, AtomicWord, Relaxed, Release};
use core::sync::atomic::AtomicPtr;

/// A ring, a clock and the current place in the trace, for one microcontroller or one thread.
///
/// ```
/// use throughline::{Clock, Recorder, Slots, info};
/// static SLOTS: Slots<64> = Slots::new();
/// static RECORDER: Recorder = Recorder::new(&SLOTS, Clock::mock());
///
/// throughline::install(&RECORDER);
/// info!("pump started", speed = 1200);
/// # #[cfg(not(feature = "std"))]
/// assert_eq!(RECORDER.ring().reader().unwrap().drain(|record| { /* send it */ }), 1);
/// ```
#[derive(Debug)]
#[repr(C)]
pub struct Recorder {
    /// The order of the fields matters: Cortex-M reaches the first 124 bytes with its shortest load and store
    /// instructions.
    ring: Ring<'static>,
    clock: Clock,
    /// The remote parent that the current place, or one further out, belongs to.
    #[cfg(feature = "std")]
    remote: context::RemoteCells,
    /// The number of half wraps of the clock at the last [`Recorder::mark_clock`], above [`ERA`] bits of 0.
    /// On a 32-bit machine it distinguishes long spans from short ones.
    era: AtomicWord,
    /// 64-bit ticks at the last mark. The lowest bits are replaced by those of [`RECORDED`].
    marked: [AtomicWord; 2],
    /// Entries that ended before the entries above them.
    ended: ended::Ended,
    #[cfg(feature = "std")]
    pub(crate) thread: thread::ThreadPart,
}

/// The number of bits for a span's flags, below the era in the same word.
pub(crate) const ERA: u32 = 8;

/// Bits of the low word of [`Recorder::marked`]: the upper bits of the ticks of the last clock record. If one
/// is due but the ring has no room, they hold a value that keeps it due. They are exact to a 64th of the time
/// between two clock records, which is enough.
const RECORDED: Word = 0xff;
const RECORDED_SHIFT: u32 = 24;
/// The time between two clock records.
const RECORDED_EVERY: Word = 1 << (30 - RECORDED_SHIFT);

/// The remote parent that was attached last. Without threads all contexts share one recorder, so this can be
/// a static, which the linker leaves out of firmware that attaches none.
#[cfg(not(feature = "std"))]
static REMOTE_PARENT: context::RemoteCells = context::no_remote();

/// The span word of a place where nothing is current.
#[inline(always)]
fn outside() -> Word {
    if cfg!(short) && sampler::asks_below_remote() { place::OUTSIDE } else { 0 }
}

/// The number of spans that a sampler rejected. A static for the same reason as `REMOTE_PARENT`.
#[cfg(not(feature = "std"))]
static SAMPLED_OUT: AtomicWord = AtomicWord::new(0);

impl Recorder {
    /// A recorder for all contexts of a microcontroller. A full ring drops new records; see
    /// [`Recorder::keep_newest`].
    pub const fn new<const N: usize>(slots: &'static Slots<N>, clock: Clock) -> Recorder {
        Recorder::with_ring(Ring::new(slots.as_slice(), Mode::SharedOldest), clock)
    }

    /// Like [`Recorder::new`], but a full ring overwrites the oldest records: a flight recorder.
    ///
    /// ```
    /// use throughline::{Clock, Recorder, Slots};
    /// static SLOTS: Slots<64> = Slots::new();
    /// static BLACK_BOX: Recorder = Recorder::keep_newest(&SLOTS, Clock::mock());
    /// ```
    pub const fn keep_newest<const N: usize>(slots: &'static Slots<N>, clock: Clock) -> Recorder {
        Recorder::with_ring(Ring::new(slots.as_slice(), Mode::SharedNewest), clock)
    }

    const fn with_ring(ring: Ring<'static>, clock: Clock) -> Recorder {
        Recorder {
            ring,
            clock,
            #[cfg(feature = "std")]
            remote: context::no_remote(),
            ended: ended::Ended::new(),
            era: AtomicWord::new(0),
            marked: [const { AtomicWord::new(0) }; 2],
            #[cfg(feature = "std")]
            thread: thread::ThreadPart::none(),
        }
    }

    /// A recorder for one thread of a server, with the thread's metric cells. Its ids are different from
    /// those of all other recorders of the process. For adapters.
    #[cfg(feature = "std")]
    #[doc(hidden)]
    pub fn for_thread(
        slots: &'static [Slot],
        mode: Mode,
        clock: Clock,
        cells: &'static [crate::sync::Cell],
    ) -> Recorder {
        let mut recorder = Recorder::with_ring(Ring::new(slots, mode), clock);
        recorder.ring.owner().next_id.store(ids::first(), Relaxed);
        let straight = matches!(mode, Mode::LocalOldest) && clock.is_processor();
        recorder.thread = thread::ThreadPart::new(cells, straight);
        recorder
    }

    /// This recorder with exemplars of the thread's histograms. For adapters.
    #[cfg(all(feature = "std", target_has_atomic = "64"))]
    #[doc(hidden)]
    #[must_use]
    pub fn keeping(mut self, exemplars: &'static crate::exemplars::Exemplars) -> Recorder {
        self.thread.exemplars = Some(exemplars);
        self
    }

    /// The ring.
    #[doc(hidden)]
    pub fn ring(&self) -> &Ring<'static> {
        &self.ring
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The current ticks, extended to 64 bits. On a 32-bit machine call this at least once every 2^31 − 2^16
    /// ticks, from one context at a time. Each flush calls it; if flushes are rarer, a timer may. It writes a
    /// clock record to the ring when the last one is 2^30 ticks old (or up to 2^24 ticks less), so that
    /// readers of the records see every wrap.
    pub fn mark_clock(&self) -> u64 {
        let now = self.clock.ticks();
        if Word::BITS == 64 {
            return now as u64;
        }
        let (before, mut high) = (self.marked[0].load(Relaxed), self.marked[1].load(Relaxed));
        if now < before & !RECORDED {
            high = high.wrapping_add(1);
            self.marked[1].store(high, Relaxed);
        }
        self.era.store((high << 1 | now >> (Word::BITS - 1)) << ERA, Relaxed);
        self.renew_short_era();
        let upper = now >> RECORDED_SHIFT;
        let mut recorded = before;
        if upper.wrapping_sub(before) & RECORDED >= RECORDED_EVERY {
            // Do not push into a full ring: that would count as a lost record, which a clock record is not.
            // The next call tries again.
            let is_there =
                self.ring.has_room() && self.push(Head::new(RecordKind::Clock, 0, 0, 0), &[now, high], now);
            // An overdue record stays due, even if the clock makes a whole turn before there is room.
            recorded = if is_there { upper } else { upper.wrapping_sub(RECORDED_EVERY) };
        }
        self.marked[0].store(now & !RECORDED | recorded & RECORDED, Relaxed);
        now as u64 | (high as u64) << 32
    }

    #[inline(always)]
    pub(crate) fn ticks(&self) -> Word {
        self.clock.ticks()
    }

    /// The number of half wraps of the clock at the last mark, above [`ERA`] bits.
    #[inline(always)]
    pub(crate) fn era(&self) -> Word {
        if Word::BITS == 64 { 0 } else { self.era.load(Relaxed) }
    }

    /// The number of spans that a sampler has rejected so far. Exact while no span begins. A microcontroller
    /// without a sampler of its own does not count spans below an unsampled remote parent.
    #[doc(hidden)]
    pub fn sampled_out(&self) -> usize {
        self.sampled_out_cell().load(Relaxed)
    }

    /// Counts a span that is not recorded because its trace is not sampled.
    #[inline(always)]
    pub(crate) fn count_sampled_out(&self) {
        #[cfg(feature = "std")]
        if self.is_local() {
            return self.count_local_sampled_out();
        }
        // Test this first, so that firmware without a sampler is linked without the counter.
        if cfg!(feature = "std") || sampler::asks_below_remote() {
            self.sampled_out_cell().fetch_add(1, Relaxed);
        }
    }

    /// Counts such a span in a thread's own recorder.
    #[cfg(feature = "std")]
    #[inline(always)]
    pub(crate) fn count_local_sampled_out(&self) {
        let cell = &self.thread.sampled_out;
        cell.store(cell.load(Relaxed).wrapping_add(1), Relaxed);
    }

    #[inline(always)]
    fn sampled_out_cell(&self) -> &AtomicWord {
        #[cfg(feature = "std")]
        return &self.thread.sampled_out;
        #[cfg(not(feature = "std"))]
        &SAMPLED_OUT
    }

    /// Makes the next span that begins a trace ask the sampler, on machines where it otherwise would not.
    pub(crate) fn lead_outside(&self) {
        if outside() != 0 && self.place().0 == 0 {
            self.make_current((0, 0));
        }
    }

    fn remote_cells(&self) -> &context::RemoteCells {
        #[cfg(feature = "std")]
        return &self.remote;
        #[cfg(not(feature = "std"))]
        &REMOTE_PARENT
    }

    /// The next local id. Ids are unique, never 0 and never marked.
    #[inline(always)]
    pub(crate) fn next_id(&self) -> Word {
        if self.is_local() {
            #[cfg(feature = "std")]
            return self.next_local_id();
        }
        self.ring.next_id()
    }

    #[cfg(feature = "std")]
    #[inline(always)]
    pub(crate) fn next_local_id(&self) -> Word {
        ids::next(&self.ring)
    }

    /// Pushes a record. Not inlined where flash is scarce.
    #[inline(always)]
    pub(crate) fn push(&self, head: Head, body: &[Word], time: Word) -> bool {
        #[cfg(feature = "std")]
        return self.ring.push(head, body, time);
        #[cfg(not(feature = "std"))]
        self.ring.push_shared_long(head, body, time)
    }

    #[inline(always)]
    fn is_local(&self) -> bool {
        #[cfg(feature = "std")]
        return self.thread.local;
        #[cfg(not(feature = "std"))]
        false
    }
}

static INSTALLED: AtomicPtr<Recorder> = AtomicPtr::new(core::ptr::null_mut());

/// Makes `recorder` the one that all instrumentation of this program uses. Firmware calls this once, before
/// its first record. With feature `std` it serves the threads that have no recorder of their own.
///
/// [`Recorder`] has an example.
pub fn install(recorder: &'static Recorder) {
    recorder.lead_outside();
    INSTALLED.store(core::ptr::from_ref(recorder).cast_mut(), core::sync::atomic::Ordering::Release);
    #[cfg(registered_callsites)]
    crate::callsite::registry::open();
    #[cfg(not(registered_callsites))]
    gate::set();
}

/// The recorder of this context, if there is one.
#[cfg(not(feature = "std"))]
#[inline(always)]
pub(crate) fn get() -> Option<&'static Recorder> {
    installed()
}
#[cfg(all(not(feature = "std"), registered_callsites))]
pub(crate) use get as get_to_record;
#[cfg(feature = "std")]
pub(crate) use thread::{get, get_to_record, refuse, thread_cells};
#[cfg(straight)]
pub(crate) use thread::{straight, straight_for_spans};

#[inline(always)]
fn installed() -> Option<&'static Recorder> {
    let recorder = INSTALLED.load(core::sync::atomic::Ordering::Acquire).cast_const();
    // SAFETY: only `install` stores this pointer, and it stores a `&'static Recorder` with Release.
    unsafe { recorder.as_ref() }
}

static KEY: [AtomicWord; 2] = [const { AtomicWord::new(0) }; 2];

/// Sets the key from which W3C ids are derived. Adapters call this once, before the first `traceparent` is
/// made.
pub fn set_id_key(key: IdKey) {
    let bits = key.to_bits();
    KEY[0].store(bits as Word, Relaxed);
    KEY[1].store((bits >> 32) as Word, Release);
}

/// The key from which W3C ids are derived.
pub fn id_key() -> IdKey {
    let high = KEY[1].load(Acquire) as u64;
    IdKey::from_bits(KEY[0].load(Relaxed) as u64 & 0xffff_ffff | high << 32)
}
