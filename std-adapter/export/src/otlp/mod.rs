//! OTLP: encodes views as protobuf, without intermediate objects, and sends the bytes to a collector over
//! HTTP, as JSON, or over gRPC.
//!
//! [`TraceEncoder`], [`LogEncoder`] and [`MetricEncoder`] each build one request. They write the resource and
//! each scope once and append views as they come. [`finish`](TraceEncoder::finish) returns the body of the
//! request, which [`Client::send`] delivers.

mod attempt;
mod client;
mod compress;
mod config;
mod delivery;
mod encode;
mod exporter;
mod file;
#[cfg(feature = "grpc")]
mod grpc;
mod http;
pub(crate) mod json;
pub(crate) mod protobuf;
mod protocol;
mod response;
mod temporality;
mod tls;
pub(crate) mod token;
mod url;

pub(crate) use encode::severity_number;

pub use client::{Client, ClientStats, Delivered, SendError};
pub use compress::Compression;
pub use config::{ClientConfig, ConfigError};
pub use encode::{
    AttributeLimits, Counts, Histograms, LogEncoder, MetricEncoder, Options, Site, TraceEncoder,
    process_context,
};
pub use exporter::OtlpExporter;
pub use file::OtlpFile;
pub use json::to_json;
pub use protocol::{Protocol, Signal};
pub use temporality::Temporality;
pub use tls::Tls;
pub use token::TokenSource;
