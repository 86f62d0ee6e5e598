//! Firmware that does nothing: the size of the runtime alone.
#![no_std]
#![no_main]

use core::hint::black_box;
use cortex_m_rt::entry;
use footprint_firmware::{start, ticks};

#[entry]
fn main() -> ! {
    start();
    loop {
        black_box(ticks());
    }
}
