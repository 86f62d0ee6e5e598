//! Encodes views as OTLP protobuf, directly into reusable buffers. The messages are those of
//! opentelemetry-proto 1.x. Field numbers are written as the tag bytes that go on the wire, with the names of
//! the fields in comments.

pub(super) mod attribute;
mod explicit;
mod limits;
mod logs;
mod metrics;
pub(super) mod out;
mod process_context;
mod proto;
mod request;
mod site;
mod trace;
mod unique;

pub use explicit::Histograms;
pub use limits::{AttributeLimits, Counts, Options};
pub use logs::LogEncoder;
pub use metrics::MetricEncoder;
pub use process_context::process_context;
pub use site::Site;
pub(crate) use site::severity_number;
pub use trace::TraceEncoder;
