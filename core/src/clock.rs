//! The clock seam: ticks plus a frequency, given by the application.

use crate::ring::Word;
use crate::sync::{AtomicWord, Relaxed};

/// A monotonic clock: a reader of ticks and their frequency. On a 32-bit machine ticks are the low 32 bits, which may wrap: a raw read is
/// cheap, and the drain extends it. A counter of fewer bits, or one that counts down, is read through a [`NarrowCounter`].
///
/// ```
/// use throughline::Clock;
/// fn cycles() -> usize { 0 /* a timer register */ }
/// const CLOCK: Clock = Clock::new(64_000_000, cycles);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Low half first: a 64-bit number would have a 32-bit machine's recorder padded to eight bytes.
    hz: [u32; 2],
    #[cfg(target_pointer_width = "32")]
    register: Option<Register>,
    /// `None`: the processor's counter, or else the register.
    ticks: Option<fn() -> Word>,
}

/// A counter's register.
#[cfg(target_pointer_width = "32")]
#[derive(Clone, Copy, Debug)]
struct Register(core::ptr::NonNull<u32>);

// SAFETY: it is only read, and who made the clock has promised that any context may do so.
#[cfg(target_pointer_width = "32")]
unsafe impl Send for Register {}
// SAFETY: as above.
#[cfg(target_pointer_width = "32")]
unsafe impl Sync for Register {}

impl Clock {
    /// A clock of `hz` ticks per second, read by `ticks`. On a 32-bit machine `ticks` must count through all 32 bits before it wraps.
    /// It is called in whatever context records, interrupts included.
    pub const fn new(hz: u64, ticks: fn() -> Word) -> Clock {
        Clock {
            hz: halves(hz),
            #[cfg(target_pointer_width = "32")]
            register: None,
            ticks: Some(ticks),
        }
    }

    /// A clock of `hz` ticks per second that is a register: one load, where a function is called for five to ten instructions. The register
    /// counts up through all 32 bits: `DWT.CYCCNT` of a Cortex-M3 or later, `TIMERAWL` of an RP2040, `CNT` of an STM32's TIM2.
    ///
    /// Panics when `register` is null; in a constant, at compile time.
    ///
    /// # Safety
    ///
    /// `register` must be aligned, and reading it must be allowed and without effect, always and in any context.
    ///
    /// ```
    /// # #[cfg(target_os = "none")] {
    /// use throughline::Clock;
    /// // SAFETY: the cycle counter of a Cortex-M4 that runs at 64 MHz; `main` turns it on.
    /// const CLOCK: Clock = unsafe { Clock::register(64_000_000, 0xE000_1004 as *const u32) };
    /// # }
    /// ```
    #[cfg(target_pointer_width = "32")]
    pub const unsafe fn register(hz: u64, register: *const u32) -> Clock {
        let Some(register) = core::ptr::NonNull::new(register.cast_mut()) else {
            panic!("a clock's register is at null")
        };
        Clock { hz: halves(hz), register: Some(Register(register)), ticks: None }
    }

    /// The clock of a test: stands still until [`mock::advance`] is called. One tick is one nanosecond.
    pub const fn mock() -> Clock {
        Clock::new(1_000_000_000, mock::now)
    }

    /// Time from whatever `embassy-time` driver the binary links.
    #[cfg(feature = "embassy-time")]
    pub const fn embassy() -> Clock {
        Clock::new(embassy_time::TICK_HZ, || embassy_time::Instant::now().as_ticks() as Word)
    }

    /// The processor's own counter, read with one instruction in line: TSC on x86-64, CNTVCT on AArch64. The caller has made sure that it runs at
    /// a constant `hz` on all cores.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    pub const fn processor(hz: u64) -> Clock {
        Clock { hz: halves(hz), ticks: None }
    }

    /// Ticks per second.
    pub const fn hz(&self) -> u64 {
        self.hz[0] as u64 | (self.hz[1] as u64) << 32
    }

    /// Whether it is [`Clock::processor`].
    #[cfg(feature = "std")]
    pub(crate) fn is_processor(&self) -> bool {
        self.ticks.is_none()
    }

    /// Reads it if it is a register.
    #[cfg(target_pointer_width = "32")]
    #[inline(always)]
    pub(crate) fn register_ticks(&self) -> Option<Word> {
        let register = self.register?;
        // SAFETY: who made the clock has promised that this may be read.
        Some(unsafe { register.0.as_ptr().read_volatile() } as Word)
    }

    /// Reads it. Cost: a load, or that of the function given, or of one TSC read (about 9 ns on a virtual machine).
    #[inline(always)]
    pub fn ticks(&self) -> Word {
        #[cfg(target_pointer_width = "32")]
        match self.register_ticks() {
            Some(ticks) => return ticks,
            // What takes a call may take a jump too.
            None => core::hint::cold_path(),
        }
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        return match self.ticks {
            None => processor_ticks(),
            Some(ticks) => ticks(),
        };
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        match self.ticks {
            // SAFETY: a clock without a function is a register, or else the processor's counter, which these targets don't have.
            None => unsafe { core::hint::unreachable_unchecked() },
            Some(ticks) => ticks(),
        }
    }
}

