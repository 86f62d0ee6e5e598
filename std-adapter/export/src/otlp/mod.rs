//! OTLP: views to protobuf bytes without objects in between, and protobuf bytes to a collector, as they are, as JSON or over gRPC.
//!
//! [`TraceEncoder`], [`LogEncoder`] and [`MetricEncoder`] each keep one buffer. The resource and the scope are written into it once,
//! views are appended as they come, and [`finish`](TraceEncoder::finish) gives the body of a request, which [`Client::send`] delivers.

mod attempt;
mod client;
mod compress;
mod config;
mod delivery;
mod encode;
mod environment;
mod exporter;
#[cfg(feature = "grpc")]
mod grpc;
mod http;
mod json;
mod protobuf;
mod protocol;
mod response;
mod temporality;
mod tls;

pub use client::{Client, ClientStats, Delivered, SendError};
pub use compress::Compression;
pub use config::{ClientConfig, ConfigError};
pub use encode::{
    AttributeLimits, Counts, Histograms, LogEncoder, MetricEncoder, Options, Site, TraceEncoder,
};
pub use exporter::OtlpExporter;
pub use json::to_json;
pub use protocol::{Protocol, Signal};
pub use temporality::Temporality;
