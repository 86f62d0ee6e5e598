//! A panic in an interrupt, while the main loop writes records into a full ring: its message still arrives,
//! and so does everything in the ring. The panic handler is in `firmware_example`.

#![no_std]
#![no_main]

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use cortex_m::Peripherals;
use cortex_m_rt::{entry, exception};
use firmware_example::{CLOCK, Link, init, start_timer};
use throughline::{Recorder, Slots, info, span};

/// Number of timer interrupts before the one that panics.
const BEFORE: u32 = 20;

static SLOTS: Slots<32> = Slots::new();
static RECORDER: Recorder = Recorder::new(&SLOTS, CLOCK);

/// Whether the main loop is writing a record.
static WRITING: AtomicBool = AtomicBool::new(false);
static TICKS: AtomicU32 = AtomicU32::new(0);

#[entry]
fn main() -> ! {
    init();
    let mut link = Link::new(&RECORDER, "panic");
    info!("up");
    link.flush();
    start_timer(&mut Peripherals::take().expect("main runs once").SYST, 1009);
    let mut n = 0u32;
    loop {
        WRITING.store(true, Relaxed);
        info!("event {n}", n);
        WRITING.store(false, Relaxed);
        n += 1;
    }
}

#[exception]
fn SysTick() {
    TICKS.store(TICKS.load(Relaxed) + 1, Relaxed);
    if TICKS.load(Relaxed) > BEFORE && WRITING.load(Relaxed) {
        let _span = span!("watchdog");
        panic!("the main loop does not answer: {:0>200}", TICKS.load(Relaxed));
    }
}
