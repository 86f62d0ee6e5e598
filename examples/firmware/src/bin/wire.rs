//! Measures bytes on the wire: spans alone, then events alone, in batches, and reports both to the host.

#![no_std]
#![no_main]

use cortex_m_rt::entry;
use firmware_example::{CLOCK, Link, finish, init, report_bytes};
use throughline::{Recorder, Slots, info, span};

/// Number of records in the ring when it is sent.
const BATCH: u32 = 32;
const BATCHES: u32 = 8;

static SLOTS: Slots<128> = Slots::new();
static RECORDER: Recorder = Recorder::new(&SLOTS, CLOCK);

#[entry]
fn main() -> ! {
    init();
    let mut link = Link::new(&RECORDER, "wire");
    // The first preamble counts for neither.
    info!("begin");
    drain(&mut link);
    measure(&mut link, "span", |_| drop(span!("empty")));
    measure(&mut link, "event", |n| info!("two numbers", a = n, b = 1000 + n));
    link.finish();
    finish()
}

/// Reports how many records the calls of `make` made, and how many bytes they took.
fn measure(link: &mut Link, name: &str, mut make: impl FnMut(u32)) {
    let (mut bytes, mut records) = (0, 0);
    for batch in 0..BATCHES {
        for n in 0..BATCH {
            make(batch * BATCH + n);
        }
        let (b, r) = drain(link);
        (bytes, records) = (bytes + b, records + r);
    }
    report_bytes(name, records, bytes);
}

/// Sends everything. Returns the number of bytes and of records.
fn drain(link: &mut Link) -> (u32, u32) {
    let (mut bytes, mut records) = (0, 0);
    loop {
        let flushed = link.flush();
        bytes += flushed.bytes as u32;
        records += flushed.records;
        if !flushed.pending {
            return (bytes, records);
        }
    }
}
