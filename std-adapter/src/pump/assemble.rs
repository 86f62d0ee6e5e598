//! Turns records into views: completes ids, converts ticks to times, adds late fields to their spans, and
//! gives spans of remote traces the remote ids.

mod added;
mod correlated;
mod follow;
mod logs;

use super::callsites::{Callsites, Entry};
use super::fan_out::FanOut;
use super::late::{Chain, Late};
use super::merged::{Merged, Parts, next_kept};
use super::remote::{self, Remotes, is_remote};
use super::resources::{Resources, RollUp, Totals};
use super::sample::Arrival;
use super::throttle::Throttle;
use crate::sampling;
use crate::wall_time::WallTime;
use correlated::{Correlated, Shared};
use std::sync::{Arc, Mutex};
use throughline::adapter::IdKey;
use throughline::adapter::record::{
    NO_BUSY, Record, SpanRecord, TextPlace, Values, replace_text, texts, texts_may_hold,
};
use throughline::adapter::ring::{ExtendedKind, RawRecord, RecordKind, Word};
use throughline::{Level, SpanId, TraceContext, TraceId, Value};
use throughline_export::ledger::{Cells, DropReason};
use throughline_export::otlp::{Options, OtlpExporter};
use throughline_export::view::SpanView;
use throughline_export::{Mask, Redaction, Wants};

/// Most records that are kept back for a round.
const WAITING: usize = 16_384;

/// Turns records into views. It is single-threaded, and all its tables are bounded.
#[derive(Debug)]
pub(super) struct Assembler {
    pub(super) wall_time: WallTime,
    key: IdKey,
    /// The last trace id and its root. Keep it because spans of one trace usually come one after the other.
    trace: (Word, TraceId),
    callsites: Callsites,
    late: Late,
    remotes: Remotes,
    /// Records that need something that another thread's ring may still hold, each with the round in which it
    /// came.
    waiting: Vec<(u64, Option<Shared>, RawRecord)>,
    round: u64,
    throttle: Throttle,
    mask: Mask,
    /// What exporters want.
    wanted: Wants,
    tally: Tally,
    /// Whether something is to be done at the end of each span beside passing it on.
    follows: bool,
    resources: Option<Resources>,
    /// What the span that just ended has used.
    used: Option<Totals>,
    correlated: Option<Box<Correlated>>,
    /// Records of fields that this has made itself and not counted off those that are absorbed.
    own: u64,
    /// The correlation fields of the record at hand.
    scope: Option<Shared>,
    /// Whether samples get labels from spans.
    labels: bool,
    roll_up: Option<Arc<Mutex<RollUp>>>,
}

/// Limits of an assembler's tables, in records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Field records whose span has not ended.
    pub(super) late_fields: usize,
    /// Remote parents.
    pub(super) remote_parents: usize,
    /// Log records of a callsite in a second; `None` for no limit.
    pub(super) logs_per_second: Option<u32>,
}

/// Counts of a round. They are published at its end, because counting each record in shared cells would cost
/// an atomic read-modify-write.
#[derive(Debug, Default)]
struct Tally {
    input: u64,
    spans: u64,
    logs: u64,
    absorbed: u64,
    malformed: u64,
    unclaimed: u64,
    too_many_fields: u64,
    unknown_parent: u64,
    rate_limited: u64,
}

impl Assembler {
    pub(super) fn new(
        wall_time: WallTime,
        key: IdKey,
        options: Options,
        redaction: Arc<Redaction>,
        limits: Bounds,
        wanted: Wants,
    ) -> Assembler {
        Assembler {
            wall_time,
            key,
            trace: (0, key.trace_id(0)),
            mask: Mask::new(Arc::clone(&redaction)),
            callsites: Callsites::new(options, redaction),
            late: Late::new(limits.late_fields),
            remotes: Remotes::new(limits.remote_parents),
            waiting: Vec::new(),
            round: 0,
            throttle: Throttle::new(limits.logs_per_second),
            wanted,
            tally: Tally::default(),
            follows: false,
            resources: None,
            used: None,
            correlated: None,
            own: 0,
            scope: None,
            labels: false,
            roll_up: None,
        }
    }

