//! Metrics: statics bound when compiled, found by no lookup, counted by no lock.
//!
//! On a microcontroller a metric is its cells and nothing else; an atomic add counts. On a server each thread has cells of its own and
//! adds with a plain load and store; the reader sums. (`cargo xtask bench` measures it beside one shared atomic, which costs more alone and several times that with two threads.)
//! Cells are machine words: on a 32-bit machine they wrap, and the reader extends them by their differences.

mod counter;
mod family;
mod gauge;
mod histogram;
mod list;
mod series;

pub use counter::{Counter, UpDownCounter};
pub use family::{CounterFamily, HistogramFamily};
pub use gauge::{FloatGauge, FloatValue, Gauge};
pub use histogram::{Histogram, MAX_SCALE, bucket_count, cells as histogram_cells, position, upper_bound};
#[doc(hidden)]
pub use list::Entry;
pub use list::{Metric, Series, for_each};
pub use series::SeriesKey;
