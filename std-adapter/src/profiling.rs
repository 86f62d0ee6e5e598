//! Profiles of the process, into files: as the configuration says, or from one call to another.
//!
//! ```no_run
//! # #[cfg(all(feature = "profile", target_os = "linux"))]
//! # mod example {
//! use throughline_std::profiling::{start_profiling, stop_profiling};
//! # fn work() {}
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! start_profiling()?;
//! work();
//! println!("go tool pprof {}", stop_profiling()?.display()); // a flame graph, `.svg`, is beside it
//! # Ok(())
//! # }
//! # }
//! ```
//!
//! Everything else that `throughline_profile` can do is here too, such as [`profile_for`] and profiles of one trace. Samples inside spans carry the ids
//! of the trace and the span. Processes are profiled on Linux, on x86-64 and AArch64; elsewhere this has what `throughline_profile` has there, such as
//! [`ProcessMemory`] and [`allocation_counts`].

#![cfg_attr(not(profiled), allow(unused))]

#[cfg(profiled)]
mod session;

#[cfg(profiled)]
mod send;

#[cfg(profiled)]
mod change;

#[cfg(profiled)]
mod cycle;

#[cfg(all(profiled, feature = "admin"))]
pub(crate) mod pages;

#[cfg(profiled)]
pub use {
    session::{ProfilingOptions, start_profiling, stop_profiling},
    throughline_export::profiles::{CloudProfiler, CloudProfilerError, ProfileClient},
    throughline_profile::*,
};

// What there is on every system.
#[cfg(all(feature = "profile", not(profiled)))]
pub use throughline_profile::*;

#[cfg(profiled)]
pub(crate) use {
    adapter::{begin_thread, end_thread, monotonic_ns},
    session::{begin, end, removed},
    used::{begin_switches, has_switches, lost_used, read_switches, read_used, tell_samples, tell_used},
};

#[cfg(all(profiled, feature = "alerts"))]
pub(crate) use session::change;

#[cfg(profiled)]
mod used;

#[cfg(profiled)]
pub(crate) mod memory;

#[cfg(profiled)]
pub(crate) mod process;

#[cfg_attr(not(profiled), allow(unreachable_pub))]
mod resources;

#[cfg_attr(not(profiled), allow(unreachable_pub))]
pub use resources::ResourceOptions;

/// What a span has used since this was last told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Used {
    /// Memory: bytes that it has allocated, by how much its memory in use has changed, and the most that was in use meanwhile.
    Memory { bytes: u64, net: i64, peak: i64 },
    /// CPU time.
    Cpu { nanoseconds: u64, source: Source },
}

/// How CPU time was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// From samples: each stands for the time since the one before it.
    Samples,
    /// From the kernel's records of context switches: the time during which the span was current, less that during which its
    /// thread was not on a CPU.
    Switches,
}

impl Source {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Source::Samples => "samples",
            Source::Switches => "switches",
        }
    }
}

/// Runs code in a span, and gives its value. In a profile the samples of the code have the span's ids, and a trace shows how long it took.
///
/// ```
/// let total = throughline_std::profile!("price", items = 3, {
///     (1..=3).sum::<u32>()
/// });
/// assert_eq!(total, 6);
/// ```
#[cfg(feature = "profile")]
#[macro_export]
macro_rules! profile {
    ($name:literal $(, $field:ident = $value:expr)*, $code:block) => {{
        let _span = $crate::__throughline::span!($name $(, $field = $value)*);
        $code
    }};
}

/// Stands in where nothing can be profiled.
#[cfg(not(profiled))]
mod nothing {
    use super::Used;
    use crate::Config;
    use std::time::Duration;

    pub(crate) fn tell_used() -> bool {
        false
    }

    pub(crate) fn tell_samples() -> bool {
        false
    }

    pub(crate) fn read_used(_: impl FnMut(usize, Used)) {}

    pub(crate) fn lost_used() -> [u64; 3] {
        [0; 3]
    }

    pub(crate) fn removed() -> [u64; 3] {
        [0; 3]
    }

    pub(crate) fn begin_switches(_: usize) {}

    pub(crate) fn monotonic_ns() -> u64 {
        0
    }

    pub(crate) fn has_switches() -> bool {
        false
    }

    pub(crate) fn read_switches(_: impl FnMut(usize, Option<(u64, u64)>)) {}

    pub(crate) fn begin_thread() {}

    pub(crate) fn end_thread() {}

    pub(crate) fn begin(_: &Config) {}

    pub(crate) fn end() -> Ending {
        Ending
    }

    impl Config {
        pub(crate) fn is_profiled(&self) -> bool {
            false
        }
    }

    pub(crate) struct Ending;

    impl Ending {
        pub(crate) fn wait(self, _: Duration) {}
    }
}

#[cfg(not(profiled))]
pub(crate) use nothing::{
    begin, begin_switches, begin_thread, end, end_thread, has_switches, lost_used, monotonic_ns,
    read_switches, read_used, removed, tell_samples, tell_used,
};
