//! Metrics as a table with one line per series.

use super::{BOLD, DIM, Nanoseconds, Style};
use crate::text;
use crate::view::{PointData, PointView};
use std::fmt::Display;
use std::io::{self, Write};

/// Writes the points as a table, sorted by name and labels. A histogram is shown with its count, its sum and
/// its quantiles, as upper bounds of their buckets. Values in a unit of time are shown as durations.
pub fn write_metrics<'a>(
    out: &mut impl Write,
    style: Style,
    points: impl IntoIterator<Item = PointView<'a>>,
) -> io::Result<()> {
    let safe = |text: String| text::escaped(&text).into_owned();
    let mut rows: Vec<(String, String)> =
        points.into_iter().map(|p| (safe(series(&p)), safe(value(&p)))).collect();
    rows.sort();
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, value) in &rows {
        let dots = ".".repeat(width + 2 - name.chars().count());
        writeln!(out, "{} {} {value}", style.paint(BOLD, name), style.paint(DIM, dots))?;
    }
    Ok(())
}

fn series(point: &PointView<'_>) -> String {
    let mut name = point.name.to_owned();
    for (i, (key, value)) in point.labels.iter().enumerate() {
        name.push_str(if i == 0 { "{" } else { "," });
        name.push_str(key);
        name.push('=');
        name.push_str(value);
    }
    if !point.labels.is_empty() {
        name.push('}');
    }
    name
}

fn value(point: &PointView<'_>) -> String {
    let unit = point.unit;
    match point.data {
        PointData::Counter(n) => in_unit(n as f64, n, unit),
        PointData::UpDown(n) | PointData::GaugeInt(n) => format!("{n}{}", suffix(unit)),
        PointData::CounterFloat(x) | PointData::UpDownFloat(x) | PointData::GaugeFloat(x) => {
            format!("{x}{}", suffix(unit))
        }
        PointData::Histogram(histogram) => {
            let mut text =
                format!("count {}  sum {}", histogram.count(), in_unit(histogram.sum, histogram.sum, unit));
            for (name, q) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)] {
                // Use the buckets without the extremes, so that a device and a server with the same values
                // show the same.
                if let Some(v) = histogram.with_extremes(None).quantile(q) {
                    text.push_str(&format!("  {name} ≤ {}", in_unit(v, v, unit)));
                }
            }
            text
        }
        PointData::Summary(summary) => {
            let mut text =
                format!("count {}  sum {}", summary.count, in_unit(summary.sum, summary.sum, unit));
            for (q, v) in summary.quantiles {
                text.push_str(&format!("  p{} ≤ {}", q * 100.0, in_unit(*v, *v, unit)));
            }
            text
        }
    }
}

/// The number `n`, shown as `text` with its unit, or as a duration if the unit is one of time.
fn in_unit(n: f64, text: impl Display, unit: &str) -> String {
    let factor = match unit {
        "ns" => 1.0,
        "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        _ => return format!("{text}{}", suffix(unit)),
    };
    // A cast from a float saturates.
    Nanoseconds((n * factor).round() as u64).to_string()
}

/// The unit after a number, without the braces of annotations such as `{request}`.
fn suffix(unit: &str) -> String {
    let unit = unit.trim_start_matches('{').trim_end_matches('}');
    if unit.is_empty() || unit == "1" { String::new() } else { format!(" {unit}") }
}
