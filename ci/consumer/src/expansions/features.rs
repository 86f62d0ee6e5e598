//! What each feature adds, used under that feature; and, under none, what must be there all the same.

use throughline::{Clock, Level, TraceContext, info};

pub const CLOCK: Clock = Clock::mock();

pub fn always() {
    let here: Option<TraceContext> = throughline::current();
    throughline::set_min_level(Some(Level::Trace));
    info!("here", traced = here.is_some());
}

#[cfg(feature = "std")]
pub fn with_std() {
    extern crate std;
    let owned = std::string::String::from("owned");
    info!("owned", owned, borrowed = &owned);
    owned_argument(owned);
}

#[cfg(feature = "std")]
#[throughline::instrument]
fn owned_argument(text: std::string::String) {}

#[cfg(feature = "postcard")]
pub fn with_postcard() {
    info!("reading", reading = throughline::Postcard((3_u8, "x")), borrowed = throughline::Postcard(&[1_u16, 2]));
}

/// Implements `serde`'s trait only if the crate does.
#[cfg(feature = "serde")]
pub fn with_serde() -> impl Sized {
    (Level::Info, throughline::Status::Ok, throughline::StaticStr("x"))
}

#[cfg(feature = "tracing-core")]
pub fn with_tracing_core() {
    assert_eq!(Level::from(tracing_core::Level::WARN), Level::Warn);
    assert_eq!(tracing_core::Level::from(Level::Debug), tracing_core::Level::DEBUG);
}

#[cfg(feature = "embassy-time")]
pub const EMBASSY: Clock = Clock::embassy();