/// Extends a hardware counter of fewer than 32 bits, which may count down, to all the bits that a [`Clock`] has.
///
/// Each reading gives the first moment since the reading before at which the counter had the value it has now. So it must be read more than once in
/// a turn of the counter: at least every 2^`BITS` ticks, less the longest time for which a reader is interrupted. Each span and event reads it,
/// and so does each flush; a timer may call [`Recorder::mark_clock`](crate::Recorder::mark_clock) where these are rare. Any context may read it,
/// interrupts included: a reading that is interrupted in the middle stores a time that is a little old, which does no harm.
///
/// The counter must go through all its values: a SysTick is to have the reload value 2^24 − 1, and no operating system that sets another.
///
/// ```
/// use throughline::Clock;
/// use throughline::clock::NarrowCounter;
/// # struct SYST;
/// # impl SYST { fn get_current() -> u32 { 5 } }
///
/// /// SysTick, 24 bits downwards, with the processor's clock of 64 MHz.
/// static SYSTICK: NarrowCounter<24> = NarrowCounter::new();
/// const CLOCK: Clock = Clock::new(64_000_000, || SYSTICK.down(SYST::get_current));
/// # assert_eq!(CLOCK.ticks(), (1 << 24) - 1 - 5);
/// ```
#[derive(Debug)]
pub struct NarrowCounter<const BITS: u32> {
    /// The last reading, extended.
    last: AtomicWord,
}

impl<const BITS: u32> NarrowCounter<BITS> {
    const MASK: Word = (1 << BITS) - 1;

    /// A counter that was not read yet.
    #[allow(clippy::new_without_default)] // Only a static makes sense.
    pub const fn new() -> NarrowCounter<BITS> {
        const { assert!(BITS > 0 && BITS < 32, "a narrow counter has 1 to 31 bits") };
        NarrowCounter { last: AtomicWord::new(0) }
    }

    /// Ticks of a counter that counts up. Bits of `read` beyond `BITS` are ignored. Cost: that of `read`, a load, a store and three instructions.
    #[inline(always)]
    pub fn up(&self, read: impl FnOnce() -> u32) -> Word {
        // The last reading is loaded first: one that another context stores in between is then newer than it and older than what is read next.
        let last = self.last.load(Relaxed);
        let now = last.wrapping_add((read() as Word).wrapping_sub(last) & Self::MASK);
        self.last.store(now, Relaxed);
        now
    }

    /// Ticks of a counter that counts down. As [`NarrowCounter::up`], with an instruction more.
    #[inline(always)]
    pub fn down(&self, read: impl FnOnce() -> u32) -> Word {
        self.up(|| !read())
    }
}

const fn halves(n: u64) -> [u32; 2] {
    [n as u32, (n >> 32) as u32]
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn processor_ticks() -> Word {
    // miri has no TSC; its runs are about memory, not time.
    if cfg!(miri) {
        return mock::now();
    }
    // SAFETY: every x86-64 processor has RDTSC, and no operating system we know of turns it off for user code.
    unsafe { core::arch::x86_64::_rdtsc() as Word }
}

#[cfg(target_arch = "aarch64")]
#[inline(always)]
pub(crate) fn processor_ticks() -> Word {
    let ticks: u64;
    // SAFETY: reads the virtual counter, which has no effect and which operating systems allow user code to read.
    unsafe {
        core::arch::asm!("mrs {}, cntvct_el0", out(reg) ticks, options(nomem, nostack, preserves_flags))
    };
    ticks as Word
}

/// The clock that tests move by hand. One for the whole process.
pub mod mock {
    use crate::ring::Word;
    use crate::sync::{AtomicWord, Relaxed};

    static NOW: AtomicWord = AtomicWord::new(0);

    /// Its reading.
    pub fn now() -> Word {
        NOW.load(Relaxed)
    }

    /// Sets it.
    pub fn set(ticks: Word) {
        NOW.store(ticks, Relaxed);
    }

    /// Moves it on, wrapping around.
    pub fn advance(ticks: Word) {
        NOW.fetch_add(ticks, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A counter of 12 bits that a test moves.
    struct Hardware {
        now: core::cell::Cell<usize>,
    }

    impl Hardware {
        fn read(&self) -> u32 {
            self.now.get() as u32 & 0xfff
        }

        fn pass(&self, ticks: usize) {
            self.now.set(self.now.get() + ticks);
        }
    }

    #[test]
    fn a_narrow_counter_is_extended_over_its_turns_35() {
        let (up, down) = (NarrowCounter::<12>::new(), NarrowCounter::<12>::new());
        let hardware = Hardware { now: 0.into() };
        let mut random = 1u32;
        for _ in 0..if cfg!(miri) { 200 } else { 10_000 } {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            hardware.pass(random as usize >> 20);
            assert_eq!(up.up(|| hardware.read()), hardware.now.get());
            assert_eq!(down.down(|| !hardware.read()), hardware.now.get());
        }
    }

    #[test]
    fn interrupts_amid_a_reading_do_not_disturb_it_35() {
        let counter = NarrowCounter::<12>::new();
        let hardware = Hardware { now: 0.into() };
        let mut random = 1u32;
        for _ in 0..if cfg!(miri) { 200 } else { 10_000 } {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            hardware.pass(random as usize >> 21);
            let read = counter.up(|| {
                // Before the counter is read, and after.
                hardware.pass(random as usize & 0x1ff);
                assert_eq!(counter.up(|| hardware.read()), hardware.now.get());
                let value = hardware.read();
                hardware.pass(random as usize >> 9 & 0x1ff);
                assert_eq!(counter.up(|| hardware.read()), hardware.now.get());
                value
            });
            assert_eq!(read, hardware.now.get() - (random as usize >> 9 & 0x1ff));
        }
    }
}