    /// Takes a record from a ring.
    #[inline(always)]
    pub(super) fn record(&mut self, raw: &RawRecord, sinks: &mut FanOut) {
        self.tally.input += 1;
        if raw.head.may_have_texts()
            && texts_may_hold(raw, Mask::SIGNS)
            && let Some(raw) = self.masked(raw)
        {
            return self.pass(&raw, sinks);
        }
        self.pass(raw, sinks);
    }

    #[inline(always)]
    fn pass(&mut self, raw: &RawRecord, sinks: &mut FanOut) {
        if raw.head.kind() == RecordKind::Fields { self.keep(raw) } else { self.take(raw, true, sinks) }
    }

    /// The record without the secrets in its texts; `None` if it has none.
    #[inline(never)]
    fn masked(&mut self, raw: &RawRecord) -> Option<RawRecord> {
        let mask = |(place, text)| Some((place, self.mask.masked(text)?));
        let found: Vec<(TextPlace, String)> = texts(raw).filter_map(mask).collect();
        if found.is_empty() {
            return None;
        }
        let mut raw = raw.clone();
        // Places of later texts move.
        found.iter().rev().for_each(|(place, text)| replace_text(&mut raw, place, text));
        Some(raw)
    }

    /// Handles a record, or keeps it back if it `may_wait`. Never inlined, so that there is one copy with
    /// everything that happens to a span.
    #[inline(never)]
    fn take(&mut self, raw: &RawRecord, may_wait: bool, sinks: &mut FanOut) {
        match Record::parse(raw) {
            Some(Record::Span(span)) => {
                // A future may have got fields on one thread and ended on another. A guard cannot leave its
                // thread.
                let moved = span.busy.is_some();
                if may_wait && (moved || self.is_unknown(span.root)) && self.wait(raw) {
                    return;
                }
                self.span(raw, &span, sinks);
            }
            Some(Record::Event(event)) => {
                if may_wait && self.is_unknown(event.root) && self.wait(raw) {
                    return;
                }
                self.event(&event, sinks);
            }
            Some(Record::Attach { id, remote, again, .. }) => {
                self.remotes.insert(id, remote, again);
                self.tally.absorbed += 1;
            }
            Some(Record::Extended(record)) if record.kind == ExtendedKind::DETACH => {
                if let Some(Value::U64(id)) = record.values.into_iter().next() {
                    self.remotes.detach(id as Word);
                }
                self.tally.absorbed += 1;
            }
            // Clock records; field records do not come here.
            Some(_) => self.tally.absorbed += 1,
            None => self.tally.malformed += 1,
        }
    }

    /// Whether `root` stands for a span of another process whose attach record has not been read.
    #[inline]
    fn is_unknown(&self, root: Word) -> bool {
        is_remote(root) && self.remotes.get(root).is_none()
    }

    /// Keeps a record back until all rings have been read again. Returns false if too many records are kept.
    #[cold]
    #[inline(never)]
    fn wait(&mut self, raw: &RawRecord) -> bool {
        let room = self.waiting.len() < WAITING;
        if room {
            self.waiting.push((self.round, self.scope.clone(), raw.clone()));
        }
        room
    }

    /// Ends a round over all rings. Records that the previous round kept back go on now: their rings were
    /// read before all rings were read again, so everything recorded before them has been read. If the ids of
    /// a remote trace are still not known, they never will be, and no trace is invented.
    pub(super) fn end_round(&mut self, cells: &Cells, sinks: &mut FanOut) {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain_mut(|(round, scope, raw)| {
            if *round == self.round {
                return true;
            }
            self.scope = scope.take();
            self.take(raw, false, sinks);
            false
        });
        self.waiting = waiting;
        self.scope = None;
        if let Some(correlated) = &mut self.correlated {
            correlated.end_round();
        }
        self.remotes.end_round(remote::current);
        self.round += 1;
        self.publish(cells);
    }

    /// Ends the assembler: records that are kept back go on without what they wait for, and fields whose span
    /// has not ended are dropped.
    pub(super) fn give_up(&mut self, cells: &Cells, sinks: &mut FanOut) {
        for (_, scope, raw) in std::mem::take(&mut self.waiting) {
            self.scope = scope;
            self.take(&raw, false, sinks);
        }
        self.scope = None;
        self.tally.unclaimed += self.late.clear();
        self.publish(cells);
    }

