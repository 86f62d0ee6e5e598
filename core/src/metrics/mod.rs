//! Metrics: statics bound at compile time, so that counting needs no lookup and no lock.
//!
//! On a microcontroller a metric consists of its cells, and counting is an atomic add. On a server each
//! thread has its own cells and adds to them with a plain load and store; the reader sums over the threads.
//! (`cargo xtask bench` compares this with one shared atomic, which costs more on one thread and several
//! times more on two.) Cells have 64 bits where the target has 64-bit atomics. Elsewhere they have 32 bits
//! and wrap, and the reader extends them from the difference between two readings.
//!
//! | macro | metric | methods | accepts |
//! |---|---|---|---|
//! | [`counter!`](crate::counter!), `as f64` | a sum that only grows | `add` | [`Unsigned`]; `as f64` any [`Number`] |
//! | [`up_down_counter!`](crate::up_down_counter!) | a sum | `add`, `in_flight` | [`Integer`] |
//! | [`gauge!`](crate::gauge!), `as f64` | a last value | `set`, `add`, `sub`, `in_flight` | [`Integer`]; `as f64` any [`Number`] |
//! | [`histogram!`](crate::histogram!), `as f64` | a distribution | `record` | [`Measure`]: any number, `Duration` |
//! | [`summary!`](crate::summary!), `as f64` | a distribution, exported as quantiles | `record` | [`Measure`] |
//! | [`counter_family!`](crate::counter_family!) and the other `…_family!` macros | the same with run-time labels | the same, labels first | the same |
//!
//! Callsites with the same name, unit, labels and kind are one series, whether one thread or several use
//! them.

mod counter;
pub(crate) mod entry;
#[cfg(all(feature = "std", target_has_atomic = "64"))]
pub(crate) mod exemplar;
mod family;
mod gauge;
pub(crate) mod histogram;
pub(crate) mod home;
mod idiom;
pub(crate) mod label;
pub(crate) mod metric;
pub(crate) mod negative;
pub(crate) mod number;
pub(crate) mod read;
pub(crate) mod red;
#[cfg(feature = "std")]
pub(crate) mod run_time;
pub(crate) mod series;
pub(crate) mod shape;

pub use counter::{Counter, FloatCounter, UpDownCounter};
pub use family::{CounterFamily, GaugeFamily, HistogramFamily, UpDownCounterFamily};
pub use gauge::{FloatGauge, Gauge, InFlight};
pub use histogram::Histogram;
pub use number::{Integer, Measure, Number, Unsigned};
