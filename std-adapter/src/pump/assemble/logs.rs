//! Turns records of events into views of log records, and limits how many a callsite makes.

use super::Assembler;
use crate::pump::FanOut;
use crate::pump::callsites::Entry;
use crate::pump::merged::Merged;
use crate::pump::remote::is_remote;
use throughline::adapter::record::EventRecord;
use throughline::adapter::ring::Word;
use throughline::{Level, TraceContext, Value};
use throughline_export::ledger::Cells;
use throughline_export::view::{Fields, LogView};

impl Assembler {
    pub(super) fn event(&mut self, event: &EventRecord<'_>, sinks: &mut FanOut) {
        let wall_time = &self.wall_time;
        if !self.throttle.passes(event.callsite, || wall_time.unix_ns(event.time)) {
            self.tally.rate_limited += 1;
            return;
        }
        self.callsites.learn(event.callsite);
        let remote = self.remote_of(event.root);
        let Some(entry) = self.callsites.get(event.callsite) else {
            self.tally.malformed += 1;
            return;
        };
        let fields = Merged::new(self.parts(entry, event.values, None), entry.site.is_plain());
        self.log(event, entry, remote, fields, sinks);
        self.tally.logs += 1;
    }

    /// Passes a log record on.
    #[inline]
    fn log<'a>(
        &'a self,
        event: &EventRecord<'a>,
        entry: &'a Entry,
        remote: Option<TraceContext>,
        fields: impl Fields<'a>,
        sinks: &mut FanOut,
    ) {
        if self.scope.is_some() || is_remote(event.root) && remote.is_none() {
            self.log_with_more(event, entry, remote, fields, sinks);
        } else {
            sinks.log(&entry.site, &self.log_view(event, entry, remote, fields));
        }
    }

    #[inline(always)]
    pub(super) fn log_view<'a, F>(
        &self,
        event: &EventRecord<'a>,
        entry: &'a Entry,
        remote: Option<TraceContext>,
        fields: F,
    ) -> LogView<'a, F> {
        let is_known = event.span != 0 && (!is_remote(event.root) || remote.is_some());
        LogView {
            span: is_known.then(|| (self.trace_id(event.root, remote), self.span_id(event.span, remote))),
            time_unix_ns: self.wall_time.unix_ns(event.time),
            level: entry.blob.level.unwrap_or(Level::Info),
            message: entry.blob.name,
            event_name: entry.blob.unit,
            trace_flags: u8::from(is_sampled(event, remote)),
            scope: entry.scope,
            target: entry.blob.target,
            file: entry.blob.file,
            line: entry.blob.line,
            time_error_ns: None,
            fields,
        }
    }

    /// Passes on a log record for each callsite whose records were held back in a second that is over at `ticks`, or in any if it is the `last` call. Such a record is
    /// counted like one that the program made.
    pub(in crate::pump) fn tell_held(&mut self, ticks: Word, last: bool, cells: &Cells, sinks: &mut FanOut) {
        let Assembler { throttle, callsites, wall_time, .. } = self;
        let time_unix_ns = wall_time.unix_ns(ticks);
        let mut records = 0;
        throttle.tell(time_unix_ns, last, |callsite, held| {
            let Some(Entry { blob, scope, .. }) = callsites.get(callsite) else { return };
            let message =
                format!("{{held_back}} more like this were held back within a second: {}", blob.name);
            let fields = [("held_back", Value::U64(held))];
            sinks.own_log(&LogView {
                span: None,
                time_unix_ns,
                level: blob.level.unwrap_or(Level::Info),
                message: &message,
                event_name: "",
                trace_flags: 0,
                scope: *scope,
                target: blob.target,
                file: blob.file,
                line: blob.line,
                time_error_ns: None,
                fields: fields.iter().copied(),
            });
            records += 1;
        });
        for hop in [&cells.ring, &cells.pump] {
            hop.input(records);
            hop.output(records);
        }
    }
}

/// Whether the spans of an event's trace are recorded. Directly below a remote parent the local sampler may
/// not have decided yet, so the parent's flag decides.
fn is_sampled(event: &EventRecord<'_>, remote: Option<TraceContext>) -> bool {
    event.sampled && (event.span != event.root || remote.is_none_or(|remote| remote.sampled()))
}
