//! The last stage: passes views to the exporters. No exporter can delay the pump, because each has its own
//! queue and thread; records that find a queue full are dropped and counted.

use super::sample::Tail;
use std::sync::Arc;
use std::time::Instant;
use throughline_export::otlp::{OtlpExporter, Signal, Site};
use throughline_export::view::{Fields, LogView, LossView, PointView, SpanView};
use throughline_export::{AnyLane, Attached, Done, Health, Wants};

/// The active exporters.
#[derive(Debug, Default)]
pub(crate) struct FanOut {
    /// Kept as its concrete type, so that encoding is compiled into the loop over records.
    pub(crate) otlp: Option<OtlpExporter>,
    /// Those beside the first; each encodes for itself. Usually there are none, so they are out of line.
    pub(crate) further_otlp: Vec<OtlpExporter>,
    /// The terminal, and the exporters of the program.
    pub(crate) attached: Vec<Attached>,
    /// The stage before this one, if traces are decided when they end or the share adapts itself.
    pub(super) tail: Option<Box<Tail>>,
    /// How often the plan of sampling had changed when `tail` was made.
    pub(super) plan_changes: usize,
}

impl FanOut {
    fn all_otlp(&mut self) -> impl Iterator<Item = &mut OtlpExporter> {
        self.otlp.iter_mut().chain(&mut self.further_otlp)
    }

    /// Whether there are exporters beside the first of OTLP. One branch for each span.
    #[inline(always)]
    pub(super) fn has_others(&self) -> bool {
        self.further_otlp.len() + self.attached.len() > 0
    }

    #[inline]
    pub(super) fn log<'a, F: Fields<'a>>(&mut self, site: &Site<'a>, view: &LogView<'a, F>) {
        if let Some(otlp) = &mut self.otlp {
            otlp.log_at(site, view);
        }
        if !self.further_otlp.is_empty() {
            self.further_otlp.iter_mut().for_each(|otlp| otlp.log_at(site, view));
        }
        self.attached.iter_mut().for_each(|exporter| exporter.log(view));
    }

    /// Passes on a span that was kept back.
    pub(super) fn span<'a, F: Fields<'a>>(&mut self, view: &SpanView<'a, F>) {
        for otlp in self.all_otlp() {
            otlp.span(view);
        }
        self.attached.iter_mut().for_each(|exporter| exporter.span(view));
    }

    /// Passes on a log record that the pump itself makes.
    pub(super) fn own_log<'a, F: Fields<'a>>(&mut self, view: &LogView<'a, F>) {
        for otlp in self.all_otlp() {
            otlp.log(view);
        }
        self.attached.iter_mut().for_each(|exporter| exporter.log(view));
    }

    pub(super) fn loss(&mut self, loss: &LossView<'_>) {
        self.attached.iter_mut().for_each(|exporter| exporter.loss(loss));
    }

    /// Begins a round: passes on what found no room before.
    pub(super) fn begin_round(&mut self) {
        for otlp in self.all_otlp() {
            otlp.begin_round();
        }
        self.attached.iter_mut().for_each(Attached::begin_round);
    }

    /// Ends a round: passes on batches that are large or old enough. Returns whether records were dropped
    /// because a queue was full.
    pub(super) fn end_round(&mut self, now: Instant) -> bool {
        let mut shedding = false;
        for otlp in self.all_otlp() {
            shedding |= otlp.end_round(now);
        }
        for exporter in &mut self.attached {
            shedding |= exporter.end_round(now);
        }
        shedding
    }

    /// Whether an exporter wants metric points.
    pub(super) fn wants_points(&self) -> bool {
        self.wants(Signal::Metrics, |wants| wants.points)
    }

    /// Whether an exporter wants a signal.
    pub(super) fn wants(&self, signal: Signal, of: impl Fn(Wants) -> bool) -> bool {
        self.otlp.iter().chain(&self.further_otlp).any(|otlp| otlp.wants(signal))
            || self.attached.iter().any(|exporter| of(exporter.wants()))
    }

    /// Passes on a snapshot of the metrics. `last` means that no other will follow.
    pub(super) fn points(&mut self, points: &[PointView<'_>], last: bool) {
        for otlp in self.all_otlp() {
            otlp.points(points, last);
        }
        self.attached.iter_mut().for_each(|exporter| exporter.points(points));
    }

    /// Passes on everything, whatever its age. `done` is dropped when it has been delivered or given up.
    pub(super) fn flush(&mut self, done: Done) {
        for otlp in self.all_otlp() {
            otlp.flush(&done);
        }
        self.attached.iter_mut().for_each(|exporter| exporter.flush(done.clone()));
    }

    /// Passes on everything and ends the exporters. `done` is dropped when it has been delivered or given up.
    pub(super) fn finish(&mut self, done: Done) {
        for otlp in self.all_otlp() {
            otlp.finish(&done);
        }
        self.attached.iter_mut().for_each(|exporter| exporter.finish(done.clone()));
    }

    /// Ends the exporters when nobody waits for them. What was not handed over is not sent.
    pub(super) fn close(&mut self) {
        let (nobody, _) = std::sync::mpsc::channel();
        self.finish(nobody);
    }

    /// The queues of all exporters.
    pub(crate) fn lanes(&self) -> Vec<Arc<dyn AnyLane>> {
        let otlp = self.otlp.iter().chain(&self.further_otlp).flat_map(OtlpExporter::lanes);
        otlp.chain(self.attached.iter().map(Attached::lane)).collect()
    }

    /// The state of each exporter.
    pub(crate) fn healths(&self) -> Vec<Arc<Health>> {
        let otlp = self.otlp.iter().chain(&self.further_otlp).map(OtlpExporter::health);
        otlp.chain(self.attached.iter().map(Attached::health)).cloned().collect()
    }
}
