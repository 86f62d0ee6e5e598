//! Arm MPS2 with image AN386 (Cortex-M4F): an APB timer as clock, a CMSDK UART.
//!
//! Source: Arm, *Cortex-M System Design Kit Technical Reference Manual* (DDI 0479), chapters "APB timer" and "APB UART".

use super::Register;
use core::convert::Infallible;
use throughline::Clock;

/// The board's name.
pub const NAME: &str = "mps2-an386";

/// The first APB timer, which counts down from 2^32 - 1 at the processor's 25 MHz: a clock whose reading is one load.
pub const CLOCK: Clock = Clock::new(25_000_000, || !TIMER_VALUE.read() as usize);

const TIMER_CONTROL: Register = Register(0x4000_0000);
const TIMER_VALUE: Register = Register(0x4000_0004);
const TIMER_RELOAD: Register = Register(0x4000_0008);

const UART_DATA: Register = Register(0x4000_4000);
const UART_STATE: Register = Register(0x4000_4004);
const UART_CONTROL: Register = Register(0x4000_4008);
const UART_DIVIDER: Register = Register(0x4000_4010);

const TRANSMIT_FULL: u32 = 1 << 0;
const RECEIVE_FULL: u32 = 1 << 1;

/// Starts the clock and the serial port.
pub fn init() {
    TIMER_RELOAD.write(u32::MAX);
    TIMER_VALUE.write(u32::MAX);
    TIMER_CONTROL.write(1);
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
