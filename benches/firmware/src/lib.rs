//! Counting instructions under QEMU's `-icount shift=0`, where an instruction takes 1 ns of the guest's time and SysTick counts that time.
#![no_std]

use core::sync::atomic::{Ordering, compiler_fence};
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{Peripherals, SYST};
use cortex_m_semihosting::{debug, hprintln};
use panic_halt as _;
use throughline::Clock;

/// The longest SysTick counts before it begins again.
const RELOAD: u32 = 0x00ff_ffff;

/// Operations timed at once: half a ring's worth, so that nothing is lost while it is timed.
pub const BATCH: u32 = 50;

/// Starts SysTick with the processor's clock.
pub fn start() {
    let Some(peripherals) = Peripherals::take() else { return };
    let mut systick = peripherals.SYST;
    systick.set_clock_source(SystClkSource::Core);
    systick.set_reload(RELOAD);
    systick.clear_current();
    systick.enable_counter();
}

/// The clock of most chips: a free-running counter of 32 bits. The MPS2's, in its FPGA's registers; the micro:bit's chip has none that QEMU knows, and
/// SysTick stands in: it costs the same to read, and no time is looked at here.
// SAFETY: both are always there and may be read at any time.
pub const CLOCK: Clock = unsafe { Clock::register(25_000_000, COUNTER as *const u32) };
const COUNTER: usize = if cfg!(board_mps2) { 0x4002_8018 } else { 0xE000_E018 };

/// A clock that takes a function to read, as SysTick's, which counts down.
pub const CALLED_CLOCK: Clock = Clock::new(25_000_000, ticks);

/// Reads SysTick. It wraps at 24 bits, which costs nothing and matters to nobody here.
#[inline(never)]
pub fn ticks() -> usize {
    // SysTick counts down.
    !SYST::get_current() as usize
}

/// Instructions per operation: (T(2N) − T(N)) / N, summed over many rounds as SysTick counts every 40th (62nd on the
/// microbit) instruction. `between` runs untimed between rounds; `twice` runs the operation 2N times if given true, N times else.
pub fn measure(name: &str, mut between: impl FnMut(), mut twice: impl FnMut(u32)) {
    const ROUNDS: u32 = 400;
    let mut sums = [0u32; 2];
    for round in 0..ROUNDS {
        for (double, sum) in sums.iter_mut().enumerate() {
            between();
            // This makes rounds begin at different moments within a tick.
            for _ in 0..round % 23 {
                cortex_m::asm::nop();
            }
            let begun = SYST::get_current();
            compiler_fence(Ordering::SeqCst);
            twice(BATCH << double);
            compiler_fence(Ordering::SeqCst);
            *sum += begun.wrapping_sub(SYST::get_current()) & RELOAD;
        }
    }
    hprintln!("ticks {} {} {}", name, sums[1].wrapping_sub(sums[0]), ROUNDS * BATCH);
}

/// A loop of the operation that the compiler neither unrolls nor shortens.
#[macro_export]
macro_rules! measure {
    ($name:literal, $between:expr, $n:ident, $op:expr) => {
        $crate::measure($name, $between, |count| {
            let mut $n = 0u32;
            while core::hint::black_box($n) < count {
                $op;
                $n += 1;
            }
        })
    };
}

/// Says how many instructions SysTick counts as one tick, if it was started, then ends QEMU.
pub fn finish() -> ! {
    if SYST::get_current() > 0 {
        calibrate();
    }
    debug::exit(debug::EXIT_SUCCESS);
    loop {
        cortex_m::asm::nop();
    }
}

/// Ends QEMU with an error.
pub fn fail(why: &str) -> ! {
    hprintln!("{}", why);
    debug::exit(debug::EXIT_FAILURE);
    loop {
        cortex_m::asm::nop();
    }
}

/// Prints the ticks of a loop whose instructions are known: `subs` and `bne`, 2 a turn.
fn calibrate() {
    const TURNS: u32 = 1_000_000;
    let begun = SYST::get_current();
    // SAFETY: counts a register down to zero, and touches nothing else.
    unsafe {
        core::arch::asm!(
            ".syntax unified",
            "2: subs {n}, #1",
            "bne 2b",
            n = inout(reg) TURNS => _,
        );
    }
    let ticks = begun.wrapping_sub(SYST::get_current()) & RELOAD;
    hprintln!("calibration {} {}", ticks, 2 * TURNS);
}
