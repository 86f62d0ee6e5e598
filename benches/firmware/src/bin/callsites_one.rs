//! Firmware with one callsite of an event with two fields, to compare with `callsites_many`.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use footprint_firmware::{start, ticks};
use throughline::{Clock, Recorder, Slots, info};

static SLOTS: Slots<128> = Slots::new();
static RECORDER: Recorder = Recorder::new(&SLOTS, Clock::new(25_000_000, ticks));

#[entry]
fn main() -> ! {
    start();
    throughline::install(&RECORDER);
    loop {
        let n = ticks() as u32;
        info!("a {} b {}", a = n, b = n);
    }
}
