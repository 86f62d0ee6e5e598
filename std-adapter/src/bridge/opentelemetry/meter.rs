//! Meters of the API.

use super::instrument::{Instrument, Kind, Number, Series};
use super::site::Scope;
use crate::bridge::room;
use crate::observe;
use opentelemetry::metrics::{
    AsyncInstrument, AsyncInstrumentBuilder, BoundSyncInstrument, Callback, Counter, Gauge, Histogram,
    HistogramBuilder, InstrumentBuilder, InstrumentProvider, Meter, ObservableCounter, ObservableGauge,
    ObservableUpDownCounter, SyncInstrument, UpDownCounter,
};
use opentelemetry::{InstrumentationScope, KeyValue, metrics};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A meter provider whose instruments are this library's metrics.
/// [`Config::opentelemetry_providers`](crate::Config::opentelemetry_providers) makes it the global one.
///
/// * Counters and histograms add to cells of their thread. Histograms have exponential buckets with an error of at most
///   8.6 %, whatever boundaries are given; those of floats keep 2^-30 if their unit is seconds, else 2^-20. An up-down
///   counter of floats arrives as a gauge of the sum.
/// * An attribute becomes a label, whose value is text. There may be 3584 series in all; further attribute sets of an
///   instrument are counted together in its overflow series, `otel.metric.overflow = true`, and how often is counted too.
/// * Callbacks of observable instruments run as those of [`observe`](crate::observe) do: on a thread of their own, with a
///   second of time each. What a callback no longer reports keeps its last value. There may be 1024 callbacks.
///
/// `bind` an instrument where a series is used often: otherwise it is looked up each time.
///
/// ```
/// use opentelemetry::{KeyValue, metrics::MeterProvider as _};
/// let meter = throughline_std::opentelemetry::MeterProvider.meter("shop");
/// let orders = meter.u64_counter("orders").with_unit("{order}").build();
/// orders.add(1, &[KeyValue::new("outcome", "sold")]);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct MeterProvider;

impl metrics::MeterProvider for MeterProvider {
    fn meter_with_scope(&self, scope: InstrumentationScope) -> Meter {
        Meter::new(Arc::new(Instruments(Scope::new(&scope))))
    }
}

/// The most callbacks.
const MOST_CALLBACKS: usize = 1024;
static CALLBACKS: AtomicUsize = AtomicUsize::new(0);

struct Instruments(Scope);

type Text = Option<Cow<'static, str>>;

impl Instruments {
    fn make(&self, kind: Kind, name: &str, unit: &Text, description: &Text) -> Option<Instrument> {
        Instrument::new(
            &self.0,
            kind,
            name,
            unit.as_deref().unwrap_or_default(),
            description.as_deref().unwrap_or_default(),
        )
    }

    fn observe<T: Into<Number> + 'static>(
        &self,
        instrument: Option<Instrument>,
        callbacks: Vec<Callback<T>>,
    ) {
        let Some(instrument) = instrument else { return };
        for callback in callbacks {
            if CALLBACKS.fetch_add(1, Ordering::Relaxed) >= MOST_CALLBACKS {
                CALLBACKS.fetch_min(MOST_CALLBACKS, Ordering::Relaxed);
                return room::refuse();
            }
            // It sets series of its own, so it has no value for the observer.
            let call = move || {
                callback(&instrument);
                None::<i64>
            };
            observe::gauge(instrument.name()).with(call).keep();
        }
    }
}

impl<T: Into<Number>> SyncInstrument<T> for Instrument {
    #[inline]
    fn measure(&self, measurement: T, attributes: &[KeyValue]) {
        if let Some(series) = self.series(attributes) {
            series.count(measurement.into());
        }
    }

    fn bind(&self, attributes: &[KeyValue]) -> Box<dyn BoundSyncInstrument<T> + Send + Sync> {
        Box::new(Bound(self.series(attributes)))
    }
}

/// An instrument with attributes; `None` if there is no room for its series.
struct Bound(Option<&'static Series>);

impl<T: Into<Number>> BoundSyncInstrument<T> for Bound {
    #[inline]
    fn measure(&self, measurement: T) {
        if let Some(series) = self.0 {
            series.count(measurement.into());
        }
    }
}

impl<T: Into<Number>> AsyncInstrument<T> for Instrument {
    fn observe(&self, measurement: T, attributes: &[KeyValue]) {
        if let Some(series) = self.series(attributes) {
            series.observe(measurement.into());
        }
    }
}

/// Counts nothing: there are too many instruments.
struct Refused;

impl<T> SyncInstrument<T> for Refused {
    fn measure(&self, _: T, _: &[KeyValue]) {}

    fn bind(&self, _: &[KeyValue]) -> Box<dyn BoundSyncInstrument<T> + Send + Sync> {
        Box::new(Refused)
    }
}

impl<T> BoundSyncInstrument<T> for Refused {
    fn measure(&self, _: T) {}
}

fn handle<T: Into<Number>>(instrument: Option<Instrument>) -> Arc<dyn SyncInstrument<T> + Send + Sync> {
    match instrument {
        Some(instrument) => Arc::new(instrument),
        None => Arc::new(Refused),
    }
}

macro_rules! instruments {
    ($($method:ident: $builder:ident $instrument:ident<$number:ty> $kind:ident;)*) => {$(
        fn $method(&self, builder: $builder<'_, $instrument<$number>>) -> $instrument<$number> {
            let $builder { name, unit, description, .. } = builder;
            $instrument::new(handle(self.make(Kind::$kind, &name, &unit, &description)))
        }
    )*};
}

macro_rules! observed {
    ($($method:ident: $instrument:ident<$number:ty> $kind:ident;)*) => {$(
        fn $method(
            &self,
            builder: AsyncInstrumentBuilder<'_, $instrument<$number>, $number>,
        ) -> $instrument<$number> {
            let AsyncInstrumentBuilder { name, unit, description, callbacks, .. } = builder;
            self.observe(self.make(Kind::$kind, &name, &unit, &description), callbacks);
            $instrument::new()
        }
    )*};
}

impl InstrumentProvider for Instruments {
    instruments! {
        u64_counter: InstrumentBuilder Counter<u64> Counter;
        f64_counter: InstrumentBuilder Counter<f64> FloatCounter;
        i64_up_down_counter: InstrumentBuilder UpDownCounter<i64> UpDown;
        f64_up_down_counter: InstrumentBuilder UpDownCounter<f64> FloatUpDown;
        u64_gauge: InstrumentBuilder Gauge<u64> Gauge;
        i64_gauge: InstrumentBuilder Gauge<i64> Gauge;
        f64_gauge: InstrumentBuilder Gauge<f64> FloatGauge;
        u64_histogram: HistogramBuilder Histogram<u64> Histogram;
        f64_histogram: HistogramBuilder Histogram<f64> FloatHistogram;
    }

    observed! {
        u64_observable_counter: ObservableCounter<u64> Counter;
        f64_observable_counter: ObservableCounter<f64> FloatCounter;
        i64_observable_up_down_counter: ObservableUpDownCounter<i64> UpDown;
        f64_observable_up_down_counter: ObservableUpDownCounter<f64> FloatUpDown;
        u64_observable_gauge: ObservableGauge<u64> Gauge;
        i64_observable_gauge: ObservableGauge<i64> Gauge;
        f64_observable_gauge: ObservableGauge<f64> FloatGauge;
    }
}
