//! The values that every subject records, so that all do the same work.

use std::sync::LazyLock;

/// Label values known only at run time. They are `'static`, so that no subject must allocate to name one.
pub(crate) static ROUTES: LazyLock<[&'static str; 16]> =
    LazyLock::new(|| std::array::from_fn(|at| &*format!("/api/v1/route-{at:02}").leak()));

/// Values for a histogram, spread over five powers of ten as latencies in nanoseconds are.
pub(crate) static LATENCIES: LazyLock<[u64; 1024]> = LazyLock::new(|| {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::array::from_fn(|_| {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        100 + (state >> 32) % (10 << (state % 20))
    })
});

/// The label value of the `i`-th operation.
pub(crate) fn route(i: u64) -> &'static str {
    ROUTES[i as usize % 16]
}

/// The histogram value of the `i`-th operation.
pub(crate) fn latency(values: &[u64; 1024], i: u64) -> u64 {
    values[i as usize % 1024]
}

/// A raw reading of the CPU's counter: the least that a clock costs.
#[inline(always)]
pub(crate) fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 CPU has the instruction, and no system that this runs on forbids it in user code.
    unsafe {
        core::arch::x86_64::_rdtsc()
    }
    #[cfg(target_arch = "aarch64")]
    {
        let ticks: u64;
        // SAFETY: this reads a register that user code may read, and changes nothing.
        unsafe { core::arch::asm!("mrs {}, cntvct_el0", out(reg) ticks, options(nomem, nostack)) };
        ticks
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        static START: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);
        START.elapsed().as_nanos() as u64
    }
}
