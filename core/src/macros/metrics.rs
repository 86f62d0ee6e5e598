//! Metrics: counters, gauges, histograms, and families of them.

/// A monotonic counter: a static, bound here. After the name may come `unit = "…"` ([UCUM](https://ucum.org), such as `By` or `{request}`),
/// `description = "…"`, and constant labels `key = "value"`.
///
/// ```
/// use throughline::counter;
/// counter!("frames.received", unit = "{frame}", bus = "can0").add(1);
/// ```
#[macro_export]
macro_rules! counter {
    ($name:literal $(, $($options:tt)*)?) => {
        $crate::__metric!(Counter, 0, [$crate::__private::Counter::new] $name [] [] [] [] $($($options)*)?)
    };
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
    ($name:literal $(, $($options:tt)*)?) => {
        $crate::__metric!(UpDownCounter, 0, [$crate::__private::UpDownCounter::new] $name [] [] [] [] $($($options)*)?)
    };
}

/// A last value; `gauge!("name" as f32)` for floats. Options as in [`counter!`](crate::counter!).
///
/// ```
/// use throughline::gauge;
/// gauge!("queue.depth").set(17);
/// gauge!("room.temperature" as f32, unit = "Cel").set(21.5_f32);
/// ```
#[macro_export]
macro_rules! gauge {
    ($name:literal as f32 $(, $($options:tt)*)?) => {
        $crate::__metric!(Gauge, (if usize::BITS == 64 { 2 } else { 1 }), [$crate::__private::FloatGauge::new] $name [] [] [] [] $($($options)*)?)
    };
    ($name:literal $(, $($options:tt)*)?) => {
        $crate::__metric!(Gauge, 0, [$crate::__private::Gauge::new] $name [] [] [] [] $($($options)*)?)
    };
}

/// A distribution of non-negative integers: an exponential histogram with 2^`scale` buckets per power of two, 0 to 4 (2 when not given). Options as in
/// [`counter!`](crate::counter!), and `scale = n`; memory and error per scale are in [`metrics`](mod@crate::metrics).
///
/// ```
/// use throughline::histogram;
/// histogram!("request.duration", unit = "us", scale = 3).record(1250);
/// ```
#[macro_export]
macro_rules! histogram {
    ($name:literal $(, $($options:tt)*)?) => {
        $crate::__metric!(Histogram, 2, [$crate::__private::Histogram::<{ __TL_SCALE }>::new] $name [] [] [] [] $($($options)*)?)
    };
}

/// Counters with run-time labels, at most `capacity` sets of them; more are counted together. Options as in [`counter!`](crate::counter!).
///
/// ```
/// use throughline::counter_family;
/// let requests = counter_family!("http.requests", labels = ["route", "status"], capacity = 32);
/// requests.add(["/login", "200"], 1);
/// ```
#[macro_export]
macro_rules! counter_family {
    ($name:literal, labels = [$($label:literal),+ $(,)?], capacity = $capacity:expr $(, $($options:tt)*)?) => {
        $crate::__family!(Counter, 0, [$crate::__private::CounterFamily::new] $name [$($label,)+] [$capacity] [] [] $($($options)*)?)
    };
}

