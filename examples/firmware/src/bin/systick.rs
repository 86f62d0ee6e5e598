//! SysTick as a clock: a counter that counts down and has few bits. It is set to 16 bits here, so that it
//! wraps often; its full 24 bits work the same way. The spans last more than two periods, which the board's
//! other clock measures.

#![no_std]
#![no_main]

use cortex_m::Peripherals;
use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::entry;
use firmware_example::{CLOCK, Link, finish, init, report};
use throughline::clock::NarrowCounter;
use throughline::{Clock, Recorder, Slots, span};

/// How many ticks each span lasts.
const TICKS: usize = 160_000;
const SPANS: u32 = 8;

static SYSTICK: NarrowCounter<16> = NarrowCounter::new();
static SLOTS: Slots<64> = Slots::new();
/// It has the processor's frequency, which on these boards is also that of the other clock.
static RECORDER: Recorder = Recorder::new(&SLOTS, Clock::new(CLOCK.hz(), || SYSTICK.down(SYST::get_current)));

#[entry]
fn main() -> ! {
    init();
    let mut systick = Peripherals::take().expect("main runs once").SYST;
    systick.set_clock_source(SystClkSource::Core);
    systick.set_reload(0xffff);
    systick.clear_current();
    systick.enable_counter();
    let mut link = Link::new(&RECORDER, "systick");
    for _ in 0..SPANS {
        let _span = span!("long");
        let start = CLOCK.ticks();
        while CLOCK.ticks().wrapping_sub(start) < TICKS {
            // Read it more than once in a period, as a program's flushes would.
            RECORDER.mark_clock();
        }
    }
    report("spans", SPANS);
    report("nanoseconds", (TICKS as u64 * 1_000_000_000 / CLOCK.hz()) as u32);
    link.finish();
    finish()
}
