//! How news leave the process other than as telemetry: queues with a thread each, signed requests to a URL, commands, and files of state that survive a
//! restart. Alerts, observers and events share it.

#[cfg(any(feature = "alerts", feature = "observers"))]
pub(crate) mod command;
#[cfg(any(feature = "alerts", feature = "observers"))]
mod lane;
mod signed;
#[cfg(any(feature = "alerts", feature = "observers"))]
pub(crate) mod state_file;

#[cfg(any(feature = "alerts", feature = "observers"))]
pub(crate) use lane::Lane;
pub(crate) use signed::SignedPost;

#[cfg(any(feature = "alerts", feature = "observers"))]
use std::time::Duration;
#[cfg(any(feature = "alerts", feature = "observers"))]
use throughline_export::Deadline;

/// Ends when a tenth of the time that is left at the end of the process is left to count what is lost, and to write state.
#[cfg(any(feature = "alerts", feature = "observers"))]
pub(crate) fn most_of(deadline: &Deadline) -> Deadline {
    let within = deadline.left_of(Duration::from_secs(3600)).unwrap_or_default();
    Deadline::within(within - within / 10)
}

/// Whether a body is sent again after this status.
pub(crate) fn retried(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..=599)
}
