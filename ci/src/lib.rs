//! Every check and set-up step of the workspace, as subcommands of `cargo xtask`.
//!
//! CI and people run the same commands. Each subcommand is a module with one `run(args)`:
//!
//! | subcommand | module | what it does |
//! |---|---|---|
//! | `setup` | [`setup`] | installs what is missing: Rust targets, nightly Miri, QEMU, Valgrind |
//! | `test` | [`suite`] | every check, two at a time, with a table of results |
//! | `consumer` | [`consumer`] | expands every macro under every feature combination |
//! | `targets` | [`targets`] | builds or checks the libraries for every supported target |
//! | `api` | [`api`] | compares the public items of each crate with the committed listings |
//! | `fuzz` | [`fuzz`] | runs the decoder's fuzz targets |
//! | `interop` | [`interop`] | runs tests against servers that take long to get: Jaeger, Zipkin, … |
//! | `storm`, `sanitize` | [`profiler`] | runs the profiler's tests for long, and under sanitizers |
//! | `mutants` | [`mutants`] | changes the core's code and shows which changes no test notices |
//! | `qemu` | `qemu_suite` | runs firmware in QEMU and decodes what it sends |
//! | `collector` | [`collector`] | builds and runs a real OpenTelemetry Collector |
//! | `instructions` | [`instructions`] | fails when a path is more expensive than its committed baseline |
//! | `weight` | [`weight`] | counts the crates of each feature and times their build, beside OpenTelemetry |
//! | `dashboards` | [`dashboards`] | writes the dashboards and rules of `examples/deploy` |
//! | `demo`, `bench`, `footprint` | [`demo`], [`mod@bench`], [`footprint`] | the end-to-end demo and the measurements |
//!
//! Other subcommands and tests build on these parts: [`process`] runs commands, [`net`] finds and watches
//! loopback ports, and `qemu` boots firmware.

pub mod api;
pub mod bench;
pub mod cli;
pub mod collector;
pub mod consumer;
pub mod dashboards;
pub mod demo;
pub mod fuzz;
pub mod interop;
pub mod mutants;
pub mod net;
pub mod process;
pub mod profiler;
pub mod scratch;
pub mod setup;
pub mod suite;
pub mod targets;
pub mod tree_text;
pub mod weight;
pub mod workspace;

// QEMU's control channels are Unix sockets here, because a path in a private folder, unlike a port number,
// cannot be taken by another process before it is bound.
#[cfg(unix)]
pub mod firmware;
#[cfg(unix)]
pub mod footprint;
#[cfg(unix)]
pub mod instructions;
#[cfg(unix)]
pub mod qemu;
#[cfg(unix)]
pub mod qemu_suite;
