//! Instructions per operation of defmt with defmt-rtt, and the bytes it sends. Its RTT channel overwrites unread data, so it never waits.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use cortex_m_semihosting::hprintln;
use defmt_rtt as _;
use footprint_firmware::{finish, measure, start, ticks};

// The timestamp has as many bits as the timer.
defmt::timestamp!("{=u32}", ticks() as u32 & 0x00ff_ffff);

// SAFETY: defmt-rtt defines it. Only its address is used.
unsafe extern "C" {
    #[link_name = "_SEGGER_RTT"]
    static CONTROL: u8;
}

/// The position of the channel's write offset in RTT's control block: after the id, two counts, and the
/// channel's name, buffer and size.
const WRITE_OFFSET: usize = 16 + 8 + 12;

fn written() -> u32 {
    // SAFETY: `defmt-rtt` defines the control block, which has RTT's layout.
    unsafe { (&raw const CONTROL).add(WRITE_OFFSET).cast::<u32>().read_volatile() }
}

#[entry]
fn main() -> ! {
    start();
    measure!("empty", || {}, _n, {});
    measure!("event", || {}, _n, defmt::info!("nothing more to say"));
    measure!("event_2fields", || {}, n, defmt::info!("a {=u32} b {=u32}", n, n));
    let before = written();
    for n in 0..8 {
        defmt::info!("a {=u32} b {=u32}", n, 32 + n);
    }
    let size = 1024;
    hprintln!("bytes event_2fields_wire {} {}", (written() + size - before) % size, 8);
    finish()
}
