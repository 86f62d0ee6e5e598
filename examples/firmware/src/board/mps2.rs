//! Arm MPS2 with image AN386 (Cortex-M4F): the FPGA's cycle counter as clock, a CMSDK UART.
//!
//! Sources: Arm, *Application Note AN386: Cortex-M4 SMM on V2M-MPS2* (DAI 0386), "FPGA system control and I/O"; Arm, *Cortex-M System Design Kit
//! Technical Reference Manual* (DDI 0479), chapter "APB UART".

use super::Register;
use core::convert::Infallible;
use throughline::Clock;

/// The board's name.
pub const NAME: &str = "mps2-an386";

/// The FPGA's free-running counter, 32 bits upwards at the processor's 25 MHz: a clock that is a register, which takes one load.
// SAFETY: the counter is always there, aligned, and reading it has no effect.
pub const CLOCK: Clock = unsafe { Clock::register(25_000_000, COUNTER.0 as *const u32) };

const COUNTER: Register = Register(0x4002_8018);
const COUNTER_PRESCALE: Register = Register(0x4002_801C);

const UART_DATA: Register = Register(0x4000_4000);
const UART_STATE: Register = Register(0x4000_4004);
const UART_CONTROL: Register = Register(0x4000_4008);
const UART_DIVIDER: Register = Register(0x4000_4010);

const TRANSMIT_FULL: u32 = 1 << 0;
const RECEIVE_FULL: u32 = 1 << 1;

/// Sets the clock's rate and starts the serial port.
pub fn init() {
    // It counts from reset on; every cycle, with this.
    COUNTER_PRESCALE.write(0);
    // 25 MHz / 217 = 115,207 baud.
    UART_DIVIDER.write(217);
    // Transmitter and receiver on, no interrupts.
    UART_CONTROL.write(0b11);
}

/// The first serial port.
#[derive(Debug)]
pub struct Uart;

impl embedded_io::ErrorType for Uart {
    type Error = Infallible;
}

impl embedded_io::Write for Uart {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        let Some(byte) = bytes.first() else { return Ok(0) };
        while UART_STATE.read() & TRANSMIT_FULL != 0 {}
        UART_DATA.write((*byte).into());
        Ok(1)
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        while UART_STATE.read() & TRANSMIT_FULL != 0 {}
        Ok(())
    }
}

impl embedded_io::Read for Uart {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
        let Some(byte) = bytes.first_mut() else { return Ok(0) };
        while UART_STATE.read() & RECEIVE_FULL == 0 {}
        *byte = UART_DATA.read() as u8;
        Ok(1)
    }
}