/// Histograms with run-time labels; see [`counter_family!`](crate::counter_family!) and [`histogram!`](crate::histogram!).
///
/// ```
/// use throughline::histogram_family;
/// histogram_family!("query.duration", labels = ["table"], capacity = 8, unit = "us").record(["users"], 320);
/// ```
#[macro_export]
macro_rules! histogram_family {
    ($name:literal, labels = [$($label:literal),+ $(,)?], capacity = $capacity:expr $(, $($options:tt)*)?) => {
        $crate::__family!(Histogram, 2, [$crate::__private::HistogramFamily::<{ __TL_SCALE }, _>::new] $name [$($label,)+] [$capacity] [] [] $($($options)*)?)
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __metric {
    ($kind:ident, $param:tt, $new:tt $name:literal $labels:tt [] $unit:tt $text:tt scale = $scale:literal $(, $($rest:tt)*)?) => {
        $crate::__metric!($kind, $scale, $new $name $labels [] $unit $text $($($rest)*)?)
    };
    ($kind:ident, $param:tt, $new:tt $name:literal $labels:tt [] [] $text:tt unit = $unit:literal $(, $($rest:tt)*)?) => {
        $crate::__metric!($kind, $param, $new $name $labels [] [$unit] $text $($($rest)*)?)
    };
    ($kind:ident, $param:tt, $new:tt $name:literal $labels:tt [] $unit:tt [] description = $text:literal $(, $($rest:tt)*)?) => {
        $crate::__metric!($kind, $param, $new $name $labels [] $unit [$text] $($($rest)*)?)
    };
    ($kind:ident, $param:tt, $new:tt $name:literal [$($labels:tt)*] [] $unit:tt $text:tt $k:ident $(. $ks:ident)* = $v:literal $(, $($rest:tt)*)?) => {
        $crate::__metric!($kind, $param, $new $name [$($labels)* (::core::concat!(::core::stringify!($k) $(, ".", ::core::stringify!($ks))*), $v),] [] $unit $text $($($rest)*)?)
    };
    ($kind:ident, $param:tt, $new:tt $name:literal [$($labels:tt)*] [] $unit:tt $text:tt $k:literal = $v:literal $(, $($rest:tt)*)?) => {
        $crate::__metric!($kind, $param, $new $name [$($labels)* ($k, $v),] [] $unit $text $($($rest)*)?)
    };
    ($kind:ident, $param:tt, [$($new:tt)*] $name:literal [$($labels:tt)*] [] [$($unit:literal)?] [$($text:literal)?]) => {{
        const __TL_SCALE: u32 = $param;
        const __TL_CELLS: usize = $crate::__private::cells($crate::__private::Kind::$kind, __TL_SCALE);
        static __TL_CELL: [$crate::__private::Cell; __TL_CELLS] = [const { $crate::__private::Cell::new(0) }; __TL_CELLS];
        $crate::__metric_entry!(__TL_ENTRY, $kind, &__TL_CELL, &[], $crate::__private::Meta {
            kind: $crate::__private::Kind::$kind,
            param: __TL_SCALE as u8,
            name: $name,
            target: ::core::module_path!(),
            file: ::core::file!(),
            line: ::core::line!(),
            unit: ::core::concat!($($unit)?),
            description: ::core::concat!($($text)?),
            labels: &[$($labels)*],
            ..$crate::__private::Meta::EMPTY
        });
        $($new)*($crate::__private::Metric::new(&__TL_CELL, $crate::__metric_keep!(__TL_ENTRY)))
    }};
}

#[doc(hidden)]
#[macro_export]
macro_rules! __family {
    ($kind:ident, $param:tt, $new:tt $name:literal $labels:tt $capacity:tt $unit:tt $text:tt scale = $scale:literal $(, $($rest:tt)*)?) => {
        $crate::__family!($kind, $scale, $new $name $labels $capacity $unit $text $($($rest)*)?)
    };
    ($kind:ident, $param:tt, $new:tt $name:literal $labels:tt $capacity:tt [] $text:tt unit = $unit:literal $(, $($rest:tt)*)?) => {
        $crate::__family!($kind, $param, $new $name $labels $capacity [$unit] $text $($($rest)*)?)
    };
    ($kind:ident, $param:tt, $new:tt $name:literal $labels:tt $capacity:tt $unit:tt [] description = $text:literal $(, $($rest:tt)*)?) => {
        $crate::__family!($kind, $param, $new $name $labels $capacity $unit [$text] $($($rest)*)?)
    };
    ($kind:ident, $param:tt, [$($new:tt)*] $name:literal [$($labels:tt)*] [$capacity:expr] [$($unit:literal)?] [$($text:literal)?]) => {{
        const __TL_SCALE: u32 = $param;
        const __TL_CAPACITY: usize = $capacity;
        const __TL_CELLS: usize = $crate::__private::cells($crate::__private::Kind::$kind, __TL_SCALE) * (__TL_CAPACITY + 1);
        static __TL_CELL: [$crate::__private::Cell; __TL_CELLS] = [const { $crate::__private::Cell::new(0) }; __TL_CELLS];
        static __TL_KEYS: [$crate::__private::SeriesKey; __TL_CAPACITY] = [const { $crate::__private::SeriesKey::new() }; __TL_CAPACITY];
        $crate::__metric_entry!(__TL_ENTRY, $kind, &__TL_CELL, &__TL_KEYS, $crate::__private::Meta {
            kind: $crate::__private::Kind::$kind,
            param: __TL_SCALE as u8,
            name: $name,
            target: ::core::module_path!(),
            file: ::core::file!(),
            line: ::core::line!(),
            unit: ::core::concat!($($unit)?),
            description: ::core::concat!($($text)?),
            fields: &[$($labels)*],
            ..$crate::__private::Meta::EMPTY
        });
        $($new)*($crate::__private::Metric::new(&__TL_CELL, $crate::__metric_keep!(__TL_ENTRY)), &__TL_KEYS)
    }};
}
