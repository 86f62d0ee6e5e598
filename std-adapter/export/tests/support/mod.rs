//! Support for the integration tests: a strict OTLP receiver.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

pub mod receiver;