    /// Notes that rings lost records in this round.
    pub(super) fn lost(&mut self) {
        self.remotes.lost();
    }

    /// Publishes the counts since the last call.
    pub(super) fn publish(&mut self, cells: &Cells) {
        let tally = std::mem::take(&mut self.tally);
        cells.pump.input(tally.input);
        for (records, is_wanted) in [(tally.spans, self.wanted.spans), (tally.logs, self.wanted.logs)] {
            if is_wanted {
                cells.pump.output(records);
            } else {
                cells.pump.dropped(DropReason::NoExporter, records);
            }
        }
        // What this has made itself did not come in.
        let own = self.own.min(tally.absorbed);
        self.own -= own;
        cells.pump.absorbed(tally.absorbed - own);
        cells.pump.dropped(DropReason::Malformed, tally.malformed);
        cells.pump.dropped(DropReason::Unclaimed, tally.unclaimed);
        cells.pump.dropped(DropReason::TooManyFields, tally.too_many_fields);
        cells.pump.dropped(DropReason::UnknownParent, tally.unknown_parent);
        cells.pump.dropped(DropReason::RateLimited, tally.rate_limited);
    }

    #[inline]
    fn span(&mut self, raw: &RawRecord, span: &SpanRecord<'_>, sinks: &mut FanOut) {
        if self.follows {
            self.join(span.id, span.root);
        }
        let chain = self.late.take(span.id);
        let remote = self.remote_of(span.root);
        if is_remote(span.root) && remote.is_none() {
            self.tally.unknown_parent += 1;
            if let Some(chain) = chain {
                self.tally.absorbed += self.late.release(chain);
            }
            return;
        }
        if self.trace.0 != span.root {
            self.trace = (span.root, self.key.trace_id(span.root as u64));
        }
        self.callsites.learn(span.callsite);
        if let Some(entry) = self.callsites.get(span.callsite) {
            if self.follows {
                self.note(raw, entry, remote, chain);
            }
            if sinks.tail.is_some() {
                self.span_to_sample(raw, entry, remote, chain, sinks);
            } else {
                let distinct = self.distinct(entry, span.values, chain);
                if let Some(otlp) = &mut sinks.otlp {
                    if let Some((fields_of, values)) = distinct {
                        let view = self.view(span, entry, remote, ());
                        otlp.span_of(&entry.site, &view, (&fields_of.site, values));
                    } else {
                        self.mixed_span(otlp, raw, entry, remote, chain);
                    }
                }
                if sinks.has_others() {
                    self.span_for_others(raw, entry, remote, chain, sinks);
                }
            }
            self.tally.spans += 1;
        } else {
            self.tally.malformed += 1;
        }
        if let Some(chain) = chain {
            self.tally.absorbed += self.late.release(chain);
        }
    }

    /// Passes a span on to all exporters but the first of OTLP. Out of line, so that a program with OTLP alone
    /// keeps its registers; this parses the record again for the same reason.
    #[inline(never)]
    fn span_for_others(
        &self,
        raw: &RawRecord,
        entry: &Entry,
        remote: Option<TraceContext>,
        chain: Option<Chain>,
        sinks: &mut FanOut,
    ) {
        let Some(Record::Span(span)) = Record::parse(raw) else { return };
        for otlp in &mut sinks.further_otlp {
            self.mixed_span(otlp, raw, entry, remote, chain);
        }
        if !sinks.attached.is_empty() {
            let is_distinct = self.distinct(entry, span.values, chain).is_some();
            let fields = Merged::new(self.parts(entry, span.values, chain), is_distinct);
            let view = self.view(&span, entry, remote, fields);
            sinks.attached.iter_mut().for_each(|exporter| exporter.span(&view));
        }
    }

