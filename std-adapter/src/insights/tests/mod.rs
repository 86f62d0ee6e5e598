//! The engine on streams that are known: what is planted is found with its traces, and nothing in steady traffic.

mod bounds;
mod lines;
mod planted;
mod steady;
mod traffic;
