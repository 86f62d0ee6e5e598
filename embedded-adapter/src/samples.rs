//! Samples of the program counter, which the interrupt of a timer takes: a small ring of their own, so that profiling
//! never takes room from records.

use core::sync::atomic::{AtomicU32, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

use throughline::Recorder;
use throughline::adapter::wire::{Sample, SamplesHead};

/// A ring of `N` samples, a power of two. It takes 12 bytes of RAM for each, and 16 more.
///
/// The interrupt of a timer records into it where it has interrupted the program, and the context that flushes puts
/// what is there into a frame. The host shows the functions in which the device spends its time, and how much of it each
/// span had: `throughline decode --profile FILE`.
///
/// ```
/// # use throughline::{Clock, Recorder, Slots};
/// # use throughline_embedded::{Config, Samples};
/// # fn uart() -> &'static mut [u8] { Box::leak(Box::new([0; 1024])) }
/// # static SLOTS: Slots<64> = Slots::new();
/// # static RECORDER: Recorder = Recorder::new(&SLOTS, Clock::mock());
/// static SAMPLES: Samples<64> = Samples::new();
///
/// /// Called by the handler of a timer that interrupts every 25,000 ticks, with the stacked registers.
/// fn on_timer(pc: u32, lr: u32) {
///     SAMPLES.record(&RECORDER, pc, lr);
/// }
///
/// let mut flusher = throughline_embedded::init(&RECORDER, Config { name: "pump", ..Config::DEFAULT });
/// # let mut uart = uart();
/// # on_timer(0x100, 0x200);
/// // In the loop that flushes:
/// flusher.take_samples(&SAMPLES, 25_000);
/// flusher.flush(&mut uart, 512)?;
/// # Ok::<(), embedded_io::SliceWriteError>(())
/// ```
///
/// A timer with a constant period may keep in step with the program's own, and then always finds it at the same place. Let
/// the handler vary the period around its mean, as `examples/firmware/src/bin/samples.rs` does.
#[derive(Debug)]
// In this order a Cortex-M0 reaches the counts with one instruction.
#[repr(C)]
pub struct Samples<const N: usize> {
    counts: Counts,
    slots: [[AtomicU32; 3]; N],
}

/// Positions only grow, modulo 2^32, so they are also the numbers of samples written and read.
#[derive(Debug)]
struct Counts {
    written: AtomicU32,
    read: AtomicU32,
    lost: AtomicU32,
}

impl<const N: usize> Samples<N> {
    /// An empty ring.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Samples<N> {
        const {
            assert!(
                N.is_power_of_two() && N <= 1 << 16,
                "the number of samples is a power of two, at most 65536"
            )
        };
        let counts = Counts { written: AtomicU32::new(0), read: AtomicU32::new(0), lost: AtomicU32::new(0) };
        Samples { counts, slots: [const { [const { AtomicU32::new(0) }; 3] }; N] }
    }

    /// Records where the program is, and in which span of `recorder`. `pc` and `lr` are the program counter and the link
    /// register of the code that was interrupted. A full ring keeps the samples it has and counts this one as lost.
    ///
    /// Call it from one interrupt handler only. Cost with the call: 27 instructions on a Cortex-M4F, 29 on a Cortex-M0; it
    /// masks no interrupt. The handler in `examples/firmware/src/bin/samples.rs` takes 9 more to find the registers.
    #[inline(always)]
    pub fn record(&self, recorder: &Recorder, pc: u32, lr: u32) {
        let written = self.counts.written.load(Relaxed);
        // Acquire: the flusher has finished reading what is overwritten next.
        if written.wrapping_sub(self.counts.read.load(Acquire)) >= N as u32 {
            let lost = self.counts.lost.load(Relaxed);
            self.counts.lost.store(lost.wrapping_add(1), Relaxed);
            return;
        }
        let [to_pc, to_lr, to_span] = &self.slots[written as usize % N];
        to_pc.store(pc, Relaxed);
        to_lr.store(lr, Relaxed);
        to_span.store(recorder.current_id() as u32, Relaxed);
        self.counts.written.store(written.wrapping_add(1), Release);
    }

    /// Samples that found no room, since the start.
    pub fn lost(&self) -> u32 {
        self.counts.lost.load(Relaxed)
    }

    pub(crate) fn head(&self, period: u32, time: u64) -> SamplesHead {
        SamplesHead { before: self.counts.read.load(Relaxed), lost: self.lost(), period, time }
    }

    /// The samples that wait, the oldest first.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = Sample> + Clone {
        let read = self.counts.read.load(Relaxed);
        // Acquire: samples before this position are written whole.
        let waiting = self.counts.written.load(Acquire).wrapping_sub(read);
        (0..waiting).map(move |n| {
            let [pc, lr, span] = &self.slots[read.wrapping_add(n) as usize % N];
            Sample { pc: pc.load(Relaxed), lr: lr.load(Relaxed), span: span.load(Relaxed) }
        })
    }

    /// Frees the places of the oldest `count` samples.
    pub(crate) fn pass(&self, count: usize) {
        let read = self.counts.read.load(Relaxed);
        self.counts.read.store(read.wrapping_add(count as u32), Release);
    }
}
