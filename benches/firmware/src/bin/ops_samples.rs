//! Instructions of a sample of the program counter, without the entry of the interrupt.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use footprint_firmware::{CLOCK, fail, finish, measure, start};
use throughline::{Recorder, Slots};
use throughline_embedded::{Config, Samples};

static SLOTS: Slots<64> = Slots::new();
static RECORDER: Recorder = Recorder::new(&SLOTS, CLOCK);
static SAMPLES: Samples<128> = Samples::new();

#[entry]
fn main() -> ! {
    start();
    let mut flusher = throughline_embedded::init(&RECORDER, Config::DEFAULT);
    let drain = || {
        while flusher.take_samples(&SAMPLES, 1) {
            flusher.sent();
        }
    };
    measure!("empty", || {}, _n, {});
    measure!("sample", drain, n, on_sample(n, n));
    if SAMPLES.lost() > 0 {
        fail("samples were lost: the ring was to be large enough");
    }
    finish()
}

/// What the handler of the timer calls, as in the example firmware; the call is counted too.
#[inline(never)]
extern "C" fn on_sample(pc: u32, lr: u32) {
    SAMPLES.record(&RECORDER, pc, lr);
}
