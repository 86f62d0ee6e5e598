//! One observability library from a microcontroller's interrupt handler to a server's database call: spans,
//! events, counters, gauges and histograms with the same ids on every target. It is `no_std`; recording
//! neither allocates nor waits.
//!
//! A library instruments itself with this crate alone and needs none of its features:
//!
//! ```
//! use throughline::{counter, histogram, info, instrument, span};
//!
//! #[instrument(err)]
//! fn read_sensor(channel: u8) -> Result<u32, std::num::ParseIntError> {
//!     let raw = {
//!         let _span = span!("adc.convert", channel);
//!         812
//!     };
//!     counter!("sensor.reads").add(1);
//!     histogram!("sensor.raw").record(raw);
//!     info!("channel {channel} reads {raw}", channel, raw);
//!     Ok(raw as u32)
//! }
//! # read_sensor(3).unwrap();
//! ```
//!
//! The binary chooses where records go. Firmware installs a [`Recorder`] and flushes it with
//! `throughline-embedded`; a server calls `throughline_std::init`. Without either, each call costs one load
//! and one branch.
//!
//! Both adapters are built on [`adapter`], which is outside the semver promise.
//!
//! | feature | adds |
//! |---|---|
//! | `std` | a recorder per thread; `throughline-std` turns it on |
//! | `postcard` | `Postcard(&value)` as a field: any `serde::Serialize` |
//! | `serde` | `Serialize` for public types |
//! | `defmt` | `defmt::Format` for public types |
//! | `tracing-core` | conversions between [`Level`] and `tracing_core::Level` |
//! | `embassy-time` | `Clock::embassy()` |
//! | `futures-core` | streams in [`Instrument`] |

#![no_std]

#[cfg(any(test, feature = "std", loom))]
extern crate std;

#[cfg(loom)]
pub mod list;
#[cfg(all(not(loom), any(registered_callsites, feature = "std")))]
mod list;
mod ring;
mod sync;

pub mod adapter;
#[cfg(not(loom))]
mod attribute;
#[cfg(not(loom))]
mod callsite;
#[cfg(not(loom))]
pub mod clock;
#[cfg(not(loom))]
mod error_class;
#[cfg(not(loom))]
mod event;
#[cfg(not(loom))]
mod event_to;
#[cfg(all(not(loom), feature = "std", target_has_atomic = "64"))]
mod exemplars;
#[cfg(not(loom))]
mod fields;
#[cfg(not(loom))]
mod future;
#[cfg(not(loom))]
mod id;
/// How callsites and metrics made at run time are kept; public for the model checker.
#[cfg(loom)]
pub mod interned;
#[cfg(all(not(loom), feature = "std"))]
mod interned;
#[cfg(not(loom))]
mod level;
#[cfg(not(loom))]
mod linked;
#[cfg(not(loom))]
mod macros;
#[cfg(not(loom))]
pub mod metrics;
#[cfg(not(loom))]
mod place;
/// How threads acquire and release recorders; public for the model checker.
#[cfg(loom)]
#[path = "recorder/pool.rs"]
pub mod pool;
#[cfg(not(loom))]
mod record;
#[cfg(not(loom))]
mod recorder;
/// How callsites register and are switched on and off; public for the model checker.
#[cfg(loom)]
#[path = "callsite/registration.rs"]
pub mod registration;
/// The label sets of metric families, the part of metrics with a protocol to check; public for the model
/// checker.
#[cfg(loom)]
#[path = "metrics/series.rs"]
pub mod series;
#[cfg(not(loom))]
mod span;
mod value;
#[cfg(all(not(loom), registered_callsites))]
mod version;
#[cfg(not(loom))]
mod wire;

/// Field values under the names that `tracing` has for them. Use them with [`Span::record`], where `%` and
/// `?` cannot be written.
///
/// ```
/// use throughline::{field, info_span};
/// let span = info_span!("query", user = field::Empty);
/// span.record("user", field::display("ada"));
/// ```
#[cfg(not(loom))]
pub mod field {
    pub use crate::fields::{Empty, debug, display};
}

pub use ring::Slots;
pub use value::{SpanKind, Status};

/// Documented in [`adapter::record`]: only what reads records needs it.
#[doc(hidden)]
pub use value::Value;

#[cfg(not(loom))]
pub use {
    clock::Clock,
    error_class::ErrorClass,
    fields::{Empty, Field, StaticStr},
    future::{Instrument, Instrumented},
    id::{SpanId, TraceContext, TraceId, Traceparent, TraceparentError},
    level::{Level, ParseLevelError},
    recorder::{
        AttachGuard, Context, ContextGuard, Recorder, attach, current, install, sampler, set_min_level,
    },
    span::Span,
    throughline_macros::{instrument, traced},
};

#[cfg(all(not(loom), feature = "std"))]
pub use span::{DetachedSpan, EnteredSpan};

#[cfg(all(not(loom), feature = "postcard"))]
pub use fields::Postcard;

/// What the macros expand to. Not part of the API.
#[cfg(not(loom))]
#[doc(hidden)]
pub mod __private {
    pub use crate::attribute::{Branch, call};
    pub use crate::callsite::{Callsite, Kind, Meta};
    pub use crate::error_class::{AsClassified, AsResult, AsValue, Outcome};
    pub use crate::event::event;
    pub use crate::fields::via as values;
    pub use crate::fields::{Debug, Display, FieldWriter, Fields};
    pub use crate::future::{Instrument, Instrumented, instrument_result, poll_stream};
    pub use crate::level::STATIC_MIN;
    pub use crate::metrics::entry::Entry;
    pub use crate::metrics::histogram::cells as histogram_cells;
    pub use crate::metrics::home::Home;
    pub use crate::metrics::metric::Metric;
    pub use crate::metrics::number::nanoseconds_in;
    pub use crate::metrics::red::{RED_FRACTION, Red};
    pub use crate::metrics::series::SeriesKey;
    pub use crate::metrics::shape::{
        FLOAT_COUNTER_CELLS, FLOAT_GAUGE, capacity, fraction_bits_or_default, histogram_param,
        scale_or_default,
    };
    pub use crate::metrics::{
        Counter, CounterFamily, FloatCounter, FloatGauge, Gauge, GaugeFamily, Histogram, HistogramFamily,
        UpDownCounter, UpDownCounterFamily,
    };
    pub use crate::recorder::is_enabled;
    pub use crate::span::{add_to_current, below, outside};
    pub use crate::sync::Cell;
    pub use crate::{Level, Span, SpanKind, Status};
    /// The values of labels.
    pub mod labels {
        pub use crate::metrics::label::{AsDisplay, AsLabelOrError, AsText, Given, Label, Text};
    }
    pub use throughline_macros::{
        __enabled_call, __event_call, __observe_call, __record_call, __red_call, __span_call,
    };
}
