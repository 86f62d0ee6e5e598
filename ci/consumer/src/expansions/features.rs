//! What each feature adds, used under that feature, and what must exist without any feature.

extern crate alloc;

use alloc::string::String;
use throughline::{Clock, Level, TraceContext, info};

pub const CLOCK: Clock = Clock::mock();

pub fn always() {
    let here: Option<TraceContext> = throughline::current();
    throughline::set_min_level(Some(Level::Trace));
    info!("here", traced = here.is_some());
}

/// `String` is also an argument's type in libraries without std.
pub fn with_alloc() {
    owned_argument(String::from("owned"), alloc::string::String::new());
}

#[throughline::instrument]
#[allow(clippy::needless_pass_by_value)]
fn owned_argument(text: String, empty: alloc::string::String) {}

#[cfg(feature = "std")]
pub fn with_std() {
    let owned = String::from("owned");
    info!("owned", owned, borrowed = &owned);
}

#[cfg(feature = "postcard")]
pub fn with_postcard() {
    info!(
        "reading",
        reading = throughline::Postcard((3_u8, "x")),
        borrowed = throughline::Postcard(&[1_u16, 2])
    );
}

#[cfg(feature = "serde")]
pub fn with_serde() {
    fn is<T: serde::Serialize>(_: T) {}
    is(Level::Info);
    is(throughline::Status::Ok);
    is(throughline::SpanKind::Server);
    is(throughline::StaticStr("x"));
}

#[cfg(feature = "defmt")]
pub fn with_defmt() {
    fn is<T: defmt::Format>(_: T) {}
    is(Level::Info);
    is(throughline::Status::Ok);
    is(throughline::SpanKind::Server);
    is(throughline::StaticStr("x"));
}

#[cfg(feature = "tracing-core")]
pub fn with_tracing_core() {
    assert_eq!(Level::from(tracing_core::Level::WARN), Level::Warn);
    assert_eq!(tracing_core::Level::from(Level::Debug), tracing_core::Level::DEBUG);
}

#[cfg(feature = "embassy-time")]
pub fn with_futures_core<S: futures_core::Stream>(stream: S) -> impl futures_core::Stream<Item = S::Item> {
    throughline::Instrument::instrument(stream, throughline::span!("stream"))
}

#[cfg(feature = "embassy-time")]
pub const EMBASSY: Clock = Clock::embassy();
