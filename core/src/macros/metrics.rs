//! The macros for counters, gauges, histograms, summaries, and families of them.
//! [`metric_sites`](super::metric_sites) expands them.

/// A monotonic counter, a static bound at this callsite; `counter!("name" as f64)` is a sum of fractions.
/// These options may follow the name:
///
/// - `unit = "…"` ([UCUM](https://ucum.org), such as `By`, `ms` or `{request}`),
/// - `description = "…"`,
/// - constant labels, `key = "value"`. A key may consist of `dotted.words`; in quotes it may be any text,
///   also the name of an option.
///
/// Callsites with the same name, unit and labels count in one series. For labels known only at run time use
/// [`counter_family!`](crate::counter_family!).
///
/// ```
/// use throughline::counter;
/// counter!("frames.received", unit = "{frame}", bus = "can0").add(1);
/// counter!("energy.used" as f64, unit = "J").add(0.25);
/// ```
#[macro_export]
macro_rules! counter {
    ($name:literal as f64 $(, $($options:tt)*)?) => { $crate::__metric!(FloatCounter $name [] [] [] [] [] [] [] $($($options)*)?) };
    ($name:literal as f32 $(, $($options:tt)*)?) => { $crate::__metric!(FloatCounter $name [] [] [] [] [] [] [] $($($options)*)?) };
    ($name:literal $(, $($options:tt)*)?) => { $crate::__metric!(Counter $name [] [] [] [] [] [] [] $($($options)*)?) };
    ($($other:tt)*) => { $crate::__metric_without_name!("counter!") };
}

/// A counter that may go down; options as in [`counter!`](crate::counter!).
///
/// ```
/// use throughline::up_down_counter;
/// let open = up_down_counter!("connections.open");
/// open.add(1);
/// open.add(-1);
/// ```
#[macro_export]
macro_rules! up_down_counter {
    ($name:literal $(, $($options:tt)*)?) => { $crate::__metric!(UpDownCounter $name [] [] [] [] [] [] [] $($($options)*)?) };
    ($($other:tt)*) => { $crate::__metric_without_name!("up_down_counter!") };
}

/// A last value; `gauge!("name" as f64)` for floats. The options are those of [`counter!`](crate::counter!).
/// The value is the one that was set last by any thread at any callsite: callsites with the same name, unit,
/// labels and value type are one gauge.
///
/// ```
/// use throughline::gauge;
/// gauge!("queue.depth").set(17);
/// gauge!("room.temperature" as f64, unit = "Cel").set(21.5);
/// let _request = gauge!("http.requests.active").in_flight(); // adds 1 and, when dropped, subtracts it
/// ```
#[macro_export]
macro_rules! gauge {
    ($name:literal as f64 $(, $($options:tt)*)?) => { $crate::__metric!(FloatGauge $name [] [] [] [] [] [] [] $($($options)*)?) };
    ($name:literal as f32 $(, $($options:tt)*)?) => { $crate::__metric!(FloatGauge $name [] [] [] [] [] [] [] $($($options)*)?) };
    ($name:literal $(, $($options:tt)*)?) => { $crate::__metric!(Gauge $name [] [] [] [] [] [] [] $($($options)*)?) };
    ($($other:tt)*) => { $crate::__metric_without_name!("gauge!") };
}

/// A distribution of non-negative integers: an exponential histogram with 2^`scale` buckets per power of two,
/// `scale` 0 to 4 (default 2). The options are those of [`counter!`](crate::counter!) and `scale = n`.
/// [`metrics`](mod@crate::metrics) lists memory and error for each scale.
///
/// `histogram!("name" as f64)` is a distribution of fractions. It counts multiples of 2^-20, about a
/// millionth; `fraction_bits = n`, an even number up to 30, chooses another step. Where cells have 32 bits
/// (see [`metrics`](mod@crate::metrics)) values reach 2^(32 − `fraction_bits`).
///
/// A `Duration` is recorded in the unit given here: `s`, `ms`, `us`, `ns`, `min` or `h`; in nanoseconds when
/// no unit is given.
///
/// ```
/// use std::time::Duration;
/// use throughline::histogram;
/// histogram!("request.duration", unit = "us", scale = 3).record(1250);
/// histogram!("http.server.request.duration" as f64, unit = "s").record(Duration::from_millis(7));
/// ```
#[macro_export]
macro_rules! histogram {
    ($name:literal as f64 $(, $($options:tt)*)?) => { $crate::__metric!(FloatHistogram $name [] [] [] [] [] [] [] $($($options)*)?) };
    ($name:literal as f32 $(, $($options:tt)*)?) => { $crate::__metric!(FloatHistogram $name [] [] [] [] [] [] [] $($($options)*)?) };
    ($name:literal $(, $($options:tt)*)?) => { $crate::__metric!(Histogram $name [] [] [] [] [] [] [] $($($options)*)?) };
    ($($other:tt)*) => { $crate::__metric_without_name!("histogram!") };
}

