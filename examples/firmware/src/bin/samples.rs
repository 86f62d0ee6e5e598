//! A profile of a device: a timer's interrupt samples the program counter while three functions share the time as 70,
//! 20 and 10 %, each in a span of its own. The host tool shows where the time went: `throughline decode --profile FILE`.

#![no_std]
#![no_main]

use core::arch::global_asm;
use core::hint::black_box;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use cortex_m::Peripherals;
use cortex_m::peripheral::SYST;
use cortex_m_rt::entry;
use firmware_example::{CLOCK, Link, finish, init, report, start_timer, stop_timer};
use throughline::{Recorder, Slots, span};
use throughline_embedded::Samples;

/// Processor cycles between two samples, on average. On these boards they are also the recorder's ticks.
const PERIOD: u32 = 10_000;
/// How often the three functions are called in turn.
const ROUNDS: u32 = 2_000;
/// Passes of a loop for a tenth of a round's time.
const TENTH: u32 = 4_000;

static SLOTS: Slots<64> = Slots::new();
static RECORDER: Recorder = Recorder::new(&SLOTS, CLOCK);
static SAMPLES: Samples<64> = Samples::new();

#[entry]
fn main() -> ! {
    init();
    let mut link = Link::new(&RECORDER, "samples");
    let mut systick = Peripherals::take().expect("main runs once").SYST;
    start_timer(&mut systick, PERIOD);
    for _ in 0..ROUNDS {
        {
            let _span = span!("filter");
            seven_tenths();
        }
        {
            let _span = span!("control");
            two_tenths();
        }
        {
            let _span = span!("report");
            one_tenth();
        }
        link.flush_samples(&SAMPLES, PERIOD);
        link.flush();
    }
    stop_timer(&mut systick);
    while link.flush_samples(&SAMPLES, PERIOD) {}
    report("lost", SAMPLES.lost());
    link.finish();
    finish()
}

#[inline(never)]
fn seven_tenths() {
    work(7);
}

#[inline(never)]
fn two_tenths() {
    work(2);
}

#[inline(never)]
fn one_tenth() {
    work(1);
}

/// It is inlined into its callers, and a profile shows it there.
#[inline(always)]
fn work(tenths: u32) {
    for n in 0..TENTH * tenths {
        black_box(n);
    }
}

// The handler of the timer's exception. The processor has pushed the interrupted code's registers to the stack that this
// code used: bit 2 of LR says to which. The link register is the sixth of them, and the program counter the seventh. `lr`
// keeps its value for `on_sample` to return with.
global_asm!(
    ".pushsection .text.SysTick, \"ax\", %progbits",
    ".global SysTick",
    ".type SysTick, %function",
    ".thumb_func",
    "SysTick:",
    "mov r2, lr",
    "movs r1, #4",
    "mrs r0, msp",
    "tst r2, r1",
    "beq 1f",
    "mrs r0, psp",
    "1:",
    "ldr r1, [r0, #20]",
    "ldr r0, [r0, #24]",
    "ldr r2, =on_sample",
    "bx r2",
    ".pool",
    ".size SysTick, . - SysTick",
    ".popsection",
);

/// Called by the handler.
#[unsafe(no_mangle)]
extern "C" fn on_sample(pc: u32, lr: u32) {
    SAMPLES.record(&RECORDER, pc, lr);
    // With a constant period, samples would keep in step with the loop and find the same parts of it again and again.
    static RANDOM: AtomicU32 = AtomicU32::new(1);
    let random = RANDOM.load(Relaxed).wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    RANDOM.store(random, Relaxed);
    // SAFETY: the registers of SysTick are at this address in every processor of the family.
    let timer = unsafe { &*SYST::PTR };
    // SAFETY: only this handler uses the register while the timer runs, and any 24 bits are a period.
    unsafe { timer.rvr.write(PERIOD / 2 + random % PERIOD) };
}
