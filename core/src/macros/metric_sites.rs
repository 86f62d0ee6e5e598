//! The expansion of the metric macros: they sort the options into lists, report mistakes, and then define
//! statics.

/// Sorts the options of a metric into lists: scale, fraction bits, unit, description, constant labels, keys
/// of run-time labels, capacity.
#[doc(hidden)]
#[macro_export]
macro_rules! __metric {
    ($kind:ident $name:literal [] $fraction:tt $unit:tt $text:tt $labels:tt $keys:tt $capacity:tt scale = $scale:expr $(, $($rest:tt)*)?) => {
        $crate::__metric!($kind $name [$scale] $fraction $unit $text $labels $keys $capacity $($($rest)*)?)
    };
    ($kind:ident $name:literal $scale:tt [] $unit:tt $text:tt $labels:tt $keys:tt $capacity:tt fraction_bits = $fraction:expr $(, $($rest:tt)*)?) => {
        $crate::__metric!($kind $name $scale [$fraction] $unit $text $labels $keys $capacity $($($rest)*)?)
    };
    ($kind:ident $name:literal $scale:tt $fraction:tt [] $text:tt $labels:tt $keys:tt $capacity:tt unit = $unit:literal $(, $($rest:tt)*)?) => {
        $crate::__metric!($kind $name $scale $fraction [$unit] $text $labels $keys $capacity $($($rest)*)?)
    };
    ($kind:ident $name:literal $scale:tt $fraction:tt $unit:tt [] $labels:tt $keys:tt $capacity:tt description = $text:literal $(, $($rest:tt)*)?) => {
        $crate::__metric!($kind $name $scale $fraction $unit [$text] $labels $keys $capacity $($($rest)*)?)
    };
    ($kind:ident $name:literal $scale:tt $fraction:tt $unit:tt $text:tt $labels:tt [] $capacity:tt labels = [$($key:literal),+ $(,)?] $(, $($rest:tt)*)?) => {
        $crate::__metric!($kind $name $scale $fraction $unit $text $labels [$($key,)+] $capacity $($($rest)*)?)
    };
    ($kind:ident $name:literal $scale:tt $fraction:tt $unit:tt $text:tt $labels:tt $keys:tt [] capacity = $capacity:expr $(, $($rest:tt)*)?) => {
        $crate::__metric!($kind $name $scale $fraction $unit $text $labels $keys [$capacity] $($($rest)*)?)
    };

    // A known option that is repeated or has an invalid value.
    ($kind:ident $name:literal $scale:tt $fraction:tt $unit:tt $text:tt $labels:tt $keys:tt $capacity:tt scale = $($rest:tt)*) => {
        ::core::compile_error!("`scale` can be given only once: `scale = 3`")
    };
    ($kind:ident $name:literal $scale:tt $fraction:tt $unit:tt $text:tt $labels:tt $keys:tt $capacity:tt fraction_bits = $($rest:tt)*) => {
        ::core::compile_error!("`fraction_bits` can be given only once: `fraction_bits = 16`")
    };
    ($kind:ident $name:literal $scale:tt $fraction:tt $unit:tt $text:tt $labels:tt $keys:tt $capacity:tt unit = $($rest:tt)*) => {
        ::core::compile_error!("`unit` can be given only once, as a literal: `unit = \"ms\"`; to define a label of that name, write `\"unit\" = \"…\"`")
    };
    ($kind:ident $name:literal $scale:tt $fraction:tt $unit:tt $text:tt $labels:tt $keys:tt $capacity:tt description = $($rest:tt)*) => {
        ::core::compile_error!("`description` can be given only once, as a literal: `description = \"…\"`; to define a label of that name, write `\"description\" = \"…\"`")
    };
    ($kind:ident $name:literal $scale:tt $fraction:tt $unit:tt $text:tt $labels:tt $keys:tt $capacity:tt labels = $($rest:tt)*) => {
        ::core::compile_error!("`labels` can be given only once, as the keys of a family's labels: `labels = [\"route\", \"status\"]`; give the values when counting: `.add([\"/login\", \"200\"], 1)`")
    };
    ($kind:ident $name:literal $scale:tt $fraction:tt $unit:tt $text:tt $labels:tt $keys:tt $capacity:tt capacity = $($rest:tt)*) => {
        ::core::compile_error!("`capacity` can be given only once: `capacity = 32`")
    };

    // Constant labels, with `=` or, as in the crate `metrics`, with `=>`.
    ($kind:ident $name:literal $scale:tt $fraction:tt $unit:tt $text:tt $labels:tt $keys:tt $capacity:tt $k:literal => $($rest:tt)*) => {
        $crate::__metric!($kind $name $scale $fraction $unit $text $labels $keys $capacity $k = $($rest)*)
    };
    ($kind:ident $name:literal $scale:tt $fraction:tt $unit:tt $text:tt [$($labels:tt)*] $keys:tt $capacity:tt $k:ident $(. $ks:ident)* = $v:literal $(, $($rest:tt)*)?) => {
        $crate::__metric!($kind $name $scale $fraction $unit $text [$($labels)* (::core::concat!(::core::stringify!($k) $(, ".", ::core::stringify!($ks))*), ::core::concat!($v)),] $keys $capacity $($($rest)*)?)
    };
    ($kind:ident $name:literal $scale:tt $fraction:tt $unit:tt $text:tt [$($labels:tt)*] $keys:tt $capacity:tt $k:literal = $v:literal $(, $($rest:tt)*)?) => {
        $crate::__metric!($kind $name $scale $fraction $unit $text [$($labels)* ($k, ::core::concat!($v)),] $keys $capacity $($($rest)*)?)
    };
    ($kind:ident $name:literal $scale:tt $fraction:tt $unit:tt $text:tt $labels:tt $keys:tt $capacity:tt $k:ident $(. $ks:ident)* = $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "the value of the label `", ::core::stringify!($k) $(, ".", ::core::stringify!($ks))*, "` is not a literal, but a label given here must be a constant; for values known only at run time use a family: `counter_family!(\"",
            $name, "\", labels = [\"", ::core::stringify!($k) $(, ".", ::core::stringify!($ks))*, "\"], capacity = 16).add([value], 1)`"
        ))
    };
    ($kind:ident $name:literal $scale:tt $fraction:tt $unit:tt $text:tt $labels:tt $keys:tt $capacity:tt $k:literal = $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "the value of the label `", $k, "` is not a literal, but a label given here must be a constant; for values known only at run time use a family: `counter_family!(\"",
            $name, "\", labels = [\"", $k, "\"], capacity = 16).add([value], 1)`"
        ))
    };

    // No options are left, or one is unknown.
    ($kind:ident $name:literal $scale:tt $fraction:tt $unit:tt $text:tt $labels:tt $keys:tt $capacity:tt) => {
        $crate::__metric_site!($kind $name $scale $fraction $unit $text $labels $keys $capacity)
    };
    ($kind:ident $name:literal $scale:tt $fraction:tt $unit:tt $text:tt $labels:tt $keys:tt $capacity:tt $($other:tt)+) => {
        ::core::compile_error!(::core::concat!(
            "`", ::core::stringify!($($other)+), "` is not an option of a metric: the options after the name are `unit = \"…\"`, `description = \"…\"`, labels `key = \"value\"`, for histograms `scale = 0` to `4`, and for families `labels = [\"…\"]` and `capacity = 16`, separated by commas"
        ))
    };
}

