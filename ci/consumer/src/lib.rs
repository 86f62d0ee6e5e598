//! A user of `throughline`, as strict as users are: no std, no `unsafe`, and every macro in every shape. What it records when it is run is
//! asserted in `tests/recorded.rs`.

#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::pedantic)]
#![allow(
    clippy::many_single_char_names,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    clippy::result_unit_err,
    reason = "functions here are as short as their shapes allow"
)]

pub mod expansions;
