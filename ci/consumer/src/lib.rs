//! A user of `throughline` with strict requirements: no std, no `unsafe`, and every macro in every form.
//! `tests/recorded` asserts what it records.

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
