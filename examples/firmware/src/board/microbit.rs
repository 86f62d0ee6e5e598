//! BBC micro:bit (nRF51822, Cortex-M0): TIMER0 as clock, the nRF51's UART.
//!
//! Source: Nordic Semiconductor, *nRF51 Series Reference Manual*, chapters "Timer/counter" and "UART". (The timer interrupt of these examples is
//! SysTick, which the emulated chip has and the real nRF51 lacks.)

use super::Register;
use core::convert::Infallible;
use throughline::Clock;

/// The board's name.
pub const NAME: &str = "microbit";

/// TIMER0, 32 bits at 16 MHz, which must be captured to be read: a clock that is a function. An interrupt between capture and read makes the reading a few ticks later, never wrong.
pub const CLOCK: Clock = Clock::new(16_000_000, || {
    TIMER_CAPTURE.write(1);
    TIMER_CAPTURED.read() as usize
});

const TIMER_START: Register = Register(0x4000_8000);
const TIMER_CAPTURE: Register = Register(0x4000_8040);
const TIMER_BITMODE: Register = Register(0x4000_8508);
const TIMER_PRESCALER: Register = Register(0x4000_8510);
const TIMER_CAPTURED: Register = Register(0x4000_8540);

const UART_START_RX: Register = Register(0x4000_2000);
const UART_START_TX: Register = Register(0x4000_2008);
const UART_RECEIVED: Register = Register(0x4000_2108);
const UART_SENT: Register = Register(0x4000_211C);
const UART_ENABLE: Register = Register(0x4000_2500);
const UART_PIN_TX: Register = Register(0x4000_250C);
const UART_PIN_RX: Register = Register(0x4000_2514);
const UART_RX: Register = Register(0x4000_2518);
const UART_TX: Register = Register(0x4000_251C);
const UART_BAUD: Register = Register(0x4000_2524);

/// Starts the clock and the serial port.
pub fn init() {
    TIMER_BITMODE.write(3);
    TIMER_PRESCALER.write(0);
    TIMER_START.write(1);
    UART_PIN_TX.write(24);
    UART_PIN_RX.write(25);
    // 115,200 baud.
    UART_BAUD.write(0x01D7_E000);
    UART_ENABLE.write(4);
    UART_START_TX.write(1);
    UART_START_RX.write(1);
}

/// The serial port.
#[derive(Debug)]
pub struct Uart;

impl embedded_io::ErrorType for Uart {
    type Error = Infallible;
}

impl embedded_io::Write for Uart {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        let Some(byte) = bytes.first() else { return Ok(0) };
        UART_SENT.write(0);
        UART_TX.write((*byte).into());
        while UART_SENT.read() == 0 {}
        Ok(1)
    }

    /// Nothing to do: every byte is waited for.
    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl embedded_io::Read for Uart {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
        let Some(byte) = bytes.first_mut() else { return Ok(0) };
        while UART_RECEIVED.read() == 0 {}
        UART_RECEIVED.write(0);
        *byte = UART_RX.read() as u8;
        Ok(1)
    }
}
