//! A thermostat, written and instrumented once. The firmware in `examples/firmware` and the service in
//! `examples/server` link this crate unchanged, and both show the same traces and metrics.
//!
//! It depends on `throughline` without features and on no adapter. It does not allocate, and it knows neither
//! interrupts nor threads:
//!
//! ```text
//!  Controller::run ──▶ Samples::read ──request──▶ SampleIsr (timer interrupt on a microcontroller, a thread on a server)
//!        ▲                   ▲                        │ on_sample_ready(raw)
//!        │                   └──────── queue ◀────────┘
//!   Sensor::measure (filter, calibration, faults)
//! ```
//!
//! A request for a sample carries the current span. So records of the interrupt belong to the round that
//! asked for the sample, whatever code was interrupted.
//!
//! | what | where |
//! |---|---|
//! | spans, nested and in an interrupt | [`adc`], [`sensor`], [`control`] |
//! | async spans, with busy and idle time | [`control`] |
//! | a failed span with its error | [`sensor::Fault`] |
//! | counter, up-down counter, gauge, histogram, run-time labels | `adc`, `sensor`, `control` |
//!
//! With the same [`plant::Plant`], two runs make the same records except for their times; `cargo xtask demo`
//! compares them.

#![no_std]

#[cfg(test)]
extern crate std;

pub mod adc;
pub mod control;
pub mod executor;
pub mod plant;
pub mod scenario;
pub mod sensor;

pub use adc::{Adc, Channel, Sample, SampleIsr, Samples};
pub use control::{Controller, Summary};
pub use plant::Plant;
pub use sensor::{Fault, Sensor};
