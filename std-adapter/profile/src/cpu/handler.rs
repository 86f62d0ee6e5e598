//! What happens when a thread's timer expires: a signal interrupts the thread, and the handler writes where the thread
//! is, and in which span, into the thread's ring.
//!
//! The handler may interrupt the thread anywhere, in an allocation or while it holds a lock. So it allocates nothing,
//! takes no lock, and calls nothing but the system: its memory is the thread's [`Slot`], made beforehand.

use super::perf;
use super::ring::{Ring, Writer};
use crate::marks::Marks;
use crate::modules::{self, Modules};
use crate::unwind::{self, End, Scratch, Start};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::time::Instant;
use throughline::adapter::recorder::{ThreadPlace, interrupted_place, recorded_span};
use throughline::{SpanId, TraceContext, TraceId};

/// The signal of the timers. Signals that others send with it are passed on to the handler that was there before.
pub(super) const SIGNAL: libc::c_int = libc::SIGPROF;

/// Most threads that can be sampled at the same time.
pub(super) const MAX_THREADS: usize = 4096;

/// What the handler needs for one thread. Slots are never freed, so a handler may have one at any time; they are
/// reused, and each use has its own ticket.
pub(super) struct Slot {
    /// Distinguishes the uses of a slot. A timer's signal carries it.
    ticket: AtomicU32,
    /// Whether a handler uses the slot now.
    busy: AtomicBool,
    /// CPU time between two expirations, in nanoseconds.
    period: AtomicU64,
    /// The thread that uses the slot, where its signals do not come from a timer, and the CPU time that was counted at the last one.
    thread: AtomicI32,
    counted: AtomicU64,
    pub(super) ring: Ring,
    /// Only the handler that made the slot busy uses it.
    scratch: UnsafeCell<Scratch>,
    /// Signals that the handler got. Like the other counts, it is since the collector's last look.
    pub(super) signals: AtomicU64,
    /// Signals without a sample, because a handler was already there.
    pub(super) busy_drops: AtomicU64,
    /// Signals without a sample, because the ring was full.
    pub(super) full_drops: AtomicU64,
    /// For the pump: ids of spans, and the CPU time that a sample stands for.
    spans: Marks<2, 256>,
}

// SAFETY: `scratch`, the only part that is not made of atomics, is used by the handler that has set `busy`.
unsafe impl Sync for Slot {}

static SLOTS: [AtomicPtr<Slot>; MAX_THREADS] = [const { AtomicPtr::new(std::ptr::null_mut()) }; MAX_THREADS];
/// Every ticket has this bit, so that no address of this process is taken for a ticket.
const TICKET: u32 = 1 << 31;

