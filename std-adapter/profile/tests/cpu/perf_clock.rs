//! The clock that the source `perf` goes by, read without a profiler. It goes on in interrupts and while the machine under a
//! virtual one does something else, which the system does not count as the thread's CPU time.

use std::time::Duration;

thread_local! {
    static CLOCK: libc::c_int = open();
}

/// `PERF_COUNT_SW_CPU_CLOCK` of the running thread; see `perf_event_open(2)`. Negative if the system does not permit it.
fn open() -> libc::c_int {
    const SOFTWARE: u64 = 1;
    const SIZE: u64 = 128;
    /// `exclude_kernel`, `exclude_hv`.
    const FLAGS: u64 = 1 << 5 | 1 << 6;
    let mut attributes = [0_u64; 16];
    attributes[0] = SOFTWARE | SIZE << 32;
    attributes[5] = FLAGS;
    // SAFETY: the attributes are as long as they say. The numbers stand for this thread, any CPU, no group and no flags.
    unsafe { libc::syscall(libc::SYS_perf_event_open, attributes.as_ptr(), 0, -1, -1, 0_u64) as libc::c_int }
}

/// What the clock counted of the running thread since this was first called; `None` if the system does not permit it.
pub(crate) fn perf_cpu() -> Option<Duration> {
    let (file, mut nanoseconds) = (CLOCK.with(|file| *file), 0_u64);
    let to = (&raw mut nanoseconds).cast();
    // SAFETY: the buffer is as long as the count.
    (file >= 0).then(|| assert_eq!(unsafe { libc::read(file, to, size_of::<u64>()) }, 8))?;
    Some(Duration::from_nanos(nanoseconds))
}
