//! What the series of a page are called, for a program that looks at its metrics itself.

use super::name::{self, Kind};
use super::process::Process;
use super::{PageOptions, layout, page};
use crate::view::PointView;
use std::borrow::Cow;

/// The kind of a metric in Prometheus. It decides which samples a series has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SeriesKind {
    /// One sample, whose name ends in `_total`.
    Counter,
    /// One sample, which has the name of the metric.
    Gauge,
    /// Samples whose names end in `_bucket`, `_sum` and `_count`.
    Histogram,
    /// A sample for each quantile, and those whose names end in `_sum` and `_count`.
    Summary,
}

/// Name and labels of a series, as they are on a page of metrics without UTF-8 names.
///
/// ```
/// use throughline_export::prometheus::{PageOptions, SeriesKind, SeriesName};
/// use throughline_export::view::{PointData, PointView, Scope};
/// let point = PointView {
///     id: 0,
///     name: "http.requests",
///     unit: "{request}",
///     description: "",
///     scope: Scope { name: "shop", version: "1.2.0" },
///     target: "shop",
///     start_unix_ns: 0,
///     time_unix_ns: 0,
///     labels: &[("http.route", "/cart")],
///     data: PointData::Counter(7),
/// };
/// let series = SeriesName::of(&point, &PageOptions::default().scope_labels(false));
/// assert_eq!((&*series.metric, series.kind), ("http_requests", SeriesKind::Counter));
/// assert_eq!(series.labels, [("http_route".to_owned(), "/cart".to_owned())]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeriesName {
    /// Name of the metric with its unit, without what the kind appends for a sample.
    pub metric: String,
    /// The kind.
    pub kind: SeriesKind,
    /// The labels, sorted by name. Empty values are left out.
    pub labels: Vec<(String, String)>,
}

impl SeriesName {
    /// What the series of this point is called on a page with these options. Cost: about 1 µs, as texts are copied.
    pub fn of(point: &PointView<'_>, options: &PageOptions) -> SeriesName {
        let kind = layout::kind(&point.data);
        let metric = name::metric(&options.namespace, point.name, point.unit, &name::unit(point.unit), kind);
        let labels = layout::labels_of(point, options, kind, false);
        let labels = labels.into_iter().map(|(key, value)| (key.into_owned(), value.into_owned()));
        SeriesName { metric, kind: of_kind(kind), labels: labels.collect() }
    }
}

/// The name that a label has on a page: `http.route` is `http_route` there.
pub fn label_name(name: &str) -> Cow<'_, str> {
    name::label(name, Kind::Gauge, false)
}

/// Calls `each` with the metrics of the process that a page has: the name of the sample, its kind and its value. There are none but on Linux. Cost: it
/// reads four files, and a directory with one entry for each open file.
pub fn process_metrics(mut each: impl FnMut(&str, SeriesKind, f64)) {
    let process = Process::read();
    for metric in process.metrics() {
        let value = match (metric.value)(&process) {
            Some(page::Value::Unsigned(n)) => n as f64,
            Some(page::Value::Float(x)) => x,
            _ => continue,
        };
        match of_kind(metric.kind) {
            kind @ SeriesKind::Counter => each(&format!("{}_total", metric.name), kind, value),
            kind => each(metric.name, kind, value),
        }
    }
}

const fn of_kind(kind: Kind) -> SeriesKind {
    match kind {
        Kind::Counter => SeriesKind::Counter,
        Kind::Histogram => SeriesKind::Histogram,
        Kind::Summary => SeriesKind::Summary,
        Kind::Gauge | Kind::Info => SeriesKind::Gauge,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_process_has_the_metrics_of_the_page() {
        let mut names = Vec::new();
        process_metrics(|name, kind, value| {
            assert!(value > 0.0, "{name}");
            names.push((name.to_owned(), kind));
        });
        assert!(names.contains(&("process_cpu_seconds_total".into(), SeriesKind::Counter)), "{names:?}");
        assert!(names.contains(&("process_open_fds".into(), SeriesKind::Gauge)), "{names:?}");
    }
}
