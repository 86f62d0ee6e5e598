//! The macros a user calls. Each makes a callsite in the binary and one call; field names go into the callsite, values into the record.
//!
//! Field values may be evaluated even where the record is then not made, so they should have no side effects.

/// Begins a span, which ends when the returned [`Span`](crate::Span) is dropped.
///
/// Before the name may come, in any order: `level: Debug` ([`Level`](crate::Level); `Info` else), `kind: Server`
/// ([`SpanKind`](crate::SpanKind)), `root: true` (a trace of its own, whatever is current). After it, at most 15 fields: `name = value`,
/// `name = %display`, `name = ?debug`, where the name may be `dotted.words` or `"any text"`, or a variable by itself: `value`, `%value`, `?value`.
/// Levels may also be written as `tracing` does, `Level::DEBUG`, before the name too.
///
/// ```
/// use throughline::span;
/// let channel = 3;
/// let _span = span!("read_sensor", channel, gain = 1.5_f32);
/// let _inner = span!(level: Debug, kind: Client, "spi.transfer", bytes = 12);
/// ```
#[macro_export]
macro_rules! span {
    (Level::$level:ident, $($input:tt)+) => { $crate::__span!([$level] [Internal] [false] $($input)+) };
    ($(::)? throughline::Level::$level:ident, $($input:tt)+) => { $crate::__span!([$level] [Internal] [false] $($input)+) };
    ($($input:tt)+) => { $crate::__span!([Info] [Internal] [false] $($input)+) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __span {
    ([$level:ident] $kind:tt $root:tt level: Level::$new:ident, $($rest:tt)+) => { $crate::__span!([$new] $kind $root $($rest)+) };
    ([$level:ident] $kind:tt $root:tt level: $new:ident, $($rest:tt)+) => { $crate::__span!([$new] $kind $root $($rest)+) };
    ($level:tt [$kind:ident] $root:tt kind: SpanKind::$new:ident, $($rest:tt)+) => { $crate::__span!($level [$new] $root $($rest)+) };
    ($level:tt [$kind:ident] $root:tt kind: $new:ident, $($rest:tt)+) => { $crate::__span!($level [$new] $root $($rest)+) };
    ($level:tt $kind:tt [$root:tt] root: $new:tt, $($rest:tt)+) => { $crate::__span!($level $kind [$new] $($rest)+) };
    ([$level:ident] [$kind:ident] [$root:tt] $name:expr $(, $($fields:tt)*)?) => {
        match $crate::__enabled!($level, $crate::callsite::Meta {
            kind: $crate::callsite::Kind::Span,
            level: $crate::Level::$level as u8,
            span_kind: $crate::SpanKind::$kind,
            name: $name,
            target: ::core::module_path!(),
            file: ::core::file!(),
            line: ::core::line!(),
            fields: $crate::__names!([] $($($fields)*)?),
            ..$crate::callsite::Meta::EMPTY
        }) {
            ::core::option::Option::Some(callsite) => {
                $crate::Span::begin(callsite, $root, &$crate::__values!([] $($($fields)*)?))
            }
            ::core::option::Option::None => $crate::Span::none(),
        }
    };
}

/// Records an event at the given [`Level`](crate::Level): a message, and fields as in [`span!`](crate::span!), before or after it.
///
/// The message is kept in the binary; `{}` in it stands for the next field and `{name}` for that field, filled in by whoever
/// reads the record, so formatting costs the running code nothing. What the message shows must therefore be among the fields: one that is not
/// does not compile. There may be no message, just fields.
///
/// ```
/// use throughline::{event, info};
/// let celsius = 21;
/// event!(Warn, "temperature {celsius} °C is high", celsius);
/// event!(Level::WARN, unit = "bar", "pressure {} is high", 7.5_f32);
/// info!("took {} ms", 12);
/// ```
///
/// ```compile_fail
/// let celsius = 21;
/// throughline::info!("temperature {celsius} °C");
/// ```
#[macro_export]
macro_rules! event {
    (Level::$level:ident, $($input:tt)+) => { $crate::__event!($level [] $($input)+) };
    ($(::)? throughline::Level::$level:ident, $($input:tt)+) => { $crate::__event!($level [] $($input)+) };
    ($level:ident, $($input:tt)+) => { $crate::__event!($level [] $($input)+) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __event {
    ($level:ident [$($before:tt)*] $k:literal = % $v:expr $(, $($rest:tt)*)?) => { $crate::__event!($level [$($before)* $k = % $v,] $($($rest)*)?) };
    ($level:ident [$($before:tt)*] $k:literal = ? $v:expr $(, $($rest:tt)*)?) => { $crate::__event!($level [$($before)* $k = ? $v,] $($($rest)*)?) };
    ($level:ident [$($before:tt)*] $k:literal = $v:expr $(, $($rest:tt)*)?) => { $crate::__event!($level [$($before)* $k = $v,] $($($rest)*)?) };
    ($level:ident [$($before:tt)*] $message:literal $(, $($fields:tt)*)?) => {
        if let ::core::option::Option::Some(callsite) = $crate::__enabled!($level, $crate::callsite::Meta {
            kind: $crate::callsite::Kind::Event,
            level: $crate::Level::$level as u8,
            name: $message,
            target: ::core::module_path!(),
            file: ::core::file!(),
            line: ::core::line!(),
            fields: $crate::__names!([] $($before)* $($($fields)*)?),
            ..$crate::callsite::Meta::EMPTY
        }.with_checked_message()) {
            $crate::__private::event(callsite, &$crate::__values!([] $($before)* $($($fields)*)?))
        }
    };
    ($level:ident [$($before:tt)*] $($k:ident).+ = % $v:expr $(, $($rest:tt)*)?) => { $crate::__event!($level [$($before)* $($k).+ = % $v,] $($($rest)*)?) };
    ($level:ident [$($before:tt)*] $($k:ident).+ = ? $v:expr $(, $($rest:tt)*)?) => { $crate::__event!($level [$($before)* $($k).+ = ? $v,] $($($rest)*)?) };
    ($level:ident [$($before:tt)*] $($k:ident).+ = $v:expr $(, $($rest:tt)*)?) => { $crate::__event!($level [$($before)* $($k).+ = $v,] $($($rest)*)?) };
    ($level:ident [$($before:tt)*] % $($k:ident).+ $(, $($rest:tt)*)?) => { $crate::__event!($level [$($before)* % $($k).+,] $($($rest)*)?) };
    ($level:ident [$($before:tt)*] ? $($k:ident).+ $(, $($rest:tt)*)?) => { $crate::__event!($level [$($before)* ? $($k).+,] $($($rest)*)?) };
    ($level:ident [$($before:tt)*] $($k:ident).+ $(, $($rest:tt)*)?) => { $crate::__event!($level [$($before)* $($k).+,] $($($rest)*)?) };
    // No message.
    ($level:ident [$($before:tt)+]) => { $crate::__event!($level [$($before)+] "") };
}

/// An event at `Trace`; see [`event!`](crate::event!).
#[macro_export]
macro_rules! trace { ($($input:tt)+) => { $crate::event!(Trace, $($input)+) }; }

/// An event at `Debug`; see [`event!`](crate::event!).
#[macro_export]
macro_rules! debug { ($($input:tt)+) => { $crate::event!(Debug, $($input)+) }; }

/// An event at `Info`; see [`event!`](crate::event!).
#[macro_export]
macro_rules! info { ($($input:tt)+) => { $crate::event!(Info, $($input)+) }; }

/// An event at `Warn`; see [`event!`](crate::event!).
#[macro_export]
macro_rules! warn { ($($input:tt)+) => { $crate::event!(Warn, $($input)+) }; }

/// An event at `Error`; see [`event!`](crate::event!).
#[macro_export]
macro_rules! error { ($($input:tt)+) => { $crate::event!(Error, $($input)+) }; }

/// Adds fields to a running span; they need not have been declared. `record!(current, …)` adds to whatever span is current.
///
/// ```
/// use throughline::{record, span};
/// let span = span!("query");
/// record!(span, rows = 42, cached = true);
/// record!(current, shard = 3);
/// ```
#[macro_export]
macro_rules! record {
    (current, $($fields:tt)+) => {
        if let ::core::option::Option::Some(callsite) = $crate::__fields_callsite!($($fields)+) {
            $crate::__private::add_to_current(callsite, &$crate::__values!([] $($fields)+))
        }
    };
    ($span:expr, $($fields:tt)+) => {
        if let ::core::option::Option::Some(callsite) = $crate::__fields_callsite!($($fields)+) {
            $crate::Span::add(&$span, callsite, &$crate::__values!([] $($fields)+))
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __fields_callsite {
    ($($fields:tt)+) => {
        // Fields belong to a span that is already recorded, so no level of their own can turn them off.
        $crate::__enabled!(Error, $crate::callsite::Meta {
            kind: $crate::callsite::Kind::Fields,
            level: $crate::Level::Error as u8,
            target: ::core::module_path!(),
            file: ::core::file!(),
            line: ::core::line!(),
            fields: $crate::__names!([] $($fields)+),
            ..$crate::callsite::Meta::EMPTY
        })
    };
}

/// The id of a callsite made on the spot, if it is compiled in and on.
#[doc(hidden)]
#[macro_export]
macro_rules! __enabled {
    ($level:ident, $meta:expr) => {
        if $crate::Level::$level as u8 >= $crate::level::STATIC_MIN {
            $crate::__callsite!($crate::Level::$level as u8, $meta)
        } else {
            ::core::option::Option::None
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __blob {
    ($meta:expr) => {{
        // Items have no hygiene: a name that the user might also give to a constant would hide it from `$meta`.
        const __TL_META: $crate::callsite::Meta = $meta;
        #[cfg_attr(any(target_os = "none", target_os = "linux"), unsafe(link_section = ".throughline"))]
        static __TL_BLOB: [u8; __TL_META.encoded_len()] = __TL_META.blob();
        &__TL_BLOB
    }};
}

#[cfg(registered_callsites)]
#[doc(hidden)]
#[macro_export]
macro_rules! __callsite {
    ($level:expr, $meta:expr) => {{
        static __TL_CALLSITE: $crate::callsite::Callsite =
            $crate::callsite::Callsite::new($crate::__blob!($meta), $level);
        __TL_CALLSITE.enabled()
    }};
}

#[cfg(not(registered_callsites))]
#[doc(hidden)]
#[macro_export]
macro_rules! __callsite {
    ($level:expr, $meta:expr) => {
        ::core::option::Option::Some($crate::callsite::Callsite::of($crate::__blob!($meta), $level))
    };
}

/// The names of fields, as a slice.
#[doc(hidden)]
#[macro_export]
macro_rules! __names {
    ([$($done:tt)*]) => { &[$($done)*] };
    ([$($done:tt)*] $key:literal = $(%)? $(?)? $v:expr $(, $($rest:tt)*)?) => { $crate::__names!([$($done)* $key,] $($($rest)*)?) };
    ([$($done:tt)*] $k:ident $(. $ks:ident)* = % $v:expr $(, $($rest:tt)*)?) => { $crate::__names!([$($done)* $crate::__private::name(::core::concat!(::core::stringify!($k) $(, ".", ::core::stringify!($ks))*)),] $($($rest)*)?) };
    ([$($done:tt)*] $k:ident $(. $ks:ident)* = ? $v:expr $(, $($rest:tt)*)?) => { $crate::__names!([$($done)* $crate::__private::name(::core::concat!(::core::stringify!($k) $(, ".", ::core::stringify!($ks))*)),] $($($rest)*)?) };
    ([$($done:tt)*] $k:ident $(. $ks:ident)* = $v:expr $(, $($rest:tt)*)?) => { $crate::__names!([$($done)* $crate::__private::name(::core::concat!(::core::stringify!($k) $(, ".", ::core::stringify!($ks))*)),] $($($rest)*)?) };
    ([$($done:tt)*] % $v:expr $(, $($rest:tt)*)?) => { $crate::__names!([$($done)* $crate::__private::name(::core::stringify!($v)),] $($($rest)*)?) };
    ([$($done:tt)*] ? $v:expr $(, $($rest:tt)*)?) => { $crate::__names!([$($done)* $crate::__private::name(::core::stringify!($v)),] $($($rest)*)?) };
    ([$($done:tt)*] $v:expr $(, $($rest:tt)*)?) => { $crate::__names!([$($done)* $crate::__private::name(::core::stringify!($v)),] $($($rest)*)?) };
}

/// The values of fields, as a tuple.
#[doc(hidden)]
#[macro_export]
macro_rules! __values {
    ([$($done:tt)*]) => { ($($done)*) };
    ([$($done:tt)*] $key:literal = % $v:expr $(, $($rest:tt)*)?) => { $crate::__values!([$($done)* $crate::__private::Display(&$v),] $($($rest)*)?) };
    ([$($done:tt)*] $key:literal = ? $v:expr $(, $($rest:tt)*)?) => { $crate::__values!([$($done)* $crate::__private::Debug(&$v),] $($($rest)*)?) };
    ([$($done:tt)*] $key:literal = $v:expr $(, $($rest:tt)*)?) => { $crate::__values!([$($done)* &$v,] $($($rest)*)?) };
    ([$($done:tt)*] $k:ident $(. $ks:ident)* = % $v:expr $(, $($rest:tt)*)?) => { $crate::__values!([$($done)* $crate::__private::Display(&$v),] $($($rest)*)?) };
    ([$($done:tt)*] $k:ident $(. $ks:ident)* = ? $v:expr $(, $($rest:tt)*)?) => { $crate::__values!([$($done)* $crate::__private::Debug(&$v),] $($($rest)*)?) };
    ([$($done:tt)*] $k:ident $(. $ks:ident)* = $v:expr $(, $($rest:tt)*)?) => { $crate::__values!([$($done)* &$v,] $($($rest)*)?) };
    ([$($done:tt)*] % $v:expr $(, $($rest:tt)*)?) => { $crate::__values!([$($done)* $crate::__private::Display(&$v),] $($($rest)*)?) };
    ([$($done:tt)*] ? $v:expr $(, $($rest:tt)*)?) => { $crate::__values!([$($done)* $crate::__private::Debug(&$v),] $($($rest)*)?) };
    ([$($done:tt)*] $v:expr $(, $($rest:tt)*)?) => { $crate::__values!([$($done)* &$v,] $($($rest)*)?) };
}

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
        $crate::__metric!(Counter, 0, [$crate::metrics::Counter::new] $name [] [] [] [] $($($options)*)?)
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
        $crate::__metric!(UpDownCounter, 0, [$crate::metrics::UpDownCounter::new] $name [] [] [] [] $($($options)*)?)
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
        $crate::__metric!(Gauge, (if usize::BITS == 64 { 2 } else { 1 }), [$crate::metrics::FloatGauge::new] $name [] [] [] [] $($($options)*)?)
    };
    ($name:literal $(, $($options:tt)*)?) => {
        $crate::__metric!(Gauge, 0, [$crate::metrics::Gauge::new] $name [] [] [] [] $($($options)*)?)
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
        $crate::__metric!(Histogram, 2, [$crate::metrics::Histogram::<{ __TL_SCALE }>::new] $name [] [] [] [] $($($options)*)?)
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
        $crate::__family!(Counter, 0, [$crate::metrics::CounterFamily::new] $name [$($label,)+] [$capacity] [] [] $($($options)*)?)
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
        $crate::__family!(Histogram, 2, [$crate::metrics::HistogramFamily::<{ __TL_SCALE }, _>::new] $name [$($label,)+] [$capacity] [] [] $($($options)*)?)
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
        const __TL_CELLS: usize = $crate::__private::cells($crate::callsite::Kind::$kind, __TL_SCALE);
        static __TL_CELL: [$crate::__private::Cell; __TL_CELLS] = [const { $crate::__private::Cell::new(0) }; __TL_CELLS];
        $crate::__metric_entry!(__TL_ENTRY, $kind, &__TL_CELL, &[], $crate::callsite::Meta {
            kind: $crate::callsite::Kind::$kind,
            param: __TL_SCALE as u8,
            name: $name,
            target: ::core::module_path!(),
            file: ::core::file!(),
            line: ::core::line!(),
            unit: ::core::concat!($($unit)?),
            description: ::core::concat!($($text)?),
            labels: &[$($labels)*],
            ..$crate::callsite::Meta::EMPTY
        });
        $($new)*($crate::metrics::Metric::new(&__TL_CELL, $crate::__metric_keep!(__TL_ENTRY)))
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
        const __TL_CELLS: usize = $crate::__private::cells($crate::callsite::Kind::$kind, __TL_SCALE) * (__TL_CAPACITY + 1);
        static __TL_CELL: [$crate::__private::Cell; __TL_CELLS] = [const { $crate::__private::Cell::new(0) }; __TL_CELLS];
        static __TL_KEYS: [$crate::metrics::SeriesKey; __TL_CAPACITY] = [const { $crate::metrics::SeriesKey::new() }; __TL_CAPACITY];
        $crate::__metric_entry!(__TL_ENTRY, $kind, &__TL_CELL, &__TL_KEYS, $crate::callsite::Meta {
            kind: $crate::callsite::Kind::$kind,
            param: __TL_SCALE as u8,
            name: $name,
            target: ::core::module_path!(),
            file: ::core::file!(),
            line: ::core::line!(),
            unit: ::core::concat!($($unit)?),
            description: ::core::concat!($($text)?),
            fields: &[$($labels)*],
            ..$crate::callsite::Meta::EMPTY
        });
        $($new)*($crate::metrics::Metric::new(&__TL_CELL, $crate::__metric_keep!(__TL_ENTRY)), &__TL_KEYS)
    }};
}

#[cfg(registered_callsites)]
#[doc(hidden)]
#[macro_export]
macro_rules! __metric_entry {
    ($entry:ident, $kind:ident, $cells:expr, $keys:expr, $meta:expr) => {
        static $entry: $crate::__private::Entry =
            $crate::__private::Entry::new($crate::__blob!($meta), $cells, $keys);
    };
}

#[cfg(registered_callsites)]
#[doc(hidden)]
#[macro_export]
macro_rules! __metric_keep {
    ($entry:ident) => {
        &$entry
    };
}

#[cfg(not(registered_callsites))]
#[doc(hidden)]
#[macro_export]
macro_rules! __metric_entry {
    ($entry:ident, $kind:ident, $cells:expr, $keys:expr, $meta:expr) => {
        #[unsafe(link_section = "throughline_metrics")]
        static $entry: $crate::__private::Entry = {
            const __TL_ENTRY_META: $crate::callsite::Meta = $meta;
            $crate::__private::Entry::new(
                $crate::__blob!(__TL_ENTRY_META),
                $cells,
                $keys,
                __TL_ENTRY_META.kind as u8,
                __TL_ENTRY_META.param,
                __TL_ENTRY_META.fields.len() as u8,
            )
        };
    };
}

/// A function that refers to a metric's entry by a relocation of type NONE and is otherwise empty. Rejected: a reference in the
/// entry's own register, which costs an instruction or two per count; `#[used]`, which the linker's garbage collection does not heed.
#[cfg(not(registered_callsites))]
#[doc(hidden)]
#[macro_export]
macro_rules! __metric_keep {
    ($entry:ident) => {{
        fn keep() {
            $crate::__metric_reloc!($entry)
        }
        keep
    }};
}

#[cfg(all(not(registered_callsites), target_arch = "arm"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __metric_reloc {
    ($entry:ident) => {
        // SAFETY: assembles to nothing.
        unsafe {
            ::core::arch::asm!(
                ".reloc ., R_ARM_NONE, {}",
                sym $entry,
                options(nomem, nostack, preserves_flags)
            )
        }
    };
}

#[cfg(all(not(registered_callsites), target_arch = "riscv32"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __metric_reloc {
    ($entry:ident) => {
        // SAFETY: assembles to nothing.
        unsafe {
            ::core::arch::asm!(
                ".reloc ., R_RISCV_NONE, {}",
                sym $entry,
                options(nomem, nostack, preserves_flags)
            )
        }
    };
}

/// On other architectures the entry's address passes through a register.
#[cfg(all(not(registered_callsites), not(any(target_arch = "arm", target_arch = "riscv32"))))]
#[doc(hidden)]
#[macro_export]
macro_rules! __metric_reloc {
    ($entry:ident) => {
        _ = ::core::hint::black_box(&$entry)
    };
}