/// Reports that the first argument of a metric macro is not the metric's name.
#[doc(hidden)]
#[macro_export]
macro_rules! __metric_without_name {
    ($macro:literal) => {
        ::core::compile_error!(::core::concat!(
            "the first argument must be the metric's name, a string literal: `",
            $macro,
            "(\"requests\", unit = \"{request}\")`; `as f64` may follow it, for metrics that support it"
        ))
    };
}

/// Defines the statics of a metric, and evaluates to the value that the code counts with. Only histograms
/// have scale and fraction bits, and only families have keys and capacity.
#[doc(hidden)]
#[macro_export]
macro_rules! __metric_site {
    (Counter $name:literal [] [] $unit:tt $text:tt $labels:tt [] []) => {
        $crate::__metric_cells!([Counter 0 1] [$crate::__private::Counter::new] $name $unit $text $labels)
    };
    (FloatCounter $name:literal [] [] $unit:tt $text:tt $labels:tt [] []) => {
        $crate::__metric_cells!([Counter 2 $crate::__private::FLOAT_COUNTER_CELLS] [$crate::__private::FloatCounter::new] $name $unit $text $labels)
    };
    (UpDownCounter $name:literal [] [] $unit:tt $text:tt $labels:tt [] []) => {
        $crate::__metric_cells!([UpDownCounter 0 1] [$crate::__private::UpDownCounter::new] $name $unit $text $labels)
    };
    (Gauge $name:literal [] [] $unit:tt $text:tt $labels:tt [] []) => {
        $crate::__metric_home!([0] [$crate::__private::Gauge::new, $crate::__private::Cell] $name $unit $text $labels [] [0])
    };
    (FloatGauge $name:literal [] [] $unit:tt $text:tt $labels:tt [] []) => {
        $crate::__metric_home!([$crate::__private::FLOAT_GAUGE] [$crate::__private::FloatGauge::new, $crate::__private::Cell] $name $unit $text $labels [] [0])
    };
    (Histogram $name:literal [$($scale:expr)?] [] $unit:tt $text:tt $labels:tt [] []) => {
        $crate::__metric_histogram!([$($scale)?] [0] false $name $unit $text $labels)
    };
    (Summary $name:literal [$($scale:expr)?] [] $unit:tt $text:tt $labels:tt [] []) => {
        $crate::__metric_histogram!([$($scale)?] [0] true $name $unit $text $labels)
    };
    (FloatHistogram $name:literal [$($scale:expr)?] $fraction:tt $unit:tt $text:tt $labels:tt [] []) => {
        $crate::__metric_histogram!([$($scale)?] $fraction false $name $unit $text $labels)
    };
    (FloatSummary $name:literal [$($scale:expr)?] $fraction:tt $unit:tt $text:tt $labels:tt [] []) => {
        $crate::__metric_histogram!([$($scale)?] $fraction true $name $unit $text $labels)
    };

    (CounterFamily $name:literal [] [] $unit:tt $text:tt [] [$($keys:literal,)+] [$capacity:expr]) => {
        $crate::__metric_family!([Counter 0 1] [$crate::__private::CounterFamily::<{ [$($keys),+].len() }>::new] $name $unit $text [$($keys,)+] [$capacity])
    };
    (UpDownCounterFamily $name:literal [] [] $unit:tt $text:tt [] [$($keys:literal,)+] [$capacity:expr]) => {
        $crate::__metric_family!([UpDownCounter 0 1] [$crate::__private::UpDownCounterFamily::<{ [$($keys),+].len() }>::new] $name $unit $text [$($keys,)+] [$capacity])
    };
    (GaugeFamily $name:literal [] [] $unit:tt $text:tt [] [$($keys:literal,)+] [$capacity:expr]) => {
        $crate::__metric_home!([0] [$crate::__private::GaugeFamily::<{ [$($keys),+].len() }>::new, $crate::__private::Entry] $name $unit $text [] [$($keys,)+] [$crate::__private::capacity($capacity)])
    };
    (HistogramFamily $name:literal [$($scale:expr)?] [] $unit:tt $text:tt [] [$($keys:literal,)+] [$capacity:expr]) => {
        $crate::__metric_histogram_family!([$($scale)?] [0] $name $unit $text [$($keys,)+] [$capacity])
    };
    (FloatHistogramFamily $name:literal [$($scale:expr)?] $fraction:tt $unit:tt $text:tt [] [$($keys:literal,)+] [$capacity:expr]) => {
        $crate::__metric_histogram_family!([$($scale)?] $fraction $name $unit $text [$($keys,)+] [$capacity])
    };

    // Options that belong to other metrics.
    ($kind:ident $name:literal $scale:tt [$fraction:expr] $unit:tt $text:tt $labels:tt $keys:tt $capacity:tt) => {
        ::core::compile_error!("`fraction_bits` is an option of histograms and summaries `as f64`; to define a label of that name, write `\"fraction_bits\" = \"…\"`")
    };
    ($kind:ident $name:literal $scale:tt $fraction:tt $unit:tt $text:tt [($k:expr, $v:expr), $($labels:tt)*] [$($keys:literal,)+] $capacity:tt) => {
        ::core::compile_error!(::core::concat!("a family has no option and no constant label `", $k, "`: its options are `labels = [\"…\"]`, `capacity`, `unit`, `description`, and for histograms `scale`; put the label's key in `labels` and give its value when counting"))
    };
    ($kind:ident $name:literal $scale:tt $fraction:tt $unit:tt $text:tt $labels:tt [] [$capacity:expr]) => {
        ::core::compile_error!("`capacity` is an option of families, which also need `labels = [\"…\"]`: `counter_family!(\"requests\", labels = [\"route\"], capacity = 16)`")
    };
    ($kind:ident $name:literal $scale:tt $fraction:tt $unit:tt $text:tt $labels:tt [$($keys:literal,)+] []) => {
        ::core::compile_error!("`labels = […]` is an option of families, which also need `capacity`, the number of label sets to keep apart: `counter_family!(\"requests\", labels = [\"route\"], capacity = 16)`")
    };
    ($kind:ident $name:literal [$scale:expr] $fraction:tt $unit:tt $text:tt $labels:tt [] []) => {
        ::core::compile_error!("`scale` is an option of histograms and summaries; to define a label of that name, write `\"scale\" = \"…\"`")
    };
    ($kind:ident $name:literal [$scale:expr] $fraction:tt $unit:tt $text:tt $labels:tt $keys:tt $capacity:tt) => {
        ::core::compile_error!("`scale` is an option of histograms and summaries")
    };
    ($kind:ident $name:literal [] $fraction:tt $unit:tt $text:tt $labels:tt [] []) => {
        ::core::compile_error!("a family needs `labels = [\"…\"]`, the keys of its labels, and `capacity`, the number of label sets to keep apart: `counter_family!(\"requests\", labels = [\"route\"], capacity = 16)`")
    };
    ($kind:ident $name:literal $scale:tt $fraction:tt $unit:tt $text:tt $labels:tt $keys:tt $capacity:tt) => {
        ::core::compile_error!("`labels = […]` and `capacity` are options of families: `counter_family!(\"requests\", labels = [\"route\"], capacity = 16)`")
    };
}

