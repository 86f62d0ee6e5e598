//! Log records as operators collect them: lines of text or JSON, in files that begin anew, syslog, the journal.
//!
//! [`Lines`] writes lines: a [`Format`] says what one looks like, a [`RollingFile`] where it goes. [`Syslog`] and `Journald` send to the system's own log,
//! [`Loki`] and [`Elastic`] to databases.
//! For each of them a [`Filter`] says which records it takes.

mod elastic;
mod file;
mod filter;
mod format;
#[cfg(unix)]
mod journald;
mod lines;
mod loki;
mod syslog;

pub use elastic::Elastic;
pub use file::{Period, RollingFile, RollingWriter};
pub use filter::{Filter, FilterError};
pub use format::Format;
#[cfg(unix)]
pub use journald::Journald;
pub use lines::Lines;
pub use loki::Loki;
pub use syslog::{Syslog, SyslogTarget, SyslogTargetError};
