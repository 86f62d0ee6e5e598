//! The thermostat below a span of another machine. It waits for a `traceparent` on the serial port and runs
//! as part of that trace. Then it prints its own `traceparent` over semihosting, so that the next machine can
//! continue below it.

#![no_std]
#![no_main]

use cortex_m_rt::{entry, exception};
use cortex_m_semihosting::hprintln;
use embedded_io::Read;
use firmware_example::thermostat::{self, Converter};
use firmware_example::{CLOCK, Link, Uart, finish, init};
use throughline::{Recorder, Slots, TraceContext, span, warn};

static SLOTS: Slots<64> = Slots::new();
static RECORDER: Recorder = Recorder::new(&SLOTS, CLOCK);

#[entry]
fn main() -> ! {
    init();
    let mut link = Link::new(&RECORDER, "thermostat");
    {
        let remote = command();
        if remote.is_none() {
            warn!("the command is no traceparent: this is a trace of its own");
        }
        let _remote = remote.map(throughline::attach);
        let _span = span!(kind: Server, "command");
        if let Some(here) = throughline::current() {
            hprintln!("traceparent {}", here.traceparent());
        }
        thermostat::run(&mut link);
    }
    link.finish();
    finish()
}

/// Reads a line from the serial port. Returns `None` if it is not a `traceparent`.
fn command() -> Option<TraceContext> {
    let mut line = [0; 64];
    let mut len = 0;
    loop {
        let mut byte = [0];
        match Uart.read(&mut byte) {
            Ok(_) if byte[0] == b'\n' => break,
            Ok(_) if len < line.len() => {
                line[len] = byte[0];
                len += 1;
            }
            // The line is too long for a `traceparent`, so the rest does not matter.
            Ok(_) => {}
            Err(never) => match never {},
        }
    }
    TraceContext::parse(core::str::from_utf8(&line[..len]).ok()?).ok()
}

#[exception]
fn SysTick() {
    static mut CONVERTER: Option<Converter> = None;
    thermostat::on_timer(CONVERTER);
}