/// A metric with constant labels that has cells at every callsite.
#[doc(hidden)]
#[macro_export]
macro_rules! __metric_cells {
    ([$kind:ident $param:tt $cells:expr] [$($new:tt)*] $name:literal $unit:tt $text:tt $labels:tt) => {{
        static __TL_CELLS: [$crate::__private::Cell; $cells] = [const { $crate::__private::Cell::new(0) }; $cells];
        $crate::__metric_entry!(__TL_ENTRY, &__TL_CELLS, &[], $crate::__metric_meta!($kind $param $name $unit $text $labels []));
        $($new)*($crate::__private::Metric::new(&__TL_CELLS, $crate::__metric_keep!(__TL_ENTRY)))
    }};
}

/// A gauge or a family of gauges: all its callsites use the cells of one of them.
#[doc(hidden)]
#[macro_export]
macro_rules! __metric_home {
    ([$param:expr] [$new:path, $of:ty] $name:literal $unit:tt $text:tt $labels:tt $keys:tt [$capacity:expr]) => {{
        const __TL_CAPACITY: ::core::primitive::usize = $capacity;
        static __TL_CELLS: [$crate::__private::Cell; __TL_CAPACITY + 1] =
            [const { $crate::__private::Cell::new(0) }; __TL_CAPACITY + 1];
        static __TL_KEYS: [$crate::__private::SeriesKey; __TL_CAPACITY] =
            [const { $crate::__private::SeriesKey::new() }; __TL_CAPACITY];
        static __TL_HOME: $crate::__private::Home<$of> = $crate::__private::Home::new();
        $crate::__metric_entry!(__TL_ENTRY, &__TL_CELLS, &__TL_KEYS, $crate::__metric_meta!(Gauge ($param) $name $unit $text $labels $keys));
        $new(&__TL_ENTRY, &__TL_HOME)
    }};
}

