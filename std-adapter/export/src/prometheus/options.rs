//! Options of the page and of the server.

use super::PrometheusError;
use crate::admin::{AdminOptions, Route};
use std::time::Duration;

/// Most buckets per power of two in a classic histogram, as a power of two: as many as in an exponential
/// histogram of the highest scale.
const MAX_CLASSIC_SCALE: u8 = 4;

/// Contents of a page of metrics, whether it is scraped or pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageOptions {
    pub(super) namespace: String,
    pub(super) scope_labels: bool,
    pub(super) target_info: bool,
    pub(super) process_metrics: bool,
    pub(super) created: bool,
    pub(super) classic_scale: u8,
    pub(super) utf8_names: bool,
    /// Labels of every series.
    pub(super) target: Vec<(&'static str, String)>,
}

impl Default for PageOptions {
    fn default() -> PageOptions {
        PageOptions {
            namespace: String::new(),
            scope_labels: true,
            target_info: true,
            process_metrics: true,
            created: false,
            classic_scale: 0,
            utf8_names: false,
            target: Vec::new(),
        }
    }
}

impl PageOptions {
    /// Puts this word and an underscore before the program's metrics: `orders_total` becomes
    /// `shop_orders_total`. `target_info` and the metrics of the process are not changed. The default is no
    /// word.
    #[must_use]
    pub fn namespace(self, namespace: impl Into<String>) -> PageOptions {
        PageOptions { namespace: namespace.into(), ..self }
    }

    /// Whether every series has the instrumented package in `otel_scope_name` and `otel_scope_version`. The
    /// default is true.
    #[must_use]
    pub fn scope_labels(self, on: bool) -> PageOptions {
        PageOptions { scope_labels: on, ..self }
    }

    /// Whether the attributes of the resource are sent as labels of `target_info`. The default is true.
    #[must_use]
    pub fn target_info(self, on: bool) -> PageOptions {
        PageOptions { target_info: on, ..self }
    }

    /// Whether the page has metrics of the process: `process_cpu_seconds_total`,
    /// `process_resident_memory_bytes`, `process_open_fds` and others of Prometheus's client libraries. They
    /// exist only on Linux. The default is true; [`render`](super::render) leaves them out.
    #[must_use]
    pub fn process_metrics(self, on: bool) -> PageOptions {
        PageOptions { process_metrics: on, ..self }
    }

    /// Whether OpenMetrics pages have the start of counting, as a sample `…_created` for each series.
    /// Prometheus stores each of these as another series, which doubles the number of counters. The default
    /// is false. The protobuf format always has it, without this cost.
    #[must_use]
    pub fn created_samples(self, on: bool) -> PageOptions {
        PageOptions { created: on, ..self }
    }

    /// Whether names keep characters that Prometheus took only from version 3 on, such as dots: `http.requests` is
    /// `{"http.requests_total"}` then. A page that is scraped has such names only for a scraper that allows them
    /// (`escaping=allow-utf-8`), as Prometheus 3 does; others get them with underscores. The default is false,
    /// so that one query serves all versions, and metrics that come over OTLP.
    #[must_use]
    pub fn utf8_names(self, on: bool) -> PageOptions {
        PageOptions { utf8_names: on, ..self }
    }

    /// Adds these labels to every series. The names are plain ones.
    #[must_use]
    pub(super) fn with_target(self, target: Vec<(&'static str, String)>) -> PageOptions {
        PageOptions { target, ..self }
    }

    /// Classic buckets per power of two: 1 (the default), 2, 4, 8 or 16, limited by the histogram's own
    /// scale; other numbers are rounded down. With *n* buckets, an estimated quantile is wrong by at most a
    /// factor of 2^(1/*n*).
    #[must_use]
    pub fn buckets_per_power_of_two(self, n: u32) -> PageOptions {
        let scale = n.max(1).ilog2().min(u32::from(MAX_CLASSIC_SCALE)) as u8;
        PageOptions { classic_scale: scale, ..self }
    }
}

/// Where the page is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrometheusOptions {
    pub(super) listen: AdminOptions,
    pub(super) path: String,
    pub(super) page: PageOptions,
}

impl Default for PrometheusOptions {
    fn default() -> PrometheusOptions {
        let listen = AdminOptions::default().port(9464);
        PrometheusOptions { listen, path: "/metrics".into(), page: PageOptions::default() }
    }
}

impl PrometheusOptions {
    /// What the page contains.
    pub fn page_options(&self) -> &PageOptions {
        &self.page
    }

    /// Name or address of the host on which to listen. The default is `127.0.0.1`, which only programs on
    /// this machine can reach; `0.0.0.0` means all networks.
    #[must_use]
    pub fn host(self, host: impl Into<String>) -> PrometheusOptions {
        PrometheusOptions { listen: self.listen.host(host), ..self }
    }

    /// The port. The default is 9464; 0 means any free port.
    #[must_use]
    pub fn port(self, port: u16) -> PrometheusOptions {
        PrometheusOptions { listen: self.listen.port(port), ..self }
    }

    /// The path. The default is `/metrics`.
    #[must_use]
    pub fn path(self, path: impl Into<String>) -> PrometheusOptions {
        PrometheusOptions { path: path.into(), ..self }
    }

    /// Contents of the page.
    #[must_use]
    pub fn page(self, page: PageOptions) -> PrometheusOptions {
        PrometheusOptions { page, ..self }
    }

    /// As [`AdminOptions::connections`].
    #[must_use]
    pub fn connections(self, most: usize) -> PrometheusOptions {
        PrometheusOptions { listen: self.listen.connections(most), ..self }
    }

    /// As [`AdminOptions::timeouts`].
    #[must_use]
    pub fn timeouts(self, request: Duration, response: Duration) -> PrometheusOptions {
        PrometheusOptions { listen: self.listen.timeouts(request, response), ..self }
    }

    /// Where and to whom the page is served: also a token and TLS. The host and the port are these then too.
    #[must_use]
    pub fn listen(self, listen: AdminOptions) -> PrometheusOptions {
        PrometheusOptions { listen, ..self }
    }

    /// Where and to whom the page is served.
    #[must_use]
    pub fn listens(&self) -> &AdminOptions {
        &self.listen
    }

    /// Finds a path that is none.
    pub(super) fn check(&self) -> Result<(), PrometheusError> {
        match Route::is_path(&self.path) {
            true => Ok(()),
            false => Err(PrometheusError::Path { path: self.path.clone() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_powers_of_two() {
        let scale = |n| PageOptions::default().buckets_per_power_of_two(n).classic_scale;
        assert_eq!([0, 1, 2, 3, 4, 16, 1000].map(scale), [0, 0, 1, 1, 2, 4, 4]);
    }
}
