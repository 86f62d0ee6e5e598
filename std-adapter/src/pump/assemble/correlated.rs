//! Adds correlation fields to what was recorded within their scope. Where the fields of a thread change, its ring has a
//! record with their number; so each ring is read as the thread wrote it, with the fields of the moment.
//!
//! The end of a scope is such a record too, and could be lost when a ring is full. What follows would get fields of a
//! scope that has ended. So a ring that has lost something gets no fields in that round, nor later, until the
//! next such record.

use super::Assembler;
use crate::propagation::correlation::{self, Fields};
use crate::pump::FanOut;
use crate::pump::callsites::{Callsites, Entry};
use crate::pump::late::LAST;
use crate::pump::merged::{Merged, Parts};
use crate::pump::remote::is_remote;
use std::collections::HashMap;
use std::sync::Arc;
use throughline::adapter::bridge::{self, FieldList};
use throughline::adapter::callsite::{Callsite, Kind, Meta};
use throughline::adapter::record::{EventRecord, KEY_FIELD, Record, SpanRecord};
use throughline::adapter::ring::{ExtendedKind, Head, RawRecord, RecordKind, Word};
use throughline::{TraceContext, Value};
use throughline_export::Mask;
use throughline_export::view::{self, UNKNOWN_PARENT};

/// The fields of a scope, as log records show them.
pub(super) type Shared = Arc<[Pair]>;

/// A field.
#[derive(Debug)]
pub(super) struct Pair {
    name: Box<str>,
    /// As exporters may see it.
    value: Box<str>,
}

impl Pair {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The name and the value.
    pub(super) fn shown(&self) -> (&str, Value<'_>) {
        (&self.name, Value::Str { text: &self.value, truncated: false })
    }
}

/// The fields of each ring.
#[derive(Debug)]
pub(super) struct Correlated {
    /// The callsite of the fields that spans get.
    fields: &'static Callsite,
    rings: HashMap<usize, Shared>,
    /// Rings, by their recorders' addresses, that lost something before this round.
    lossy: Vec<usize>,
    /// The ring of the last record, and its fields.
    ring: usize,
    current: Option<Shared>,
    /// Sets that have been looked up, by number.
    known: HashMap<u64, Shared>,
    /// Sets that nobody uses any more; the records made within them are read in this round.
    left: Vec<u64>,
}

impl Correlated {
    /// `None` if there is no room for another callsite.
    pub(super) fn new() -> Option<Correlated> {
        let level = throughline::Level::Info as u8;
        let meta =
            Meta { kind: Kind::Fields, level, fields: &[KEY_FIELD, "throughline.value"], ..Meta::EMPTY };
        let fields = bridge::callsite(&meta)?;
        // This gives it its number, also if a filter leaves fields out.
        let _ = fields.enabled();
        Some(Correlated {
            fields,
            rings: HashMap::new(),
            lossy: Vec::new(),
            ring: 0,
            current: None,
            known: HashMap::new(),
            left: Vec::new(),
        })
    }

    /// Begins a round. `left` are the sets that nobody used any more before the heads of the rings were noted; `lossy` the
    /// rings that had lost something by then.
    pub(super) fn begin_round(&mut self, left: Vec<u64>, lossy: Vec<usize>) {
        (self.left, self.lossy, self.ring, self.current) = (left, lossy, 0, None);
        self.lossy.iter().for_each(|ring| _ = self.rings.remove(ring));
    }

    /// Ends a round: sets that nobody uses any more are forgotten.
    pub(super) fn end_round(&mut self) {
        correlation::forget(&self.left);
        self.left.iter().for_each(|number| _ = self.known.remove(number));
        self.left.clear();
    }

    /// Follows a record of the ring whose recorder has this address, and gives the fields that it has.
    pub(super) fn follow(&mut self, raw: &RawRecord, ring: usize, mask: &mut Mask) -> Option<Shared> {
        if ring != self.ring {
            self.ring = ring;
            self.current = self.rings.get(&ring).cloned();
        }
        if raw.head.extended_kind() == Some(ExtendedKind::CORRELATION)
            && let Some(Record::Extended(record)) = Record::parse(raw)
            && let Some(Value::U64(number)) = record.values.into_iter().next()
        {
            self.change(number, mask);
        }
        self.current.clone()
    }

    fn change(&mut self, number: u64, mask: &mut Mask) {
        self.current = if self.lossy.contains(&self.ring) { None } else { self.look_up(number, mask) };
        match &self.current {
            Some(shared) => _ = self.rings.insert(self.ring, Arc::clone(shared)),
            None => _ = self.rings.remove(&self.ring),
        }
    }