/// A [`histogram!`](crate::histogram!) that is exported as quantiles (OTLP's `Summary`: the minimum, 50 %, 90
/// %, 95 %, 99 % and the maximum), for backends that take no histograms. The quantiles are computed from the
/// exponential histogram since the process began, and each is at most one bucket's width above the true
/// value; `scale` sets that width. Quantiles of several processes cannot be merged but histograms can, so
/// prefer those.
///
/// ```
/// use throughline::summary;
/// summary!("job.duration", unit = "ms", scale = 4).record(31);
/// ```
#[macro_export]
macro_rules! summary {
    ($name:literal as f64 $(, $($options:tt)*)?) => { $crate::__metric!(FloatSummary $name [] [] [] [] [] [] [] $($($options)*)?) };
    ($name:literal as f32 $(, $($options:tt)*)?) => { $crate::__metric!(FloatSummary $name [] [] [] [] [] [] [] $($($options)*)?) };
    ($name:literal $(, $($options:tt)*)?) => { $crate::__metric!(Summary $name [] [] [] [] [] [] [] $($($options)*)?) };
    ($($other:tt)*) => { $crate::__metric_without_name!("summary!") };
}

/// Counters with run-time labels. `capacity` is the number of label sets that are kept apart; all further
/// sets are counted together. The other options are `unit` and `description`, as in
/// [`counter!`](crate::counter!). The options may come in any order.
///
/// ```
/// use throughline::counter_family;
/// let requests = counter_family!("http.requests", labels = ["route", "status"], capacity = 32);
/// requests.add(["/login", "200"], 1);
/// ```
#[macro_export]
macro_rules! counter_family {
    ($name:literal $(, $($options:tt)*)?) => { $crate::__metric!(CounterFamily $name [] [] [] [] [] [] [] $($($options)*)?) };
    ($($other:tt)*) => { $crate::__metric_without_name!("counter_family!") };
}

/// Up-down counters with run-time labels; see [`counter_family!`](crate::counter_family!).
///
/// ```
/// use throughline::up_down_counter_family;
/// up_down_counter_family!("connections.open", labels = ["peer"], capacity = 8).add(["10.0.0.7"], -1);
/// ```
#[macro_export]
macro_rules! up_down_counter_family {
    ($name:literal $(, $($options:tt)*)?) => { $crate::__metric!(UpDownCounterFamily $name [] [] [] [] [] [] [] $($($options)*)?) };
    ($($other:tt)*) => { $crate::__metric_without_name!("up_down_counter_family!") };
}

/// Gauges with run-time labels; see [`counter_family!`](crate::counter_family!) and [`gauge!`](crate::gauge!).
///
/// ```
/// use throughline::gauge_family;
/// gauge_family!("queue.depth", labels = ["queue"], capacity = 8).set(["mail"], 17);
/// ```
#[macro_export]
macro_rules! gauge_family {
    ($name:literal $(, $($options:tt)*)?) => { $crate::__metric!(GaugeFamily $name [] [] [] [] [] [] [] $($($options)*)?) };
    ($($other:tt)*) => { $crate::__metric_without_name!("gauge_family!") };
}

/// Histograms with run-time labels; see [`counter_family!`](crate::counter_family!) and [`histogram!`](crate::histogram!).
///
/// ```
/// use throughline::histogram_family;
/// histogram_family!("query.duration", labels = ["table"], capacity = 8, unit = "us").record(["users"], 320);
/// ```
#[macro_export]
macro_rules! histogram_family {
    ($name:literal as f64 $(, $($options:tt)*)?) => { $crate::__metric!(FloatHistogramFamily $name [] [] [] [] [] [] [] $($($options)*)?) };
    ($name:literal as f32 $(, $($options:tt)*)?) => { $crate::__metric!(FloatHistogramFamily $name [] [] [] [] [] [] [] $($($options)*)?) };
    ($name:literal $(, $($options:tt)*)?) => { $crate::__metric!(HistogramFamily $name [] [] [] [] [] [] [] $($($options)*)?) };
    ($($other:tt)*) => { $crate::__metric_without_name!("histogram_family!") };
}
