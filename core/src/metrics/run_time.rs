//! Metrics that are described at run time, for bridges from other APIs. They live as long as the process;
//! equal descriptions are one metric.

extern crate std;

use super::entry::Entry;
use super::histogram::cells;
use super::home::Home;
use super::metric::Metric;
use super::shape::{FLOAT_COUNTER_CELLS, FLOAT_GAUGE, histogram_param};
use super::{Counter, FloatCounter, FloatGauge, Gauge, Histogram, UpDownCounter};
use crate::callsite::run_time::blob;
use crate::callsite::{Kind, Meta};
use crate::interned::Interned;
use crate::sync::Cell;
use std::boxed::Box;

/// The most metrics, each with its labels, that can be made at run time.
pub const MOST_METRICS: usize = 4096;

/// The scale of histograms made at run time: a power of two has four buckets.
const SCALE: u32 = 2;

static METRICS: Interned<Made> = Interned::new(MOST_METRICS);

/// A metric made at run time.
#[derive(Debug)]
struct Made {
    entry: Entry,
    home: Home<Cell>,
}

/// How often there was no room for a metric.
pub(crate) fn refused() -> usize {
    METRICS.refused()
}

macro_rules! metrics {
    ($($(#[$doc:meta])* $name:ident: $kind:ident $param:expr, $cells:expr, $metric:ty, $made:ident => $new:expr;)*) => {$(
        $(#[$doc])*
        ///
        /// `name`, `target`, `file`, `line`, `unit`, `description` and `labels` of the description count.
        /// `None` when there are [`MOST_METRICS`] already. Cost: as for a callsite made at run time; keep the
        /// metric, which is a few words.
        pub fn $name(meta: &Meta<'_>) -> Option<$metric> {
            let $made = make(meta, Kind::$kind, $param, $cells)?;
            Some($new)
        }
    )*};
}

metrics! {
    /// The counter with this description.
    counter: Counter 0, 1, Counter, made => Counter::new(made.metric());
    /// The counter of fractions with this description.
    float_counter: Counter 2, FLOAT_COUNTER_CELLS, FloatCounter, made => FloatCounter::new(made.metric());
    /// The up-down counter with this description.
    up_down_counter: UpDownCounter 0, 1, UpDownCounter, made => UpDownCounter::new(made.metric());
    /// The gauge of integers with this description.
    gauge: Gauge 0, 1, Gauge, made => Gauge::new(&made.entry, &made.home);
    /// The gauge of fractions with this description.
    float_gauge: Gauge FLOAT_GAUGE, 1, FloatGauge, made => FloatGauge::new(&made.entry, &made.home);
}

/// The histogram of fractions with this description, which counts multiples of 2^-`FRACTION` at scale 2.
///
/// Otherwise as [`counter`].
pub fn histogram<const FRACTION: u32>(meta: &Meta<'_>) -> Option<Histogram<SCALE, 1, FRACTION>> {
    let param = const { histogram_param(SCALE, FRACTION, false) };
    Some(Histogram::new(make(meta, Kind::Histogram, param, cells(SCALE))?.metric()))
}

fn make(meta: &Meta<'_>, kind: Kind, param: u8, cells: usize) -> Option<&'static Made> {
    let blob = blob(&Meta { kind, param, level: 0, fields: &[], ..*meta });
    METRICS.get_or_make(&blob, |blob| {
        let cells = Box::leak((0..cells).map(|_| Cell::new(0)).collect());
        Made { entry: Entry::new(blob, cells, &[]), home: Home::new() }
    })
}

impl Made {
    fn metric(&'static self) -> Metric {
        Metric::new(self.entry.cells, &self.entry)
    }
}