    fn look_up(&mut self, number: u64, mask: &mut Mask) -> Option<Shared> {
        if number == 0 {
            return None;
        }
        if let Some(known) = self.known.get(&number) {
            return Some(Arc::clone(known));
        }
        let fields: Fields = correlation::fields(number)?;
        let pair = |(name, value): &(Box<str>, Box<str>)| Pair {
            name: name.clone(),
            value: mask.shown(name, value).map_or_else(|| value.clone(), Into::into),
        };
        let shared: Shared = fields.iter().map(pair).collect();
        self.known.insert(number, Arc::clone(&shared));
        Some(shared)
    }

    /// Makes the callsite of those records known.
    pub(super) fn learn(&self, callsites: &mut Callsites) {
        callsites.learn(self.fields.id());
    }

    /// The record of a field of a span, as if the program had added it.
    pub(super) fn record(&self, pair: &Pair, span: Word, root: Word) -> RawRecord {
        let mut fields = FieldList::expecting(2);
        fields.push(&*pair.name);
        fields.push(&*pair.value);
        let (types, words) = fields.encoded();
        let mut raw = RawRecord::new();
        raw.head = Head::new(RecordKind::Fields, self.fields.id(), 0, types);
        raw.body[..3].copy_from_slice(&[0, span, root]);
        raw.body[3..3 + words.len()].copy_from_slice(words);
        raw.len = 3 + words.len();
        raw
    }
}

impl Assembler {
    /// Begins a round in which records may have correlation fields; see [`Correlated::begin_round`]. False if they cannot.
    #[cold]
    pub(in crate::pump) fn begin_correlating(&mut self, left: Vec<u64>, lossy: Vec<usize>) -> bool {
        if self.correlated.is_none() {
            self.correlated = Correlated::new().map(Box::new);
        }
        match &mut self.correlated {
            Some(correlated) => correlated.begin_round(left, lossy),
            None => correlation::forget(&left),
        }
        self.correlated.is_some()
    }

    /// Notes the correlation fields of a record that comes next, from the ring of the recorder at this address.
    #[inline(never)]
    pub(in crate::pump) fn correlate(&mut self, raw: &RawRecord, recorder: usize) {
        let Assembler { correlated, mask, .. } = self;
        self.scope = correlated.as_mut().and_then(|correlated| correlated.follow(raw, recorder, mask));
        // Here, and not where spans end, so that those without a scope cost nothing more.
        if self.scope.is_some()
            && matches!(raw.head.kind(), RecordKind::Span | RecordKind::SpanBusy | RecordKind::SpanLong)
            && let Some(Record::Span(span)) = Record::parse(raw)
        {
            self.own += self.join_scope(&span);
        }
    }

    /// Keeps the correlation fields of a span as if they had come in records of their own, but not those that the span has
    /// itself. Returns how many.
    fn join_scope(&mut self, span: &SpanRecord<'_>) -> u64 {
        let Assembler { correlated: Some(correlated), scope: Some(scope), .. } = self else { return 0 };
        self.callsites.learn(span.callsite);
        let records: Vec<RawRecord> = {
            let Some(entry) = self.callsites.get(span.callsite) else { return 0 };
            let parts = Parts::new(entry, span.values, self.late.peek(span.id), &self.callsites);
            let own = Merged::new(parts, true);
            let is_new = |pair: &&Pair| !has(own.clone(), pair.name());
            scope.iter().filter(is_new).map(|pair| correlated.record(pair, span.id, span.root)).collect()
        };
        correlated.learn(&mut self.callsites);
        for raw in &records {
            self.tally.unclaimed += self.late.add(span.id, raw, LAST);
        }
        records.len() as u64
    }

    /// Passes a log record on with the correlation fields that it does not have itself. One of an unknown trace gets no ids,
    /// because they would be made up, and an attribute says why.
    #[inline(never)]
    pub(super) fn log_with_more<'a>(
        &'a self,
        event: &EventRecord<'a>,
        entry: &'a Entry,
        remote: Option<TraceContext>,
        fields: impl view::Fields<'a>,
        sinks: &mut FanOut,
    ) {
        let is_unknown = is_remote(event.root) && remote.is_none();
        let mark = is_unknown.then_some((UNKNOWN_PARENT, Value::Bool(true)));
        let own: Vec<&str> =
            fields.clone().filter(|(_, value)| *value != Value::Absent).map(|(name, _)| name).collect();
        let scope = self.scope.as_deref().unwrap_or_default();
        let more = scope.iter().filter(|pair| !own.contains(&pair.name())).map(Pair::shown);
        sinks.log(&entry.site, &self.log_view(event, entry, remote, fields.chain(more).chain(mark)));
    }
}

/// Whether a field of this name has a value.
fn has<'a>(mut fields: impl Iterator<Item = (&'a str, Value<'a>)>, name: &str) -> bool {
    fields.any(|(known, value)| known == name && value != Value::Absent)
}
