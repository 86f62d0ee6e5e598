//! Runs every operation once or twice and a flush, for an instruction trace that shows how long interrupts
//! are masked.
#![no_std]
#![no_main]

use core::hint::black_box;
use cortex_m_rt::entry;
use cortex_m_semihosting::debug;
use footprint_firmware::ticks;
use throughline::{Clock, Recorder, Slots, counter, counter_family, histogram, info, span};
use throughline_embedded::Config;

static SLOTS: Slots<16> = Slots::new();
static RECORDER: Recorder = Recorder::new(&SLOTS, Clock::new(25_000_000, ticks));
static NEWEST_SLOTS: Slots<8> = Slots::new();
static NEWEST: Recorder = Recorder::keep_newest(&NEWEST_SLOTS, Clock::new(25_000_000, ticks));

fn operations() {
    for n in 0..20u32 {
        let _outer = span!("outer", a = n);
        let _inner = span!("inner");
        info!("a {} b {}", a = n, b = n);
        info!("text {}", text = black_box("long enough for two slots"));
        counter!("counted").add(1);
        counter_family!("by", labels = ["which"], capacity = 2).add([black_box("this")], 1);
        histogram!("sizes").record(black_box(usize::MAX >> n));
    }
}

#[entry]
fn main() -> ! {
    let mut flusher = throughline_embedded::init(&RECORDER, Config::DEFAULT);
    operations();
    flusher.snapshot_metrics();
    while let Some(frame) = flusher.frame(192) {
        black_box(frame);
        flusher.sent();
    }
    throughline::install(&NEWEST);
    operations();
    debug::exit(debug::EXIT_SUCCESS);
    loop {
        cortex_m::asm::nop();
    }
}
