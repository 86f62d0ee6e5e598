//! The thermostat on a microcontroller: its converter is a timer interrupt, and its control loop runs between
//! the interrupts.

#![no_std]
#![no_main]

use cortex_m_rt::{entry, exception};
use firmware_example::thermostat::{self, Converter};
use firmware_example::{CLOCK, Link, finish, init};
use throughline::{Recorder, Slots};

static SLOTS: Slots<64> = Slots::new();
static RECORDER: Recorder = Recorder::new(&SLOTS, CLOCK);

#[entry]
fn main() -> ! {
    init();
    let mut link = Link::new(&RECORDER, "thermostat");
    thermostat::run(&mut link);
    link.finish();
    finish()
}

#[exception]
fn SysTick() {
    static mut CONVERTER: Option<Converter> = None;
    thermostat::on_timer(CONVERTER);
}
