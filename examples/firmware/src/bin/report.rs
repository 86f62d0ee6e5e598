//! A report to a server: the microcontroller begins the trace, and the server goes on below it. The span's context goes in front of the report in its
//! binary form, over the serial port; the answer comes back there. The records go over RTT, so build it with the feature `rtt`: without it they would
//! be on the same port. The server is `examples/gateway`.

#![no_std]
#![no_main]

use cortex_m_rt::entry;
use embedded_io::{Read, Write};
use firmware_example::{CLOCK, Link, Uart, finish, init};
use throughline::{Recorder, Slots, info, span};

static SLOTS: Slots<64> = Slots::new();
static RECORDER: Recorder = Recorder::new(&SLOTS, CLOCK);

/// The bytes of a context.
const CONTEXT: usize = 26;

#[entry]
fn main() -> ! {
    init();
    let mut link = Link::new(&RECORDER, "room-sensor");
    for (room, temperature) in [(3, 1837), (5, 2071)] {
        report(room, temperature);
        link.flush();
    }
    link.finish();
    finish()
}

/// Reports the temperature of a room, in hundredths of a degree Celsius, and waits for its setpoint.
fn report(room: u8, temperature: i16) {
    let span = span!(kind: Client, "report", room = room, temperature = temperature);
    let mut message = [0; CONTEXT + 3];
    // A context of zeros is none.
    if let Some(here) = throughline::current() {
        message[..CONTEXT].copy_from_slice(&here.to_bytes());
    }
    message[CONTEXT] = room;
    message[CONTEXT + 1..].copy_from_slice(&temperature.to_le_bytes());
    let mut answer = [0; 2];
    let Ok(()) = Uart.write_all(&message);
    // The port never ends: it waits for the bytes.
    if Uart.read_exact(&mut answer).is_ok() {
        let setpoint = i16::from_le_bytes(answer);
        span.record("setpoint", setpoint);
        info!("room {room} is to have {setpoint}", room = room, setpoint = setpoint);
    }
}
