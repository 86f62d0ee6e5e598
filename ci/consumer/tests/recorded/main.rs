//! Runs the expansions and asserts their records: names, levels, typed values, statuses and spans.

mod attributes;
mod calls;
mod functions;
mod futures;
mod harness;
mod idioms;
mod metrics;
