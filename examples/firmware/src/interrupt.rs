//! SysTick as the timer interrupt of the examples.

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;

/// Makes SysTick interrupt every `cycles` of the processor's clock, at most 2^24.
pub fn start_timer(systick: &mut SYST, cycles: u32) {
    systick.set_clock_source(SystClkSource::Core);
    systick.set_reload(cycles - 1);
    systick.clear_current();
    systick.enable_interrupt();
    systick.enable_counter();
}

/// Stops these interrupts.
pub fn stop_timer(systick: &mut SYST) {
    systick.disable_counter();
    systick.disable_interrupt();
}
