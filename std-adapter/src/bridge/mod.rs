//! Bridges from the APIs that existing code has: what they share. Each bridge is a feature, and makes the same
//! records as this library's own macros.

#[cfg(any(feature = "log", feature = "opentelemetry", feature = "tracing"))]
mod elsewhere;
mod install;
#[cfg(feature = "log")]
pub(crate) mod log;
#[cfg(any(feature = "log", feature = "tracing"))]
mod message;
#[cfg(feature = "metrics")]
pub(crate) mod metrics;
#[cfg(feature = "opentelemetry")]
pub(crate) mod opentelemetry;
#[cfg(any(feature = "metrics", feature = "opentelemetry"))]
mod room;
#[cfg(feature = "tracing")]
pub(crate) mod tracing;

pub(crate) mod table;

pub(crate) use install::Bridges;

use std::sync::atomic::{AtomicUsize, Ordering};
#[cfg(any(feature = "log", feature = "tracing"))]
use throughline::Level;
use throughline::adapter::bridge;
#[cfg(any(feature = "log", feature = "tracing"))]
use throughline::adapter::callsite::{Kind, Meta};

/// Fields that found no room in their record.
static LEFT_OUT: AtomicUsize = AtomicUsize::new(0);

/// Counts fields that found no room in their record.
#[cfg(any(feature = "log", feature = "opentelemetry", feature = "tracing"))]
pub(crate) fn leave_out(fields: usize) {
    if fields > 0 {
        LEFT_OUT.fetch_add(fields, Ordering::Relaxed);
    }
}

/// Whether a span or an event of this target and level is recorded, for those who ask before it has a callsite.
#[cfg(any(feature = "log", feature = "tracing"))]
pub(crate) fn would_record(kind: Kind, target: &str, level: Level) -> bool {
    // Fields have no filter, so their callsites tell the least level alone.
    macro_rules! is_on {
        ($($level:ident)*) => {
            match level {
                $(Level::$level => throughline::__enabled!($level, Meta {
                    kind: Kind::Fields,
                    level: Level::$level as u8,
                    target: "throughline_std::bridge",
                    ..Meta::EMPTY
                }),)*
            }
        };
    }
    let is_on = is_on!(Trace Debug Info Warn Error).is_some();
    is_on && crate::config::filter::takes(kind, target, level)
}

/// While it lives, a record is being written on this thread. The code of a value may make records too.
#[cfg(any(feature = "log", feature = "tracing"))]
pub(crate) struct Deeper(());

#[cfg(any(feature = "log", feature = "tracing"))]
impl Deeper {
    /// A record that is made while so many others are being written comes from a value that makes one whenever it is
    /// shown, which would never end.
    const DEEPEST: u32 = 8;

    /// `None`, and the record is counted as left out, if it is too deep.
    pub(crate) fn enter() -> Option<Deeper> {
        let depth = DEPTH.get();
        if depth == Self::DEEPEST {
            leave_out(1);
            return None;
        }
        DEPTH.set(depth + 1);
        Some(Deeper(()))
    }
}

#[cfg(any(feature = "log", feature = "tracing"))]
impl Drop for Deeper {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

#[cfg(any(feature = "log", feature = "tracing"))]
thread_local! {
    /// How many [`Deeper`] live on this thread.
    static DEPTH: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// What bridges could not keep apart or record so far, by name.
pub(crate) fn losses() -> [(&'static str, usize); 3] {
    let (callsites, metrics) = bridge::refused();
    #[cfg(any(feature = "metrics", feature = "opentelemetry"))]
    let metrics = metrics + room::refused();
    #[cfg(feature = "opentelemetry")]
    let callsites = callsites + opentelemetry::refused();
    let metrics = metrics + crate::conventions::refused();
    [("callsite", callsites), ("metric", metrics), ("field", LEFT_OUT.load(Ordering::Relaxed))]
}

/// Changes when [`described`] may give something else than before.
pub(crate) fn descriptions() -> usize {
    #[cfg(feature = "metrics")]
    return metrics::descriptions();
    #[cfg(not(feature = "metrics"))]
    0
}

/// Unit and description of a metric that was described apart from its series; empty if it was not.
pub(crate) fn described(name: &str) -> (&'static str, &'static str) {
    #[cfg(feature = "metrics")]
    return metrics::described(name).unwrap_or_default();
    #[cfg(not(feature = "metrics"))]
    {
        let _ = name;
        ("", "")
    }
}
