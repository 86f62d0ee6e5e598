//! Throughline on servers.

pub mod message;
pub mod otlp;
pub mod terminal;
pub mod view;
