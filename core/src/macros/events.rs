//! Recording events.

/// Records an event at the given [`Level`](crate::Level): a message, and fields as in [`span!`](crate::span!), before or after it.
///
/// # The message
///
/// It has placeholders as `format!` has: `{ms}` shows the variable `ms`, or the field of that name; `{}` the next of the values after the message, `{0}` the
/// first; after a colon stands the format, as in `{:?}`, `{took:.1}`, `{mask:#010x}` or `{name:>8}`. Whatever it shows is a field, too: a variable under its
/// own name, any other expression as `arg0`, `arg1`, …, by its place. There may be no message, just fields.
///
/// The message stays in the binary, and whoever reads the record fills it in and applies the formats, so that formatting costs the running code
/// nothing. This holds for numbers, `bool`, `char`, text, IP addresses and (with `{:?}`) `Duration`. A value of another type is recorded as the text
/// that the placeholder makes of it, when the event is recorded. A width or a precision must be a number: `{:width$}` and `{:.*}` do not compile.
///
/// # Options
///
/// Before all else may come, in any order: `target: "…"` in place of the module's path; `parent: &span` (or a [`Context`](crate::Context)) in place of
/// the current span, or `parent: None`; `name: "…"`, the event's name as OpenTelemetry has it.
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
/// What cannot be shown does not compile:
///
/// ```compile_fail
/// throughline::info!("temperature {celsius} °C");
/// ```
#[macro_export]
macro_rules! event {
    ($($input:tt)*) => { $crate::__private::__event_call!([$crate] [] $($input)*) };
}

/// An event at `Trace`; see [`event!`](crate::event!).
#[macro_export]
macro_rules! trace {
    ($($input:tt)*) => { $crate::__private::__event_call!([$crate] [Trace] $($input)*) };
}

/// An event at `Debug`; see [`event!`](crate::event!).
#[macro_export]
macro_rules! debug {
    ($($input:tt)*) => { $crate::__private::__event_call!([$crate] [Debug] $($input)*) };
}

/// An event at `Info`; see [`event!`](crate::event!).
#[macro_export]
macro_rules! info {
    ($($input:tt)*) => { $crate::__private::__event_call!([$crate] [Info] $($input)*) };
}

/// An event at `Warn`; see [`event!`](crate::event!).
#[macro_export]
macro_rules! warn {
    ($($input:tt)*) => { $crate::__private::__event_call!([$crate] [Warn] $($input)*) };
}

/// An event at `Error`; see [`event!`](crate::event!).
#[macro_export]
macro_rules! error {
    ($($input:tt)*) => { $crate::__private::__event_call!([$crate] [Error] $($input)*) };
}

/// Whether an event of this level would be recorded here and now: for work that is needed only for one. An adapter's filter by target heeds
/// `target: "…"`, else the module's path.
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
