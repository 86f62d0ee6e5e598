#![doc = include_str!("../README.md")]

#[cfg(feature = "admin")]
pub mod admin;
mod attached;
mod backlog;
pub mod chrome;
pub mod cpu;
mod deadline;
pub mod diagnostics;
pub mod events;
mod exporter;
mod health;
mod histogram;
mod host;
mod http;
mod json;
mod lane;
pub mod ledger;
pub mod log;
mod mask;
pub mod message;
mod meter;
pub mod otlp;
mod outbox;
mod owned;
mod post;
mod process;
pub mod profiles;
#[cfg(feature = "prometheus")]
pub mod prometheus;
mod push;
mod redact;
mod resource;
mod spool;
pub mod terminal;
pub mod text;
pub mod view;
pub mod zipkin;

pub use attached::{Attached, Launch, Limits, Spawn};
pub use deadline::Deadline;
pub use exporter::{ExportError, Exporter, Wants};
pub use health::{Health, Trouble};
pub use host::{Host, ReadMetrics};
pub use lane::{AnyLane, Done, Wake, panic_message};
pub use mask::Mask;
pub use meter::{Meter, Metered, Times};
pub use owned::OwnedRecords;
pub use post::{Post, is_public};
pub use process::Process;
pub use push::PushUrlError;
pub use redact::{REDACTED, Redaction};
pub use resource::Resource;
pub use spool::{SpoolConfig, lock_file, reserve_spool};
