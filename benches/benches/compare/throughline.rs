//! Throughline itself: one function per path.
//!
//! Threads get their recorders as in `throughline-std`, but their rings are drained here between batches, as
//! for the peers.

use std::{
    hint::black_box,
    sync::{
        Once,
        atomic::{AtomicUsize, Ordering},
    },
};

use throughline::adapter::{
    metrics::Cell,
    record::Record,
    recorder,
    ring::{Head, Mode, RawRecord, RecordKind, Ring, Slot},
};
use throughline::{Clock, Level, Recorder, counter, counter_family, histogram, info, span};

use crate::{
    harness::{Bench, traces},
    work::{LATENCIES, latency, route},
};

/// The number of slots of a thread's ring; a batch fits.
static SLOTS: AtomicUsize = AtomicUsize::new(4096);
/// The number of metric cells of a thread.
const CELLS: usize = 4096;

/// As [`init`], for records of requests, of which each takes a dozen slots.
#[cfg(feature = "peers")]
pub(crate) fn init_for_requests() {
    SLOTS.store(8192, Ordering::Relaxed);
    init();
}

/// Gives every thread that records its own recorder.
pub(crate) fn init() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| recorder::set_thread_hook(|| recorder::acquire_thread(|| Some(new_recorder()))));
}

fn new_recorder() -> &'static Recorder {
    let slots = Vec::leak((0..SLOTS.load(Ordering::Relaxed)).map(|_| Slot::new()).collect());
    let cells = Vec::leak((0..CELLS).map(|_| Cell::new(0)).collect());
    Box::leak(Box::new(Recorder::for_thread(slots, Mode::LocalOldest, clock(), cells)))
}

fn clock() -> Clock {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    return Clock::processor(1_000_000_000);
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    Clock::new(1_000_000_000, || crate::work::ticks() as usize)
}

/// Reads every thread's ring and each record in it, as an exporter would.
pub(crate) fn drain() {
    recorder::for_each_thread(|recorder| {
        let Some(mut reader) = recorder.ring().reader() else { return };
        reader.drain(|raw| _ = black_box(Record::parse(raw).expect("a record")));
        assert_eq!(reader.take_loss(), None, "a batch fits the ring");
    });
}

/// Reads the clock that records use.
pub(crate) fn clock_read(bench: &mut Bench<'_>) {
    bench.steady(
        |_| clock(),
        |clock, n| {
            for _ in 0..n {
                black_box(clock.ticks());
            }
        },
    );
}

/// Traces of a root span and its children, no fields, drained by the reader between batches.
pub(crate) fn span(bench: &mut Bench<'_>) {
    init();
    bench.drained(|_| (), |(), n| plain_spans(n), |()| drain());
}

pub(crate) fn plain_spans(n: u64) {
    traces(n, |children| {
        let _root = span!("root");
        for _ in 0..children {
            let _child = span!("child");
        }
    });
}

/// Like [`span`], each child with `bytes` and `attempt`.
pub(crate) fn span_2fields(bench: &mut Bench<'_>) {
    init();
    let op = |(): &mut (), n| {
        traces(n, |children| {
            let _root = span!("root");
            for i in 0..children {
                let _child = span!("child", bytes = i, attempt = black_box(3_u64));
            }
        });
    };
    bench.drained(|_| (), op, |()| drain());
}

/// An event with `bytes` and `attempt`.
pub(crate) fn event_2fields(bench: &mut Bench<'_>) {
    init();
    let op = |(): &mut (), n| {
        for i in 0..n {
            info!("sent", bytes = i, attempt = black_box(3_u64));
        }
    };
    bench.drained(|_| (), op, |()| drain());
}

/// An event with two fields at a disabled callsite.
pub(crate) fn disabled(bench: &mut Bench<'_>) {
    init();
    throughline::set_min_level(Some(black_box(Level::Error)));
    let op = |(): &mut (), n| {
        for i in 0..n {
            info!("sent", bytes = i, attempt = 3_u64);
        }
    };
    bench.steady(|_| (), op);
}

/// Like [`span`], in an unsampled trace.
pub(crate) fn sampled_out(bench: &mut Bench<'_>) {
    init();
    recorder::set_sample_ratio(black_box(0.0));
    bench.steady(|_| (), |(), n| plain_spans(n));
}

/// Adds one to a counter whose labels are constants.
pub(crate) fn counter(bench: &mut Bench<'_>) {
    init();
    let op = |(): &mut (), n| {
        for _ in 0..n {
            counter!("requests", route = "/login").add(1);
        }
    };
    bench.steady(|_| (), op);
}

/// Adds one to the series of a label value known only at run time.
pub(crate) fn counter_family(bench: &mut Bench<'_>) {
    init();
    let op = |(): &mut (), n| {
        for i in 0..n {
            counter_family!("requests", labels = ["route"], capacity = 64).add([black_box(route(i))], 1);
        }
    };
    bench.steady(|_| (), op);
}

/// Records a value: count, sum and bucket.
pub(crate) fn histogram(bench: &mut Bench<'_>) {
    init();
    bench.steady(
        |_| &*LATENCIES,
        |values, n| {
            for i in 0..n {
                histogram!("latency", unit = "ns", scale = 3).record(latency(values, i) as usize);
            }
        },
    );
}

/// Pushes and pops a record of 32 bytes.
pub(crate) fn ring(bench: &mut Bench<'_>) {
    crate::harness::ring(bench, || {
        let slots: &'static [Slot] = Vec::leak((0..1024).map(|_| Slot::new()).collect());
        let ring: &'static Ring<'static> = Box::leak(Box::new(Ring::new(slots, Mode::LocalOldest)));
        let push = |record: [u64; 4]| {
            ring.push(Head::new(RecordKind::Event, 3, 0, 0), &record.map(|w| w as usize), 0)
        };
        let mut reader = ring.reader().expect("the ring is new");
        let mut raw = RawRecord::new();
        let pop = move || {
            if !reader.next(&mut raw) || !reader.commit() {
                return None;
            }
            Some([raw.body[0], raw.body[1], raw.body[2], raw.body[3]].map(|w| w as u64))
        };
        (push, pop)
    });
}
