//! Log records in the forms that operators collect: lines of text or JSON in rotated files, syslog, and the
//! journal.
//!
//! [`Lines`] writes lines: a [`Format`] is their form, and a [`RollingFile`] is their destination. [`Syslog`]
//! and `Journald` send to the system's own log, [`Loki`] and [`Elastic`] to databases. A [`Filter`] selects the
//! records for each of them.

mod elastic;
mod file;
mod filter;
mod format;
#[cfg(unix)]
mod journald;
mod lines;
mod loki;
mod syslog;
mod syslog_socket;

pub use elastic::Elastic;
pub use file::{Period, RollingFile, RollingWriter};
pub use filter::{Filter, FilterError};
pub use format::Format;
pub(crate) use format::nanos as format_nanos;
#[cfg(unix)]
pub use journald::Journald;
pub(crate) use lines::LineBatch;
pub use lines::Lines;
pub use loki::Loki;
pub use syslog::{Syslog, SyslogTarget, SyslogTargetError};
