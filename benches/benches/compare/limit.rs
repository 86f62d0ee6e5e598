//! The least work that could do each path's job, written by hand; subjects are measured against it.
//!
//! All state is owned by one thread and consists of relaxed atomics, so that a reader could read it without a
//! data race. On x86-64 and AArch64 these are plain loads and stores. The first thread reads the records
//! between batches, as it does for the subjects: that moves the second thread's memory to the first thread's
//! cache, and writing there costs more than in its own cache.

use std::{
    cell::Cell,
    hint::black_box,
    sync::{
        Arc, Mutex,
        atomic::{
            AtomicBool, AtomicU64, AtomicUsize, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
        },
    },
};

use crate::{
    harness::{Bench, traces},
    work::{LATENCIES, latency, route, ticks},
};

/// One read of the counter.
pub(crate) fn clock_read(bench: &mut Bench<'_>) {
    bench.steady(
        |_| (),
        |(), n| {
            for _ in 0..n {
                black_box(ticks());
            }
        },
    );
}

/// Two reads of the counter and one record of 32 bytes: begin, end, callsite, sequence number.
pub(crate) fn span(bench: &mut Bench<'_>) {
    bench.drained(
        |_| NARROW.set(new_ring(&NARROW_RINGS)),
        |(), n| {
            for _ in 0..n {
                let begin = ticks();
                black_box(());
                NARROW.get().push(|at| [begin, ticks(), callsite(&SPAN), at]);
            }
        },
        |()| drain(&NARROW_RINGS),
    );
}

/// Two reads of the counter, ids passed from span to child, and one record of 64 bytes with both fields.
pub(crate) fn span_2fields(bench: &mut Bench<'_>) {
    fn span(bytes: u64, work: impl FnOnce()) {
        let ring = WIDE.get();
        let id = bump(&ring.next_id);
        let parent = replace(&ring.current, id);
        let begin = ticks();
        work();
        let root = ring.root.load(Relaxed);
        let attempt = black_box(3);
        ring.push(|at| [begin, ticks(), callsite(&SPAN), at, id, parent << 32 | root, bytes, attempt]);
        ring.current.store(parent, Relaxed);
    }
    bench.drained(
        |_| WIDE.set(new_ring(&WIDE_RINGS)),
        |(), n| {
            traces(n, |children| {
                span(children, || {
                    for i in 0..children {
                        span(i, || {
                            black_box(());
                        });
                    }
                });
            });
        },
        |()| drain(&WIDE_RINGS),
    );
}

/// One read of the counter and one record of 32 bytes: time, callsite, both fields.
pub(crate) fn event_2fields(bench: &mut Bench<'_>) {
    bench.drained(
        |_| NARROW.set(new_ring(&NARROW_RINGS)),
        |(), n| {
            for i in 0..n {
                let attempt = black_box(3);
                NARROW.get().push(|_| [ticks(), callsite(&EVENT), i, attempt]);
            }
        },
        |()| drain(&NARROW_RINGS),
    );
}

/// One load of a shared flag and a branch.
pub(crate) fn disabled(bench: &mut Bench<'_>) {
    #[cold]
    #[inline(never)]
    fn enabled(i: u64) {
        NARROW.get().push(|_| [ticks(), callsite(&EVENT), i, 3]);
    }
    ENABLED.store(black_box(false), Relaxed);
    bench.steady(
        |_| (),
        |(), n| {
            for i in 0..n {
                if ENABLED.load(Relaxed) {
                    enabled(i);
                }
            }
        },
    );
}

/// One load of a thread's flag and a branch at the begin, and a branch at the end.
pub(crate) fn sampled_out(bench: &mut Bench<'_>) {
    #[cold]
    #[inline(never)]
    fn sampled() -> u64 {
        ticks()
    }
    bench.steady(
        |_| SAMPLED.with(|on| on.store(black_box(false), Relaxed)),
        |(), n| {
            for _ in 0..n {
                let begin = SAMPLED.with(|on| if on.load(Relaxed) { sampled() } else { 0 });
                if begin != 0 {
                    NARROW.get().push(|at| [begin, ticks(), callsite(&SPAN), at]);
                }
            }
        },
    );
}

