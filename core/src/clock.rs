//! The clock seam: a source of ticks and its frequency, both given by the application.

use crate::ring::Word;
use crate::sync::{AtomicWord, Relaxed};

/// A monotonic clock: a function or register that gives ticks, and the number of ticks per second.
///
/// On a 32-bit machine ticks are the low 32 bits of the time and may wrap. A raw read is cheap, and the
/// reader of the ring extends it. A counter that has fewer bits, or counts down, is read through a
/// [`NarrowCounter`].
///
/// ```
/// use throughline::Clock;
/// fn cycles() -> usize { 0 /* a timer register */ }
/// const CLOCK: Clock = Clock::new(64_000_000, cycles);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// The low half first. A `u64` would align a 32-bit machine's recorder to eight bytes and pad it.
    hz: [u32; 2],
    #[cfg(target_pointer_width = "32")]
    register: Option<Register>,
    /// `None` when the clock is the processor's counter or a register.
    ticks: Option<fn() -> usize>,
}

/// The address of a counter's register.
#[cfg(target_pointer_width = "32")]
#[derive(Clone, Copy, Debug)]
struct Register(core::ptr::NonNull<u32>);

// SAFETY: the register is only read, and the caller of `Clock::register` promised that any context may read
// it.
#[cfg(target_pointer_width = "32")]
unsafe impl Send for Register {}
// SAFETY: as above.
#[cfg(target_pointer_width = "32")]
unsafe impl Sync for Register {}

impl Clock {
    /// A clock of `hz` ticks per second that calls `ticks`. On a 32-bit machine `ticks` must count through
    /// all 32 bits before it wraps. Any context that records calls it, interrupt handlers included.
    pub const fn new(hz: u64, ticks: fn() -> usize) -> Clock {
        Clock {
            hz: halves(hz),
            #[cfg(target_pointer_width = "32")]
            register: None,
            ticks: Some(ticks),
        }
    }

    /// A clock of `hz` ticks per second that is read from a register. A read is one load; a function takes
    /// five to ten instructions. The register must count up through all 32 bits: for example `DWT.CYCCNT` of
    /// a Cortex-M3 or later, `TIMERAWL` of an RP2040, or `CNT` of an STM32's TIM2.
    ///
    /// # Panics
    ///
    /// Panics when `register` is null; in a constant that is a compile error.
    ///
    /// # Safety
    ///
    /// `register` must be aligned. Reading it must always be allowed, from any context, and must have no side
    /// effect.
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
            panic!("the address of a clock's register must not be null")
        };
        Clock { hz: halves(hz), register: Some(Register(register)), ticks: None }
    }

    /// A clock for tests that stands still until [`mock::advance`] is called. One tick is one nanosecond.
    pub const fn mock() -> Clock {
        Clock::new(1_000_000_000, mock::now)
    }

    /// A clock that reads the `embassy-time` driver that the binary links.
    #[cfg(feature = "embassy-time")]
    pub const fn embassy() -> Clock {
        Clock::new(embassy_time::TICK_HZ, || embassy_time::Instant::now().as_ticks() as Word)
    }

    /// The processor's own counter, read inline with one instruction: the TSC on x86-64, CNTVCT on AArch64.
    /// The caller must have checked that it runs at a constant `hz` on all cores.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    pub const fn processor(hz: u64) -> Clock {
        Clock { hz: halves(hz), ticks: None }
    }

    /// Ticks per second.
    pub const fn hz(&self) -> u64 {
        self.hz[0] as u64 | (self.hz[1] as u64) << 32
    }

    /// Whether the clock is [`Clock::processor`].
    #[cfg(feature = "std")]
    pub(crate) fn is_processor(&self) -> bool {
        self.ticks.is_none()
    }

    /// Reads the clock if it is a register; returns the function of another one.
    #[cfg(target_pointer_width = "32")]
    #[inline(always)]
    pub(crate) fn register_ticks(&self) -> Result<Word, fn() -> usize> {
        match (self.register, self.ticks) {
            // SAFETY: the caller of `Clock::register` promised that the register may be read.
            (Some(register), _) => Ok(unsafe { register.0.as_ptr().read_volatile() } as Word),
            (None, Some(ticks)) => Err(ticks),
            // SAFETY: a clock without a function is a register, or else the processor's counter, and 32-bit
            // targets have no clock of the latter kind.
            (None, None) => unsafe { core::hint::unreachable_unchecked() },
        }
    }

    /// Reads the clock. Cost: one load for a register, one call for a function, or one read of the
    /// processor's counter (about 9 ns for a TSC on a virtual machine).
    #[inline(always)]
    pub fn ticks(&self) -> usize {
        #[cfg(target_pointer_width = "32")]
        return match self.register_ticks() {
            Ok(ticks) => ticks,
            Err(ticks) => {
                // A clock that needs a call can afford a jump as well.
                core::hint::cold_path();
                ticks()
            }
        };
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        return match self.ticks {
            None => processor_ticks(),
            Some(ticks) => ticks(),
        };
        #[cfg(not(any(target_pointer_width = "32", target_arch = "x86_64", target_arch = "aarch64")))]
        match self.ticks {
            // SAFETY: a clock without a function is the processor's counter, and these targets have no clock of
            // that kind.
            None => unsafe { core::hint::unreachable_unchecked() },
            Some(ticks) => ticks(),
        }
    }
}