/// A histogram or a summary with constant labels.
#[doc(hidden)]
#[macro_export]
macro_rules! __metric_histogram {
    ([$($scale:expr)?] [$($fraction:expr)?] $summary:literal $name:literal [$($unit:literal)?] $text:tt $labels:tt) => {{
        const __TL_SCALE: ::core::primitive::u32 = $crate::__private::scale_or_default(&[$($scale)?]);
        const __TL_FRACTION: ::core::primitive::u32 = $crate::__private::fraction_bits_or_default(&[$($fraction)?]);
        const __TL_PARAM: ::core::primitive::u8 = $crate::__private::histogram_param(__TL_SCALE, __TL_FRACTION, $summary);
        const __TL_UNIT: ::core::primitive::u64 = $crate::__private::nanoseconds_in(::core::concat!($($unit)?));
        $crate::__metric_cells!(
            [Histogram __TL_PARAM $crate::__private::histogram_cells(__TL_SCALE)]
            [$crate::__private::Histogram::<__TL_SCALE, __TL_UNIT, __TL_FRACTION>::new] $name [$($unit)?] $text $labels
        )
    }};
}

/// A family that has cells at every callsite.
#[doc(hidden)]
#[macro_export]
macro_rules! __metric_family {
    ([$kind:ident $param:tt $cells:expr] [$($new:tt)*] $name:literal $unit:tt $text:tt $keys:tt [$capacity:expr]) => {{
        const __TL_CAPACITY: ::core::primitive::usize = $crate::__private::capacity($capacity);
        static __TL_CELLS: [$crate::__private::Cell; ($cells) * (__TL_CAPACITY + 1)] =
            [const { $crate::__private::Cell::new(0) }; ($cells) * (__TL_CAPACITY + 1)];
        static __TL_KEYS: [$crate::__private::SeriesKey; __TL_CAPACITY] =
            [const { $crate::__private::SeriesKey::new() }; __TL_CAPACITY];
        $crate::__metric_entry!(__TL_ENTRY, &__TL_CELLS, &__TL_KEYS, $crate::__metric_meta!($kind $param $name $unit $text [] $keys));
        $($new)*($crate::__private::Metric::new(&__TL_CELLS, $crate::__metric_keep!(__TL_ENTRY)), &__TL_KEYS)
    }};
}

