//! A signal handler that records on the thread that it interrupts, at any instruction, during a storm of
//! signals: the records of both stay whole, ids stay unique, and every record is either read or counted as
//! lost.
#![cfg(all(target_os = "linux", feature = "std", not(loom), not(miri)))]

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use throughline::adapter::record::Record;
use throughline::adapter::ring::{Mode, Slot};
use throughline::adapter::{LossReason, metrics, metrics::Reading, recorder};
use throughline::{Clock, Recorder, Value, counter, histogram, info, span};

static MODE_IS_NEWEST: AtomicBool = AtomicBool::new(false);
/// How often the handler ran.
static HANDLED: AtomicUsize = AtomicUsize::new(0);
/// After this many signals the handler does nothing.
static ENOUGH: AtomicUsize = AtomicUsize::new(usize::MAX);
/// The timer that sends the signals.
static TIMER: AtomicPtr<libc::c_void> = AtomicPtr::new(core::ptr::null_mut());

fn hook() -> Option<&'static Recorder> {
    recorder::acquire_thread(|| {
        let slots = Vec::leak((0..1 << 12).map(|_| Slot::new()).collect());
        let cells = Vec::leak((0..4096).map(|_| metrics::Cell::new(0)).collect());
        let mode = if MODE_IS_NEWEST.load(Relaxed) { Mode::LocalNewest } else { Mode::LocalOldest };
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        let clock = Clock::processor(1_000_000_000);
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let clock = Clock::mock();
        Some(Box::leak(Box::new(Recorder::for_thread(slots, mode, clock, cells))))
    })
}

/// Records a span, an event with numbers that belong together, and a longer event.
fn work(who: u32, n: usize) {
    let _span = span!("work", who, n);
    counter!("both").add(1);
    info!("numbers", n, inverse = !n);
    info!(
        "more numbers",
        who,
        n,
        inverse = !n,
        again = n,
        text = "of more than one slot, whatever the machine's word"
    );
}

extern "C" fn handler(_: libc::c_int) {
    let n = HANDLED.load(Relaxed);
    if n >= ENOUGH.load(Relaxed) {
        return;
    }
    HANDLED.store(n + 1, Relaxed);
    work(2, n);
    next_signal(n);
}

/// Whether the values of a record do not belong together.
fn is_mixed(values: &[Value<'_>]) -> bool {
    match values {
        [Value::U64(n), Value::U64(inverse)] => *n as usize != !(*inverse as usize),
        [Value::U64(_), Value::U64(n), Value::U64(inverse), Value::U64(again), Value::Str { text, .. }] => {
            *n as usize != !(*inverse as usize) || n != again || !text.starts_with("of more")
        }
        _ => true,
    }
}

#[derive(Default)]
struct Seen {
    records: usize,
    mixed: usize,
    ids: HashSet<usize>,
    repeated: usize,
    lost: usize,
    reentrant: usize,
}

/// A storm takes seconds. After this time the test fails instead of going on for ever.
const LONG: Duration = Duration::from_secs(120);

impl Seen {
    fn read(&mut self, begun: Instant) {
        recorder::for_each_thread(|recorder| {
            let mut reader = recorder.ring().reader().expect("the only reader");
            reader.drain(|raw| {
                self.records += 1;
                assert!(begun.elapsed() < LONG, "the ring gives records without end: {}", self.records);
                match Record::parse(raw) {
                    Some(Record::Span(span)) => {
                        let values: Vec<_> = span.values.into_iter().collect();
                        let whole = matches!(values[..], [Value::U64(1 | 2), Value::U64(_)]);
                        self.mixed += usize::from(!whole);
                        self.repeated += usize::from(!self.ids.insert(span.id));
                    }
                    Some(Record::Event(event)) => {
                        let values: Vec<_> = event.values.into_iter().collect();
                        self.mixed += usize::from(is_mixed(&values));
                    }
                    _ => self.mixed += 1,
                }
            });
            while let Some(loss) = reader.take_loss() {
                match loss.reason {
                    LossReason::Reentrant => self.reentrant += loss.count,
                    _ => self.lost += loss.count,
                }
            }
        });
    }
}

/// Sends SIGPROF to this thread again and again while it lives: each signal some microseconds after the handler
/// of the one before, so that the thread makes progress however slow the machine is.
struct Storm;

/// Has the timer send a signal after 1 to 17 µs, which differ by `n`.
fn next_signal(n: usize) {
    let after = libc::timespec { tv_sec: 0, tv_nsec: (1_000 + n * 7_919 % 16_000) as _ };
    // SAFETY: a timespec of zeros is one.
    let times = libc::itimerspec { it_interval: unsafe { core::mem::zeroed() }, it_value: after };
    // SAFETY: the timer is ours, and a signal handler may set it.
    let result =
        unsafe { libc::timer_settime(TIMER.load(Relaxed), 0, &raw const times, core::ptr::null_mut()) };
    assert_eq!(result, 0);
}

impl Storm {
    #[allow(clippy::multiple_unsafe_ops_per_block, reason = "calls of the system, one after the other")]
    fn begin() -> Storm {
        let mut timer = core::ptr::null_mut();
        // SAFETY: this installs a handler that does what the test is about, and makes a timer of this process
        // that sends the signal to this thread.
        unsafe {
            let mut action: libc::sigaction = core::mem::zeroed();
            action.sa_sigaction = handler as *const () as usize;
            action.sa_flags = libc::SA_RESTART;
            assert_eq!(libc::sigaction(libc::SIGPROF, &raw const action, core::ptr::null_mut()), 0);
            let mut event: libc::sigevent = core::mem::zeroed();
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_signo = libc::SIGPROF;
            event.sigev_notify_thread_id = libc::gettid();
            assert_eq!(libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer), 0);
        }
        TIMER.store(timer, Relaxed);
        next_signal(0);
        Storm
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        // SAFETY: the timer is ours. No signal arrives after it is deleted, because a pending one is
        // delivered before the call returns.
        unsafe { libc::timer_delete(TIMER.load(Relaxed)) };
    }
}

