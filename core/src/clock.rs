//! The clock seam: ticks plus a frequency, given by the application.

use crate::ring::Word;

/// A monotonic clock: a reader of ticks and their frequency. On a 32-bit machine ticks are the low 32 bits, which may wrap: a raw read is
/// cheap, and the drain extends it.
///
/// ```
/// use throughline::Clock;
/// fn cycles() -> usize { 0 /* a timer register */ }
/// const CLOCK: Clock = Clock::new(64_000_000, cycles);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    hz: u64,
    ticks: Option<fn() -> Word>,
}

impl Clock {
    /// A clock of `hz` ticks per second, read by `ticks`. On a 32-bit machine `ticks` must count through all 32 bits before it wraps.
    /// It is called in whatever context records, interrupts included.
    pub const fn new(hz: u64, ticks: fn() -> Word) -> Clock {
        Clock { hz, ticks: Some(ticks) }
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
        Clock { hz, ticks: None }
    }

    /// Ticks per second.
    pub const fn hz(&self) -> u64 {
        self.hz
    }

    /// Whether it is [`Clock::processor`].
    #[cfg(feature = "std")]
    pub(crate) fn is_processor(&self) -> bool {
        self.ticks.is_none()
    }

    /// Reads it. Cost: that of the function given, or of one TSC read (about 9 ns on a virtual machine).
    #[inline(always)]
    pub fn ticks(&self) -> Word {
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        return match self.ticks {
            None => processor_ticks(),
            Some(ticks) => ticks(),
        };
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        match self.ticks {
            // SAFETY: only `Clock::processor` makes a clock without a function, and these targets do not have it.
            None => unsafe { core::hint::unreachable_unchecked() },
            Some(ticks) => ticks(),
        }
    }
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