impl Slot {
    /// Makes the slot with this number.
    pub(super) fn install(number: usize) -> &'static Slot {
        let slot = Box::leak(Box::new(Slot {
            ticket: AtomicU32::new(TICKET),
            busy: AtomicBool::new(false),
            period: AtomicU64::new(0),
            thread: AtomicI32::new(0),
            counted: AtomicU64::new(0),
            ring: Ring::new(),
            scratch: UnsafeCell::new(Scratch::new()),
            signals: AtomicU64::new(0),
            busy_drops: AtomicU64::new(0),
            full_drops: AtomicU64::new(0),
            spans: Marks::new(),
        }));
        // Without memory for it, what it would have is counted as lost.
        slot.spans.make();
        SLOTS[number].store(slot, Ordering::Release);
        slot
    }

    /// Begins another use of the slot. Returns the value for the timer. Late signals of the last use have no effect.
    pub(super) fn begin_use(&self, number: usize, thread: libc::pid_t, period: u64) -> usize {
        let ticket = self.ticket.load(Ordering::Relaxed).wrapping_add(1) | TICKET;
        self.set_period(period);
        self.thread.store(thread, Ordering::Relaxed);
        self.counted.store(0, Ordering::Relaxed);
        self.ticket.store(ticket, Ordering::Release);
        (ticket as usize) << 32 | number
    }

    /// Ends this use: signals that are still on their way have no effect.
    pub(super) fn end_use(&self) {
        let ticket = self.ticket.load(Ordering::Relaxed).wrapping_add(1) | TICKET;
        self.ticket.store(ticket, Ordering::Release);
    }

    pub(super) fn set_period(&self, nanoseconds: u64) {
        self.period.store(nanoseconds, Ordering::Relaxed);
    }

    /// Waits until a handler that was there when the use ended has gone, so that its sample can be read; at most
    /// until `deadline`, because the handler's thread may not get a processor.
    pub(super) fn wait_for_handler(&self, deadline: Instant) {
        while self.busy.load(Ordering::Acquire) && Instant::now() < deadline {
            std::thread::yield_now();
        }
    }

    pub(super) fn is_of(&self, thread: libc::pid_t) -> bool {
        self.thread.load(Ordering::Relaxed) == thread
    }

    /// The CPU time since this was last called, of what was counted in all.
    pub(super) fn since_last(&self, counted: u64) -> u64 {
        counted.saturating_sub(self.counted.swap(counted, Ordering::Relaxed))
    }

    pub(super) fn of_signal(value: usize) -> Option<&'static Slot> {
        let slot = SLOTS.get(value & u32::MAX as usize)?.load(Ordering::Acquire);
        // SAFETY: only `install` stores pointers there, to slots that are never freed.
        let slot = unsafe { slot.as_ref() }?;
        (slot.ticket.load(Ordering::Acquire) as usize == value >> 32).then_some(slot)
    }

    /// The CPU time that a signal of a timer stands for. `missed` is the number of expirations without a signal of their own since
    /// the last one.
    fn weight(&self, missed: u32) -> u64 {
        self.period.load(Ordering::Relaxed).saturating_mul(u64::from(missed) + 1)
    }

    /// Takes a sample that stands for so much CPU time.
    ///
    /// # Safety
    ///
    /// `context` is the third argument of a signal's handler.
    unsafe fn sample(&self, weight: u64, context: *const libc::ucontext_t) {
        let is_busy = self.busy.swap(true, Ordering::Acquire);
        self.signals.fetch_add(1, Ordering::Relaxed);
        if is_busy {
            self.busy_drops.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // SAFETY: the caller promises the context.
        let start = unsafe { Start::interrupted(context) };
        // SAFETY: this handler has set `busy`, so no other one has the scratch.
        let scratch = unsafe { &mut *self.scratch.get() };
        let written = modules::with(|modules| {
            modules.is_some_and(|modules| write(self.ring.writer(), weight, modules, scratch, start))
        });
        if !written {
            self.full_drops.fetch_add(1, Ordering::Relaxed);
        }
        if TELLS_SPANS.load(Ordering::Relaxed) {
            let place = ThreadPlace::here();
            let span = recorded_span(place.span_word(), place.root_word()) as u64;
            if span != 0 && !self.spans.put([span, weight]) {
                LOST_OF_SPANS.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.busy.store(false, Ordering::Release);
    }
}

/// Whether samples are told to the pump too, which sums them up by span.
static TELLS_SPANS: AtomicBool = AtomicBool::new(false);
static LOST_OF_SPANS: AtomicU64 = AtomicU64::new(0);

pub(crate) fn tell_spans() {
    TELLS_SPANS.store(true, Ordering::Relaxed);
}

/// Calls `each` with the span and the CPU time in nanoseconds of all samples since the last call. There must be one
/// caller at a time.
pub(crate) fn read_spans(mut each: impl FnMut(u64, u64)) {
    // Slots are made in order.
    for slot in &SLOTS {
        // SAFETY: only `install` stores pointers there, to slots that are never freed.
        let Some(slot) = (unsafe { slot.load(Ordering::Acquire).as_ref() }) else { return };
        slot.spans.read(|[span, nanoseconds]| each(span, nanoseconds));
    }
}

/// Samples in spans that the pump was not told, because it did not read them in time.
pub(crate) fn lost_samples_of_spans() -> u64 {
    LOST_OF_SPANS.load(Ordering::Relaxed)
}

/// Writes a sample: a head, the weight, three words of ids if the thread is in a span, and the frames. Returns false if
/// there is no room.
fn write(mut to: Writer<'_>, weight: u64, modules: &Modules, scratch: &mut Scratch, start: Start) -> bool {
    let place = interrupted_place();
    let mut fits = to.put(0) && to.put(weight);
    if let Some(place) = &place {
        let [high, low, span] = ids_to_words(place);
        fits = fits && to.put(high) && to.put(low) && to.put(span);
    }
    if !fits {
        return false;
    }
    let mapped = start.in_use(&unwind::known_stack());
    // SAFETY: this is the stack of the thread that is interrupted, which is the running one.
    let walked = unsafe { scratch.walk(modules, start, mapped, |address| to.put(address)) };
    let Some(end) = walked else { return false };
    to.set(0, end as u64 | u64::from(place.is_some()) << 8);
    to.finish()
}

fn ids_to_words(place: &TraceContext) -> [u64; 3] {
    let trace = u128::from_be_bytes(place.trace_id.to_bytes());
    [(trace >> 64) as u64, trace as u64, u64::from_be_bytes(place.span_id.to_bytes())]
}

/// A sample as the collector reads it.
pub(super) struct RawSample<'a> {
    /// CPU time that it stands for, in nanoseconds.
    pub(super) weight: u64,
    pub(super) place: Option<(TraceId, SpanId)>,
    /// Addresses, the innermost first.
    pub(super) frames: &'a [u64],
    pub(super) end: End,
}

impl RawSample<'_> {
    /// Reads the record that [`write`] has written.
    pub(super) fn parse(record: &[u64]) -> Option<RawSample<'_>> {
        let [head, weight, rest @ ..] = record else { return None };
        let end = *End::ALL.get((head & 0xff) as usize)?;
        if head >> 8 == 0 {
            return Some(RawSample { weight: *weight, place: None, frames: rest, end });
        }
        let [high, low, span, frames @ ..] = rest else { return None };
        let trace = u128::from(*high) << 64 | u128::from(*low);
        let place = TraceId::from_bytes(trace.to_be_bytes()).zip(SpanId::from_bytes(span.to_be_bytes()));
        Some(RawSample { weight: *weight, place, frames, end })
    }
}

