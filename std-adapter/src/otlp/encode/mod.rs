//! Views to OTLP protobuf, straight into one reusable buffer. The messages are those of opentelemetry-proto 1.x; field numbers
//! are written as the tag bytes that go on the wire, each with its name beside it.

mod batch;
mod logs;
mod metrics;
pub(crate) mod proto;
mod site;
mod trace;

pub use batch::Options;
pub use logs::LogEncoder;
pub use metrics::MetricEncoder;
pub use site::Site;
pub use trace::TraceEncoder;
