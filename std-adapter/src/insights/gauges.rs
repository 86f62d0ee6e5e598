//! Values over time: of queues, and of resources with a limit.

use super::line::Line;
use super::operations::shortened;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Points that are kept of a series.
pub(super) const POINTS: usize = 120;
/// Series that are kept: 2 kB each.
const SERIES: usize = 128;
/// Fewest points from which something is said.
pub(super) const LEAST: usize = 12;
/// What the last part of a limit's name is.
const OF_LIMITS: [&str; 5] = ["limit", "capacity", "max", "maximum", "max_size"];
/// What the last part of a share's name is.
const OF_SHARES: [&str; 4] = ["fill", "utilization", "usage", "ratio"];
/// Queues of this library. Their records are counted too, but only their bytes have a limit.
const OWN: &str = "throughline.";
const OWN_QUEUE: &str = "throughline.pump.queue.size";
const OWN_OTHERS: [&str; 2] = ["throughline.pump.spool.records", "throughline.pump.ring.fill"];

/// Queues and resources, by name and labels.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    all: HashMap<String, Series>,
    limits: HashMap<String, f64>,
    /// Bytes that a queue of this library's may have.
    pub(super) own_limit: Option<f64>,
    /// The time of the latest value, in seconds since 1970.
    newest: f64,
    /// Values whose series, or whose limit, found no room.
    pub(super) refused: u64,
}

/// The values of one.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) name: Arc<str>,
    pub(super) unit: Arc<str>,
    /// Seconds since 1970, and values.
    points: VecDeque<(f64, f64)>,
    pub(super) limit: Option<f64>,
}

impl Gauges {
    /// Forgets all but what is counted, and the limit that does not change.
    pub(super) fn clear(&mut self) {
        let Gauges { own_limit, refused, .. } = *self;
        *self = Gauges { own_limit, refused, ..Gauges::default() };
    }

    /// Whether a gauge of this name is a queue, or the limit of one.
    pub(super) fn is_wanted(name: &str) -> bool {
        if name.starts_with(OWN) {
            return name == OWN_QUEUE || OWN_OTHERS.contains(&name);
        }
        let name = name.to_ascii_lowercase();
        name.contains("queue") || name.contains("depth")
    }

    /// Takes a value of a queue in, or a limit.
    pub(super) fn queue<'l>(
        &mut self,
        name: &str,
        labels: impl Iterator<Item = (&'l str, &'l str)>,
        unit: &str,
        time: f64,
        value: f64,
        interval: f64,
    ) {
        let mut pairs: Vec<String> = labels.map(|(key, value)| format!("{key}={value}")).collect();
        pairs.sort_unstable();
        let labels = if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) };
        if let Some((of, last)) = parts(name)
            && OF_LIMITS.contains(&last)
        {
            let key = format!("{of}{labels}");
            if self.limits.len() < SERIES || self.limits.contains_key(&key) {
                self.limits.insert(key, value);
            } else {
                self.refused += 1;
            }
            return;
        }
        let limit = self.limit(name, &labels, unit);
        self.take(format!("{name}{labels}"), unit, limit, (time, value), interval);
    }

    /// The limit of a queue: `orders.queue.limit` or `orders.queue.depth.limit` of `orders.queue.depth`.
    fn limit(&self, name: &str, labels: &str, unit: &str) -> Option<f64> {
        if name == OWN_QUEUE {
            return self.own_limit;
        }
        let (of, last) = parts(name).unwrap_or((name, ""));
        let is_share = OF_SHARES.contains(&last);
        let known = [name, of].into_iter().find_map(|of| self.limits.get(&format!("{of}{labels}")).copied());
        known.or(match unit {
            "%" => Some(100.0),
            "1" | "" if is_share => Some(1.0),
            _ => None,
        })
    }

    /// Takes a value in. Values that come sooner than the interval after the one before replace it.
    pub(super) fn take(
        &mut self,
        key: String,
        unit: &str,
        limit: Option<f64>,
        point: (f64, f64),
        interval: f64,
    ) {
        if !point.1.is_finite() {
            return;
        }
        self.newest = self.newest.max(point.0);
        if self.all.len() >= SERIES && !self.all.contains_key(&key) {
            self.refused += 1;
            return;
        }
        let series = self.all.entry(key).or_insert_with_key(|key| Series {
            name: shortened(key.clone()),
            unit: unit.into(),
            points: VecDeque::new(),
            limit: None,
        });
        series.limit = limit.or(series.limit);
        match series.points.back_mut() {
            Some(last) if point.0 < last.0 => return,
            // A point stays where it was, or none would ever be old enough.
            Some(last) if point.0 - last.0 < interval => {
                last.1 = point.1;
                return;
            }
            _ => {}
        }
        if series.points.len() == POINTS {
            series.points.pop_front();
        }
        series.points.push_back(point);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.all.len().max(self.limits.len())
    }

    /// The series with a value in so many seconds before the latest one, in order. Others are forgotten.
    pub(super) fn within(&mut self, seconds: f64) -> Vec<Series> {
        let since = self.newest - seconds;
        self.all.retain(|_, series| series.points.back().is_some_and(|(time, _)| *time >= since));
        let mut all: Vec<Series> = self.all.values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }
}

impl Series {
    pub(super) fn last(&self) -> f64 {
        self.points.back().map_or(0.0, |(_, value)| *value)
    }

    pub(super) fn len(&self) -> usize {
        self.points.len()
    }

    /// The line through its points, with seconds.
    pub(super) fn line(&self) -> Option<Line> {
        // Seconds since 1970 would cost digits.
        let first = self.points.front()?.0;
        let points: Vec<(f64, f64)> =
            self.points.iter().map(|(time, value)| (time - first, *value)).collect();
        Line::through(&points, true)
    }
}

/// A name before and after its last dot or underscore.
fn parts(name: &str) -> Option<(&str, &str)> {
    if let Some(of) = name.strip_suffix("max_size") {
        return Some((of.trim_end_matches(['.', '_']), "max_size"));
    }
    name.rsplit_once(['.', '_'])
}
