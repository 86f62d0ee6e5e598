#![doc = include_str!("../README.md")]

mod clock;
pub mod config;
mod ended;
mod fork;
mod guard;
mod init;
mod memory;
pub mod observe;
mod panic;
#[cfg(feature = "prometheus")]
pub mod prometheus;
pub mod propagation;
mod published;
mod pump;
mod sampling;
mod spawn;
mod thread;
mod versions;
mod wall_time;

pub use config::{Config, LoadError};
pub use guard::{Guard, ShutdownReport};
pub use init::{InitError, init, init_from_env, ledger};
#[doc(hidden)]
pub use pump::Stage;
pub use throughline_export::ledger::{DropReason, Hop, Ledger};
pub use throughline_export::{
    Deadline, ExportError, Exporter, Host, REDACTED, ReadMetrics, Redaction, Resource, SpoolConfig, Wants,
    chrome, log, message, otlp, terminal, text, view, zipkin,
};

/// Compiles the code blocks of this page as doctests.
#[cfg(doctest)]
#[doc = include_str!("../../core/docs/coming-from.md")]
struct ComingFrom;
