//! What the operating system is asked: who ran where, and how many instructions.

/// Keeps this thread on the `nth` of the CPUs the process may use; does nothing where there is none or no way to.
///
/// Two threads that the scheduler puts on one CPU take turns and show no contention.
pub(crate) fn pin(nth: usize) {
    #[cfg(target_os = "linux")]
    linux::pin(nth);
    #[cfg(not(target_os = "linux"))]
    let _ = nth;
}

/// How often this thread has lost the CPU without asking to; always 0 where the system does not say.
pub(crate) fn preemptions() -> u64 {
    #[cfg(target_os = "linux")]
    return linux::preemptions();
    #[cfg(not(target_os = "linux"))]
    0
}

/// Instructions of one operation in user space: those of `op(2n)` less those of `op(n)`, by `n`.
///
/// Counted by single-stepping a fork of this process, which needs no performance counters (virtual machines seldom have
/// them). A repeated string instruction counts once per repetition. `None` where that is not possible.
pub(crate) fn instructions(n: u64, op: &mut dyn FnMut(u64)) -> Option<f64> {
    #[cfg(target_os = "linux")]
    {
        let once = linux::steps(&mut || op(n))?;
        let twice = linux::steps(&mut || op(2 * n))?;
        Some(twice.saturating_sub(once) as f64 / n as f64)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (n, op);
        None
    }
}

/// The clock of the CPU time that one thread uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CpuClock {
    #[cfg(target_os = "linux")]
    id: libc::clockid_t,
}

impl CpuClock {
    /// This thread's; other threads may read it until this one ends.
    pub(crate) fn of_this_thread() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            id: linux::thread_clock(),
        }
    }

    /// Nanoseconds of CPU used so far; 0 where the system does not say, and after the thread's end.
    pub(crate) fn ns(&self) -> u64 {
        #[cfg(target_os = "linux")]
        return linux::clock_ns(self.id);
        #[cfg(not(target_os = "linux"))]
        0
    }
}

/// Nanoseconds of CPU that this process has used, ended threads included; 0 where the system does not say.
pub(crate) fn cpu_ns() -> u64 {
    #[cfg(target_os = "linux")]
    return linux::clock_ns(libc::CLOCK_PROCESS_CPUTIME_ID);
    #[cfg(not(target_os = "linux"))]
    0
}

/// Most memory that this process has had resident, in bytes; `None` where the system does not say.
pub(crate) fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{mem::MaybeUninit, ptr::null_mut};

    pub(super) fn pin(nth: usize) {
        let size = size_of::<libc::cpu_set_t>();
        let mut allowed = MaybeUninit::<libc::cpu_set_t>::zeroed();
        // SAFETY: the call writes at most `size` bytes to where the pointer points, which has as many.
        let result = unsafe { libc::sched_getaffinity(0, size, allowed.as_mut_ptr()) };
        // SAFETY: a set of bits; all zeros is the empty set.
        let allowed = unsafe { allowed.assume_init() };
        // SAFETY: reads a bit of the set; the index is below its size.
        let is_allowed = |cpu: &usize| unsafe { libc::CPU_ISSET(*cpu, &allowed) };
        let Some(cpu) = (0..libc::CPU_SETSIZE as usize).filter(is_allowed).nth(nth) else { return };
        if result != 0 {
            return;
        }
        let mut one = MaybeUninit::<libc::cpu_set_t>::zeroed();
        // SAFETY: as above.
        let one = unsafe { one.assume_init_mut() };
        // SAFETY: sets a bit of the set; the index is below its size.
        unsafe { libc::CPU_SET(cpu, one) };
        // SAFETY: the call reads `size` bytes from where the pointer points, which has as many.
        unsafe { libc::sched_setaffinity(0, size, one) };
    }

    pub(super) fn preemptions() -> u64 {
        let mut usage = MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: the call writes one `rusage` to where the pointer points, which is as large.
        let result = unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) };
        // SAFETY: all its fields are integers, for which zero is a value, whether the call wrote them or not.
        let usage = unsafe { usage.assume_init() };
        if result == 0 { u64::try_from(usage.ru_nivcsw).unwrap_or(0) } else { 0 }
    }

    pub(super) fn thread_clock() -> libc::clockid_t {
        let mut id = libc::CLOCK_THREAD_CPUTIME_ID;
        // SAFETY: takes nothing.
        let this = unsafe { libc::pthread_self() };
        // SAFETY: this thread is running; writes the one integer it is given.
        let result = unsafe { libc::pthread_getcpuclockid(this, &raw mut id) };
        assert_eq!(result, 0, "Linux has a CPU clock for every thread");
        id
    }

    pub(super) fn clock_ns(id: libc::clockid_t) -> u64 {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: writes the one `timespec` it is given; an id that is no clock's any more is an error.
        if unsafe { libc::clock_gettime(id, &raw mut time) } != 0 {
            return 0;
        }
        u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
    }

    /// Steps a fork takes through `work`, with a constant number around it.
    pub(super) fn steps(work: &mut dyn FnMut()) -> Option<u64> {
        // SAFETY: the child runs `work` on the one thread it has and ends without unwinding or running destructors; `work`
        // is code of this crate that waits for no other thread.
        let child = unsafe { libc::fork() };
        match child {
            -1 => None,
            0 => {
                // SAFETY: takes no pointer that is read; on failure the parent sees no stop by a step and gives up.
                unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, null_mut::<u8>(), null_mut::<u8>()) };
                stop();
                work();
                stop();
                // SAFETY: ends the child at once.
                unsafe { libc::_exit(0) }
            }
            child => {
                let counted = count(child);
                // SAFETY: `child` is a child of this process that has not been waited for to its end.
                unsafe { libc::kill(child, libc::SIGKILL) };
                let mut status = 0;
                // SAFETY: writes the one integer it is given.
                while unsafe { libc::waitpid(child, &mut status, 0) } == child && !libc::WIFSIGNALED(status) {
                }
                counted
            }
        }
    }

    /// Steps `child` from its first stop to its second.
    fn count(child: libc::pid_t) -> Option<u64> {
        if wait_for_stop(child)? != libc::SIGSTOP {
            return None;
        }
        for steps in 0..500_000 {
            // SAFETY: `child` is stopped and traced by this thread; no pointer is read.
            let result =
                unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, child, null_mut::<u8>(), null_mut::<u8>()) };
            if result != 0 {
                return None;
            }
            match wait_for_stop(child)? {
                libc::SIGTRAP => {}
                libc::SIGSTOP => return Some(steps),
                _ => return None,
            }
        }
        None
    }

    fn wait_for_stop(child: libc::pid_t) -> Option<i32> {
        let mut status = 0;
        // SAFETY: writes the one integer it is given.
        let waited = unsafe { libc::waitpid(child, &mut status, 0) };
        (waited == child && libc::WIFSTOPPED(status)).then(|| libc::WSTOPSIG(status))
    }

    fn stop() {
        // SAFETY: stops this process until its tracer goes on.
        unsafe { libc::raise(libc::SIGSTOP) };
    }
}
