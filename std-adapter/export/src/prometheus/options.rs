//! Options of the page and of the server.

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
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) path: String,
    pub(super) page: PageOptions,
    pub(super) connections: usize,
    pub(super) request_timeout: Duration,
    pub(super) response_timeout: Duration,
}

impl Default for PrometheusOptions {
    fn default() -> PrometheusOptions {
        PrometheusOptions {
            host: "127.0.0.1".into(),
            port: 9464,
            path: "/metrics".into(),
            page: PageOptions::default(),
            connections: 32,
            request_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(30),
        }
    }
}

impl PrometheusOptions {
    /// Name or address of the host on which to listen. The default is `127.0.0.1`, which only programs on
    /// this machine can reach; `0.0.0.0` means all networks.
    #[must_use]
    pub fn host(self, host: impl Into<String>) -> PrometheusOptions {
        PrometheusOptions { host: host.into(), ..self }
    }

    /// The port. The default is 9464; 0 means any free port.
    #[must_use]
    pub fn port(self, port: u16) -> PrometheusOptions {
        PrometheusOptions { port, ..self }
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

    /// Most connections that are open at the same time; the default is 32. If another client comes, the
    /// connection closes that has done nothing for the longest, those that have not sent a request first. Each
    /// connection that takes the page has a copy of it in memory.
    #[must_use]
    pub fn connections(self, most: usize) -> PrometheusOptions {
        PrometheusOptions { connections: most.clamp(1, 1024), ..self }
    }

    /// Longest times until a client has sent its request, and until it has taken the page; a slower
    /// connection is closed. The defaults are 5 s and 30 s.
    #[must_use]
    pub fn timeouts(self, request: Duration, response: Duration) -> PrometheusOptions {
        let at_least = Duration::from_millis(1);
        PrometheusOptions {
            request_timeout: request.max(at_least),
            response_timeout: response.max(at_least),
            ..self
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
