//! What is done at the end of a span beside passing it on: it is told what it has used, that is summed up, and samples get its labels.

use super::Assembler;
use crate::pump::callsites::Entry;
use crate::pump::late::{Chain, LAST};
use crate::pump::merged::Merged;
use crate::pump::remote::is_remote;
use crate::pump::resources::{Resources, RollUp, Wanted, labels};
use std::sync::{Arc, Mutex, PoisonError};
use throughline::adapter::record::{Record, SpanRecord};
use throughline::adapter::ring::{RawRecord, Word};
use throughline::{Clock, TraceContext, Value};

impl Assembler {
    /// Adds to each span what it has used, as far as `wanted`, and sums it up.
    pub(in crate::pump) fn with_resources(
        mut self,
        wanted: Option<Wanted>,
        labels: bool,
        roll_up: Option<Arc<Mutex<RollUp>>>,
    ) -> Assembler {
        self.labels = labels;
        self.resources = wanted.and_then(Resources::new);
        self.roll_up = roll_up.filter(|_| self.resources.is_some());
        self.follows = self.labels || self.resources.is_some();
        self
    }

    pub(in crate::pump) fn has_resources(&self) -> bool {
        self.resources.is_some()
    }

    /// Reads what spans have used. The records of spans that ended before may be taken afterwards.
    pub(in crate::pump) fn read_resources(&mut self, clock: &Clock) {
        if let Some(resources) = &mut self.resources {
            resources.read(clock, &self.wall_time);
        }
    }

    /// Takes a record from the ring of the recorder at this address, for what spans use.
    #[inline]
    pub(in crate::pump) fn follow(&mut self, raw: &RawRecord, recorder: usize) {
        if let Some(resources) = &mut self.resources {
            resources.follow(raw, recorder, &self.wall_time);
        }
    }

    /// Keeps what a span has used, if it is known, as if it were fields that came in a record of their own.
    #[cold]
    #[inline(never)]
    pub(super) fn join(&mut self, span: Word, root: Word) {
        self.used = None;
        let Some(resources) = &mut self.resources else { return };
        let Some((totals, raw)) = resources.take(span, root) else { return };
        self.callsites.learn(raw.head.callsite);
        self.tally.unclaimed += self.late.add(span, &raw, LAST);
        self.used = Some(totals);
        self.own += 1;
    }

    /// Notes what others than exporters want to know of a span. Parses the record again, so that a span that nobody follows stays in registers.
    #[cold]
    #[inline(never)]
    pub(super) fn note(
        &self,
        raw: &RawRecord,
        entry: &Entry,
        remote: Option<TraceContext>,
        chain: Option<Chain>,
    ) {
        let Some(Record::Span(span)) = Record::parse(raw) else { return };
        let span = &span;
        if self.labels {
            self.label(span, entry, remote, chain);
        }
        self.sum_up(span, entry, chain);
    }

    /// Adds what a span has used to the sums of its fields' values.
    fn sum_up(&self, span: &SpanRecord<'_>, entry: &Entry, chain: Option<Chain>) {
        let Some(roll_up) = &self.roll_up else { return };
        let value = |name: &str| self.text_of(name, span, entry, chain);
        let parent = if is_remote(span.parent) { 0 } else { span.parent };
        let duration = self.wall_time.nanos(span.duration);
        let mut roll_up = roll_up.lock().unwrap_or_else(PoisonError::into_inner);
        roll_up.add((span.id, parent), self.used, duration, value);
    }

    /// Notes what labels the samples of a span have.
    fn label(
        &self,
        span: &SpanRecord<'_>,
        entry: &Entry,
        remote: Option<TraceContext>,
        chain: Option<Chain>,
    ) {
        let id = |id| self.span_id(id, remote);
        let parent = (span.parent != 0).then(|| id(span.parent));
        labels::note(id(span.id), parent, |name| self.text_of(name, span, entry, chain));
    }

    /// The value of a span's field as text, if it is a short one.
    fn text_of(
        &self,
        name: &str,
        span: &SpanRecord<'_>,
        entry: &Entry,
        chain: Option<Chain>,
    ) -> Option<String> {
        let mut fields = Merged::new(self.parts(entry, span.values, chain), false);
        match fields.find(|(key, _)| *key == name)?.1 {
            Value::Str { text, .. } | Value::Shown { text, .. } => Some(text.to_owned()),
            Value::U64(n) => Some(n.to_string()),
            Value::I64(n) => Some(n.to_string()),
            Value::Bool(is) => Some(is.to_string()),
            _ => None,
        }
    }
}
