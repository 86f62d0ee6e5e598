#![doc = include_str!("../README.md")]

mod clock;
mod config;
mod export;
mod init;
mod ledger;
pub mod message;
pub mod otlp;
mod pump;
pub mod terminal;
mod thread;
pub mod view;

pub use config::Config;
pub use init::{Guard, InitError, ShutdownReport, init, ledger};
pub use ledger::{DropReason, Hop, Ledger};
#[doc(hidden)]
pub use pump::Stage;
