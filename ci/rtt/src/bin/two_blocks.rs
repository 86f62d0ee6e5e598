//! defmt and throughline with an RTT control block each: this must not link, and the linker must say what to
//! do.

#![no_std]
#![no_main]

use cortex_m as _;
use cortex_m_rt::entry;
use defmt_rtt as _;
use panic_halt as _;
use throughline::{Clock, Recorder, Slots, info};
use throughline_embedded::{Config, init_rtt, rtt_channel};

static SLOTS: Slots<64> = Slots::new();
static RECORDER: Recorder = Recorder::new(&SLOTS, Clock::mock());

#[entry]
fn main() -> ! {
    let mut flusher = init_rtt(&RECORDER, Config::DEFAULT, rtt_channel!(1024));
    loop {
        defmt::println!("from defmt");
        info!("from throughline");
        flusher.flush(512);
    }
}

defmt::timestamp!("{=u32}", 0);
