//! Prometheus: a page of all metrics, which it scrapes or which is pushed to a Pushgateway, and remote write.
//!
//! ```no_run
//! use throughline_export::prometheus::{Prometheus, PrometheusOptions};
//! // http://127.0.0.1:9090/metrics; without options the port is 9464.
//! let prometheus = Prometheus::bind(&PrometheusOptions::default().port(9090))?;
//! # Ok::<(), throughline_export::prometheus::PrometheusError>(())
//! ```
//!
//! # Formats
//!
//! The format depends on what the scraper accepts: protobuf with native histograms, OpenMetrics 1.0, or the
//! text format 0.0.4. It is compressed with gzip if the crate's feature `gzip` is on. [`render`] makes the
//! same pages for other purposes.
//!
//! # Names
//!
//! Names, units and labels follow [OpenTelemetry's rules](https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/): `http.requests` becomes
//! `http_requests_total`, a histogram `request.duration` in `ms` becomes `request_duration_milliseconds`, labels of one name are joined by `;`, the scope goes into
//! `otel_scope_name` and `otel_scope_version`, the resource into `target_info`. Sums that may go down are gauges. A metric without a description has its own
//! name for help. Series that become the same are added up; where two metrics of different kinds would take one name, the later is left out,
//! and `throughline_prometheus_conflicts` counts its series. With [`PageOptions::utf8_names`] names keep their
//! dots and all other characters, for scrapers that allow them.
//!
//! # Histograms
//!
//! In protobuf, base-2 exponential histograms are native histograms with the same buckets. The text formats
//! have classic buckets. Their bounds are zero and all powers of two from a power of 16 at or below the least
//! value to a power of 16 at or above the greatest. These are also bounds of exponential buckets of every
//! scale, so each count is exact. A quantile that Prometheus estimates from them is in the same bucket as the
//! true value, so it is between half and twice that value. [`PageOptions::buckets_per_power_of_two`] makes
//! the buckets finer.
//!
//! # Exemplars
//!
//! Exemplars of histograms are on OpenMetrics pages, the greatest of each bucket, and on protobuf pages, all of
//! them: a value, its time, and `trace_id` and `span_id` of the span in which it was recorded. Prometheus keeps them
//! with `--enable-feature=exemplar-storage`.
//!
//! # Clients
//!
//! The page is served by an [`AdminServer`](crate::admin::AdminServer), which other pages may share.

mod error;
mod exporter;
mod histogram;
mod layout;
mod name;
mod negotiate;
mod options;
mod page;
mod process;
mod protobuf;
mod push_options;
mod pushgateway;
mod remote_write;
mod scrape;
mod series;
mod text;
mod write_request;

pub use error::PrometheusError;
pub use exporter::Prometheus;
pub use negotiate::Format;
pub use options::{PageOptions, PrometheusOptions};
pub use page::{Renderer, render};
pub use push_options::PushgatewayOptions;
pub use pushgateway::Pushgateway;
pub use remote_write::RemoteWrite;
pub use series::{SeriesKind, SeriesName, label_name, process_metrics};
pub use write_request::RemoteWriteVersion;