    /// Passes a span on to the stage that decides whether it is kept. This parses the record again, so that a program
    /// without that stage keeps its registers.
    #[cold]
    #[inline(never)]
    fn span_to_sample(
        &self,
        raw: &RawRecord,
        entry: &Entry,
        remote: Option<TraceContext>,
        chain: Option<Chain>,
        sinks: &mut FanOut,
    ) {
        let Some(Record::Span(span)) = Record::parse(raw) else { return };
        let is_distinct = self.distinct(entry, span.values, chain).is_some();
        let fields = Merged::new(self.parts(entry, span.values, chain), is_distinct);
        let view = self.view(&span, entry, remote, fields);
        let by_id = || remote.map_or_else(|| sampling::is_in_share(view.trace_id), |remote| remote.sampled());
        let arrival = Arrival {
            root: span.root,
            is_first: span.parent == 0 || is_remote(span.parent),
            is_remote: remote.is_some(),
            sampled: if sampling::IS_RECORDED { span.flagged } else { by_id() },
        };
        sinks.sample(arrival, &view);
    }

    /// A span whose fields the encoder must compare. This parses the record again, so that a usual span stays
    /// in registers.
    #[cold]
    #[inline(never)]
    fn mixed_span(
        &self,
        otlp: &mut OtlpExporter,
        raw: &RawRecord,
        entry: &Entry,
        remote: Option<TraceContext>,
        chain: Option<Chain>,
    ) {
        let Some(Record::Span(span)) = Record::parse(raw) else { return };
        let all = Merged::new(self.parts(entry, span.values, chain), true);
        otlp.span_at(&entry.site, &self.view(&span, entry, remote, all));
    }

    /// The one record that has all fields of a span, if no two fields can have the same name, nor a name that
    /// the exporter uses itself. That is so if all fields are in one record of a plain callsite.
    #[inline(always)]
    fn distinct<'a>(
        &'a self,
        entry: &'a Entry,
        values: Values<'a>,
        chain: Option<Chain>,
    ) -> Option<(&'a Entry, Values<'a>)> {
        let (entry, values) = match chain {
            None => (entry, values),
            Some(chain) if chain.is_single() && values.types() == 0 => {
                next_kept(&mut self.late.records(Some(chain)), &self.callsites)?
            }
            Some(_) => return None,
        };
        (values.types() == 0 || entry.site.is_plain()).then_some((entry, values))
    }

    /// The fields of a record, and those of the records kept for it.
    #[inline(always)]
    fn parts<'a>(&'a self, entry: &'a Entry, values: Values<'a>, chain: Option<Chain>) -> Parts<'a> {
        Parts::new(entry, values, self.late.records(chain), &self.callsites)
    }

    /// The view of a span for an exporter. It is made again for each exporter, because an inlined view needs
    /// no memory.
    #[inline(always)]
    fn view<'a, F>(
        &self,
        span: &SpanRecord<'a>,
        entry: &'a Entry,
        remote: Option<TraceContext>,
        fields: F,
    ) -> SpanView<'a, F> {
        let (start, end) = self.wall_time.span_unix_ns(span.start, span.duration);
        SpanView {
            trace_id: remote.map_or(self.trace.1, |remote| remote.trace_id),
            span_id: self.key.span_id(span.id as u64),
            parent_span_id: (span.parent != 0).then(|| self.span_id(span.parent, remote)),
            parent_is_remote: remote.is_some() && is_remote(span.parent),
            name: entry.blob.name,
            scope: entry.scope,
            target: entry.blob.target,
            file: entry.blob.file,
            line: entry.blob.line,
            kind: entry.blob.span_kind,
            level: entry.blob.level.unwrap_or(Level::Info),
            status: span.status,
            start_unix_ns: start,
            end_unix_ns: end,
            // The two are converted separately, so rounding could make busy longer than the span.
            busy_ns: span
                .busy
                .filter(|busy| *busy != NO_BUSY)
                .map(|busy| self.wall_time.nanos(busy).min(end.saturating_sub(start))),
            time_error_ns: None,
            fields,
        }
    }

    #[inline]
    fn remote_of(&self, root: Word) -> Option<TraceContext> {
        if is_remote(root) { self.remotes.get(root) } else { None }
    }

    #[inline]
    fn trace_id(&self, root: Word, remote: Option<TraceContext>) -> TraceId {
        remote.map_or_else(|| self.key.trace_id(root as u64), |remote| remote.trace_id)
    }

    #[inline]
    fn span_id(&self, id: Word, remote: Option<TraceContext>) -> SpanId {
        match remote {
            Some(remote) if is_remote(id) => remote.span_id,
            _ => self.key.span_id(id as u64),
        }
    }
}
