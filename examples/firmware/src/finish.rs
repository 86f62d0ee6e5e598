//! How a run ends: with a last word over semihosting, and the emulator's exit.

use cortex_m_semihosting::debug::{self, EXIT_SUCCESS};
use cortex_m_semihosting::hprintln;

/// Tells the host a number that it cannot get from the stream itself: a line with the name and the number.
pub fn report(name: &str, value: u32) {
    hprintln!("{} {}", name, value);
}

/// Tells the host what so many records took: a line with the name, their number and the bytes.
pub fn report_bytes(name: &str, records: u32, bytes: u32) {
    hprintln!("{} {} {}", name, records, bytes);
}

/// Ends the emulator with success.
pub fn finish() -> ! {
    loop {
        debug::exit(EXIT_SUCCESS);
    }
}
