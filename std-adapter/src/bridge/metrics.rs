//! The bridge from the crate `metrics`.

use super::room;
use super::table::Table;
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, SharedString, Unit,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Once, PoisonError, RwLock};
use throughline::adapter::bridge;
use throughline::adapter::callsite::Meta;
use throughline::metrics as own;
use throughline_export::diagnostics;

/// A recorder for the crate `metrics`: its counters, gauges and histograms become metrics of this library.
/// [`Config::metrics_recorder`](crate::Config::metrics_recorder) installs it.
///
/// * Counters add to a cell of their thread. A gauge is a `f64`. Histograms have exponential buckets with an error of at
///   most 8.6 %, and keep 2^-30 of a second if their unit is seconds or their name ends so, else 2^-20.
///   What is less than half of that counts as 0, and so do negative numbers and NaN; what is more than 2^34 seconds or 2^44 counts as that.
/// * Units become those of UCUM. Descriptions may come before or after the first use of a metric.
/// * There may be 3584 series. Further label sets of a name are counted together in the name's overflow series,
///   `otel.metric.overflow = true`, and how often is counted too.
///
/// Keep handles (`let requests = counter!("requests", …);`) where a series is used often: `counter!` looks it up each
/// time, which is a property of the crate `metrics`.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Where the program sets its recorder itself:
/// metrics::set_global_recorder(throughline_std::metrics::Recorder)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Recorder;

/// How often a metric was described.
static DESCRIPTIONS: AtomicUsize = AtomicUsize::new(0);

static COUNTERS: Kind<CounterCell> = Kind::new();
static GAUGES: Kind<GaugeCell> = Kind::new();
static HISTOGRAMS: Kind<HistogramCell> = Kind::new();
/// Unit and description by name. They come rarely, so a lock is good enough.
static DESCRIBED: RwLock<BTreeMap<String, Description>> = RwLock::new(BTreeMap::new());

type Description = (&'static str, &'static str);

/// Unit and description of a metric, if the program has described one of this name.
pub(crate) fn described(name: &str) -> Option<Description> {
    DESCRIBED.read().unwrap_or_else(PoisonError::into_inner).get(name).copied()
}

/// How often a metric was described, for readers that keep what [`described`] gave.
pub(crate) fn descriptions() -> usize {
    DESCRIPTIONS.load(Ordering::Relaxed)
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        describe(&key, unit, &description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        describe(&key, unit, &description);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        describe(&key, unit, &description);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        COUNTERS.get(key, metadata).map_or_else(Counter::noop, Counter::from_arc)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        GAUGES.get(key, metadata).map_or_else(Gauge::noop, Gauge::from_arc)
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        HISTOGRAMS.get(key, metadata).map_or_else(Histogram::noop, Histogram::from_arc)
    }
}

fn describe(name: &KeyName, unit: Option<Unit>, description: &str) {
    let mut described = DESCRIBED.write().unwrap_or_else(PoisonError::into_inner);
    let known = described.get(name.as_str()).copied();
    if known.is_none() && described.len() == bridge::MOST_METRICS {
        return;
    }
    // Descriptions are constants in practice. What is described again with another text keeps the first one, because
    // points borrow it for ever.
    let text = known.map_or_else(|| &*Box::leak(Box::from(description)), |(_, known)| known);
    described.insert(name.as_str().to_owned(), (unit.map_or("", ucum), text));
    DESCRIPTIONS.fetch_add(1, Ordering::Relaxed);
}

/// All series of one kind.
struct Kind<T: 'static> {
    series: Table<Made<T>>,
    overflow: Table<Made<T>>,
}

/// A series, and the name and labels that it was made for.
struct Made<T> {
    key: Key,
    cell: Arc<T>,
}

/// A metric of this library that a handle of `metrics` counts in.
trait Cell: Send + Sync + Sized {
    fn make(meta: &Meta<'_>) -> Option<Self>;
}

impl<T: Cell> Kind<T> {
    const fn new() -> Kind<T> {
        Kind { series: Table::new(), overflow: Table::new() }
    }

    /// The series of this key, or the overflow series of its name.
    fn get(&self, key: &Key, metadata: &Metadata<'_>) -> Option<Arc<T>> {
        let make = || {
            if !room::take() {
                return None;
            }
            let labels: Vec<_> = key.labels().map(|label| (label.key(), label.value())).collect();
            made(key.clone(), &labels, metadata)
        };
        let is_it = |made: &Made<T>| made.key == *key;
        let series = self.series.get_or_make(key.get_hash() as usize, is_it, make);
        let made = series.or_else(|| self.overflow_of(key, metadata));
        made.map(|made| Arc::clone(&made.cell))
    }

