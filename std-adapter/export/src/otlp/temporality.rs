//! Computes deltas of sums and histograms since the previous snapshot, for backends that do not take running
//! totals.

use super::encode::MetricEncoder;
use crate::view::{HistogramView, PointData, PointView};
use std::collections::HashMap;
use std::str::FromStr;

use super::ConfigError;

/// Whether sums and histograms are sent as totals since the start, or as deltas since the last snapshot.
///
/// A delta that is not delivered is lost, because later ones do not include it; a [spool](crate::SpoolConfig)
/// prevents that. The least and greatest values of a histogram are known only since the start, so deltas have
/// none. A series without additions is not sent as a delta.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Temporality {
    /// Totals since the start.
    #[default]
    Cumulative,
    /// Deltas for counters and histograms, totals for sums that may go down.
    Delta,
    /// Like `Delta`, but observed counters are sent as totals, so that no earlier value of them has to be
    /// remembered.
    LowMemory,
}

impl FromStr for Temporality {
    type Err = ConfigError;

    /// Reads `cumulative`, `delta` or `lowmemory`, ignoring case.
    fn from_str(text: &str) -> Result<Temporality, ConfigError> {
        match &*text.to_ascii_lowercase() {
            "cumulative" => Ok(Temporality::Cumulative),
            "delta" => Ok(Temporality::Delta),
            "lowmemory" => Ok(Temporality::LowMemory),
            _ => Err(ConfigError::Value {
                what: "temporality",
                value: text.into(),
                expected: "cumulative, delta or lowmemory",
            }),
        }
    }
}

/// The totals that were sent of each series before.
#[derive(Debug, Default)]
pub(super) struct Deltas {
    series: HashMap<String, Sent>,
    /// When the previous snapshot was taken.
    last: Option<u64>,
}

/// The total of a series at the previous snapshot.
#[derive(Clone, Debug)]
enum Sent {
    Whole(u64),
    Float(f64),
    Histogram { scale: u8, sum: f64, zeros: u64, offset: i32, buckets: Vec<u64> },
}

impl Deltas {
    /// Encodes a snapshot with this temporality.
    pub(super) fn encode(
        &mut self,
        temporality: Temporality,
        points: &[PointView<'_>],
        encoder: &mut MetricEncoder,
    ) {
        for point in points {
            let is_observed = point.target.is_empty();
            let is_delta = match (&point.data, temporality) {
                (_, Temporality::Cumulative) => false,
                (PointData::Counter(_) | PointData::CounterFloat(_), Temporality::LowMemory) => !is_observed,
                (PointData::Counter(_) | PointData::CounterFloat(_) | PointData::Histogram(_), _) => true,
                _ => false,
            };
            if is_delta { self.added(point, encoder) } else { encoder.point(point) }
        }
        self.last = points.iter().map(|point| point.time_unix_ns).max().or(self.last);
    }

    /// Encodes the delta of a series since the previous snapshot, if there is one.
    fn added(&mut self, point: &PointView<'_>, encoder: &mut MetricEncoder) {
        let start_unix_ns = self.last.unwrap_or(point.start_unix_ns);
        let mut put = |data| encoder.delta_point(&PointView { start_unix_ns, data, ..point.clone() });
        let before = self.series.get(&key(point));
        let now = match (&point.data, before) {
            (PointData::Counter(n), before) => {
                let old = if let Some(Sent::Whole(old)) = before { *old } else { 0 };
                // A total that went down has restarted at zero.
                let added = n.checked_sub(old).unwrap_or(*n);
                if added > 0 {
                    put(PointData::Counter(added));
                }
                Sent::Whole(*n)
            }
            (PointData::CounterFloat(x), before) => {
                let old = if let Some(Sent::Float(old)) = before { *old } else { 0.0 };
                let added = if *x < old { *x } else { x - old };
                if added > 0.0 {
                    put(PointData::CounterFloat(added));
                }
                Sent::Float(*x)
            }
            (PointData::Histogram(new), before) => {
                let (buckets, view) = histogram(new, before);
                let view = HistogramView { buckets: &buckets, ..view };
                if view.count() > 0 {
                    put(PointData::Histogram(view));
                }
                let HistogramView { scale, sum, zeros, offset, buckets, .. } = *new;
                Sent::Histogram { scale, sum, zeros, offset, buckets: buckets.to_vec() }
            }
            _ => return,
        };
        self.series.insert(key(point), now);
    }
}

/// The delta of a histogram: its bucket counts, and a view with everything else. It has the coarser of the
/// two scales, to which buckets can be merged exactly.
fn histogram<'v>(new: &HistogramView<'v>, before: Option<&Sent>) -> (Vec<u64>, HistogramView<'v>) {
    let none = (new.scale, 0.0, 0, new.offset, &[][..]);
    let (old_scale, old_sum, old_zeros, old_offset, old_buckets) = match before {
        Some(Sent::Histogram { scale, sum, zeros, offset, buckets }) => {
            (*scale, *sum, *zeros, *offset, &buckets[..])
        }
        _ => none,
    };
    let scale = new.scale.min(old_scale);
    let mut counts = HashMap::<i32, u64>::new();
    let indices = |offset: i32, from: u8| (offset..).map(move |index| index >> (from - scale));
    for (index, n) in indices(new.offset, new.scale).zip(new.buckets) {
        *counts.entry(index).or_default() += n;
    }
    let mut began_anew = new.zeros < old_zeros;
    let mut added = counts.clone();
    for (index, n) in indices(old_offset, old_scale).zip(old_buckets).filter(|(_, n)| **n > 0) {
        let left = added.get(&index).and_then(|count| count.checked_sub(*n));
        began_anew |= left.is_none();
        added.insert(index, left.unwrap_or(0));
    }
    let (counts, sum, zeros) = if began_anew {
        (counts, new.sum, new.zeros)
    } else {
        (added, new.sum - old_sum, new.zeros - old_zeros)
    };
    let used = || counts.iter().filter(|(_, n)| **n > 0).map(|(index, _)| *index);
    let first = used().min().unwrap_or(-1);
    let last = used().max().unwrap_or(-2);
    let buckets = (first..=last).map(|index| counts.get(&index).copied().unwrap_or(0)).collect();
    let view = HistogramView { scale, sum, zeros, offset: first, extremes: None, buckets: &[], ..*new };
    (buckets, view)
}

/// The key that identifies a series.
fn key(point: &PointView<'_>) -> String {
    let kind = match point.data {
        PointData::Counter(_) => "c",
        PointData::CounterFloat(_) => "f",
        _ => "h",
    };
    let mut labels: Vec<_> = point.labels.to_vec();
    labels.sort_unstable();
    let mut key = [kind, point.name, point.unit].join("\0");
    for (name, value) in labels {
        key.extend(["\0", name, "\0", value]);
    }
    key
}
