//! The three signals of OTLP and the three protocols that carry them.

use super::ConfigError;
use std::str::FromStr;

/// The kind of records in a request. Each has its own path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Spans, to `/v1/traces`.
    Traces,
    /// Log records, to `/v1/logs`.
    Logs,
    /// Metric points, to `/v1/metrics`.
    Metrics,
}

impl Signal {
    /// All of them.
    pub const ALL: [Signal; 3] = [Signal::Traces, Signal::Logs, Signal::Metrics];

    /// The name in the path, such as `traces`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Signal::Traces => "traces",
            Signal::Logs => "logs",
            Signal::Metrics => "metrics",
        }
    }

    /// The path of its gRPC method.
    pub(super) const fn method(self) -> &'static str {
        match self {
            Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        }
    }
}

/// How requests are encoded and carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// Protobuf bodies over HTTP/1.1, usually on port 4318.
    #[default]
    HttpProtobuf,
    /// JSON bodies over HTTP/1.1, usually on port 4318. They are three times as large, so use them only for
    /// receivers that take nothing else.
    HttpJson,
    /// gRPC, usually on port 4317; needs the feature `grpc`, and `grpc-tls` for https.
    Grpc,
}

impl Protocol {
    /// The name in configuration: `http/protobuf`, `http/json`, `grpc`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Protocol::HttpProtobuf => "http/protobuf",
            Protocol::HttpJson => "http/json",
            Protocol::Grpc => "grpc",
        }
    }

    pub(super) fn check(self) -> Result<Protocol, ConfigError> {
        if self == Protocol::Grpc && !cfg!(feature = "grpc") {
            return Err(ConfigError::NotBuilt { what: "protocol `grpc`".into(), feature: "grpc" });
        }
        Ok(self)
    }
}

impl FromStr for Protocol {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Protocol, ConfigError> {
        let all = [Protocol::HttpProtobuf, Protocol::HttpJson, Protocol::Grpc];
        all.into_iter().find(|one| one.as_str() == text).ok_or_else(|| ConfigError::Value {
            what: "protocol",
            value: text.into(),
            expected: "http/protobuf, http/json or grpc",
        })
    }
}
