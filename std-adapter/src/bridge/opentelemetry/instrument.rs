//! Instruments of the API and their series: one for each set of attributes.

use super::site::Scope;
use crate::bridge::room;
use crate::bridge::table::{Table, add_number, add_text, spread};
use opentelemetry::{KeyValue, Value};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use throughline::adapter::bridge;
use throughline::adapter::callsite::Meta;
use throughline::metrics as own;

/// What an instrument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    FloatCounter,
    UpDown,
    FloatUpDown,
    Gauge,
    FloatGauge,
    Histogram,
    FloatHistogram,
}

/// A measured number.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
}

macro_rules! number {
    ($($type:ident $name:ident),*) => {$(
        impl From<$type> for Number {
            #[inline]
            fn from(number: $type) -> Number {
                Number::$name(number)
            }
        }
    )*};
}
number!(u64 Unsigned, i64 Signed, f64 Float);

/// An instrument. Equal descriptions are one instrument.
#[derive(Clone, Copy, Debug)]
pub(super) struct Instrument(&'static Described);

#[derive(Debug)]
struct Described {
    kind: Kind,
    scope: Scope,
    name: Box<str>,
    unit: Box<str>,
    description: Box<str>,
    hash: usize,
    /// The series without attributes.
    plain: OnceLock<Option<Series>>,
    /// The series of all attribute sets for which there is no room.
    overflow: OnceLock<Option<Series>>,
}

static INSTRUMENTS: Table<Described> = Table::new();
static SERIES: Table<(&'static Described, Vec<KeyValue>, Series)> = Table::new();
static MADE: AtomicUsize = AtomicUsize::new(0);

impl Instrument {
    /// `None`, which is counted, if there are too many.
    pub(super) fn new(
        scope: &Scope,
        kind: Kind,
        name: &str,
        unit: &str,
        description: &str,
    ) -> Option<Instrument> {
        let hash = [name, unit, description].into_iter().fold(scope.hash() + kind as usize, add_text);
        let is_it = |there: &Described| {
            (there.kind, &*there.name, &*there.unit, &*there.description) == (kind, name, unit, description)
                && there.scope == *scope
        };
        let make = || {
            if MADE.fetch_add(1, Ordering::Relaxed) >= room::MOST_NAMES {
                return None;
            }
            Some(Described {
                kind,
                scope: scope.clone(),
                name: name.into(),
                unit: unit.into(),
                description: description.into(),
                hash,
                plain: OnceLock::new(),
                overflow: OnceLock::new(),
            })
        };
        let described = INSTRUMENTS.get_or_make(spread(hash), is_it, make);
        if described.is_none() {
            room::refuse();
        }
        described.map(Instrument)
    }

    pub(super) fn name(self) -> &'static str {
        &self.0.name
    }

    /// The series of these attributes, in whatever order, or the overflow series.
    #[inline]
    pub(super) fn series(self, attributes: &[KeyValue]) -> Option<&'static Series> {
        if attributes.is_empty() {
            let plain = self.0.plain.get_or_init(|| if room::take() { self.0.series(&[]) } else { None });
            return plain.as_ref().or_else(|| self.overflow());
        }
        let hash = attributes.iter().fold(self.0.hash, |sum, attribute| sum.wrapping_add(hash_of(attribute)));
        let is_it = |(of, there, _): &(&Described, Vec<KeyValue>, Series)| {
            core::ptr::eq(*of, self.0)
                && there.len() == attributes.len()
                && (there == attributes || attributes.iter().all(|attribute| there.contains(attribute)))
        };
        let make = || {
            let labels: Vec<_> = attributes.iter().map(|it| (it.key.as_str(), it.value.as_str())).collect();
            let labels: Vec<(&str, &str)> = labels.iter().map(|(key, value)| (*key, &**value)).collect();
            let series = if room::take() { self.0.series(&labels) } else { None };
            Some((self.0, attributes.to_vec(), series?))
        };
        match SERIES.get_or_make(spread(hash), is_it, make) {
            Some((_, _, series)) => Some(series),
            None => self.overflow(),
        }
    }

    #[cold]
    fn overflow(self) -> Option<&'static Series> {
        room::refuse();
        self.0.overflow.get_or_init(|| self.0.series(&[("otel.metric.overflow", "true")])).as_ref()
    }
}