/// A plain add to a cell that the thread owns.
pub(crate) fn counter(bench: &mut Bench<'_>) {
    bench.steady(
        |_| own_cells(),
        |(), n| {
            for _ in 0..n {
                bump(&CELLS.get().buckets[COUNTER]);
            }
        },
    );
}

/// A hash of eight bytes of the label value, one comparison of it, and a plain add to a cell that the thread
/// owns.
pub(crate) fn counter_family(bench: &mut Bench<'_>) {
    bench.steady(
        |_| Family::default(),
        |family, n| {
            for i in 0..n {
                family.add(black_box(route(i)));
            }
        },
    );
}

/// A bucket index from the leading zeros and three more bits, and plain adds to that bucket and to the sum.
pub(crate) fn histogram(bench: &mut Bench<'_>) {
    bench.steady(
        |_| {
            own_cells();
            &*LATENCIES
        },
        |values, n| {
            for i in 0..n {
                let value = latency(values, i);
                let cells = CELLS.get();
                let exponent = 63 - (value | 8).leading_zeros();
                let index = (exponent as usize) << 3 | (value >> (exponent - 3)) as usize & 7;
                bump(&cells.buckets[index & 511]);
                cells.sum.store(cells.sum.load(Relaxed).wrapping_add(value), Relaxed);
            }
        },
    );
}

/// A record of 32 bytes through a queue with one writer and one reader, which read each other's position only
/// when they must.
pub(crate) fn ring(bench: &mut Bench<'_>) {
    crate::harness::ring(bench, || {
        let queue = Arc::new(Queue::default());
        let pushing = Arc::clone(&queue);
        let (mut pushed, mut seen_popped) = (0, 0);
        let push = move |record| {
            if pushed - seen_popped == pushing.slots.len() {
                seen_popped = pushing.popped.0.load(Acquire);
                if pushed - seen_popped == pushing.slots.len() {
                    return false;
                }
            }
            store(&pushing.slots[pushed % 1024], record);
            pushed += 1;
            pushing.pushed.0.store(pushed, Release);
            true
        };
        let (mut popped, mut seen_pushed) = (0, 0);
        let pop = move || {
            if popped == seen_pushed {
                seen_pushed = queue.pushed.0.load(Acquire);
                if popped == seen_pushed {
                    return None;
                }
            }
            let record = queue.slots[popped % 1024].each_ref().map(|word| word.load(Relaxed));
            popped += 1;
            queue.popped.0.store(popped, Release);
            Some(record)
        };
        (push, pop)
    });
}

/// `prost` encodes spans that are already built, one by one.
pub(crate) fn encode(bench: &mut Bench<'_>) {
    #[cfg(feature = "peers")]
    crate::peers::encode::limit(bench);
    #[cfg(not(feature = "peers"))]
    let _ = bench;
}

static SPAN: u8 = 0;
static EVENT: u8 = 0;
static NO_NARROW: Ring<4> = Ring::new();
static NO_WIDE: Ring<8> = Ring::new();
static NARROW_RINGS: Rings<4> = Mutex::new(Vec::new());
static WIDE_RINGS: Rings<8> = Mutex::new(Vec::new());
static NO_CELLS: Cells = Cells { sum: AtomicU64::new(0), buckets: [const { AtomicU64::new(0) }; 512] };

/// The cell of the counter, known when the program starts.
const COUNTER: usize = 7;
static ENABLED: AtomicBool = AtomicBool::new(false);

thread_local! {
    static NARROW: Cell<&'static Ring<4>> = const { Cell::new(&NO_NARROW) };
    static WIDE: Cell<&'static Ring<8>> = const { Cell::new(&NO_WIDE) };
    static SAMPLED: AtomicBool = const { AtomicBool::new(false) };
    /// Use a pointer instead of the thread-local itself: on AMD's Zen 4 an add to an `fs:` address that the
    /// previous add wrote takes 1.5 ns, but 0.27 ns through a register.
    static CELLS: Cell<&'static Cells> = const { Cell::new(&NO_CELLS) };
}

/// Every thread's ring, for the reader.
type Rings<const WORDS: usize> = Mutex<Vec<&'static Ring<WORDS>>>;