/// A family of histograms.
#[doc(hidden)]
#[macro_export]
macro_rules! __metric_histogram_family {
    ([$($scale:expr)?] [$($fraction:expr)?] $name:literal [$($unit:literal)?] $text:tt $keys:tt $capacity:tt) => {{
        const __TL_SCALE: ::core::primitive::u32 = $crate::__private::scale_or_default(&[$($scale)?]);
        const __TL_FRACTION: ::core::primitive::u32 = $crate::__private::fraction_bits_or_default(&[$($fraction)?]);
        const __TL_PARAM: ::core::primitive::u8 = $crate::__private::histogram_param(__TL_SCALE, __TL_FRACTION, false);
        const __TL_UNIT: ::core::primitive::u64 = $crate::__private::nanoseconds_in(::core::concat!($($unit)?));
        $crate::__metric_family!(
            [Histogram __TL_PARAM $crate::__private::histogram_cells(__TL_SCALE)]
            [$crate::__private::HistogramFamily::<__TL_SCALE, { $keys.len() }, __TL_UNIT, __TL_FRACTION>::new] $name [$($unit)?] $text $keys $capacity
        )
    }};
}

/// The description of a metric's callsite.
#[doc(hidden)]
#[macro_export]
macro_rules! __metric_meta {
    ($kind:ident $param:tt $name:literal [$($unit:literal)?] [$($text:literal)?] [$($labels:tt)*] [$($keys:tt)*]) => {
        $crate::__private::Meta {
            kind: $crate::__private::Kind::$kind,
            param: $param,
            name: $name,
            target: ::core::module_path!(),
            file: ::core::file!(),
            line: ::core::line!(),
            unit: ::core::concat!($($unit)?),
            description: ::core::concat!($($text)?),
            fields: &[$($keys)*],
            labels: &[$($labels)*],
            ..$crate::__private::Meta::EMPTY
        }.with_checked_labels()
    };
}
