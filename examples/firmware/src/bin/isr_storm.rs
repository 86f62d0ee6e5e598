//! Interrupts that stop writers in the middle of a record: the timer interrupts a lower interrupt, which
//! interrupts the main loop, and all three record. Each event has a number and its complement, so a torn
//! record would show. Each context counts its records, so a missing record would show.

#![no_std]
#![no_main]

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use cortex_m::Peripherals;
use cortex_m::peripheral::SCB;
use cortex_m::peripheral::scb::SystemHandler;
use cortex_m_rt::{entry, exception};
use firmware_example::{CLOCK, Link, finish, init, report, start_timer, stop_timer};
use throughline::{Recorder, Slots, counter, info, span};

/// Number of timer interrupts.
const STORMS: u32 = 4000;
/// Processor cycles between two timer interrupts, in turn. These are primes, so that an interrupt hits every
/// instruction sooner or later.
const PERIODS: [u32; 5] = [97, 101, 103, 107, 109];

static SLOTS: Slots<128> = Slots::new();
static RECORDER: Recorder = Recorder::new(&SLOTS, CLOCK);

/// Records made by each context; only that context writes its count.
static MADE: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];
static STORMED: AtomicU32 = AtomicU32::new(0);
/// Whether the main loop is writing a record.
static WRITING: AtomicBool = AtomicBool::new(false);
/// Interrupts that came while the main loop was writing a record.
static CAUGHT: AtomicU32 = AtomicU32::new(0);

#[entry]
fn main() -> ! {
    init();
    let mut link = Link::new(&RECORDER, "storm");
    let mut core = Peripherals::take().expect("main runs once");
    // The timer has a higher priority than PendSV; lower numbers are higher priorities.
    // SAFETY: no code here relies on the priorities for mutual exclusion.
    unsafe { core.SCB.set_priority(SystemHandler::PendSV, 0xff) };
    // SAFETY: as above.
    unsafe { core.SCB.set_priority(SystemHandler::SysTick, 0x00) };
    start_timer(&mut core.SYST, PERIODS[0]);
    let mut turn = 0;
    while STORMED.load(Relaxed) < STORMS {
        core.SYST.set_reload(PERIODS[turn % PERIODS.len()]);
        turn += 1;
        let _span = span!("main.work", turn = turn as u32);
        made(0);
        for _ in 0..4 {
            WRITING.store(true, Relaxed);
            record(0);
            WRITING.store(false, Relaxed);
        }
        // Flush often enough that most records are sent, but rarely enough that some are lost.
        if turn.is_multiple_of(8) {
            link.flush();
        }
    }
    stop_timer(&mut core.SYST);
    report("storms", STORMED.load(Relaxed));
    report("caught", CAUGHT.load(Relaxed));
    report("emitted", MADE.iter().map(|made| made.load(Relaxed)).sum());
    link.finish();
    finish()
}

#[exception]
fn SysTick() {
    STORMED.store(STORMED.load(Relaxed) + 1, Relaxed);
    CAUGHT.store(CAUGHT.load(Relaxed) + u32::from(WRITING.load(Relaxed)), Relaxed);
    record(2);
    SCB::set_pendsv();
}

#[exception]
fn PendSV() {
    let _span = span!("pendsv.work");
    made(1);
    record(1);
    record(1);
}

/// Makes one event in this context.
fn record(context: u32) {
    let n = made(context);
    counter!("storm.events").add(1);
    info!("{context} made {n}", context, n, check = !n);
}

/// Counts one record of this context.
fn made(context: u32) -> u32 {
    let made = &MADE[context as usize];
    let n = made.load(Relaxed);
    made.store(n + 1, Relaxed);
    n
}
