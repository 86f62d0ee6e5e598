//! defmt and throughline with one RTT control block and a channel each.

#![no_std]
#![no_main]

use cortex_m as _;
use cortex_m_rt::entry;
use cortex_m_semihosting::debug::{self, EXIT_SUCCESS};
use panic_halt as _;
use rtt_target::{rtt_init, set_defmt_channel};
use throughline::{Clock, Recorder, Slots, info};
use throughline_embedded::{Config, init_rtt, rtt};

static SLOTS: Slots<64> = Slots::new();
static RECORDER: Recorder = Recorder::new(&SLOTS, Clock::mock());

#[entry]
fn main() -> ! {
    let channels = rtt_init! {
        up: {
            0: { size: 1024, name: "defmt" }
            1: { size: 1024, name: "throughline" }
        }
    };
    set_defmt_channel(channels.up.0);
    // SAFETY: `channels.up.1` is not used.
    let channel = unsafe { rtt::Channel::of_program(1) }.expect("the second channel is above");
    let mut flusher = init_rtt(&RECORDER, Config { name: "shared", ..Config::DEFAULT }, channel);
    for n in 0..5u32 {
        defmt::println!("defmt {}", n);
        info!("throughline {n}", n);
    }
    while flusher.flush(512).pending || !flusher.is_read() {}
    loop {
        debug::exit(EXIT_SUCCESS);
    }
}

defmt::timestamp!("{=u32}", 0);
