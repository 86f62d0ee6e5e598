//! Firmware with a span, an event, a counter and a histogram, flushed over RTT with metrics snapshots.
#![no_std]
#![no_main]

use core::hint::black_box;
use core::mem::MaybeUninit;
use cortex_m_rt::entry;
use footprint_firmware::{start, ticks};
use throughline::{Clock, Recorder, Slots, counter, histogram, info, span};
use throughline_embedded::{Config, DeviceId, Flusher, rtt};

static SLOTS: Slots<128> = Slots::new();
static RECORDER: Recorder = Recorder::new(&SLOTS, Clock::new(25_000_000, ticks));
/// A static, so that its size is measured.
static mut FLUSHER: MaybeUninit<Flusher<rtt::Channel>> = MaybeUninit::uninit();

#[entry]
fn main() -> ! {
    start();
    let config = Config { name: "size", device_id: DeviceId::new(1), boot_epoch: 1, ..Config::DEFAULT };
    let channel = throughline_embedded::rtt_channel!(1024);
    let place = &raw mut FLUSHER;
    // SAFETY: nothing else refers to the static.
    let flusher = unsafe { &mut *place }.write(throughline_embedded::init_rtt(&RECORDER, config, channel));
    loop {
        let n = black_box(ticks()) as u32;
        {
            let _span = span!("work");
            info!("a {} b {}", a = n, b = n);
        }
        counter!("counted").add(1);
        histogram!("sizes").record(n as usize);
        flusher.snapshot_metrics();
        flusher.flush(512);
    }
}
