//! Metrics of every kind, each from several callsites: a gauge has the last value of any callsite, and a sum
//! adds up all callsites.

#![no_std]
#![no_main]

use core::time::Duration;
use cortex_m_rt::entry;
use firmware_example::{CLOCK, Link, finish, init};
use throughline::{
    Recorder, Slots, counter, counter_family, gauge, gauge_family, histogram, info, summary, up_down_counter,
    up_down_counter_family,
};

static SLOTS: Slots<16> = Slots::new();
static RECORDER: Recorder = Recorder::new(&SLOTS, CLOCK);

#[entry]
fn main() -> ! {
    init();
    let mut link = Link::new(&RECORDER, "metrics");
    info!("begin");
    for n in 0..3_u32 {
        count(n);
    }
    link.finish();
    finish()
}

#[inline(never)]
fn count(n: u32) {
    gauge!("queue.depth", unit = "{item}", queue = "mail", bus = "1").set(17 + n);
    gauge!("queue.depth", unit = "{item}", bus = "1", queue = "mail").set(n);
    gauge!("queue.depth", unit = "{item}", bus = "2", queue = "mail").set(100);
    gauge!("room.temperature" as f64, unit = "Cel").set(20);
    gauge!("room.temperature" as f64, unit = "Cel").add(1.5_f32);
    let _active = gauge!("jobs.active").in_flight();
    gauge_family!("motor.speed", labels = ["motor"], capacity = 2).set(["left"], n as i32 - 5);
    gauge_family!("motor.speed", labels = ["motor"], capacity = 2).add(["left"], 1);

    counter!("frames").add(1);
    counter!("frames").add(n);
    counter!("energy" as f64, unit = "J").add(0.25_f32);
    counter!("energy" as f64, unit = "J").add(1);
    up_down_counter!("sessions").add(2);
    up_down_counter!("sessions").add(-3);
    counter_family!("errors", labels = ["code"], capacity = 2).add(["7"], 1);
    counter_family!("errors", labels = ["code"], capacity = 2).add(["7"], 1_u64);
    up_down_counter_family!("peers", labels = ["link"], capacity = 2).add(["a"], -1);

    histogram!("latency", unit = "us").record(Duration::from_micros(100 + u64::from(n)));
    histogram!("latency", unit = "us").record(3_u8);
    histogram!("load" as f64, scale = 1).record(0.75_f32);
    histogram!("load" as f64, scale = 1).record(0);
    summary!("job.duration", unit = "ms", scale = 4).record(10 + n);
}
