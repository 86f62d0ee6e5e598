//! The pump's OTLP exporter. Records are encoded as they come, and each signal has its own queue and thread
//! for its requests.

use super::config::lane_name;
use super::delivery::Delivery;
use super::temporality::{Deltas, Temporality};
use super::{Client, ClientConfig, Counts, LogEncoder, MetricEncoder, Options, Signal, Site, TraceEncoder};
use crate::attached::{Launch, Limits};
use crate::lane::{Feed, Lane, When};
use crate::ledger::Cells;
use crate::log::Filter;
use crate::view::{Fields, LogView, PointView, SpanView};
use crate::{AnyLane, Done, Health, Resource};
use std::io;
use std::sync::Arc;
use std::time::Instant;
use throughline::Level;
use throughline::adapter::record::Values;

/// Encodes spans, logs and points into the bodies of requests, which its own threads deliver. None of its
/// methods blocks.
#[derive(Debug)]
pub struct OtlpExporter {
    traces: TraceEncoder,
    logs: LogEncoder,
    metrics: MetricEncoder,
    temporality: Temporality,
    deltas: Deltas,
    /// Selects log records; `None` takes all.
    log_filter: Option<Filter>,
    /// The feeds of traces, logs and metrics.
    feeds: [Feed<Vec<u8>>; 3],
    /// The limits of traces, logs and metrics.
    limits: [Limits; 3],
    health: Arc<Health>,
}

impl OtlpExporter {
    /// Starts a thread for each signal that is sent. `limits` are those of traces, logs and metrics. `name` is the exporter's name in the ledger, where the
    /// signals are called `name.traces` and so on.
    ///
    /// # Errors
    ///
    /// Fails if a thread cannot be started.
    pub fn start(
        name: &str,
        resource: &Resource,
        options: Options,
        client: &ClientConfig,
        limits: [Limits; 3],
        launch: &Launch<'_>,
    ) -> io::Result<OtlpExporter> {
        let health = Arc::new(Health::new(name, launch.report));
        let is_on = |signal| client.sends(signal);
        let mut exporter = Self::new(name, resource, options, limits, launch, health, is_on);
        exporter.temporality = client.temporality;
        exporter.metrics.set_histograms(client.histograms);
        exporter.log_filter.clone_from(&client.log_filter);
        for (signal, feed) in Signal::ALL.into_iter().zip(&exporter.feeds) {
            if feed.is_off() {
                continue;
            }
            let lane = Arc::clone(&feed.lane);
            let spool = client.spool_of(&lane_name(name, signal));
            let mut delivery = Delivery::new(Client::new(client.clone()), signal, spool, &lane);
            let work = move || {
                lane.run(
                    &mut delivery,
                    |delivery, body, records| delivery.deliver(&lane, body, records),
                    |delivery| delivery.idle(&lane),
                    |delivery| delivery.finish(&lane),
                );
            };
            (launch.spawn)(&lane_name(name, signal), Box::new(work))?;
        }
        Ok(exporter)
    }

    /// Creates an exporter without threads, for benchmarks. [`drain`](Self::drain) returns its bodies.
    pub fn without_threads(resource: &Resource, options: Options, limits: Limits) -> OtlpExporter {
        let spawn = |_: &str, _: Box<dyn FnOnce() + Send>| Ok(());
        let (cells, deadline) = (Cells::default(), Arc::default());
        let wake = Arc::new(|| ());
        let launch = Launch { cells: &cells, deadline: &deadline, report: false, spawn: &spawn, wake };
        let health = Arc::new(Health::new("otlp", false));
        Self::new("otlp", resource, options, [limits; 3], &launch, health, |_| true)
    }

