//! Why the process is not profiled.

use std::io;

/// Why profiling did not begin, with what can be done.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// The frequency is out of range.
    #[error("{0} samples per second cannot be taken; ask for 19 to 999, for example 99")]
    Frequency(u32),
    /// There is a profiler already.
    #[error("a profiler of this kind already runs in this process; stop it first, or take its profile")]
    AlreadyRunning,
    /// This process was forked from one that profiled.
    #[error(
        "this process was forked from one that had loaded the profiler; run a program (exec) in it to profile it"
    )]
    Forked,
    /// The program does not allocate through [`Allocator`](crate::Allocator).
    #[error(
        "the program's allocator is not throughline_profile::Allocator; write `#[global_allocator] static ALLOCATOR: \
        Allocator = Allocator::new(std::alloc::System);`"
    )]
    NoAllocator,
    /// The system does not let a process read its own memory by `process_vm_readv`.
    #[error(
        "the system call process_vm_readv, which reads stacks, is not permitted: {0}; allow it in the sandbox (seccomp)"
    )]
    Memory(#[source] io::Error),
    /// The handler of SIGPROF could not be set.
    #[error("the handler of SIGPROF could not be set: {0}; allow sigaction in the sandbox (seccomp)")]
    Signal(#[source] io::Error),
    /// The kernel does not let this process sample its own threads by `perf_event_open`.
    #[error(
        "sampling by perf_event_open is not permitted: {0}; set kernel.perf_event_paranoid to 2 or less and allow it in the sandbox (seccomp), \
        or sample by timers"
    )]
    Perf(#[source] io::Error),
    /// The profiler's thread could not be started.
    #[error("the profiler's thread could not be started: {0}; raise the limit of threads or memory")]
    Thread(#[source] io::Error),
}

/// As `Display`, because `Debug` is what a `main` that returns the error prints.
impl std::fmt::Debug for ProfileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}