/// Extends a hardware counter of fewer than 32 bits, which may count down, to all bits of a [`Clock`].
///
/// A reading gives the first moment since the previous reading at which the counter had its current value.
/// The counter must therefore be read more than once per turn: at least every 2^`BITS` ticks, less the
/// longest time for which a reader can be interrupted. Each span, event and flush reads it; where these are
/// rare, a timer may call [`Recorder::mark_clock`](crate::Recorder::mark_clock). Any context may read it,
/// interrupt handlers included. A reading that is interrupted stores a slightly old time, which is harmless.
///
/// The counter must go through all its values. A SysTick needs the reload value 2^24 − 1, so an operating
/// system must not set another.
///
/// ```
/// use throughline::Clock;
/// use throughline::clock::NarrowCounter;
/// # struct SYST;
/// # impl SYST { fn get_current() -> u32 { 5 } }
///
/// /// SysTick counts down through 24 bits, at the processor's 64 MHz.
/// static SYSTICK: NarrowCounter<24> = NarrowCounter::new();
/// const CLOCK: Clock = Clock::new(64_000_000, || SYSTICK.down(SYST::get_current));
/// # assert_eq!(CLOCK.ticks(), (1 << 24) - 1 - 5);
/// ```
#[derive(Debug)]
pub struct NarrowCounter<const BITS: u32> {
    /// The previous reading, extended.
    last: AtomicWord,
}

impl<const BITS: u32> NarrowCounter<BITS> {
    const MASK: Word = (1 << BITS) - 1;

    /// A counter that has not been read yet.
    #[allow(clippy::new_without_default)] // Only a static makes sense.
    pub const fn new() -> NarrowCounter<BITS> {
        const { assert!(BITS > 0 && BITS < 32, "a narrow counter must have 1 to 31 bits") };
        NarrowCounter { last: AtomicWord::new(0) }
    }

    /// Reads a counter that counts up, in ticks. Bits of `read` beyond `BITS` are ignored. Cost: `read`, a
    /// load, a store and three instructions.
    #[inline(always)]
    pub fn up(&self, read: impl FnOnce() -> u32) -> usize {
        // Load the last reading before reading the counter: a reading that another context stores in between
        // is then newer than `last` and older than the value read here.
        let last = self.last.load(Relaxed);
        let now = last.wrapping_add((read() as Word).wrapping_sub(last) & Self::MASK);
        self.last.store(now, Relaxed);
        now
    }

    /// Reads a counter that counts down, in ticks. Cost: that of [`NarrowCounter::up`] and one instruction.
    #[inline(always)]
    pub fn down(&self, read: impl FnOnce() -> u32) -> usize {
        self.up(|| !read())
    }
}

const fn halves(n: u64) -> [u32; 2] {
    [n as u32, (n >> 32) as u32]
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn processor_ticks() -> Word {
    // Miri has no TSC; its runs check memory, not time.
    if cfg!(miri) {
        return mock::now();
    }
    let ticks: Word;
    // The compiler's intrinsic joins the two halves in one of their registers. The next read overwrites that
    // register, so every span would need one more move.
    // SAFETY: every x86-64 processor has RDTSC, and no operating system that we know of forbids it in user
    // code. Only registers are written.
    unsafe {
        core::arch::asm!(
            "rdtsc",
            "shl rdx, 32",
            "lea {ticks}, [rax + rdx]",
            out("rax") _,
            out("rdx") _,
            ticks = lateout(reg) ticks,
            options(nomem, nostack),
        );
    }
    ticks
}

#[cfg(target_arch = "aarch64")]
#[inline(always)]
pub(crate) fn processor_ticks() -> Word {
    let ticks: u64;
    // SAFETY: this reads the virtual counter, which has no side effect and which operating systems allow in
    // user code.
    unsafe {
        core::arch::asm!("mrs {}, cntvct_el0", out(reg) ticks, options(nomem, nostack, preserves_flags))
    };
    ticks as Word
}

/// A clock that tests move by hand; one for the whole process.
pub mod mock {
    use crate::sync::{AtomicWord, Relaxed};

    static NOW: AtomicWord = AtomicWord::new(0);

    /// The current reading, in ticks.
    pub fn now() -> usize {
        NOW.load(Relaxed)
    }

    /// Sets the reading, in ticks.
    pub fn set(ticks: usize) {
        NOW.store(ticks, Relaxed);
    }

    /// Adds `ticks` to the reading; it wraps around.
    pub fn advance(ticks: usize) {
        NOW.fetch_add(ticks, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A 12-bit counter that a test moves.
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
                // Interrupts come both before and after the counter is read.
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
