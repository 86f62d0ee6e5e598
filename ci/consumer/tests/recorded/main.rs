//! Runs the expansions and asserts what they recorded: names, levels, values with their types, status, and in which span.

mod attributes;
mod calls;
mod functions;
mod futures;
mod harness;
mod metrics;
