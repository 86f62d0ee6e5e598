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

/// Whether a body is sent again after this status.
pub(crate) fn retried(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..=599)
}