    fn new(
        name: &str,
        resource: &Resource,
        options: Options,
        limits: [Limits; 3],
        launch: &Launch<'_>,
        health: Arc<Health>,
        is_on: impl Fn(Signal) -> bool,
    ) -> OtlpExporter {
        let feeds = Signal::ALL.map(|signal| {
            let name = lane_name(name, signal);
            let counts = if is_on(signal) { launch.cells.exporter(&name) } else { Arc::default() };
            let deadline = Arc::clone(launch.deadline);
            let index = signal as u32;
            let (health, wake) = (Arc::clone(&health), Arc::clone(&launch.wake));
            let meter = if is_on(signal) { launch.cells.meter(&name) } else { Arc::default() };
            let lane = Lane::new(&name, limits[signal as usize].queue, index, counts, health, deadline, wake);
            let lane = Arc::new(lane.metered_by(meter));
            if is_on(signal) { Feed::new(lane) } else { Feed::off(lane) }
        });
        OtlpExporter {
            traces: TraceEncoder::new(resource, options),
            logs: LogEncoder::new(resource, options),
            metrics: MetricEncoder::new(resource),
            temporality: Temporality::default(),
            deltas: Deltas::default(),
            log_filter: None,
            feeds,
            limits,
            health,
        }
    }

    /// The numbers of values cut and attributes left out so far.
    pub fn counts(&self) -> Counts {
        self.traces.counts() + self.logs.counts()
    }

    /// The exporter's health.
    pub fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// The lanes of the signals that are sent.
    pub fn lanes(&self) -> impl Iterator<Item = Arc<dyn AnyLane>> {
        self.feeds.iter().filter(|feed| !feed.is_off()).map(|feed| Arc::clone(&feed.lane) as _)
    }

    /// Whether a signal is sent.
    pub fn wants(&self, signal: Signal) -> bool {
        !self.feeds[signal as usize].is_off()
    }

