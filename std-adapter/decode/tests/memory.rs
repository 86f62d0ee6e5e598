//! The decoder's memory limit, measured by a counting allocator on streams made to exceed it.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use common::scenario::span;
use common::{Device, F, M, Rec};
use throughline_decode::decoder::MAX_MEMORY;
use throughline_decode::trace::{Assembled, TraceBuilder};
use throughline_decode::{Decoder, TimeOptions};

/// How many records the host tool holds by default.
const LIMIT: usize = 32_768;

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed unchanged to the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(now, Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`, which is also the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: `at` came from `alloc` above, so from the system's allocator, with this layout.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// There is only one test, so that no other one allocates meanwhile.
#[test]
fn memory_stays_below_what_is_promised() {
    let decoder_peak = |wires: &mut dyn FnMut(u64) -> Option<Vec<u8>>| {
        let mut decoder = Decoder::new(None, TimeOptions::default());
        // Bytes that the decoder holds between calls, and the most that it held within one call.
        let (mut held, mut peak) = (0, 0);
        for n in 0.. {
            let Some(wire) = wires(n) else { break };
            let before = NOW.load(Relaxed);
            PEAK.store(before, Relaxed);
            decoder.push(&wire, None, &mut |_, _| {});
            peak = peak.max(held + PEAK.load(Relaxed) - before);
            held = held + NOW.load(Relaxed) - before;
        }
        decoder.finish(&mut |_, _| {});
        peak
    };

    // There is never a delimiter.
    let noise = decoder_peak(&mut |n| (n < 100).then(|| vec![0x55; 100_000]));
    assert!(noise < 64 << 10, "{noise}");

    // Frames wait for a preamble that never comes.
    let mut device = Device::new(32);
    let held = decoder_peak(&mut |n| {
        device.wire.clear();
        let text = F::Bytes(vec![1; 3_900], false);
        device.batch(0, 0, &[Rec::Event { callsite: n, time: 0, span: None, fields: vec![text] }]);
        (n < 500).then(|| device.wire.clone())
    });
    assert!(held < 1 << 20, "{held}");

    // New series come without end, with long and empty labels and with wide and sparse histograms, in a
    // snapshot that never ends.
    let mut device = Device::new(64);
    device.preamble();
    let long = "x".repeat(200);
    let series = decoder_peak(&mut |n| {
        let empty = [""; 15];
        let labels = [long.as_str(); 15];
        let histogram =
            |first| M::Histogram { scale: 20, sum: 1, zeros: 1, first, buckets: vec![n + 1; 300] };
        let base = n * 100;
        for i in 0..60 {
            device.metrics(n / 50, false, 0, &[(base + i, 0, &empty, M::Counter(1))]);
        }
        device.metrics(n / 50, n % 50 == 49, 0, &[(base + 60, 0, &labels, M::Counter(1))]);
        device.metrics(n / 50, false, 0, &[(base + 61, 0, &[], histogram(1 + n * 301 % (1 << 26)))]);
        device.metrics(n / 50, false, 0, &[(1, 0, &[], histogram(1 + n * 301 % (1 << 26)))]);
        let wire = std::mem::take(&mut device.wire);
        device.frames.clear();
        (n < 400).then_some(wire)
    });
    assert!(series < MAX_MEMORY, "{series}");
    assert!(series > 1 << 20, "the test means to strain the bound: {series}");

    // A root that never ends, like a device's main loop, over 800,000 records, held as the tool holds them.
    let mut device = Device::new(32);
    device.preamble();
    let mut decoder = Decoder::new(None, TimeOptions::default());
    let mut builder = TraceBuilder::new(LIMIT, 64);
    let (before, mut given) = (NOW.load(Relaxed), 0);
    PEAK.store(before, Relaxed);
    for n in 0..20_000u64 {
        device.wire.clear();
        device.frames.clear();
        let round = |i: u64| {
            let (id, at) = (2 + n * 20 + i, n * 10_000 + i * 500);
            let fields = vec![F::U32(n as u32), F::Text("charger".into(), false)];
            let event = Rec::Event { callsite: 1, time: at + 100, span: Some((id, 1)), fields };
            [event, span(2, (id, Some(1), 1), at, 400)]
        };
        device.batch(n * 10_000, 1, &(0..20).flat_map(round).collect::<Vec<_>>());
        decoder.push(&device.wire, None, &mut |context, item| {
            builder.take(context, &item, &mut |a| match a {
                Assembled::Trace(trace) => given += trace.entries.len(),
                other => panic!("{other:?}"),
            });
        });
    }
    assert!(given > 800_000 - LIMIT - 1, "shown while the root is open: {given}");
    let most = PEAK.load(Relaxed) - before;
    assert!(most < LIMIT * 1024, "{most} bytes for {LIMIT} records held");
    drop((decoder, builder));

    // A builder with a small limit gets many records.
    let mut device = Device::new(32);
    device.preamble();
    let mut decoder = Decoder::new(None, TimeOptions::default());
    let mut builder = TraceBuilder::new(100, 10);
    let before = NOW.load(Relaxed);
    let mut most = 0;
    for n in 0..2_000 {
        device.wire.clear();
        device.frames.clear();
        let span = Some((n + 1, n + 1_000_000));
        device.batch(0, 0, &[Rec::Event { callsite: 1, time: n, span, fields: vec![F::U32(1)] }]);
        device.batch(
            0,
            0,
            &[Rec::Attach { time: n, id: n + 1, trace_id: [1; 16], span_id: [1; 8], flags: 1 }],
        );
        device.batch(0, 0, &[Rec::Loss { reason: 0, count: 1, first: u64::MAX / 2 }]);
        decoder.push(&device.wire, None, &mut |context, item| builder.take(context, &item, &mut drop));
        most = most.max(NOW.load(Relaxed) - before);
    }
    assert!(most < 1 << 20, "{most}");
}
