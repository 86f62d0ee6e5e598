//! Counts instructions under QEMU's `-icount shift=0`, where an instruction takes 1 ns of the guest's time
//! and SysTick counts that time.
#![no_std]

use core::sync::atomic::{Ordering, compiler_fence};
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{Peripherals, SYST};
use cortex_m_semihosting::{debug, hprintln};
use panic_halt as _;
use throughline::Clock;

/// The longest time that SysTick counts before it starts over.
const RELOAD: u32 = 0x00ff_ffff;

/// The number of operations that are timed together: half a ring, so that nothing is lost meanwhile.
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

/// The clock of most chips: a free-running 32-bit counter. On the MPS2 it is a register of its FPGA. The
/// micro:bit's chip has no such counter in QEMU, so SysTick stands in: it costs the same to read, and no time
/// is used here.
// SAFETY: both registers always exist and may be read at any time.
pub const CLOCK: Clock = unsafe { Clock::register(25_000_000, COUNTER as *const u32) };
const COUNTER: usize = if cfg!(board_mps2) { 0x4002_8018 } else { 0xE000_E018 };

/// A clock that needs a function to read it, as SysTick does, because it counts down.
pub const CALLED_CLOCK: Clock = Clock::new(25_000_000, ticks);

/// Reads SysTick. It wraps at 24 bits; handling that would cost instructions, and nothing here needs it.
#[inline(never)]
pub fn ticks() -> usize {
    // SysTick counts down.
    !SYST::get_current() as usize
}

/// Measures instructions per operation: (T(2N) − T(N)) / N, summed over many rounds because SysTick counts
/// only every 40th (on the micro:bit every 62nd) instruction. `between` runs untimed between rounds. `twice`
/// runs the operation 2N times if given true, else N times.
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

/// A loop around the operation that the compiler neither unrolls nor shortens.
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

/// Prints how many instructions SysTick counts as one tick, if it was started, then ends QEMU.
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

/// Prints the ticks of a loop with a known number of instructions: `subs` and `bne`, 2 per turn.
fn calibrate() {
    const TURNS: u32 = 1_000_000;
    let begun = SYST::get_current();
    // SAFETY: this counts a register down to zero and touches nothing else.
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
