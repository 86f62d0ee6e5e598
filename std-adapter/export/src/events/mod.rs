//! Events out: spans and log records for other programs, as [CloudEvents](https://cloudevents.io) 1.0.
//!
//! [`Events`] is the exporter. It makes a [`CloudEvent`] of each record, puts them into batches, keeps the batches until they were taken, and writes what
//! is refused for good to a file of dead letters. A [`Sink`] sends a batch.

mod cloud_event;
mod exporter;

pub use cloud_event::{CloudEvent, CloudEventEncoder};
pub use exporter::{Events, Sink};
