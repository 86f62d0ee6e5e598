//! Bytes on the wire per record, in frames of 32 records: spans of 100 µs every millisecond, and events every 100 µs with two
//! small numbers. The clock has 1 MHz, a common choice.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use cortex_m_rt::entry;
use cortex_m_semihosting::hprintln;
use footprint_firmware::finish;
use throughline::{Clock, Recorder, Slots, counter, gauge, histogram, info, span};
use throughline_embedded::{Buffer, Config, Flusher, init_with_frame};

static NOW: AtomicUsize = AtomicUsize::new(5_000_000);
static SLOTS: Slots<64> = Slots::new();
static RECORDER: Recorder = Recorder::new(&SLOTS, Clock::new(1_000_000, || NOW.load(Relaxed)));

fn pass(ticks: usize) {
    NOW.store(NOW.load(Relaxed).wrapping_add(ticks), Relaxed);
}

fn bytes(name: &str, flusher: &mut Flusher<Buffer<512>>) {
    while let Some(frame) = flusher.frame(512) {
        let len = frame.len();
        // A preamble holds no records.
        let records = flusher.sent();
        if records > 0 {
            hprintln!("bytes {} {} {}", name, len, records);
        }
    }
}

#[entry]
fn main() -> ! {
    let mut flusher =
        init_with_frame::<512>(&RECORDER, Config { name: "wire", boot_epoch: 1, ..Config::DEFAULT });
    for _ in 0..32 {
        pass(900);
        let _span = span!("work");
        pass(100);
    }
    bytes("span_wire", &mut flusher);
    for n in 0..32u32 {
        pass(100);
        info!("a {} b {}", a = n, b = 32 + n);
    }
    bytes("event_2fields_wire", &mut flusher);

    counter!("first").add(1);
    gauge!("second").set(-2);
    histogram!("third").record(3);
    let mut metrics = 0;
    throughline::adapter::metrics::for_each(|_| metrics += 1);
    hprintln!("metrics {}", metrics);
    finish()
}
