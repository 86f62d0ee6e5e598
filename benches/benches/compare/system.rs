//! Queries to the operating system: CPU placement, CPU time and memory.

/// Keeps this thread on the `nth` of the CPUs that the process may use. Does nothing if there is no such CPU,
/// or no way to do it.
///
/// Two threads that the scheduler puts on one CPU take turns and show no contention.
pub(crate) fn pin(nth: usize) {
    #[cfg(target_os = "linux")]
    linux::pin(nth);
    #[cfg(not(target_os = "linux"))]
    let _ = nth;
}

/// How often this thread has lost the CPU involuntarily; always 0 if the system does not tell.
pub(crate) fn preemptions() -> u64 {
    #[cfg(target_os = "linux")]
    return linux::preemptions();
    #[cfg(not(target_os = "linux"))]
    0
}

/// The clock of the CPU time that one thread uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CpuClock {
    #[cfg(target_os = "linux")]
    id: libc::clockid_t,
}

impl CpuClock {
    /// The clock of this thread. Other threads may read it until this thread ends.
    pub(crate) fn of_this_thread() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            id: linux::thread_clock(),
        }
    }

    /// Nanoseconds of CPU time used so far; 0 if the system does not tell, and after the thread's end.
    pub(crate) fn ns(&self) -> u64 {
        #[cfg(target_os = "linux")]
        return linux::clock_ns(self.id);
        #[cfg(not(target_os = "linux"))]
        0
    }
}

/// Nanoseconds of CPU time that this process has used, including ended threads; 0 if the system does not
/// tell.
pub(crate) fn cpu_ns() -> u64 {
    #[cfg(target_os = "linux")]
    return linux::clock_ns(libc::CLOCK_PROCESS_CPUTIME_ID);
    #[cfg(not(target_os = "linux"))]
    0
}

/// The peak resident memory of this process in bytes; `None` if the system does not tell.
pub(crate) fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// The resident memory of this process in bytes; `None` if the system does not tell.
pub(crate) fn resident_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::mem::MaybeUninit;

    pub(super) fn pin(nth: usize) {
        let size = size_of::<libc::cpu_set_t>();
        let mut allowed = MaybeUninit::<libc::cpu_set_t>::zeroed();
        // SAFETY: the call writes at most `size` bytes, and the pointer points to as many.
        let result = unsafe { libc::sched_getaffinity(0, size, allowed.as_mut_ptr()) };
        // SAFETY: the value is a set of bits; all zeros is the empty set.
        let allowed = unsafe { allowed.assume_init() };
        // SAFETY: this reads a bit of the set; the index is below its size.
        let is_allowed = |cpu: &usize| unsafe { libc::CPU_ISSET(*cpu, &allowed) };
        let Some(cpu) = (0..libc::CPU_SETSIZE as usize).filter(is_allowed).nth(nth) else { return };
        if result != 0 {
            return;
        }
        let mut one = MaybeUninit::<libc::cpu_set_t>::zeroed();
        // SAFETY: as for `allowed`.
        let one = unsafe { one.assume_init_mut() };
        // SAFETY: this sets a bit of the set; the index is below its size.
        unsafe { libc::CPU_SET(cpu, one) };
        // SAFETY: the call reads `size` bytes, and the pointer points to as many.
        unsafe { libc::sched_setaffinity(0, size, one) };
    }

    pub(super) fn preemptions() -> u64 {
        let mut usage = MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: the call writes one `rusage`, and the pointer points to one.
        let result = unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) };
        // SAFETY: all fields are integers, for which zero is valid, whether the call wrote them or not.
        let usage = unsafe { usage.assume_init() };
        if result == 0 { u64::try_from(usage.ru_nivcsw).unwrap_or(0) } else { 0 }
    }

    pub(super) fn thread_clock() -> libc::clockid_t {
        let mut id = libc::CLOCK_THREAD_CPUTIME_ID;
        // SAFETY: the call has no arguments and cannot fail.
        let this = unsafe { libc::pthread_self() };
        // SAFETY: this thread is running; the call writes the one integer that it is given.
        let result = unsafe { libc::pthread_getcpuclockid(this, &raw mut id) };
        assert_eq!(result, 0, "Linux has a CPU clock for every thread");
        id
    }

    pub(super) fn clock_ns(id: libc::clockid_t) -> u64 {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the call writes the one `timespec` that it is given; an id whose clock no longer exists is
        // an error.
        if unsafe { libc::clock_gettime(id, &raw mut time) } != 0 {
            return 0;
        }
        u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
    }
}
