//! Metrics: statics bound when compiled, found by no lookup, counted by no lock.
//!
//! On a microcontroller a metric is its cells and nothing else; an atomic add counts. On a server each thread has cells of its own and
//! adds with a plain load and store; the reader sums. (`cargo xtask bench` measures it beside one shared atomic, which costs more alone and several times that with two threads.)
//! Cells are machine words: on a 32-bit machine they wrap, and the reader extends them by their differences.

mod counter;
mod family;
mod gauge;
pub(crate) mod histogram;
pub(crate) mod list;
pub(crate) mod series;

pub use counter::{Counter, UpDownCounter};
pub use family::{CounterFamily, HistogramFamily};
pub use gauge::{FloatGauge, FloatValue, Gauge};
pub use histogram::Histogram;
use histogram::cells as histogram_cells;
use list::Metric;
use series::SeriesKey;
