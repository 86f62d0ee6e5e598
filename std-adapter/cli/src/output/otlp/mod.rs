//! Sends everything as OTLP over HTTP, in requests of limited size, with one resource per boot of the device.
//! The ledger of the boot's records and the state of the device are sent with each snapshot of the metrics, at the end of each
//! boot, and for a live stream also in between.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use throughline_decode::preamble::Hex;
use throughline_decode::trace::{Assembled, Entry, OwnedEvent, OwnedSpan};
use throughline_decode::{Balance, Context, Item, Preamble, Snapshot, Time};
use throughline_export::Resource;
use throughline_export::otlp::{
    Client, ClientConfig, LogEncoder, MetricEncoder, Options, Signal, TraceEncoder,
};

mod sender;

use super::Output;
use crate::error::CliError;
use crate::say;
use crate::summary::Summary;
use crate::views::{self, DeviceState, PointTexts};
use sender::{Outcome, Request, Sender};

/// A request is sent when it has this many records or bytes.
const RECORDS: usize = 2048;
const BYTES: usize = 1 << 20;
/// For a live stream, a request is sent this long after the last one, whatever its size.
const EVERY: Duration = Duration::from_secs(1);
/// For a live stream, the ledger is sent this long after the last time, so that a device without metrics has one too.
const LEDGER_EVERY: Duration = Duration::from_secs(10);

pub(crate) struct Otlp {
    /// `None` after the end.
    sender: Option<Sender>,
    service_name: Option<String>,
    input: PathBuf,
    traces: TraceEncoder,
    logs: LogEncoder,
    metrics: MetricEncoder,
    /// Number of spans of this boot that are not sent, because they belong to a remote trace whose ids are
    /// not known.
    unknown_parent: u64,
    /// Number of ledger points in the present metrics request; they are not records of the device.
    own: u64,
    /// The device and boot of the requests that are being filled.
    resource: Resource,
    /// Start of this boot as it was first known. It never changes, so that sums continue from one snapshot to
    /// the next.
    started: Option<u64>,
    /// The latest time of anything taken in this boot.
    latest: u64,
    /// The epoch of this boot, and the time in its spans.
    epoch: u32,
    busy_ns: u64,
    last_sent: Instant,
    is_live: bool,
    /// When the ledger of this boot was sent last.
    last_ledger: Option<Instant>,
}

impl Otlp {
    pub(crate) fn new(
        url: &str,
        service_name: Option<String>,
        input: PathBuf,
        is_live: bool,
    ) -> Result<Otlp, CliError> {
        let client = Client::new(ClientConfig::new(url)?);
        let resource = resource(service_name.as_deref(), None, 0);
        let (traces, logs, metrics) = encoders(&resource);
        Ok(Otlp {
            sender: Some(Sender::new(client, is_live)),
            service_name,
            input,
            traces,
            logs,
            metrics,
            unknown_parent: 0,
            own: 0,
            resource,
            started: None,
            latest: 0,
            epoch: 0,
            busy_ns: 0,
            last_sent: Instant::now(),
            is_live,
            last_ledger: None,
        })
    }

    /// Starts requests for another resource, after sending those of the last one.
    fn become_device(&mut self, context: &Context) {
        let resource = resource(self.service_name.as_deref(), context.preamble.as_ref(), context.epoch);
        if resource != self.resource {
            self.send_all();
            (self.traces, self.logs, self.metrics) = encoders(&resource);
            self.resource = resource;
        }
    }

    fn wall_clock(&self, time: &Time) -> Result<(), CliError> {
        if views::is_wall_clock(time) { Ok(()) } else { Err(CliError::NoTime { path: self.input.clone() }) }
    }

    fn span(&mut self, span: &OwnedSpan<'_>) -> Result<(), CliError> {
        self.wall_clock(&span.start)?;
        self.latest = self.latest.max(span.start.unix_ns.saturating_add(span.duration_ns));
        if span.parent_span_id.is_none() || span.parent_is_remote {
            self.busy_ns = self.busy_ns.saturating_add(span.busy_ns.unwrap_or(span.duration_ns));
        }
        let Some(trace_id) = span.trace_id else {
            self.unknown_parent += 1;
            return Ok(());
        };
        let name = span.callsite.name();
        self.traces.span(&views::span(span, trace_id, &name));
        self.send_full();
        Ok(())
    }

    fn log(&mut self, event: &OwnedEvent<'_>) -> Result<(), CliError> {
        self.wall_clock(&event.time)?;
        self.latest = self.latest.max(event.time.unix_ns);
        let message = event.callsite.name();
        self.logs.log(&views::log(event, event.trace_id, &message));
        self.send_full();
        Ok(())
    }

    fn snapshot(&mut self, context: &Context, snapshot: &Snapshot<'_>) -> Result<(), CliError> {
        let now = context.time(snapshot.time);
        self.wall_clock(&now)?;
        self.latest = self.latest.max(now.unix_ns);
        let start = self.started.unwrap_or(now.unix_ns);
        // Sort the series by metric, so that the encoder writes the head of each metric once.
        let mut points: Vec<_> = snapshot.points.iter().collect();
        points.sort_by_key(|p| p.callsite.id);
        for point in points {
            self.metrics.point(&PointTexts::new(point).view(start, now.unix_ns));
        }
        self.ledger(&context.balance);
        self.send_full();
        Ok(())
    }

