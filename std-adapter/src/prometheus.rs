//! Metrics for Prometheus: a page that it scrapes, pushes to a Pushgateway, or remote write.
//!
//! ```
//! use throughline_std::Config;
//! use throughline_std::prometheus::{PrometheusOptions, PushgatewayOptions};
//! // http://127.0.0.1:9464/metrics
//! let config = Config::new("shop").prometheus(PrometheusOptions::default());
//! // http://HOST:9090/metrics, from all networks
//! let config = Config::new("shop").prometheus(PrometheusOptions::default().host("0.0.0.0").port(9090));
//! // pushed every 10 s, and once more at the end
//! let config = Config::new("backup").pushgateway(PushgatewayOptions::new("http://localhost:9091")?);
//! // sent by remote write every 10 s, to Prometheus, Mimir and others
//! use throughline_std::prometheus::RemoteWrite;
//! let writer = RemoteWrite::new("http://localhost:9090")?;
//! let config = Config::new("shop").exporter("remote-write", writer);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The page is made when it is asked for, so it shows what the metrics are then, whatever [`Config::metrics_every`](crate::Config::metrics_every) says.

use crate::Config;
use crate::admin::Pages;
use crate::init::Named;
pub use throughline_export::prometheus::{
    Format, PageOptions, Prometheus, PrometheusError, PrometheusOptions, Pushgateway, PushgatewayOptions,
    RemoteWrite, RemoteWriteVersion, Renderer, render,
};

impl Config {
    /// Serves all metrics for Prometheus to scrape; by default at `http://127.0.0.1:9464/metrics`. [`init`](crate::init) fails when the port is taken.
    /// It may be given beside OTLP and the terminal.
    #[must_use]
    pub fn prometheus(mut self, options: PrometheusOptions) -> Config {
        self.prometheus = Some(options);
        self
    }

    /// Pushes all metrics to a Pushgateway: at the metrics' interval (see [`Config::metrics_every`]), and a last time at the end. It may be given beside
    /// OTLP and the terminal.
    #[must_use]
    pub fn pushgateway(mut self, options: PushgatewayOptions) -> Config {
        self.pushgateway = Some(options);
        self
    }
}

/// The exporters that are configured, with their names. The page gets a server of `pages`.
pub(crate) fn exporters(config: &Config, pages: &mut Pages) -> Result<Vec<Named>, PrometheusError> {
    let mut exporters: Vec<Named> = Vec::new();
    if let Some(options) = &config.prometheus {
        let server = pages.at(options.listens())?;
        exporters.push(("prometheus".into(), Box::new(Prometheus::on(server, options)?)));
    }
    if let Some(options) = &config.pushgateway {
        exporters.push(("pushgateway".into(), Box::new(Pushgateway::new(options)?)));
    }
    Ok(exporters)
}
