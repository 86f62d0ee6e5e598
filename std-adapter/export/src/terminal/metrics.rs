//! Metrics as a table: one line a series.

use super::{BOLD, DIM, Nanoseconds, Style};
use crate::text;
use crate::view::{PointData, PointView, histogram_count};
use std::io::{self, Write};

/// Writes the points as a table, sorted by name and labels. Histograms show count, sum, and quantiles as upper bounds of the buckets they fall
/// into; values in a unit of time show as durations.
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
        PointData::Counter(n) => in_unit(n, unit),
        PointData::UpDown(n) | PointData::GaugeInt(n) => format!("{n}{}", suffix(unit)),
        PointData::GaugeFloat(x) => format!("{x}{}", suffix(unit)),
        PointData::Histogram { scale, sum, zeros, offset, buckets } => {
            let count = histogram_count(zeros, buckets);
            let mut text = format!("count {count}  sum {}", in_unit(sum, unit));
            for (name, q) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)] {
                if let Some(v) = quantile(q, scale, zeros, offset, buckets) {
                    text.push_str(&format!("  {name} ≤ {}", in_unit(v, unit)));
                }
            }
            text
        }
    }
}

/// An upper bound of the `q`-quantile of an exponential histogram of whole numbers: no more than the true value times 2^(2^-scale). `None` when
/// the histogram is empty.
///
/// ```
/// use throughline_export::terminal::quantile;
/// // One value of 1 (index -1), three in (2, 4] (index 1) at scale 0.
/// assert_eq!(quantile(0.25, 0, 0, -1, &[1, 0, 3]), Some(1));
/// assert_eq!(quantile(0.9, 0, 0, -1, &[1, 0, 3]), Some(4));
/// assert_eq!(quantile(0.5, 0, 0, -1, &[]), None);
/// ```
pub fn quantile(q: f64, scale: u8, zeros: u64, offset: i32, buckets: &[u64]) -> Option<u64> {
    let count = histogram_count(zeros, buckets);
    if count == 0 {
        return None;
    }
    let rank = ((q * count as f64).ceil() as u64).clamp(1, count);
    let mut seen = zeros;
    if seen >= rank {
        return Some(0);
    }
    for (i, n) in buckets.iter().enumerate() {
        seen = seen.saturating_add(*n);
        if seen >= rank {
            let upper = i64::from(offset) + i as i64 + 1;
            return Some((upper as f64 / f64::from(1u32 << scale.min(31))).exp2() as u64);
        }
    }
    None
}

/// `n` with its unit; durations as durations.
fn in_unit(n: u64, unit: &str) -> String {
    let factor = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        _ => return format!("{n}{}", suffix(unit)),
    };
    Nanoseconds(n.saturating_mul(factor)).to_string()
}

/// A unit after a number; annotations such as `{request}` without their braces.
fn suffix(unit: &str) -> String {
    let unit = unit.trim_start_matches('{').trim_end_matches('}');
    if unit.is_empty() || unit == "1" { String::new() } else { format!(" {unit}") }
}
