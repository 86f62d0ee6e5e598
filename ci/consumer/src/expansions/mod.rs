//! Every macro in every shape, a file for each kind. Also compiled as part of `tests/edition_2021.rs`.

#![allow(missing_docs, reason = "a function here is its own description")]

pub mod attributes;
pub mod events;
pub mod features;
pub mod fields;
pub mod functions;
pub mod hygiene;
pub mod metrics;
pub mod shadowed;
pub mod spans;
