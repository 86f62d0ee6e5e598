//! A record of a topic for each match.

use super::{Action, Match, Place};
use crate::events::{CloudEventEncoder, Kafka, Sink};
use std::fmt::Write;
use throughline::{SpanId, TraceId};
use throughline_export::{Deadline, ExportError, Resource};

/// Sends each match to a topic of Kafka, as a CloudEvent of the type `throughline.match`. Its subject is the observer, its data [`Match::json`], and its key
/// the id of the trace, if there is one. When it is sent again, it has the same id.
#[derive(Debug)]
pub struct KafkaRecord {
    kafka: Kafka,
    encoder: CloudEventEncoder,
}

impl KafkaRecord {
    /// Sends to this topic.
    pub fn new(kafka: Kafka) -> KafkaRecord {
        KafkaRecord { kafka, encoder: CloudEventEncoder::new(&Resource::new("unknown_service")) }
    }
}

impl Action for KafkaRecord {
    fn begin(&mut self, place: &Place) {
        self.encoder = CloudEventEncoder::new(&place.resource);
    }

    fn run(&mut self, found: &Match, deadline: &Deadline) -> Result<(), ExportError> {
        let data = found.json();
        let hash = ring::digest::digest(&ring::digest::SHA256, data.as_bytes());
        let id = hash.as_ref()[..16].iter().fold(String::new(), |mut id, byte| {
            let _ = write!(id, "{byte:02x}");
            id
        });
        // What is found has passed sampling.
        let span = TraceId::from_hex(&found.trace_id).zip(SpanId::from_hex(&found.span_id));
        let span = span.map(|(trace, span)| (trace, span, 1));
        let event =
            self.encoder.other(id, "throughline.match", &found.observer, found.time_unix_ns, span, data);
        self.kafka.send(&[event], deadline)
    }
}