    /// Adds the ledger of the present boot, and the state of the device. Without wall-clock time it cannot be sent, and neither was
    /// anything else.
    fn ledger(&mut self, balance: &Balance) {
        let Some(start) = self.started.filter(|_| self.latest > 0) else { return };
        views::ledger(balance, self.unknown_parent, (start, self.latest), |point| {
            self.metrics.point(&point);
            self.own += 1;
        });
        let (epoch, busy_ns) = (self.epoch, self.busy_ns);
        let state = DeviceState { epoch, frames_lost: balance.frames_lost, busy_ns };
        views::device(state, (start, self.latest), |point| {
            self.metrics.point(&point);
            self.own += 1;
        });
        self.last_ledger = Some(Instant::now());
    }

    fn send_full(&mut self) {
        let full = |count: usize, bytes: usize| count >= RECORDS || bytes >= BYTES;
        let all = full(self.traces.count(), self.traces.record_bytes())
            || full(self.logs.count(), self.logs.record_bytes())
            || full(self.metrics.count(), self.metrics.record_bytes());
        if all {
            self.send_all();
        }
    }

    fn send_all(&mut self) {
        let Otlp { sender, traces, logs, metrics, .. } = self;
        let counts = [traces.count(), logs.count(), metrics.count()];
        let own = std::mem::take(&mut self.own);
        for (signal, count) in [Signal::Traces, Signal::Logs, Signal::Metrics].into_iter().zip(counts) {
            if count == 0 {
                continue;
            }
            let (body, own) = match signal {
                Signal::Traces => (traces.finish(), 0),
                Signal::Logs => (logs.finish(), 0),
                Signal::Metrics => (metrics.finish(), own),
            };
            let records = (count as u64).saturating_sub(own);
            if let Some(sender) = sender {
                sender.send(Request { signal, body: body.to_vec(), records });
            }
        }
        self.last_sent = Instant::now();
        traces.clear();
        logs.clear();
        metrics.clear();
    }
}

impl<'elf> Output<'elf> for Otlp {
    fn item(&mut self, context: &Context, item: &Item<'elf, '_>) -> Result<(), CliError> {
        if let Item::Boot(_) = item {
            // The boot before has ended.
            self.ledger(&context.balance);
            (self.started, self.latest, self.unknown_parent) = (None, 0, 0);
            (self.epoch, self.busy_ns, self.last_ledger) = (context.epoch, 0, None);
        } else if self.is_live && self.last_ledger.is_none_or(|last| last.elapsed() >= LEDGER_EVERY) {
            self.ledger(&context.balance);
        }
        let boot = context.time(0);
        if self.started.is_none() && views::is_wall_clock(&boot) {
            self.started = Some(boot.unix_ns);
        }
        match item {
            Item::Boot(_) | Item::Preamble(_) => self.become_device(context),
            Item::Metrics(snapshot) => self.snapshot(context, snapshot)?,
            _ => {}
        }
        Ok(())
    }

    fn assembled(&mut self, assembled: &Assembled<'elf>) -> Result<(), CliError> {
        match assembled {
            Assembled::Trace(trace) => trace.entries.iter().try_for_each(|(_, entry)| match entry {
                Entry::Span(span) => self.span(span),
                Entry::Event(event) | Entry::Fields(event) => self.log(event),
                Entry::Loss(_) => Ok(()),
            }),
            Assembled::Event(event) => self.log(event),
            Assembled::Loss(_) => Ok(()),
        }
    }

    fn pause(&mut self) -> Result<(), CliError> {
        if self.last_sent.elapsed() >= EVERY {
            self.send_all();
        }
        Ok(())
    }

    fn finish(&mut self, context: &Context, _: &Summary) -> Result<(), CliError> {
        self.ledger(&context.balance);
        self.send_all();
        let Outcome { delivered, rejected, undelivered, no_room, failure } =
            self.sender.take().map(Sender::finish).unwrap_or_default();
        say(&format_args!("{delivered} records delivered, {rejected} rejected"));
        match failure {
            Some(source) => Err(CliError::Send { records: undelivered + no_room, source: Box::new(source) }),
            None if no_room > 0 => Err(CliError::SlowCollector { records: no_room }),
            None => Ok(()),
        }
    }
}

fn encoders(resource: &Resource) -> (TraceEncoder, LogEncoder, MetricEncoder) {
    let options = Options::default();
    (TraceEncoder::new(resource, options), LogEncoder::new(resource, options), MetricEncoder::new(resource))
}

fn resource(service_name: Option<&str>, preamble: Option<&Preamble>, epoch: u32) -> Resource {
    let given = preamble.map(|p| p.name.as_str()).filter(|name| !name.is_empty());
    let mut resource = Resource::new(service_name.or(given).unwrap_or("throughline-device"));
    if let Some(preamble) = preamble {
        resource = resource
            .with("device.id", format!("{:016x}", preamble.device_id))
            .with("service.instance.id", format!("{:016x}-{epoch}", preamble.device_id));
        if !preamble.build_id.is_empty() {
            resource = resource.with("service.version", Hex(&preamble.build_id).to_string());
        }
    }
    resource
}
