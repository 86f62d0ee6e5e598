//! The exporter of events.

use super::{CloudEvent, CloudEventEncoder};
use crate::ledger::DropReason;
use crate::log::{Filter, RollingFile, RollingWriter};
use crate::outbox::Outbox;
use crate::view::{LogView, SpanView};
use crate::{Deadline, ExportError, Exporter, Host, Resource, SpoolConfig, Wants};
use std::fmt;
use std::io::{self, Write};

/// Bytes of batches that wait in memory.
const MEMORY: usize = 16 << 20;

/// Sends batches of events.
pub trait Sink: Send + 'static {
    /// Sends these events before the deadline, which may be brought forward meanwhile. It may block, but others wait in the queue behind it: an attempt
    /// should take no longer than some 10 seconds.
    ///
    /// # Errors
    ///
    /// Why they were not taken. They are sent again if the reason is [`DropReason::Unreachable`](crate::ledger::DropReason::Unreachable), and are dead
    /// letters otherwise: all, or those that [`refused`](Sink::refused) names.
    fn send(&mut self, events: &[CloudEvent], deadline: &Deadline) -> Result<(), ExportError>;

    /// The places of the events that the last batch's error is about, if its others were taken. The default, `None`, is all of them.
    fn refused(&mut self) -> Option<Vec<usize>> {
        None
    }
}

/// Sends spans and log records as events.
///
/// Each event is delivered at least once while its batch is kept: in 16 MiB of memory, or in a [spool](Events::spool), which the next run goes on with.
/// When the receiver has taken a batch and the process is killed before it could note that, it is sent again; the events have the same ids then.
pub struct Events<S> {
    name: String,
    sink: S,
    signals: (bool, bool),
    filter: Filter,
    intake: Intake,
    spool: Option<SpoolConfig>,
    /// Takes what is left when the process ends while `sink` does not answer.
    stand_in: Option<Intake>,
    dead_letters: Option<RollingFile>,
    dead: Option<RollingWriter>,
}

/// Makes events of records and keeps them in the outbox. As an exporter, it sends nothing.
#[derive(Debug)]
struct Intake {
    encoder: CloudEventEncoder,
    outbox: Outbox,
}

impl<S> fmt::Debug for Events<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<S: Sink> Events<S> {
    /// Sends log records to this sink. The name is that of the folder in the spool.
    pub fn new(name: impl Into<String>, sink: S) -> Events<S> {
        Events {
            name: name.into(),
            sink,
            signals: (false, true),
            filter: Filter::all(),
            intake: Intake::new(&Resource::new("unknown_service"), Outbox::in_memory(MEMORY, 100)),
            spool: None,
            stand_in: None,
            dead_letters: None,
            dead: None,
        }
    }

    /// Whether spans and log records are sent.
    #[must_use]
    pub fn signals(self, spans: bool, logs: bool) -> Events<S> {
        Events { signals: (spans, logs), ..self }
    }

    /// Which log records are sent.
    #[must_use]
    pub fn filter(self, filter: Filter) -> Events<S> {
        Events { filter, ..self }
    }

    /// Most events in a batch. The default is 100.
    #[must_use]
    pub fn batch(self, events: usize) -> Events<S> {
        self.intake.outbox.most(events.max(1) as u64);
        self
    }

    /// Keeps batches on the disk from before they are sent until they were taken. While the disk cannot be written, they are kept in 16 MiB of memory, which
    /// is told on standard error.
    #[must_use]
    pub fn spool(self, spool: SpoolConfig) -> Events<S> {
        Events { spool: Some(spool), ..self }
    }

    /// Writes events that were refused for good to this file, one JSON object in a line. They are counted as dropped all the same.
    #[must_use]
    pub fn dead_letters(self, file: RollingFile) -> Events<S> {
        Events { dead_letters: Some(file), ..self }
    }

    fn deliver(&mut self, deadline: &Deadline, last: bool) -> Result<(), ExportError> {
        let Events { intake, sink, dead, .. } = self;
        intake.outbox.deliver(deadline, last, |body| {
            let (mut rest, mut events) = (body, Vec::new());
            while let Some(event) = CloudEvent::read(&mut rest) {
                events.push(event);
            }
            let error = match sink.send(&events, deadline) {
                Err(error) if error.reason != DropReason::Unreachable => error,
                other => return other,
            };
            let refused = sink.refused().unwrap_or_else(|| (0..events.len()).collect());
            let mut error = ExportError::new(error.reason, refused.len() as u64, error.message);
            if let Some(file) = &mut *dead {
                let mut lines = String::new();
                for event in refused.iter().filter_map(|at| events.get(*at)) {
                    event.push_json(&mut lines);
                    lines.push('\n');
                }
                if let Err(failed) = file.write_all(lines.as_bytes()).and_then(|()| file.flush()) {
                    error.message.push_str(&format!("; they are no dead letters either: {failed}"));
                }
            }
            Err(error)
        })
    }
}

impl<S: Sink> Exporter for Events<S> {
    fn begin(&mut self, host: &Host<'_>) -> io::Result<()> {
        self.intake = Intake::new(host.resource, self.intake.outbox.clone());
        if let Some(spool) = &self.spool {
            self.intake.outbox.open_spool(spool, &self.name)?;
            self.stand_in = Some(Intake::new(host.resource, self.intake.outbox.clone()));
        }
        self.dead = self.dead_letters.take().map(RollingFile::open).transpose()?;
        Ok(())
    }

    fn wants(&self) -> Wants {
        Wants { spans: self.signals.0, logs: self.signals.1, ..Wants::NOTHING }
    }

    fn log_filter(&self) -> Filter {
        self.filter.clone()
    }

    fn span(&mut self, span: &SpanView<'_>) {
        self.intake.span(span);
    }

    fn log(&mut self, log: &LogView<'_>) {
        self.intake.log(log);
    }

    fn flush(&mut self, deadline: &Deadline) -> Result<(), ExportError> {
        self.deliver(deadline, false)
    }

    fn finish(&mut self, deadline: &Deadline) -> Result<(), ExportError> {
        self.deliver(deadline, true)
    }

    fn held(&self) -> u64 {
        self.intake.held()
    }

    fn on_disk(&self) -> u64 {
        self.intake.on_disk()
    }

    fn at_risk(&self) -> Option<String> {
        self.intake.outbox.at_risk()
    }

    fn takes_spool(&self) -> bool {
        true
    }

    fn stand_in(&mut self) -> Option<Box<dyn Exporter>> {
        self.stand_in.take().map(|intake| Box::new(intake) as _)
    }
}

impl Intake {
    fn new(resource: &Resource, outbox: Outbox) -> Intake {
        Intake { encoder: CloudEventEncoder::new(resource), outbox }
    }
}

impl Exporter for Intake {
    fn span(&mut self, span: &SpanView<'_>) {
        let event = self.encoder.span(span);
        self.outbox.add(|body| event.write(body));
    }

    fn log(&mut self, log: &LogView<'_>) {
        let event = self.encoder.log(log);
        self.outbox.add(|body| event.write(body));
    }

    fn flush(&mut self, _: &Deadline) -> Result<(), ExportError> {
        self.outbox.keep()
    }

    fn held(&self) -> u64 {
        self.outbox.held()
    }

    fn on_disk(&self) -> u64 {
        self.outbox.on_disk_now()
    }
}
