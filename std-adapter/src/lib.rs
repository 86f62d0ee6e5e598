#![doc = include_str!("../README.md")]

#[cfg(feature = "admin")]
pub mod admin;
mod bridge;
mod clock;
pub mod config;
mod ended;
mod exemplars;
mod exit;
mod fork;
mod guard;
#[cfg(feature = "health")]
pub mod health;
mod init;
mod memory;
pub mod observe;
mod panic;
#[cfg(feature = "profile")]
pub mod profiling;
#[cfg(not(feature = "profile"))]
mod profiling;
#[cfg(feature = "prometheus")]
pub mod prometheus;
pub mod propagation;
mod published;
mod pump;
mod sampling;
#[cfg(unix)]
mod signals;
mod spawn;
mod thread;
mod versions;
mod wall_time;

pub use config::{Config, LoadError};
pub use guard::{Guard, ShutdownReport};
pub use init::{InitError, init, init_from_env, ledger};
#[doc(hidden)]
pub use pump::Stage;
/// What [`profile!`] expands to.
#[cfg(feature = "profile")]
#[doc(hidden)]
pub use throughline as __throughline;
pub use throughline_export::ledger::{DropReason, Hop, Ledger};
pub use throughline_export::{
    Deadline, ExportError, Exporter, Host, REDACTED, ReadMetrics, Redaction, Resource, SpoolConfig, Wants,
    chrome, message, otlp, terminal, text, view, zipkin,
};

/// Outputs of log records, and the bridge from the crate `log`.
pub mod log {
    #[cfg(feature = "log")]
    pub use crate::bridge::log::Logger;
    pub use throughline_export::log::*;
}

/// The bridge from the crate `metrics`.
#[cfg(feature = "metrics")]
pub mod metrics {
    pub use crate::bridge::metrics::Recorder;
}

/// The bridge from the API of OpenTelemetry.
#[cfg(feature = "opentelemetry")]
pub mod opentelemetry {
    pub use crate::bridge::opentelemetry::{
        LogRecord, Logger, LoggerProvider, MeterProvider, Propagator, Span, Tracer, TracerProvider,
        current_context,
    };
}

/// The bridge from `tracing`.
#[cfg(feature = "tracing")]
pub mod tracing {
    pub use crate::bridge::tracing::{Layer, SpanExt, layer};
}

/// Compiles the code blocks of this page as doctests.
#[cfg(doctest)]
#[doc = include_str!("../../core/docs/coming-from.md")]
struct ComingFrom;
