//! OTLP: views to protobuf bytes without objects in between, and protobuf bytes to a collector over HTTP.
//!
//! [`TraceEncoder`], [`LogEncoder`] and [`MetricEncoder`] each keep one buffer. The resource and the scope are written into it once,
//! views are appended as they come, and [`finish`](TraceEncoder::finish) gives the body of a request, which [`Client::send`] delivers.

mod client;
mod encode;
mod endpoint;
mod exporter;
mod response;

pub use client::{Client, ClientStats, Delivered, SendError};
pub use encode::{AttributeLimits, Counts, LogEncoder, MetricEncoder, Options, Site, TraceEncoder};
pub use endpoint::{ClientConfig, ConfigError, Signal};
pub use exporter::OtlpExporter;
