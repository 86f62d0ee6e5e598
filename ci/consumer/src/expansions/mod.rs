//! Every macro in every form, one file for each kind. They are also compiled as a part of
//! `edition-2021/lib.rs`.

#![allow(missing_docs, reason = "a function here is its own description")]

pub mod attributes;
pub mod events;
pub mod features;
pub mod fields;
pub mod functions;
pub mod hygiene;
pub mod idioms;
pub mod metrics;
pub mod shadowed;
pub mod spans;
