//! Firmware that does nothing: what the runtime takes by itself.
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
