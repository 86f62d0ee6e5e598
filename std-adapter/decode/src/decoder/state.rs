//! What a decoder knows while it follows a stream: it reads frames and keeps the ledger, the callsites, the clock and the
//! metrics of each boot.

use std::collections::HashSet;

use throughline::adapter::callsite::Kind;
use throughline::adapter::ring::ExtendedKind;
use throughline::adapter::{IdKey, LossReason};
use throughline::{SpanId, TraceContext, TraceId, Value};

use crate::batch::{BatchReader, RawAttach, RawExtended, RawPoint, RawSpan, Record};
use crate::bytes::Malformed;
use crate::callsite::{Callsite, Callsites};
use crate::clock::ClockMap;
use crate::clock_watch::ClockWatch;
use crate::counts::Counts;
use crate::elf::Elf;
use crate::fields::{Fields, Loaded, RawValue};
use crate::frame::{FrameKind, Header};
use crate::item::{Attach, Context, Damage, DamageKind, Detach, Event, Item, Loss, Span};
use crate::ledger::{Balance, FrameLedger};
use crate::load_address::{Role, Seen};
use crate::metrics::Part;
use crate::preamble::Preamble;
use crate::samples::Samples;
use crate::series::SeriesTable;
use crate::stream::{MAX_FRAME, RawFrame};
use crate::time::TimeOptions;

use super::{MAX_HELD, Sink};

/// Most unknown callsite ids remembered, so that each is reported once.
const MAX_UNKNOWN: usize = 1024;

#[derive(Debug)]
pub(super) struct State<'elf> {
    elf: Option<&'elf Elf>,
    callsites: Callsites<'elf>,
    /// An empty table, used while the ELF belongs to another build.
    unnamed: Callsites<'elf>,
    trusted: bool,
    pub(super) context: Context,
    pub(super) ledger: FrameLedger,
    series: SeriesTable,
    pub(super) counts: Counts,
    /// Frames held back until the first preamble; `None` afterwards.
    held: Option<Vec<Held>>,
    /// The first preamble and its epoch. It is also valid for the frames that were held back.
    announced: Option<(u32, Preamble)>,
    unknown: HashSet<u64>,
    watch: ClockWatch,
    /// Which unknown extended kinds were reported.
    unknown_kinds: [bool; 256],
}

#[derive(Debug)]
struct Held {
    offset: u64,
    encoded_len: u64,
    payload: Box<[u8]>,
    arrival: Option<u64>,
}

