//! Installs the bridges that the configuration asks for.

use crate::InitError;

/// The bridges that [`init`](crate::init) installs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bridges {
    #[cfg(feature = "tracing")]
    pub(crate) tracing: bool,
    #[cfg(feature = "log")]
    pub(crate) log: bool,
    #[cfg(feature = "metrics")]
    pub(crate) metrics: bool,
    #[cfg(feature = "opentelemetry")]
    pub(crate) opentelemetry: bool,
}

impl Bridges {
    /// All that are built.
    #[cfg(any(feature = "log", feature = "metrics", feature = "opentelemetry", feature = "tracing"))]
    pub(crate) fn all() -> Bridges {
        Bridges {
            #[cfg(feature = "tracing")]
            tracing: true,
            #[cfg(feature = "log")]
            log: true,
            #[cfg(feature = "metrics")]
            metrics: true,
            #[cfg(feature = "opentelemetry")]
            opentelemetry: true,
        }
    }

    /// Installs them.
    ///
    /// # Errors
    ///
    /// The first one whose place the program has already given to another.
    pub(crate) fn install(self) -> Result<(), InitError> {
        #[cfg(feature = "tracing")]
        if self.tracing {
            super::tracing::install().map_err(|_| taken("tracing", "subscriber", "tracing::layer()"))?;
        }
        #[cfg(feature = "log")]
        if self.log {
            log::set_logger(&super::log::Logger).map_err(|_| taken("log", "logger", "log::Logger"))?;
            log::set_max_level(log::LevelFilter::Trace);
        }
        #[cfg(feature = "metrics")]
        if self.metrics {
            metrics::set_global_recorder(super::metrics::Recorder)
                .map_err(|_| taken("metrics", "recorder", "metrics::Recorder"))?;
        }
        #[cfg(feature = "opentelemetry")]
        if self.opentelemetry && !super::opentelemetry::install() {
            return Err(taken("opentelemetry", "context observer", "opentelemetry::current_context()"));
        }
        Ok(())
    }
}

#[cfg(any(feature = "log", feature = "metrics", feature = "opentelemetry", feature = "tracing"))]
fn taken(of: &'static str, what: &'static str, instead: &'static str) -> InitError {
    InitError::Taken { of, what, instead }
}