    #[cold]
    fn overflow_of(&self, key: &Key, metadata: &Metadata<'_>) -> Option<&'static Made<T>> {
        room::refuse();
        let name = Key::from_name(key.name().to_owned());
        let is_it = |made: &Made<T>| made.key == name;
        self.overflow.get_or_make(name.get_hash() as usize, is_it, || {
            made(name.clone(), &[("otel.metric.overflow", "true")], metadata)
        })
    }
}

fn made<T: Cell>(key: Key, labels: &[(&str, &str)], metadata: &Metadata<'_>) -> Option<Made<T>> {
    let target = metadata.module_path().unwrap_or(metadata.target());
    let cell = Arc::new(T::make(&Meta { name: key.name(), target, labels, ..Meta::EMPTY })?);
    Some(Made { key, cell })
}

struct CounterCell {
    counter: own::Counter,
    /// The greatest absolute value that was given.
    absolute: AtomicU64,
}

impl Cell for CounterCell {
    fn make(meta: &Meta<'_>) -> Option<CounterCell> {
        Some(CounterCell { counter: bridge::counter(meta)?, absolute: AtomicU64::new(0) })
    }
}

impl CounterFn for CounterCell {
    fn increment(&self, value: u64) {
        self.counter.add(value);
    }

    /// Adds what is missing to the greatest absolute value so far. What is counted by `increment` is counted in
    /// addition.
    fn absolute(&self, value: u64) {
        let before = self.absolute.fetch_max(value, Ordering::Relaxed);
        self.counter.add(value.saturating_sub(before));
    }
}

struct GaugeCell(own::FloatGauge);

impl Cell for GaugeCell {
    fn make(meta: &Meta<'_>) -> Option<GaugeCell> {
        bridge::float_gauge(meta).map(GaugeCell)
    }
}

impl GaugeFn for GaugeCell {
    fn increment(&self, value: f64) {
        self.0.add(value);
    }

    fn decrement(&self, value: f64) {
        self.0.sub(value);
    }

    fn set(&self, value: f64) {
        self.0.set(value);
    }
}

/// A histogram, and its name.
struct HistogramCell {
    steps: Steps,
    name: Box<str>,
}

/// A histogram in steps that suit its values.
enum Steps {
    /// Steps of a nanosecond, up to 500 years.
    Seconds(own::Histogram<2, 1, 30>),
    /// Steps of a millionth, up to 17 millions of millions.
    Other(own::Histogram<2, 1, 20>),
}

impl Cell for HistogramCell {
    fn make(meta: &Meta<'_>) -> Option<HistogramCell> {
        let is_seconds = match described(meta.name) {
            Some((unit, _)) if !unit.is_empty() => unit == "s",
            _ => meta.name.ends_with("seconds") || meta.name.ends_with("duration"),
        };
        let steps = match is_seconds {
            true => Steps::Seconds(bridge::histogram(meta)?),
            false => Steps::Other(bridge::histogram(meta)?),
        };
        Some(HistogramCell { steps, name: meta.name.into() })
    }
}

impl HistogramCell {
    /// Counts a value that the histogram cannot hold, and says so once.
    #[cold]
    fn clip(&self, value: f64) {
        static TOLD: Once = Once::new();
        room::refuse();
        TOLD.call_once(|| {
            let as_what = if value > 0.0 { "its largest value" } else { "0" };
            diagnostics::tell(format_args!(
                "the histogram {:?} of `metrics` was given {value}, which counts as {as_what}; throughline.bridge.refused counts such values",
                self.name
            ));
        });
    }
}

impl HistogramFn for HistogramCell {
    fn record(&self, value: f64) {
        let end = match self.steps {
            Steps::Seconds(_) => const { (1_u64 << (64 - 30)) as f64 },
            Steps::Other(_) => const { (1_u64 << (64 - 20)) as f64 },
        };
        if !(0.0..end).contains(&value) {
            self.clip(value);
        }
        match &self.steps {
            Steps::Seconds(histogram) => histogram.record(value),
            Steps::Other(histogram) => histogram.record(value),
        }
    }
}

/// The unit in UCUM.
fn ucum(unit: Unit) -> &'static str {
    match unit {
        Unit::Count => "1",
        Unit::Percent => "%",
        Unit::Seconds => "s",
        Unit::Milliseconds => "ms",
        Unit::Microseconds => "us",
        Unit::Nanoseconds => "ns",
        Unit::Tebibytes => "TiBy",
        Unit::Gibibytes => "GiBy",
        Unit::Mebibytes => "MiBy",
        Unit::Kibibytes => "KiBy",
        Unit::Bytes => "By",
        Unit::TerabitsPerSecond => "Tbit/s",
        Unit::GigabitsPerSecond => "Gbit/s",
        Unit::MegabitsPerSecond => "Mbit/s",
        Unit::KilobitsPerSecond => "kbit/s",
        Unit::BitsPerSecond => "bit/s",
        Unit::CountPerSecond => "1/s",
    }
}
