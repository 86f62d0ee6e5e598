//! Log records as operators collect them: lines of text or JSON, in files that begin anew.
//!
//! [`Lines`] is the exporter; a [`Format`] says what a line looks like, a [`Filter`] which records it takes, a [`RollingFile`] where it goes.

mod file;
mod filter;
mod format;
mod lines;

pub use file::{Period, RollingFile, RollingWriter};
pub use filter::{Filter, FilterError};
pub use format::Format;
pub use lines::Lines;
