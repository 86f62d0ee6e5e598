//! Fields that are added to a span after its begin, in records of their own.

use super::Assembler;
use crate::pump::late::Kept;
use crate::pump::merged::covers;
use throughline::adapter::record::{Record, Values};
use throughline::adapter::ring::RawRecord;

/// The values of another field record, if it is of the same callsite. Most records of a span are of other callsites, which
/// their heads tell without a look at the values.
fn values_of<'r>(raw: &RawRecord, other: &'r RawRecord) -> Option<Values<'r>> {
    match (other.head.callsite == raw.head.callsite).then(|| Record::parse(other))?? {
        Record::Fields(other) => Some(other.values),
        _ => None,
    }
}

impl Assembler {
    /// Keeps a field record until its span ends. Never inlined, so that [`Assembler::record`] only passes on.
    #[inline(never)]
    pub(super) fn keep(&mut self, raw: &RawRecord) {
        let Some(Record::Fields(fields)) = Record::parse(raw) else { return self.tally.malformed += 1 };
        self.callsites.learn(fields.callsite);
        if self.callsites.get(fields.callsite).is_none() {
            return self.tally.malformed += 1;
        }
        let time = self.wall_time.order_of(fields.time);
        match self.late.keep_first(fields.span, raw, time) {
            Some(dropped) => self.tally.unclaimed += dropped,
            None => self.keep_more(raw, time),
        }
    }

    /// Keeps a further field record of a span. Parses the record again, so that the first one stays in registers.
    #[inline(never)]
    fn keep_more(&mut self, raw: &RawRecord, time: u64) {
        let Assembler { callsites, late, tally, .. } = self;
        let Some(Record::Fields(fields)) = Record::parse(raw) else { return };
        let Some(entry) = callsites.get(fields.callsite) else { return };
        let replaces = |earlier: &RawRecord| {
            values_of(raw, earlier).is_some_and(|earlier| covers(entry, fields.values, earlier))
        };
        let is_replaced = |later: &RawRecord| {
            values_of(raw, later).is_some_and(|later| covers(entry, later, fields.values))
        };
        match late.keep(fields.span, raw, time, replaces, is_replaced) {
            Kept::Yes { dropped, replaced } => {
                tally.unclaimed += dropped;
                tally.absorbed += replaced;
            }
            Kept::Full => tally.too_many_fields += 1,
        }
    }
}
