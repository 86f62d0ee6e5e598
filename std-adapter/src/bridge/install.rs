//! Installs the bridges that the configuration asks for.

use crate::InitError;
#[cfg(any(feature = "log", feature = "metrics", feature = "opentelemetry", feature = "tracing"))]
use std::sync::atomic::{AtomicBool, Ordering};

/// The bridges that [`init`](crate::init) installs.
#[derive(Clone, Copy, Debug, Default)]
#[allow(dead_code, reason = "a build has only some of the features")]
pub(crate) struct Bridges {
    /// For those about which nothing is said. `false` counts for all.
    pub(crate) all: Option<bool>,
    pub(crate) tracing: Option<bool>,
    pub(crate) log: Option<bool>,
    pub(crate) metrics: Option<bool>,
    pub(crate) opentelemetry: Option<bool>,
}

impl Bridges {
    /// All that are built.
    #[cfg(any(feature = "log", feature = "metrics", feature = "opentelemetry", feature = "tracing"))]
    pub(crate) fn all() -> Bridges {
        Bridges { all: Some(true), ..Bridges::default() }
    }

    /// What `ask` asks for too. If there were to be none, it is the only one.
    #[cfg(any(feature = "log", feature = "metrics", feature = "opentelemetry", feature = "tracing"))]
    pub(crate) fn and(self, ask: impl FnOnce(&mut Bridges)) -> Bridges {
        let mut asked = if self.all == Some(false) { Bridges::default() } else { self };
        ask(&mut asked);
        asked
    }

    #[cfg(any(feature = "log", feature = "metrics", feature = "opentelemetry", feature = "tracing"))]
    fn has(self, bridge: Option<bool>) -> bool {
        self.all != Some(false) && bridge.or(self.all).unwrap_or_default()
    }

    /// Installs them.
    ///
    /// # Errors
    ///
    /// The first one whose place the program has already given to another.
    pub(crate) fn install(self) -> Result<(), InitError> {
        #[cfg(feature = "tracing")]
        if self.has(self.tracing) {
            place(
                &TRACING,
                || super::tracing::install().is_ok(),
                || taken("tracing", "subscriber", "tracing::layer()"),
            )?;
        }
        #[cfg(feature = "log")]
        if self.has(self.log) {
            place(
                &LOG,
                || log::set_logger(&super::log::Logger).is_ok(),
                || taken("log", "logger", "log::Logger"),
            )?;
            log::set_max_level(log::LevelFilter::Trace);
        }
        #[cfg(feature = "metrics")]
        if self.has(self.metrics) {
            place(
                &METRICS,
                || metrics::set_global_recorder(super::metrics::Recorder).is_ok(),
                || taken("metrics", "recorder", "metrics::Recorder"),
            )?;
        }
        #[cfg(feature = "opentelemetry")]
        if self.has(self.opentelemetry) {
            place(&OPENTELEMETRY, super::opentelemetry::install, || {
                taken("opentelemetry", "context observer", "opentelemetry::Observer")
            })?;
        }
        Ok(())
    }
}

/// Whether each bridge has its place. A place cannot be given back, so a process that calls `init` again, such as one that was forked from
/// one that has them, keeps them.
#[cfg(feature = "tracing")]
static TRACING: AtomicBool = AtomicBool::new(false);
#[cfg(feature = "log")]
static LOG: AtomicBool = AtomicBool::new(false);
#[cfg(feature = "metrics")]
static METRICS: AtomicBool = AtomicBool::new(false);
#[cfg(feature = "opentelemetry")]
static OPENTELEMETRY: AtomicBool = AtomicBool::new(false);

/// Calls `install`, unless the bridge has its place. Only one `init` runs at a time.
#[cfg(any(feature = "log", feature = "metrics", feature = "opentelemetry", feature = "tracing"))]
fn place(
    has_place: &AtomicBool,
    install: impl FnOnce() -> bool,
    taken: impl FnOnce() -> InitError,
) -> Result<(), InitError> {
    if !has_place.load(Ordering::Relaxed) {
        if !install() {
            return Err(taken());
        }
        has_place.store(true, Ordering::Relaxed);
    }
    Ok(())
}

#[cfg(any(feature = "log", feature = "metrics", feature = "opentelemetry", feature = "tracing"))]
fn taken(of: &'static str, what: &'static str, instead: &'static str) -> InitError {
    InitError::Taken { of, what, instead }
}
