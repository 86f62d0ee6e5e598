//! What the integration tests share: a strict OTLP receiver, and a server of gRPC.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

#[cfg(feature = "grpc")]
pub mod grpc;
pub mod receiver;
