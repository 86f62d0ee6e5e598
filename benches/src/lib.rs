//! The data of a bench run, and the judgement whether it is good enough.
//!
//! A run is a [`Report`]: where and when it was made, and one [`Row`] per figure. The bench binaries
//! (`benches/compare` here, and the firmware benches) produce rows. [`budget`] holds the table by which every
//! `throughline` row is judged. [`Report::to_json`] and [`Report::to_markdown`] write a run down,
//! [`Report::to_svg`] draws it. The exact figures are compared with a committed [`Baseline`].
//!
//! This library measures nothing itself and depends only on serde, so that a program that only collects
//! figures need not build the peers.

pub mod baseline;
pub mod budget;
pub mod estimates;
pub mod groups;
pub mod machine;
pub mod markdown;
pub mod plot;
pub mod report;

pub use baseline::Baseline;
pub use budget::{BUDGETS, Bound, Budget, Ratio, judge};
pub use machine::Machine;
pub use report::{LIMIT, Report, Row, SUBJECT, Unit};
