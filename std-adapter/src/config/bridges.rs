//! Which other APIs are recorded too.

#![cfg(any(feature = "log", feature = "metrics", feature = "opentelemetry", feature = "tracing"))]

use super::Config;
use crate::bridge::Bridges;

impl Config {
    /// Records what the program and its dependencies report through `tracing`, `log`, `metrics` and the API of
    /// OpenTelemetry, as far as the features `tracing`, `log`, `metrics` and `opentelemetry` are enabled. This is the methods for each of them together.
    ///
    /// ```
    /// use throughline_std::Config;
    /// let config = Config::new("shop").bridges();
    /// ```
    #[must_use]
    pub fn bridges(mut self) -> Config {
        self.bridges = Bridges::all();
        self
    }

    /// Records spans and events of `tracing`: [`init`](crate::init) installs a subscriber of
    /// [`tracing::layer`](crate::tracing::layer) alone. A program that has a subscriber adds the layer to it instead.
    #[cfg(feature = "tracing")]
    #[must_use]
    pub fn tracing_subscriber(mut self) -> Config {
        self.bridges = self.bridges.and(|bridges| bridges.tracing = Some(true));
        self
    }

    /// Records what is logged through the crate `log`: [`init`](crate::init) installs [`log::Logger`](crate::log::Logger).
    #[cfg(feature = "log")]
    #[must_use]
    pub fn log_logger(mut self) -> Config {
        self.bridges = self.bridges.and(|bridges| bridges.log = Some(true));
        self
    }

    /// Records counters, gauges and histograms of the crate `metrics`: [`init`](crate::init) installs
    /// [`metrics::Recorder`](crate::metrics::Recorder).
    #[cfg(feature = "metrics")]
    #[must_use]
    pub fn metrics_recorder(mut self) -> Config {
        self.bridges = self.bridges.and(|bridges| bridges.metrics = Some(true));
        self
    }

    /// Records what is reported through the API of OpenTelemetry: [`init`](crate::init) makes
    /// [`opentelemetry::TracerProvider`](crate::opentelemetry::TracerProvider),
    /// [`MeterProvider`](crate::opentelemetry::MeterProvider) and [`Propagator`](crate::opentelemetry::Propagator) the global
    /// ones. What was global before is replaced, because the API does not say whether anything was.
    #[cfg(feature = "opentelemetry")]
    #[must_use]
    pub fn opentelemetry_providers(mut self) -> Config {
        self.bridges = self.bridges.and(|bridges| bridges.opentelemetry = Some(true));
        self
    }
}
