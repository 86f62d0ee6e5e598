//! A user of `throughline`, as strict as users are: no std, no `unsafe`, and every macro in every shape. What it records when it is run is
//! asserted in `tests/recorded.rs`.

#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::pedantic)]

pub mod expansions;
