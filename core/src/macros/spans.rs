//! Beginning a span.

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
        match $crate::__enabled!($level, $crate::__private::Meta {
            kind: $crate::__private::Kind::Span,
            level: $crate::__private::Level::$level as u8,
            span_kind: $crate::__private::SpanKind::$kind,
            name: $name,
            target: ::core::module_path!(),
            file: ::core::file!(),
            line: ::core::line!(),
            fields: $crate::__names!([] $($($fields)*)?),
            ..$crate::__private::Meta::EMPTY
        }) {
            ::core::option::Option::Some(callsite) => {
                $crate::__private::Span::begin(callsite, $root, &$crate::__values!([] $($($fields)*)?))
            }
            ::core::option::Option::None => $crate::__private::Span::none(),
        }
    };
}
