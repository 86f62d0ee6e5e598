//! The macros that users call. Each defines a callsite in the binary and expands to one call. Field names go
//! into the callsite, field values into the record.
//!
//! Field values may be evaluated even if no record is made, so they should have no side effects.

mod callsites;
mod entries;
mod events;
mod fields;
mod metric_sites;
mod metrics;
mod observe;
mod red;
mod spans;
mod streams;
