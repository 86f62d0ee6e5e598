//! A ring that is far too small: a thousand events without a flush. What fits is kept, everything else is
//! counted, and the host is told how many.

#![no_std]
#![no_main]

use cortex_m_rt::entry;
use firmware_example::{CLOCK, Link, finish, init, report};
use throughline::{Recorder, Slots, counter, info};

const EVENTS: u32 = 1000;
const SLOTS_IN_RING: usize = 16;

static SLOTS: Slots<SLOTS_IN_RING> = Slots::new();
static RECORDER: Recorder = Recorder::new(&SLOTS, CLOCK);

#[entry]
fn main() -> ! {
    init();
    let mut link = Link::new(&RECORDER, "overflow");
    for n in 0..EVENTS {
        info!("event {n}", n);
        counter!("events").add(1);
    }
    link.flush();
    // The ring has room again after the loss.
    info!("after the flush");
    report("emitted", EVENTS + 1);
    report("kept", SLOTS_IN_RING as u32 + 1);
    link.finish();
    finish()
}
