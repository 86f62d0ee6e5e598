//! Field lists: their names for the callsite, their values for the record, and fields that are added later.

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
            $crate::__private::Span::add(&$span, callsite, &$crate::__values!([] $($fields)+))
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __fields_callsite {
    ($($fields:tt)+) => {
        // Fields belong to a span that is already recorded, so no level of their own can turn them off.
        $crate::__enabled!(Error, $crate::__private::Meta {
            kind: $crate::__private::Kind::Fields,
            level: $crate::__private::Level::Error as u8,
            target: ::core::module_path!(),
            file: ::core::file!(),
            line: ::core::line!(),
            fields: $crate::__names!([] $($fields)+),
            ..$crate::__private::Meta::EMPTY
        })
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
