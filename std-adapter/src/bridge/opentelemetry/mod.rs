//! The bridge from the API of OpenTelemetry: tracers, meters, loggers, context and propagation.

mod context;
mod instrument;
mod logs;
mod meter;
mod propagator;
mod site;
mod span;
mod trace;
mod value;

pub use context::{Observer, current_context};
pub use logs::{LogRecord, Logger, LoggerProvider};
pub use meter::MeterProvider;
pub use propagator::Propagator;
pub(crate) use site::refused;
pub use span::Span;
pub use trace::{Tracer, TracerProvider};

/// Makes all of it OpenTelemetry's global ones. Returns false if contexts cannot be followed, because another observer
/// of them was there first.
pub(crate) fn install() -> bool {
    use opentelemetry::global;
    context::follow();
    global::set_tracer_provider(TracerProvider);
    global::set_meter_provider(MeterProvider);
    global::set_text_map_propagator(Propagator::default());
    context::is_followed()
}
