//! The pump's work without its thread and without a client, one round at a time, so that a benchmark can
//! measure just this work.

use super::FanOut;
use super::assemble::{Assembler, Bounds};
use super::drain::Drain;
use crate::clock::best_clock;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use throughline::adapter::IdKey;
use throughline_export::ledger::Cells;
use throughline_export::otlp::{Options, OtlpExporter};
use throughline_export::{Limits, Resource, Wants};

const BOUNDS: Bounds = Bounds { late_fields: 16_384, remote_parents: 1 << 14, logs_per_second: None };

/// The work from the rings of all threads to request bodies. It is for the project's benchmarks and not part
/// of the API.
#[doc(hidden)]
#[derive(Debug)]
pub struct Stage {
    drain: Drain,
    assembler: Assembler,
    fan_out: FanOut,
    cells: Cells,
}

impl Stage {
    /// Takes the readers of the rings. No pump may hold them.
    pub fn new(resource: &Resource, options: Options) -> Stage {
        // Without these limits, a batch is exactly what a round finds.
        let limits = Limits { batch_bytes: usize::MAX, interval: Duration::MAX, queue: 16 };
        let otlp = OtlpExporter::without_threads(resource, options, limits);
        Stage {
            drain: Drain::default(),
            assembler: Assembler::new(
                best_clock(SystemTime::now).1,
                IdKey::new(7, 0),
                options,
                Arc::default(),
                BOUNDS,
                Wants::ALL,
            ),
            fan_out: FanOut { otlp: Some(otlp), ..FanOut::default() },
            cells: Cells::default(),
        }
    }

    /// Encodes what is in the rings and passes each body to `each` with its number of spans or events.
    /// Returns how many records were lost before.
    pub fn round(&mut self, each: impl FnMut(&[u8], u64)) -> usize {
        let (assembler, fan_out) = (&mut self.assembler, &mut self.fan_out);
        let mut lost = 0;
        self.drain.round(&self.cells, |raw, _| assembler.record(raw, fan_out), |loss| lost += loss.count);
        assembler.end_round(&self.cells, fan_out);
        if let Some(otlp) = &mut fan_out.otlp {
            otlp.drain(each);
        }
        lost
    }
}
