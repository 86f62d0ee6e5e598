//! The macros a user calls. Each makes a callsite in the binary and one call; field names go into the callsite, values into the record.
//!
//! Field values may be evaluated even where the record is then not made, so they should have no side effects.

mod callsites;
mod entries;
mod events;
mod fields;
mod metric_sites;
mod metrics;
mod spans;