/// Runs a storm of this many signals over a thread that records. Returns the number of rounds of work and the
/// records that were read meanwhile.
fn storm(signals: usize) -> (usize, Seen) {
    recorder::set_thread_hook(hook);
    /// Set when the thread ends, also by a panic, so that nobody waits for it in vain.
    struct Over<'a>(&'a AtomicBool);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Relaxed);
        }
    }
    let over = AtomicBool::new(false);
    let (mut seen, begun) = (Seen::default(), Instant::now());
    let rounds = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let _over = Over(&over);
            // The thread gets its recorder and the callsites register before the first signal, because a
            // handler must do neither.
            work(1, 0);
            work(2, HANDLED.fetch_add(1, Relaxed));
            let first = HANDLED.load(Relaxed);
            ENOUGH.store(first + signals, Relaxed);
            let storm = Storm::begin();
            let mut rounds = 1;
            while HANDLED.load(Relaxed) - first < signals {
                let came = HANDLED.load(Relaxed) - first;
                assert!(begun.elapsed() < LONG, "only {came} of {signals} signals in {rounds} rounds");
                work(1, rounds);
                counter!("done").add(1);
                histogram!("sizes").record(rounds);
                rounds += 1;
            }
            drop(storm);
            ENOUGH.store(usize::MAX, Relaxed);
            rounds
        });
        while !over.load(Relaxed) {
            seen.read(begun);
        }
        thread.join().expect("the thread that records came through the storm")
    });
    seen.read(begun);
    (rounds, seen)
}

fn sum(name: &str) -> u64 {
    let mut sum = 0;
    metrics::for_each(|series| {
        if series.blob().is_some_and(|blob| blob.name == name) {
            let Reading::Counter(n) = series.read() else { panic!("{name} is no counter") };
            sum += n;
        }
    });
    sum
}

#[test]
fn a_handler_that_interrupts_a_record_corrupts_nothing_and_loses_nothing_uncounted_16() {
    for newest in [false, true] {
        MODE_IS_NEWEST.store(newest, Relaxed);
        let before = (HANDLED.load(Relaxed), sum("done"), sum("both"));
        let (rounds, seen) = storm(10_000);
        let handled = HANDLED.load(Relaxed) - before.0;
        println!(
            "{handled} signals in {rounds} rounds: {} records read, {} lost, {} lost as reentrant, {} mixed, {} ids twice",
            seen.records, seen.lost, seen.reentrant, seen.mixed, seen.repeated
        );
        assert_eq!((seen.mixed, seen.repeated), (0, 0));
        assert!(seen.reentrant > 0, "no signal came while a record was written: nothing is shown");
        assert_eq!(seen.records + seen.lost + seen.reentrant, 3 * (rounds + handled));
        assert_eq!(sum("done") - before.1, rounds as u64 - 1);
        let both = (rounds + handled) as u64;
        if cfg!(target_arch = "x86_64") {
            assert_eq!(sum("both") - before.2, both, "one cell, in both contexts");
        } else {
            assert!(sum("both") - before.2 <= both);
        }
        recorder::forget_threads();
    }
}
