#![doc = include_str!("../README.md")]

mod deadline;
pub mod ledger;
pub mod message;
pub mod otlp;
pub mod queue;
mod resource;
pub mod terminal;
pub mod view;

pub use deadline::Deadline;
pub use resource::Resource;