/// What the system tells about the signal of a timer: the start of `siginfo_t`.
#[repr(C)]
struct TimerInfo {
    signal: libc::c_int,
    error: libc::c_int,
    code: libc::c_int,
    _padding: libc::c_int,
    timer: libc::c_int,
    missed: libc::c_int,
    value: usize,
}

/// The handler that was there before ours.
static BEFORE: AtomicPtr<libc::sigaction> = AtomicPtr::new(std::ptr::null_mut());

/// Sets the handler, once per process. It stays, because a signal may be on its way at any time.
pub(super) fn install() -> std::io::Result<()> {
    if !BEFORE.load(Ordering::Acquire).is_null() {
        return Ok(());
    }
    // SAFETY: a `sigaction` of zeros is valid: the default, with nothing blocked.
    let mut ours: libc::sigaction = unsafe { std::mem::zeroed() };
    ours.sa_sigaction = handle as *const () as usize;
    // System calls that can go on after a signal do. The handler needs more stack than the alternative stacks that
    // Rust's threads have, so it runs on the stack of the thread.
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
    // SAFETY: as above.
    let before: &'static mut libc::sigaction = Box::leak(Box::new(unsafe { std::mem::zeroed() }));
    // SAFETY: both are valid.
    if unsafe { libc::sigaction(SIGNAL, &ours, before) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    BEFORE.store(before, Ordering::Release);
    Ok(())
}

extern "C" fn handle(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the place of this thread's error number.
    let error = unsafe { libc::__errno_location() };
    // SAFETY: it is valid for the life of the thread.
    let saved = unsafe { *error };
    // SAFETY: the system passes a valid description, which begins as `TimerInfo` does when a timer has sent the signal.
    let timer = unsafe { &*info.cast::<TimerInfo>() };
    match Slot::of_signal(timer.value) {
        // SAFETY: the system passes the context of the interrupted code.
        Some(slot) if timer.code == libc::SI_TIMER => unsafe {
            slot.sample(slot.weight(timer.missed.cast_unsigned()), context.cast());
        },
        _ if timer.code == libc::SI_TIMER && timer.value >> 63 == 1 => {} // A late signal of an ended use.
        // The number of the file is where a timer has its value.
        _ if timer.code > 0 => match perf::of_signal(timer.value as libc::c_int) {
            // SAFETY: as above.
            Some((slot, weight)) => unsafe { slot.sample(weight, context.cast()) },
            None => pass_on(signal, info, context),
        },
        _ => pass_on(signal, info, context),
    }
    // SAFETY: as above.
    unsafe { *error = saved };
}

fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: only `install` stores this pointer, to an object that is never freed.
    let Some(before) = (unsafe { BEFORE.load(Ordering::Acquire).as_ref() }) else { return };
    match before.sa_sigaction {
        // The default would end the process; ours stays instead.
        libc::SIG_DFL | libc::SIG_IGN => {}
        handler if before.sa_flags & libc::SA_SIGINFO != 0 => {
            type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
            // SAFETY: the flag says that the handler has this form.
            let handler = unsafe { std::mem::transmute::<usize, Handler>(handler) };
            handler(signal, info, context);
        }
        handler => {
            // SAFETY: without the flag the handler has this form.
            let handler = unsafe { std::mem::transmute::<usize, extern "C" fn(libc::c_int)>(handler) };
            handler(signal);
        }
    }
}
