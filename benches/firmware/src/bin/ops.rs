//! Instructions per operation of throughline.
#![no_std]
#![no_main]

use core::hint::black_box;
use cortex_m_rt::entry;
use footprint_firmware::{CALLED_CLOCK, CLOCK, fail, finish, measure, start, ticks};
use throughline::{Level, Recorder, Slots, counter, histogram, info, set_min_level, span};

static SLOTS: Slots<256> = Slots::new();
static RECORDER: Recorder = Recorder::new(&SLOTS, CLOCK);
static CALLED_SLOTS: Slots<128> = Slots::new();
static CALLED: Recorder = Recorder::new(&CALLED_SLOTS, CALLED_CLOCK);
static NEWEST_SLOTS: Slots<64> = Slots::new();
static NEWEST: Recorder = Recorder::keep_newest(&NEWEST_SLOTS, CLOCK);

#[entry]
fn main() -> ! {
    start();
    throughline::install(&RECORDER);
    let mut reader = RECORDER.ring().reader();
    let mut called_reader = CALLED.ring().reader();
    let mut drain = || {
        for reader in [&mut reader, &mut called_reader].into_iter().flatten() {
            reader.drain(|_| {});
        }
    };
    measure!("empty", || {}, _n, {});
    measure!("clock_read", || {}, _n, black_box(RECORDER.clock().ticks()));
    measure!("clock_call", || {}, _n, black_box(ticks()));
    measure!("critical_section", || {}, _n, cortex_m::interrupt::free(|_| {}));
    measure!("span", &mut drain, _n, {
        let _span = span!("work");
    });
    {
        let _outer = span!("outer");
        measure!("span_child", &mut drain, _n, {
            let _span = span!("work");
        });
    }
    measure!("span_2fields", &mut drain, n, {
        let _span = span!("work", a = n, b = n);
    });
    measure!("event", &mut drain, _n, info!("nothing more to say"));
    measure!("event_2fields", &mut drain, n, info!("a {} b {}", a = n, b = n));
    metrics();
    set_min_level(Some(Level::Warn));
    measure!("disabled", || {}, n, info!("a {} b {}", a = n, b = n));
    set_min_level(Some(Level::Trace));
    throughline::install(&CALLED);
    measure!("span_called_clock", &mut drain, _n, {
        let _span = span!("work");
    });
    measure!("event_2fields_called_clock", &mut drain, n, info!("a {} b {}", a = n, b = n));
    throughline::install(&NEWEST);
    measure!("event_2fields_newest", || {}, n, info!("a {} b {}", a = n, b = n));
    if RECORDER.ring().lost() + CALLED.ring().lost() > 0 {
        fail("records were lost: the ring was to be large enough");
    }
    finish()
}

/// A separate function, so that the registers that the rest of `main` uses do not displace the few operands.
#[inline(never)]
fn metrics() {
    measure!("counter", || {}, _n, counter!("counted").add(1));
    measure!("histogram", || {}, n, histogram!("sizes").record(black_box(n as usize * 37 + 1)));
}