/// Depends on the attribute, not on its place among others.
fn hash_of(attribute: &KeyValue) -> usize {
    let hash = add_text(0, attribute.key.as_str());
    spread(match &attribute.value {
        Value::Bool(value) => add_number(hash, u64::from(*value)),
        Value::I64(value) => add_number(hash, *value as u64),
        Value::F64(value) => add_number(hash, value.to_bits()),
        other => add_text(hash, &other.as_str()),
    })
}

impl Described {
    fn series(&self, labels: &[(&str, &str)]) -> Option<Series> {
        let meta = Meta {
            name: &self.name,
            target: &self.scope.name,
            package: &self.scope.name,
            version: &self.scope.version,
            unit: &self.unit,
            description: &self.description,
            labels,
            ..Meta::EMPTY
        };
        let cells = match self.kind {
            Kind::Counter => Cells::Counter(bridge::counter(&meta)?),
            Kind::FloatCounter => Cells::FloatCounter(bridge::float_counter(&meta)?),
            Kind::UpDown => Cells::UpDown(bridge::up_down_counter(&meta)?),
            Kind::FloatUpDown => Cells::FloatUpDown(bridge::float_gauge(&meta)?),
            Kind::Gauge => Cells::Gauge(bridge::gauge(&meta)?),
            Kind::FloatGauge => Cells::FloatGauge(bridge::float_gauge(&meta)?),
            Kind::Histogram => Cells::Histogram(bridge::histogram(&meta)?),
            Kind::FloatHistogram if &*self.unit == "s" => Cells::Seconds(bridge::histogram(&meta)?),
            Kind::FloatHistogram => Cells::FloatHistogram(bridge::histogram(&meta)?),
        };
        Some(Series { cells, last: AtomicU64::new(0) })
    }
}

/// A metric of this library.
#[derive(Debug)]
pub(super) struct Series {
    cells: Cells,
    /// Bits of the total that a callback gave last, of a sum.
    last: AtomicU64,
}

#[derive(Clone, Copy, Debug)]
enum Cells {
    Counter(own::Counter),
    FloatCounter(own::FloatCounter),
    UpDown(own::UpDownCounter),
    FloatUpDown(own::FloatGauge),
    Gauge(own::Gauge),
    FloatGauge(own::FloatGauge),
    Histogram(own::Histogram<2, 1, 0>),
    /// In steps of a nanosecond.
    Seconds(own::Histogram<2, 1, 30>),
    /// In steps of a millionth.
    FloatHistogram(own::Histogram<2, 1, 20>),
}

impl Series {
    /// Counts a measurement.
    #[inline]
    pub(super) fn count(&self, number: Number) {
        match (self.cells, number) {
            (Cells::Counter(counter), Number::Unsigned(n)) => counter.add(n),
            (Cells::FloatCounter(counter), Number::Float(x)) => counter.add(x),
            (Cells::UpDown(counter), Number::Signed(n)) => counter.add(n),
            (Cells::FloatUpDown(gauge), Number::Float(x)) => gauge.add(x),
            (Cells::Histogram(histogram), Number::Unsigned(n)) => histogram.record(n),
            (Cells::Seconds(histogram), Number::Float(x)) => histogram.record(x),
            (Cells::FloatHistogram(histogram), Number::Float(x)) => histogram.record(x),
            // Of a gauge the last value counts.
            _ => self.observe(number),
        }
    }

    /// Takes the value that a callback gives: a total so far, or a gauge's value.
    pub(super) fn observe(&self, number: Number) {
        match (self.cells, number) {
            // A total that goes down is ignored until it is greater again.
            (Cells::Counter(counter), Number::Unsigned(n)) => {
                counter.add(n.saturating_sub(self.last.fetch_max(n, Ordering::Relaxed)));
            }
            (Cells::FloatCounter(counter), Number::Float(x)) => {
                let last = f64::from_bits(self.last.load(Ordering::Relaxed));
                if x > last {
                    self.last.store(x.to_bits(), Ordering::Relaxed);
                    counter.add(x - last);
                }
            }
            (Cells::UpDown(counter), Number::Signed(n)) => {
                counter.add(n.saturating_sub(self.last.swap(n as u64, Ordering::Relaxed) as i64));
            }
            (Cells::Gauge(gauge), Number::Unsigned(n)) => gauge.set(n),
            (Cells::Gauge(gauge), Number::Signed(n)) => gauge.set(n),
            (Cells::FloatUpDown(gauge) | Cells::FloatGauge(gauge), Number::Float(x)) => gauge.set(x),
            // No instrument has a number of another type.
            _ => {}
        }
    }
}
