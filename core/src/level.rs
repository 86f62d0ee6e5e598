//! Severity of a callsite, and the two minimum levels: one set at compile time, one at run time.

use core::sync::atomic::{AtomicU8, Ordering};

/// The severity of a span or event. Ordered: `Trace < Debug < Info < Warn < Error`.
///
/// ```
/// use throughline::Level;
/// assert!(Level::Warn > Level::Info);
/// assert_eq!("warn".parse(), Ok(Level::Warn));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
#[repr(u8)]
pub enum Level {
    /// Step-by-step detail.
    Trace = 1,
    /// Useful to the developers of the code.
    Debug = 2,
    /// Useful to the operators of the program. The default level of a span.
    Info = 3,
    /// Something that needs a look.
    Warn = 4,
    /// Something failed.
    Error = 5,
}

impl Level {
    /// [`Level::Trace`] as `tracing` spells it.
    pub const TRACE: Level = Level::Trace;
    /// [`Level::Debug`] as `tracing` spells it.
    pub const DEBUG: Level = Level::Debug;
    /// [`Level::Info`] as `tracing` spells it.
    pub const INFO: Level = Level::Info;
    /// [`Level::Warn`] as `tracing` spells it.
    pub const WARN: Level = Level::Warn;
    /// [`Level::Error`] as `tracing` spells it.
    pub const ERROR: Level = Level::Error;

    /// The level with this number, 1 to 5, as callsites store it; `None` for any other number.
    pub const fn from_u8(n: u8) -> Option<Level> {
        match n {
            1 => Some(Level::Trace),
            2 => Some(Level::Debug),
            3 => Some(Level::Info),
            4 => Some(Level::Warn),
            5 => Some(Level::Error),
            _ => None,
        }
    }

    /// The name in capitals, as logs show it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Trace => "TRACE",
            Level::Debug => "DEBUG",
            Level::Info => "INFO",
            Level::Warn => "WARN",
            Level::Error => "ERROR",
        }
    }
}

impl core::fmt::Display for Level {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Returned when a text is not the name of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseLevelError;

impl core::fmt::Display for ParseLevelError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("not a level; use trace, debug, info, warn or error")
    }
}

impl core::error::Error for ParseLevelError {}

impl core::str::FromStr for Level {
    type Err = ParseLevelError;
    fn from_str(s: &str) -> Result<Self, ParseLevelError> {
        [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error]
            .into_iter()
            .find(|l| s.eq_ignore_ascii_case(l.as_str()))
            .ok_or(ParseLevelError)
    }
}

/// The compile-time minimum level: callsites below it are left out of the binary. The final build sets it,
/// never a library, with the environment variable `THROUGHLINE_LEVEL` (`trace`, `debug`, `info`, `warn`,
/// `error` or `off`), best in `[env]` of `.cargo/config.toml`. When it is unset, every level is compiled in.
pub const STATIC_MIN: u8 = static_min(option_env!("THROUGHLINE_LEVEL"));

const fn static_min(text: Option<&str>) -> u8 {
    let Some(text) = text else { return Level::Trace as u8 };
    match text.as_bytes() {
        b"" | b"trace" => 1,
        b"debug" => 2,
        b"info" => 3,
        b"warn" => 4,
        b"error" => 5,
        b"off" => 6,
        _ => panic!("THROUGHLINE_LEVEL must be trace, debug, info, warn, error or off"),
    }
}

/// The run-time minimum as a [`Level`]'s number; 6 is off. It starts at 0, which lets everything through as 1
/// does, so that the static lies in zero-initialised memory.
static MIN: AtomicU8 = AtomicU8::new(0);

/// Sets the run-time minimum. [`set_min_level`](crate::set_min_level) then updates the callsites.
pub(crate) fn set_min(level: Option<Level>) {
    MIN.store(level.map_or(6, |l| l as u8), Ordering::Relaxed);
}

/// The run-time minimum, to compare with a callsite's level.
#[inline(always)]
pub(crate) fn min() -> u8 {
    MIN.load(Ordering::Relaxed)
}

#[cfg(feature = "tracing-core")]
mod tracing_conversions {
    use super::Level;

    impl From<tracing_core::Level> for Level {
        fn from(level: tracing_core::Level) -> Self {
            match level {
                tracing_core::Level::TRACE => Level::Trace,
                tracing_core::Level::DEBUG => Level::Debug,
                tracing_core::Level::INFO => Level::Info,
                tracing_core::Level::WARN => Level::Warn,
                tracing_core::Level::ERROR => Level::Error,
            }
        }
    }

    impl From<Level> for tracing_core::Level {
        fn from(level: Level) -> Self {
            match level {
                Level::Trace => tracing_core::Level::TRACE,
                Level::Debug => tracing_core::Level::DEBUG,
                Level::Info => tracing_core::Level::INFO,
                Level::Warn => tracing_core::Level::WARN,
                Level::Error => tracing_core::Level::ERROR,
            }
        }
    }
}
