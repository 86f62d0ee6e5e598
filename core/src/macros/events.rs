//! Recording events.

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
        if let ::core::option::Option::Some(callsite) = $crate::__enabled!($level, $crate::__private::Meta {
            kind: $crate::__private::Kind::Event,
            level: $crate::__private::Level::$level as u8,
            name: $message,
            target: ::core::module_path!(),
            file: ::core::file!(),
            line: ::core::line!(),
            fields: $crate::__names!([] $($before)* $($($fields)*)?),
            ..$crate::__private::Meta::EMPTY
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
