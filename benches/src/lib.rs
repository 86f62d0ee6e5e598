//! What a bench run says, and whether it is good enough.
//!
//! A run is a [`Report`]: where and when it was made, and one [`Row`] per figure. The bench binaries
//! (`benches/compare` here, the firmware benches beside it) produce rows; [`budget`] holds the table every
//! `throughline` row is judged by; [`Report::to_json`] and [`Report::to_markdown`] write it down,
//! [`Report::to_svg`] draws it. What is exact of it is compared with a committed [`Baseline`].
//!
//! This library measures nothing itself and depends on nothing but serde, so that whoever only collects
//! figures does not build the peers.

pub mod baseline;
pub mod budget;
pub mod estimates;
pub mod machine;
pub mod markdown;
pub mod plot;
pub mod report;

pub use baseline::Baseline;
pub use budget::{BUDGETS, Bound, Budget, Ratio, judge};
pub use machine::Machine;
pub use report::{LIMIT, Report, Row, SUBJECT, Unit};
