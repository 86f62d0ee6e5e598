//! The board this firmware is built for: its clock and its serial port.

#[cfg(not(microbit))]
mod mps2;
#[cfg(not(microbit))]
pub use mps2::{CLOCK, NAME, Uart, init};

#[cfg(microbit)]
mod microbit;
#[cfg(microbit)]
pub use microbit::{CLOCK, NAME, Uart, init};

/// A 32-bit register at a fixed address.
#[derive(Clone, Copy)]
struct Register(usize);

impl Register {
    fn read(self) -> u32 {
        // SAFETY: the boards' modules name only registers of their board, and reading those changes no
        // memory.
        unsafe { (self.0 as *const u32).read_volatile() }
    }

    fn write(self, value: u32) {
        // SAFETY: as for `read`; no register written here makes the hardware write to memory.
        unsafe { (self.0 as *mut u32).write_volatile(value) }
    }
}
