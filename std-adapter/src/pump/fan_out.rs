//! The last stage: hands views to the exporters. None of them can hold up the pump: each has a queue and a thread of its own, and what finds no room
//! there is dropped and counted.

use std::sync::Arc;
use std::time::Instant;
use throughline_export::otlp::{OtlpExporter, Site};
use throughline_export::view::{Fields, LogView, LossView, PointView};
use throughline_export::{AnyLane, Attached, Done, Health};

/// The exporters that are on.
#[derive(Debug, Default)]
pub(crate) struct FanOut {
    /// By its type, so that encoding is part of the loop over records.
    pub(crate) otlp: Option<OtlpExporter>,
    /// The terminal, and those that the program brought.
    pub(crate) attached: Vec<Attached>,
}

impl FanOut {
    #[inline]
    pub(super) fn log<'a, F: Fields<'a>>(&mut self, site: &Site<'a>, view: &LogView<'a, F>) {
        if let Some(otlp) = &mut self.otlp {
            otlp.log_at(site, view);
        }
        self.attached.iter_mut().for_each(|exporter| exporter.log(view));
    }

    pub(super) fn loss(&mut self, loss: &LossView<'_>) {
        self.attached.iter_mut().for_each(|exporter| exporter.loss(loss));
    }

    /// Begins a round: hands over what found no room before.
    pub(super) fn begin_round(&mut self) {
        if let Some(otlp) = &mut self.otlp {
            otlp.begin_round();
        }
        self.attached.iter_mut().for_each(Attached::begin_round);
    }

    /// Ends a round: hands over batches that are large or old enough. Whether records were dropped for want of room.
    pub(super) fn end_round(&mut self, now: Instant) -> bool {
        let mut shedding = false;
        if let Some(otlp) = &mut self.otlp {
            shedding |= otlp.end_round(now);
        }
        for exporter in &mut self.attached {
            shedding |= exporter.end_round(now);
        }
        shedding
    }

    /// Whether an exporter wants metric points.
    pub(super) fn wants_points(&self) -> bool {
        self.otlp.is_some() || self.attached.iter().any(Attached::wants_points)
    }

    /// Hands over a snapshot of the metrics; `last` says that no other will follow.
    pub(super) fn points(&mut self, points: &[PointView<'_>], last: bool) {
        if let Some(otlp) = &mut self.otlp {
            otlp.points(points, last);
        }
        self.attached.iter_mut().for_each(|exporter| exporter.points(points));
    }

    /// Hands over what there is, whatever its age, and drops `done` when that is done with.
    pub(super) fn flush(&mut self, done: Done) {
        if let Some(otlp) = &mut self.otlp {
            otlp.flush(&done);
        }
        self.attached.iter_mut().for_each(|exporter| exporter.flush(done.clone()));
    }

    /// Hands over what there is; nothing more will come. Drops `done` when all is done with.
    pub(super) fn finish(&mut self, done: Done) {
        if let Some(otlp) = &mut self.otlp {
            otlp.finish(&done);
        }
        self.attached.iter_mut().for_each(|exporter| exporter.finish(done.clone()));
    }

    /// Nothing more will come, and nobody waits. What was not handed over goes no further.
    pub(super) fn close(&mut self) {
        let (nobody, _) = std::sync::mpsc::channel();
        self.finish(nobody);
    }

    /// The lanes of all exporters.
    pub(crate) fn lanes(&self) -> Vec<Arc<dyn AnyLane>> {
        let otlp = self.otlp.iter().flat_map(OtlpExporter::lanes);
        otlp.chain(self.attached.iter().map(Attached::lane)).collect()
    }

    /// What is wrong with each exporter.
    pub(crate) fn healths(&self) -> Vec<Arc<Health>> {
        let otlp = self.otlp.iter().map(OtlpExporter::health);
        otlp.chain(self.attached.iter().map(Attached::health)).cloned().collect()
    }
}