fn new_ring<const WORDS: usize>(rings: &Rings<WORDS>) -> &'static Ring<WORDS> {
    let ring: &'static Ring<WORDS> = Box::leak(Box::new(Ring::new()));
    rings.lock().expect("no panic goes on").push(ring);
    ring
}

/// Reads what has been written since the last time.
fn drain<const WORDS: usize>(rings: &Rings<WORDS>) {
    for ring in rings.lock().expect("no panic goes on").iter() {
        let pushed = ring.pushed.load(Acquire);
        for at in ring.read.load(Relaxed)..pushed {
            black_box(ring.slots[at as usize % 512].each_ref().map(|word| word.load(Relaxed)));
        }
        ring.read.store(pushed, Relaxed);
    }
}

/// The records of a thread, `WORDS` words each, and its place in the trace. The newest record overwrites the
/// oldest; a batch fits.
#[repr(align(128))]
struct Ring<const WORDS: usize> {
    read: AtomicU64,
    pushed: AtomicU64,
    next_id: AtomicU64,
    current: AtomicU64,
    root: AtomicU64,
    slots: [[AtomicU64; WORDS]; 512],
}

impl<const WORDS: usize> Ring<WORDS> {
    const fn new() -> Self {
        Self {
            read: AtomicU64::new(0),
            pushed: AtomicU64::new(0),
            next_id: AtomicU64::new(0),
            current: AtomicU64::new(0),
            root: AtomicU64::new(0),
            slots: [const { [const { AtomicU64::new(0) }; WORDS] }; 512],
        }
    }

    #[inline(always)]
    fn push(&self, record: impl FnOnce(u64) -> [u64; WORDS]) {
        let at = self.pushed.load(Relaxed);
        store(&self.slots[at as usize % 512], record(at));
        self.pushed.store(at + 1, Release);
    }
}

/// The cells of one thread. A reader sums them over the threads.
struct Cells {
    sum: AtomicU64,
    buckets: [AtomicU64; 512],
}

/// Gives this thread its own cells.
fn own_cells() {
    let cells = Cells { sum: AtomicU64::new(0), buckets: [const { AtomicU64::new(0) }; 512] };
    CELLS.set(Box::leak(Box::new(cells)));
}

/// Label values and counts, found by open addressing.
struct Family {
    series: [(&'static str, AtomicU64); 64],
}

impl Default for Family {
    fn default() -> Self {
        Self { series: std::array::from_fn(|_| ("", AtomicU64::new(0))) }
    }
}

impl Family {
    #[inline(always)]
    fn add(&mut self, label: &'static str) {
        let tail = label.as_bytes().last_chunk().map_or(label.len() as u64, |tail| u64::from_le_bytes(*tail));
        let mut at = (tail.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as usize;
        loop {
            let (known, count) = &mut self.series[at % 64];
            if *known == label {
                bump(count);
                return;
            }
            if known.is_empty() {
                *known = label;
            } else {
                at += 1;
            }
        }
    }
}

#[derive(Debug)]
struct Queue {
    pushed: Padded,
    popped: Padded,
    slots: [[AtomicU64; 4]; 1024],
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            pushed: Padded(AtomicUsize::new(0)),
            popped: Padded(AtomicUsize::new(0)),
            slots: [const { [const { AtomicU64::new(0) }; 4] }; 1024],
        }
    }
}

/// A position on its own cache lines.
#[derive(Debug)]
#[repr(align(128))]
struct Padded(AtomicUsize);

#[inline(always)]
fn bump(cell: &AtomicU64) -> u64 {
    let next = cell.load(Relaxed).wrapping_add(1);
    cell.store(next, Relaxed);
    next
}

#[inline(always)]
fn replace(cell: &AtomicU64, new: u64) -> u64 {
    let old = cell.load(Relaxed);
    cell.store(new, Relaxed);
    old
}

#[inline(always)]
fn store<const WORDS: usize>(slot: &[AtomicU64; WORDS], record: [u64; WORDS]) {
    for (word, value) in slot.iter().zip(record) {
        word.store(value, Relaxed);
    }
}

#[inline(always)]
fn callsite(of: &'static u8) -> u64 {
    std::ptr::from_ref(of).addr() as u64
}
