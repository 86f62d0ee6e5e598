//! Views to OTLP protobuf, straight into one reusable buffer. The messages are those of opentelemetry-proto 1.x; field numbers
//! are written as the tag bytes that go on the wire, each with its name beside it.

pub(super) mod attribute;
mod explicit;
mod limits;
mod logs;
mod metrics;
pub(super) mod out;
mod proto;
mod request;
mod site;
mod trace;
mod unique;

pub use explicit::Histograms;
pub use limits::{AttributeLimits, Counts, Options};
pub use logs::LogEncoder;
pub use metrics::MetricEncoder;
pub use site::Site;
pub use trace::TraceEncoder;
