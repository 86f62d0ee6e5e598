//! The macros that record events.

/// Records an event at the given [`Level`](crate::Level): a message, and fields as in [`span!`](crate::span!)
/// before or after it.
///
/// # The message
///
/// Placeholders are written as in `format!`: `{ms}` shows the variable `ms` or the field of that name, `{}`
/// the next value after the message, and `{0}` the first one. A format may follow a colon, as in `{:?}`,
/// `{took:.1}`, `{mask:#010x}` or `{name:>8}`. Every value shown is also a field: a variable under its own
/// name, any other expression as `arg0`, `arg1` and so on, by its position. The message may be left out if
/// there are fields.
///
/// The message stays in the binary. The reader of the record fills it in and applies the formats, so
/// formatting costs the running code nothing. This holds for numbers, `bool`, `char`, text, IP addresses and
/// (with `{:?}`) `Duration`. A value of another type is formatted when the event is recorded, and recorded as
/// text. A width or precision must be a number: `{:width$}` and `{:.*}` do not compile.
///
/// # Options
///
/// Options come first, in any order: `target: "…"` replaces the module's path; `parent: &span` (or a
/// [`Context`](crate::Context)) replaces the current span, and `parent: None` means no span; `name: "…"` is
/// the event's name as in OpenTelemetry.
///
/// ```
/// use throughline::{event, info};
/// let (celsius, ms) = (21.25, 12);
/// event!(Warn, "temperature {celsius:.1} °C is high");
/// event!(Level::WARN, unit = "bar", "pressure {} is high", 7.5_f32);
/// info!("took {ms} ms", cached = true);
/// info!(target: "audit", name: "user.login", "user {} came in", 3 + 4);
/// ```
///
/// A message that cannot be filled in does not compile:
///
/// ```compile_fail
/// throughline::info!("temperature {celsius} °C");
/// ```
#[macro_export]
macro_rules! event {
    ($($input:tt)*) => { $crate::__private::__event_call!([$crate] [] $($input)*) };
}

/// Records an event at `Trace`; see [`event!`](crate::event!).
#[macro_export]
macro_rules! trace {
    ($($input:tt)*) => { $crate::__private::__event_call!([$crate] [Trace] $($input)*) };
}

/// Records an event at `Debug`; see [`event!`](crate::event!).
#[macro_export]
macro_rules! debug {
    ($($input:tt)*) => { $crate::__private::__event_call!([$crate] [Debug] $($input)*) };
}

/// Records an event at `Info`; see [`event!`](crate::event!).
#[macro_export]
macro_rules! info {
    ($($input:tt)*) => { $crate::__private::__event_call!([$crate] [Info] $($input)*) };
}

/// Records an event at `Warn`; see [`event!`](crate::event!).
#[macro_export]
macro_rules! warn {
    ($($input:tt)*) => { $crate::__private::__event_call!([$crate] [Warn] $($input)*) };
}

/// Records an event at `Error`; see [`event!`](crate::event!).
#[macro_export]
macro_rules! error {
    ($($input:tt)*) => { $crate::__private::__event_call!([$crate] [Error] $($input)*) };
}

/// Whether an event of this level would be recorded here and now. Use it to skip work that only such an event
/// needs. An adapter's filter by target uses `target: "…"` if given, else the module's path.
///
/// ```
/// use throughline::{debug, enabled};
/// if enabled!(Debug) {
///     let state: Vec<u32> = (0..3).collect();
///     debug!("all of it", ?state);
/// }
/// ```
#[macro_export]
macro_rules! enabled {
    ($($input:tt)*) => { $crate::__private::__enabled_call!([$crate] [] $($input)*) };
}
