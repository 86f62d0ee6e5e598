#![doc = include_str!("../README.md")]

#[cfg(feature = "admin")]
pub mod admin;
#[cfg(feature = "alerts")]
pub mod alert;
mod bridge;
mod clock;
pub mod config;
mod conventions;
pub mod db;
mod ended;
#[cfg(feature = "events")]
pub mod events;
mod exemplars;
mod exit;
#[cfg(unix)]
mod fork;
pub mod gen_ai;
mod guard;
#[cfg(feature = "health")]
pub mod health;
mod init;
#[cfg(feature = "insights")]
pub mod insights;
#[cfg(any(feature = "insights", feature = "observers"))]
mod keyed;
mod memory;
pub mod messaging;
pub mod observe;
#[cfg(feature = "observers")]
pub mod observers;
#[cfg(any(feature = "alerts", feature = "events", feature = "observers"))]
mod outgoing;
#[cfg(all(
    feature = "thread-context",
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod outside;
#[cfg(not(all(
    feature = "thread-context",
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
#[path = "outside/nothing.rs"]
mod outside;
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
#[cfg(any(feature = "alerts", feature = "insights"))]
mod robust;
#[cfg(any(feature = "health", feature = "insights"))]
mod room;
mod sampling;
#[cfg(unix)]
mod signals;
mod spawn;
#[cfg(any(feature = "alerts", feature = "insights"))]
mod stop;
mod thread;
#[cfg(feature = "tower")]
pub mod tower;
mod versions;
mod wall_time;

pub use config::{Config, LoadError};
pub use guard::{Guard, ShutdownReport};
pub use init::{InitError, init, init_from_env, ledger};
pub use propagation::{Correlate, Correlation, CorrelationGuard, correlate};
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
        LogRecord, Logger, LoggerProvider, MeterProvider, Observer, Propagator, Span, Tracer, TracerProvider,
        current_context,
    };
}

/// The bridge from `tracing`.
///
/// # In unit tests
///
/// Tests of one process run at the same time. Each sees what its own code records, on whatever thread or task, if it
/// looks for its own trace:
///
/// ```
/// use std::sync::{Arc, LazyLock, Mutex};
/// use std::time::Duration;
/// use throughline::{TraceId, span};
/// use throughline_std::view::{LogView, SpanView};
/// use throughline_std::{Config, Deadline, ExportError, Exporter, Guard};
///
/// /// Keeps names of spans and messages with their traces.
/// #[derive(Clone, Default)]
/// struct Keep(Arc<Mutex<Vec<(TraceId, String)>>>);
///
/// impl Exporter for Keep {
///     fn span(&mut self, span: &SpanView<'_>) {
///         self.0.lock().unwrap().push((span.trace_id, span.name.to_owned()));
///     }
///     fn log(&mut self, log: &LogView<'_>) {
///         let message = throughline_std::message::render(log.message, log.fields.clone());
///         if let Some((trace, _)) = log.span {
///             self.0.lock().unwrap().push((trace, message.into_owned()));
///         }
///     }
///     fn flush(&mut self, _: &Deadline) -> Result<(), ExportError> {
///         Ok(())
///     }
/// }
///
/// static RECORDING: LazyLock<(Guard, Keep)> = LazyLock::new(|| {
///     let keep = Keep::default();
///     let config = Config::new("tests").without_otlp().exporter("keep", keep.clone()).tracing_subscriber();
///     (throughline_std::init(&config).unwrap(), keep)
/// });
///
/// /// What `work` records.
/// fn recorded(work: impl FnOnce()) -> Vec<String> {
///     let (guard, keep) = &*RECORDING;
///     let test = span!(root: true, "test");
///     let trace = throughline::current().unwrap().trace_id;
///     work();
///     drop(test);
///     assert!(guard.flush(Duration::from_secs(10)));
///     let mut own = keep.0.lock().unwrap();
///     own.extract_if(.., |(of, _)| *of == trace).map(|(_, text)| text).collect()
/// }
///
/// // In a test:
/// let told = recorded(|| tracing::info_span!("checkout").in_scope(|| tracing::info!("order placed")));
/// assert!(told.iter().any(|text| text == "checkout") && told.iter().any(|text| text == "order placed"));
/// ```
#[cfg(feature = "tracing")]
pub mod tracing {
    pub use crate::bridge::tracing::{Layer, SpanExt, layer};
}

/// Compiles the code blocks of this page as doctests.
#[cfg(doctest)]
#[doc = include_str!("../../core/docs/coming-from.md")]
struct ComingFrom;
