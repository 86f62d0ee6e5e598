//! The pump's work without its thread and without a client, one round at a time, so that a bench can measure just that.

use super::assemble::Assembler;
use super::drain::Drain;
use super::{OtlpSink, Sinks};
use crate::clock::best_clock;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use throughline::adapter::IdKey;
use throughline_export::Resource;
use throughline_export::ledger::Cells;
use throughline_export::otlp::Options;
use throughline_export::queue::Queue;

/// From the rings of all threads to the bodies of requests. For the project's benches, not part of the API.
#[doc(hidden)]
#[derive(Debug)]
pub struct Stage {
    drain: Drain,
    assembler: Assembler,
    sinks: Sinks,
    cells: Arc<Cells>,
    queue: Arc<Queue>,
}

impl Stage {
    /// Takes the rings' readers, which no pump may have.
    pub fn new(resource: &Resource, options: Options) -> Stage {
        let cells = Arc::<Cells>::default();
        let queue = Arc::new(Queue::new(16, Arc::default()));
        // A batch is what a round finds.
        let batch = (usize::MAX, Duration::MAX);
        let sink = OtlpSink::new(resource, options, Arc::clone(&queue), Arc::clone(&cells), batch, false);
        Stage {
            drain: Drain::default(),
            assembler: Assembler::new(best_clock(SystemTime::now).1, IdKey::new(7, 0), options, 16_384),
            sinks: Sinks { otlp: Some(sink), terminal: None },
            cells,
            queue,
        }
    }

    /// Encodes what is in the rings and hands each body to `each` with how many spans or events it has; how many records were lost before.
    pub fn round(&mut self, mut each: impl FnMut(&[u8], u64)) -> usize {
        let (assembler, sinks) = (&mut self.assembler, &mut self.sinks);
        let mut lost = 0;
        self.drain.round(&self.cells, |raw| assembler.record(raw, sinks), |loss| lost += loss.count);
        assembler.end_round(&self.cells, sinks);
        sinks.flush();
        self.queue.drain(|body| each(&body.bytes, body.records));
        lost
    }
}