impl<'elf> State<'elf> {
    pub(super) fn new(elf: Option<&'elf Elf>, options: TimeOptions) -> State<'elf> {
        let context = Context {
            epoch: 0,
            boot: 0,
            preamble: None,
            clock: ClockMap::new(options),
            balance: Balance::default(),
            key: IdKey::new(0, 0),
        };
        State {
            elf,
            callsites: Callsites::new(elf),
            unnamed: Callsites::default(),
            trusted: true,
            context,
            ledger: FrameLedger::default(),
            series: SeriesTable::default(),
            counts: Counts::default(),
            held: Some(Vec::new()),
            announced: None,
            unknown: HashSet::new(),
            watch: ClockWatch::default(),
            unknown_kinds: [false; 256],
        }
    }

    /// Takes the next frame. Frames are held back until the first preamble.
    pub(super) fn arrived(&mut self, frame: RawFrame<'_>, arrival: Option<u64>, sink: Sink<'_, 'elf>) {
        self.counts.frames += 1;
        if let Some(held) = &mut self.held {
            let preamble =
                Header::parse(frame.payload).ok().filter(|h| h.version == 1 && h.kind == FrameKind::Preamble);
            let preamble =
                preamble.and_then(|h| Some((h.epoch, Preamble::parse(frame.payload, h.body).ok()?)));
            if preamble.is_none() && held.len() < MAX_HELD {
                let RawFrame { offset, encoded_len, payload } = frame;
                held.push(Held { offset, encoded_len, payload: payload.into(), arrival });
                return;
            }
            self.announced = preamble;
            self.release(sink);
        }
        self.frame(frame, arrival, sink);
    }

    /// Decodes the frames that were held back.
    pub(super) fn release(&mut self, sink: Sink<'_, 'elf>) {
        for held in self.held.take().unwrap_or_default() {
            let Held { offset, encoded_len, ref payload, arrival } = held;
            self.frame(RawFrame { offset, encoded_len, payload }, arrival, sink);
        }
        // A preamble of another boot does not describe the clock of this one.
        self.announced = None;
    }

    fn frame(&mut self, frame: RawFrame<'_>, arrival: Option<u64>, sink: Sink<'_, 'elf>) {
        debug_assert!(frame.payload.len() < MAX_FRAME);
        let damage = |kind| Damage { offset: frame.offset, len: frame.encoded_len, kind };
        let header = match Header::parse(frame.payload) {
            Ok(header) => header,
            Err(e) => return self.damage(damage(DamageKind::Malformed(e)), sink),
        };
        if header.version != 1 {
            return self.damage(damage(DamageKind::Version(header.version)), sink);
        }
        let step = self.ledger.frame(&header);
        let balance = self.ledger.of_boot();
        if step.duplicate {
            return;
        }
        if let Some(boot) = step.boot {
            self.boot(boot, sink);
        }
        self.context.balance = balance;
        if let Some(gap) = step.gap {
            self.series.gap();
            sink(&self.context, Item::Link(gap));
        }
        let mut records = 0;
        let read = match header.kind {
            FrameKind::Preamble => self.preamble(frame, header, sink),
            FrameKind::Batch => self.batch(frame, header, arrival, &mut records, sink),
            FrameKind::Metrics => self.metrics(frame, header, arrival, sink),
            FrameKind::Unknown(n) => {
                self.damage(damage(DamageKind::FrameType(n)), sink);
                self.ledger.read(0, false);
                return;
            }
        };
        self.ledger.read(records, read.is_ok());
        self.context.balance = self.ledger.of_boot();
        if let Err(e) = read {
            self.damage(damage(DamageKind::Malformed(e)), sink);
        }
    }

    fn boot(&mut self, boot: crate::ledger::Boot, sink: Sink<'_, 'elf>) {
        self.end_snapshot(false, sink);
        self.series = SeriesTable::default();
        self.watch = ClockWatch::default();
        self.callsites.reboot();
        let context = &mut self.context;
        context.epoch = boot.epoch;
        context.boot = self.ledger.balance().boots.saturating_sub(1) as u32;
        context.clock.reboot();
        let announced = self.announced.take_if(|(epoch, _)| *epoch == boot.epoch);
        if let Some((_, preamble)) = announced {
            self.know(preamble);
        }
        self.rekey();
        sink(&self.context, Item::Boot(boot));
    }

    /// Takes the contents of a preamble. Returns by how many nanoseconds the device set its clock, if it did.
    fn know(&mut self, preamble: Preamble) -> Option<i64> {
        self.context.clock.set_tick_hz(preamble.tick_hz);
        let step = self.context.clock.set_device_anchor(preamble.unix);
        self.trusted = self.elf.is_none_or(|elf| elf.check_build_id(&preamble.build_id).is_ok());
        self.context.preamble = Some(preamble);
        self.rekey();
        step
    }

    fn rekey(&mut self) {
        let device = self.context.preamble.as_ref().map_or(0, |p| p.device_id);
        self.context.key = IdKey::new(device, self.context.epoch);
    }

    fn preamble(
        &mut self,
        frame: RawFrame<'_>,
        header: Header,
        sink: Sink<'_, 'elf>,
    ) -> Result<(), Malformed> {
        let preamble = Preamble::parse(frame.payload, header.body)?;
        let was_trusted = self.trusted;
        let mismatch = self.elf.and_then(|elf| elf.check_build_id(&preamble.build_id).err());
        let step = self.know(preamble);
        if let Some(preamble) = &self.context.preamble {
            sink(&self.context, Item::Preamble(preamble));
        }
        if let Some(by_ns) = step {
            sink(&self.context, Item::ClockSet { by_ns });
        }
        // A mismatch is reported for the first preamble of a build, not for each. `announced` may have set
        // `trusted` just before.
        if let Some(mismatch) = mismatch
            && (was_trusted || self.counts.build_ids == 0)
        {
            let kind = DamageKind::BuildId(mismatch);
            self.damage(Damage { offset: frame.offset, len: frame.encoded_len, kind }, sink);
        }
        Ok(())
    }

    fn batch(
        &mut self,
        frame: RawFrame<'_>,
        header: Header,
        arrival: Option<u64>,
        records: &mut u64,
        sink: Sink<'_, 'elf>,
    ) -> Result<(), Malformed> {
        let batch = BatchReader::parse(frame.payload, header.body, self.context.word_bits())?;
        if let Some(arrival) = arrival {
            let newest = batch.clone().map_while(Result::ok).filter_map(|r| r.made_at()).max();
            self.context.clock.arrived(arrival, newest.unwrap_or(batch.base_time()));
        }
        self.context.clock.batch(batch.base_time());
        self.callsites.learn(batch.clone().map_while(Result::ok).filter_map(|record| seen(&record)));
        for record in batch {
            let record = record?;
            *records += u64::from(record.counts());
            if let Some(ticks) = record.made_at() {
                self.context.clock.seen(ticks);
                self.watch(&record, ticks, frame, sink);
            }
            match record {
                Record::Span(span) => self.span(span, frame, sink),
                Record::Event(event) => self.event(event, frame, sink),
                Record::Fields(fields) => self.added(fields, frame, sink),
                Record::Attach(attach) => sink(&self.context, Item::Attach(attached(attach))),
                Record::Clock(ticks) => sink(&self.context, Item::Clock(ticks)),
                Record::Extended(extended) => {
                    if let Some(detach) = detached(&extended) {
                        sink(&self.context, Item::Detach(detach));
                    } else if let Some(samples) = Samples::parse(&extended) {
                        sink(&self.context, Item::Samples(samples));
                    } else {
                        self.skipped(extended.kind, frame, sink);
                    }
                }
                Record::Loss(loss) => {
                    let reason = LossReason::from_u8(loss.reason);
                    self.ledger.lost(reason, loss.count);
                    sink(&self.context, Item::Loss(Loss { reason, count: loss.count, first: loss.first }));
                }
            }
        }
        Ok(())
    }

    /// Checks a record's times for a clock that stands still or wraps early.
    fn watch(&mut self, record: &Record<'_>, ticks: u64, frame: RawFrame<'_>, sink: Sink<'_, 'elf>) {
        let stands = self.watch.made(ticks, self.context.clock.tick_hz());
        let turns_over = match record {
            Record::Span(span) if self.context.word_bits() == 32 => self.watch.lasted(span.duration),
            _ => None,
        };
        for fault in stands.into_iter().chain(turns_over) {
            let kind = DamageKind::Clock(fault);
            self.damage(Damage { offset: frame.offset, len: frame.encoded_len, kind }, sink);
        }
    }

    fn span(&mut self, raw: RawSpan<'_>, frame: RawFrame<'_>, sink: Sink<'_, 'elf>) {
        let RawSpan { callsite: id_of_callsite, id, parent, root, start, duration, status, busy, fields } =
            raw;
        let known = self.known();
        let (callsite, names) = known.get(id_of_callsite, |kind| kind == Kind::Span);
        let fields = Fields::new(fields, names, self.elf_of(&callsite));
        let missing = (callsite.blob.is_none(), fields.unresolved());
        let span = Span { callsite, id, parent, root, start, duration, status, busy, fields };
        sink(&self.context, Item::Span(span));
        self.missing(id_of_callsite, missing, frame, sink);
    }

    fn event(&mut self, raw: RawPoint<'_>, frame: RawFrame<'_>, sink: Sink<'_, 'elf>) {
        let (callsite, names) = self.known().get(raw.callsite, |kind| kind == Kind::Event);
        let fields = Fields::new(raw.fields, names, self.elf_of(&callsite));
        let missing = (callsite.blob.is_none(), fields.unresolved());
        let RawPoint { time, span, sampled, .. } = raw;
        sink(&self.context, Item::Event(Event { callsite, time, span, sampled, fields }));
        self.missing(raw.callsite, missing, frame, sink);
    }

    fn added(&mut self, raw: RawPoint<'_>, frame: RawFrame<'_>, sink: Sink<'_, 'elf>) {
        let (callsite, names) = self.known().get(raw.callsite, |kind| Role::Fields.fits(kind));
        let fields = Fields::new(raw.fields, names, self.elf_of(&callsite));
        let missing = (callsite.blob.is_none(), fields.unresolved());
        let RawPoint { time, span, sampled, .. } = raw;
        sink(&self.context, Item::Fields(Event { callsite, time, span, sampled, fields }));
        self.missing(raw.callsite, missing, frame, sink);
    }

    fn metrics(
        &mut self,
        frame: RawFrame<'_>,
        header: Header,
        arrival: Option<u64>,
        sink: Sink<'_, 'elf>,
    ) -> Result<(), Malformed> {
        let mask = self.mask();
        let part = Part::parse(frame.payload, header.body)?;
        if let Some(arrival) = arrival {
            self.context.clock.arrived(arrival, part.time);
        }
        self.context.clock.seen(part.time);
        let (last, head) = (part.last, (part.snapshot, part.time));
        let entries = part.clone().map_while(Result::ok);
        self.callsites.learn(entries.map(|e| Seen {
            id: e.callsite,
            role: Role::Metric,
            fields: e.labels.len(),
        }));
        let callsites = if self.trusted { &self.callsites } else { &self.unnamed };
        if let Some(stale) = self.series.part(head, mask, callsites) {
            sink(&self.context, Item::Metrics(stale));
        }
        let mut result = Ok(());
        for entry in part {
            let entry = match entry {
                Ok(entry) => entry,
                Err(e) => {
                    self.series.gap();
                    result = Err(e);
                    break;
                }
            };
            let id = entry.callsite;
            let callsites = if self.trusted { &self.callsites } else { &self.unnamed };
            let unknown = callsites.get(id, |kind| kind as u8 >= Kind::Counter as u8).0.blob.is_none();
            if let Some(early) = self.series.entry(entry, mask, callsites) {
                sink(&self.context, Item::Metrics(early));
            }
            self.missing(id, (unknown, false), frame, sink);
        }
        if last {
            self.end_snapshot(true, sink);
        }
        result
    }

    pub(super) fn end_snapshot(&mut self, whole: bool, sink: Sink<'_, 'elf>) {
        let mask = self.mask();
        let callsites = if self.trusted { &self.callsites } else { &self.unnamed };
        if let Some(snapshot) = self.series.finish(whole, mask, callsites) {
            sink(&self.context, Item::Metrics(snapshot));
        }
    }

    fn mask(&self) -> u64 {
        if self.context.word_bits() == 64 { u64::MAX } else { u64::from(u32::MAX) }
    }

    /// The ELF from which static strings are read; `None` if it does not have this callsite. Then it belongs
    /// to another program, and its bytes at an address mean nothing.
    fn elf_of(&self, callsite: &Callsite<'elf>) -> Option<Loaded<'elf>> {
        callsite.blob?;
        Some(Loaded { elf: self.elf?, bias: self.callsites.bias()? })
    }

    fn known(&self) -> &Callsites<'elf> {
        if self.trusted { &self.callsites } else { &self.unnamed }
    }

    /// Counts missing names and reports each once. Without an ELF, or with one that was reported as wrong, no
    /// names are expected.
    fn missing(&mut self, id: u64, what: (bool, bool), frame: RawFrame<'_>, sink: Sink<'_, 'elf>) {
        if what == (false, false) || self.elf.is_none() || !self.trusted {
            return;
        }
        self.counts.unknown_callsites += u64::from(what.0);
        self.counts.unknown_texts += u64::from(what.1);
        if self.unknown.len() < MAX_UNKNOWN && self.unknown.insert(id) {
            let kind = if what.0 { DamageKind::Callsite(id) } else { DamageKind::Text(id) };
            sink(&self.context, Item::Damage(Damage { offset: frame.offset, len: frame.encoded_len, kind }));
        }
    }

    /// Counts a record of an unknown kind and reports each kind once.
    fn skipped(&mut self, kind: u8, frame: RawFrame<'_>, sink: Sink<'_, 'elf>) {
        self.counts.unknown_records += 1;
        let said = &mut self.unknown_kinds[usize::from(kind)];
        if !std::mem::replace(said, true) {
            let kind = DamageKind::RecordKind(kind);
            sink(&self.context, Item::Damage(Damage { offset: frame.offset, len: frame.encoded_len, kind }));
        }
    }

    pub(super) fn damage(&mut self, damage: Damage, sink: Sink<'_, 'elf>) {
        self.counts.count(&damage);
        sink(&self.context, Item::Damage(damage));
    }
}

/// The callsite id of a record, and what the record implies about that callsite.
fn seen(record: &Record<'_>) -> Option<Seen> {
    let (id, role, fields) = match record {
        Record::Span(span) => (span.callsite, Role::Span, span.fields.len()),
        Record::Event(event) => (event.callsite, Role::Event, event.fields.len()),
        Record::Fields(added) => (added.callsite, Role::Fields, added.fields.len()),
        _ => return None,
    };
    Some(Seen { id, role, fields })
}

fn detached(raw: &RawExtended<'_>) -> Option<Detach> {
    let mut values = raw.fields.values();
    match (raw.kind, values.next()?, values.next()?) {
        (kind, RawValue::Inline(Value::U64(id)), RawValue::Inline(Value::Bool(held)))
            if kind == ExtendedKind::DETACH.0 =>
        {
            Some(Detach { time: raw.time, id, held })
        }
        _ => None,
    }
}

fn attached(raw: RawAttach) -> Attach {
    let remote = TraceId::from_bytes(raw.trace_id).zip(SpanId::from_bytes(raw.span_id));
    let remote = remote.map(|(trace_id, span_id)| TraceContext { trace_id, span_id, flags: raw.flags });
    Attach { time: raw.time, id: raw.id, remote }
}
