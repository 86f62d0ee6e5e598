//! The end of a run: reports over semihosting, then the emulator's exit.

use cortex_m_semihosting::debug::{self, EXIT_SUCCESS};
use cortex_m_semihosting::hprintln;

/// Tells the host a number that is not in the stream: a line with the name and the number.
pub fn report(name: &str, value: u32) {
    hprintln!("{} {}", name, value);
}

/// Tells the host how many bytes some records took: a line with the name, the number of records and the
/// bytes.
pub fn report_bytes(name: &str, records: u32, bytes: u32) {
    hprintln!("{} {} {}", name, records, bytes);
}

/// Ends the emulator with success.
pub fn finish() -> ! {
    loop {
        debug::exit(EXIT_SUCCESS);
    }
}
