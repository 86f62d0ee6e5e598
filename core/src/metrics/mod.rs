//! Metrics: statics bound when compiled, found by no lookup, counted by no lock.
//!
//! On a microcontroller a metric is its cells and nothing else; an atomic add counts. On a server each thread has cells of its own and
//! adds with a plain load and store; the reader sums. (`cargo xtask bench` measures it beside one shared atomic, which costs more alone and several
//! times that with two threads.) Cells have 64 bits where the target has 64-bit atomics. Elsewhere they have 32 and wrap, and the reader extends
//! them by their differences.
//!
//! | macro | what it is | methods | takes |
//! |---|---|---|---|
//! | [`counter!`](crate::counter!), `as f64` | a sum that only grows | `add` | [`Unsigned`]; `as f64` any [`Number`] |
//! | [`up_down_counter!`](crate::up_down_counter!) | a sum | `add`, `in_flight` | [`Integer`] |
//! | [`gauge!`](crate::gauge!), `as f64` | a last value | `set`, `add`, `sub`, `in_flight` | [`Integer`]; `as f64` any [`Number`] |
//! | [`histogram!`](crate::histogram!), `as f64` | a distribution | `record` | [`Measure`]: any number, `Duration` |
//! | [`summary!`](crate::summary!), `as f64` | the same, exported as quantiles | `record` | [`Measure`] |
//! | [`counter_family!`](crate::counter_family!) and its kin | the same with labels known when it runs | the same, labels first | the same |
//!
//! Callsites with the same name, unit, labels and kind are one series, in one thread or many.

mod counter;
pub(crate) mod entry;
mod family;
mod gauge;
pub(crate) mod histogram;
pub(crate) mod home;
mod idiom;
pub(crate) mod metric;
pub(crate) mod number;
pub(crate) mod read;
pub(crate) mod series;
pub(crate) mod shape;

pub use counter::{Counter, FloatCounter, UpDownCounter};
pub use family::{CounterFamily, GaugeFamily, HistogramFamily, UpDownCounterFamily};
pub use gauge::{FloatGauge, Gauge, InFlight};
pub use histogram::Histogram;
pub use number::{Integer, Measure, Number, Unsigned};