    /// Appends a span of a prepared callsite, with attributes directly from a record; see
    /// [`TraceEncoder::span_of`].
    #[inline(always)]
    pub fn span_of<'a, F>(
        &mut self,
        site: &Site<'a>,
        view: &SpanView<'a, F>,
        fields: (&Site<'_>, Values<'a>),
    ) {
        if !self.feeds[Signal::Traces as usize].admits() {
            return;
        }
        self.traces.span_of(site, view, fields);
        self.submit_if_full(Signal::Traces, self.traces.record_bytes());
    }

    /// Appends a span of a prepared callsite, whose fields may have equal names; see
    /// [`TraceEncoder::span_at`].
    pub fn span_at<'a, F: Fields<'a>>(&mut self, site: &Site<'a>, view: &SpanView<'a, F>) {
        if !self.feeds[Signal::Traces as usize].admits() {
            return;
        }
        self.traces.span_at(site, view);
        self.submit_if_full(Signal::Traces, self.traces.record_bytes());
    }

    /// Appends a span that comes from no prepared callsite.
    pub fn span<'a, F: Fields<'a>>(&mut self, view: &SpanView<'a, F>) {
        if !self.feeds[Signal::Traces as usize].admits() {
            return;
        }
        self.traces.span(view);
        self.submit_if_full(Signal::Traces, self.traces.record_bytes());
    }

    /// Appends a log record of a prepared callsite.
    #[inline]
    pub fn log_at<'a, F: Fields<'a>>(&mut self, site: &Site<'a>, view: &LogView<'a, F>) {
        if !self.takes(view.target, view.level) || !self.feeds[Signal::Logs as usize].admits() {
            return;
        }
        self.logs.log_at(site, view);
        self.submit_if_full(Signal::Logs, self.logs.record_bytes());
    }

    /// Appends a log record that comes from no prepared callsite.
    pub fn log<'a, F: Fields<'a>>(&mut self, view: &LogView<'a, F>) {
        if self.takes(view.target, view.level) && self.feeds[Signal::Logs as usize].admits() {
            self.logs.log(view);
        }
    }

    /// Queues the batch of a signal if its records have this many bytes and that is enough.
    #[inline(always)]
    fn submit_if_full(&mut self, signal: Signal, bytes: usize) {
        if bytes >= self.limits[signal as usize].batch_bytes {
            self.submit(signal, When::Due);
        }
    }

    #[inline]
    fn takes(&self, target: &str, level: Level) -> bool {
        self.log_filter.as_ref().is_none_or(|filter| filter.takes(target, level))
    }

    /// Queues a snapshot of all metrics. If the queue is full, the snapshot is dropped, and the next one
    /// includes what it would have reported. The `last` snapshot is always queued.
    pub fn points(&mut self, points: &[PointView<'_>], last: bool) {
        if !self.wants(Signal::Metrics) {
            return;
        }
        let when = if last { When::Last } else { When::Due };
        // Compute deltas only if the snapshot will be queued, because they then count as sent.
        if self.feeds[Signal::Metrics as usize].has_room(when) {
            self.metrics.clear();
            self.deltas.encode(self.temporality, points, &mut self.metrics);
            self.submit(Signal::Metrics, when);
        }
    }

    /// Begins a round. Batches that found the queue full before are queued now if there is room.
    pub fn begin_round(&mut self) {
        for (signal, bytes) in
            [(Signal::Traces, self.traces.record_bytes()), (Signal::Logs, self.logs.record_bytes())]
        {
            if self.feeds[signal as usize].begin_round() && bytes >= self.limits[signal as usize].batch_bytes
            {
                self.submit(signal, When::Due);
            }
        }
    }

    /// Ends a round. Batches that are old enough are queued. Returns whether records were dropped because a
    /// queue was full.
    pub fn end_round(&mut self, now: Instant) -> bool {
        let mut shedding = false;
        for (signal, count) in [(Signal::Traces, self.traces.count()), (Signal::Logs, self.logs.count())] {
            let feed = &mut self.feeds[signal as usize];
            shedding |= feed.is_shedding();
            if feed.end_round(now, self.limits[signal as usize].interval, count > 0) {
                self.submit(signal, When::Due);
            }
        }
        shedding
    }

    /// Queues everything, and drops `done` when it has been delivered or given up.
    pub fn flush(&mut self, done: &Done) {
        self.submit(Signal::Traces, When::Flush);
        self.submit(Signal::Logs, When::Flush);
        let [traces, logs, metrics] = &mut self.feeds;
        traces.mark(done.clone());
        logs.mark(done.clone());
        // A flush does not wait for a snapshot that found no room, because the next snapshot replaces it.
        if !metrics.is_off() {
            metrics.lane.mark(done.clone());
        }
    }

    /// Queues everything and closes the queues. Drops `done` when everything has been delivered or given up.
    pub fn finish(&mut self, done: &Done) {
        self.submit(Signal::Traces, When::Last);
        self.submit(Signal::Logs, When::Last);
        self.feeds.iter_mut().for_each(Feed::close);
        self.lanes().for_each(|lane| lane.mark(done.clone()));
    }

    /// Calls `each` with every body and the number of its records, instead of delivering it.
    pub fn drain(&mut self, mut each: impl FnMut(&[u8], u64)) {
        self.submit(Signal::Traces, When::Last);
        self.submit(Signal::Logs, When::Last);
        self.feeds.iter().for_each(|feed| feed.drain(|body, records| each(body, records)));
    }

    fn submit(&mut self, signal: Signal, when: When) {
        let records = match signal {
            Signal::Traces => self.traces.count(),
            Signal::Logs => self.logs.count(),
            Signal::Metrics => self.metrics.count(),
        };
        let feed = &mut self.feeds[signal as usize];
        if records == 0 || !feed.has_room(when) {
            return;
        }
        let spare = feed.spare().unwrap_or_default();
        let (body, records) = match signal {
            Signal::Traces => (self.traces.take(spare), records as u64),
            Signal::Logs => (self.logs.take(spare), records as u64),
            // The ledger does not count points.
            Signal::Metrics => (self.metrics.take(spare), 0),
        };
        let bytes = body.len();
        feed.push(body, records, bytes);
    }
}
