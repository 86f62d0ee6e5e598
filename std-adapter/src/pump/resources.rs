//! What spans have used, CPU time and memory, joined to them before they are exported: as fields of a record of its own,
//! as if the program had added them.

mod roll_up;

pub(crate) use roll_up::{Prices, RollUp};

use crate::profiling::{Source, Used, read_used, tell_used};
use std::collections::HashMap;
use std::mem;
use throughline::adapter::bridge::{self, FieldList};
use throughline::adapter::callsite::{Callsite, Kind, Meta};
use throughline::adapter::ring::{Head, RawRecord, RecordKind, Word};
use throughline::{Empty, Level};

/// Spans that are touched until the older half of the table is forgotten. An entry takes 64 bytes.
const GENERATION: usize = 1 << 15;

/// The fields, in the order in which they are written.
const FIELDS: [&str; 4] =
    ["resource.cpu.micros", "resource.cpu.source", "resource.memory.bytes", "resource.memory.peak"];

/// What is known of spans that have not ended.
#[derive(Debug)]
pub(super) struct Resources {
    fields: &'static Callsite,
    spans: Generations<Totals>,
}

/// What a span has used itself, without the spans inside it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Totals {
    pub(super) cpu_ns: u64,
    pub(super) source: Option<Source>,
    pub(super) bytes: u64,
    net: i64,
    pub(super) peak: i64,
}

impl Totals {
    fn add(&mut self, used: Used) {
        match used {
            Used::Cpu { nanoseconds, source } => {
                self.cpu_ns += nanoseconds;
                self.source = Some(source);
            }
            Used::Memory { bytes, net, peak } => {
                self.bytes += bytes;
                self.peak = self.peak.max(self.net.saturating_add(peak));
                self.net = self.net.saturating_add(net);
            }
        }
    }
}

impl Resources {
    /// Has the profiler tell what spans use; `None` if it cannot, or there is no room for another callsite.
    pub(super) fn new() -> Option<Resources> {
        let level = Level::Info as u8;
        let meta = Meta { kind: Kind::Fields, level, fields: &FIELDS, ..Meta::EMPTY };
        let fields = bridge::callsite(&meta)?;
        // This gives it its number, also if a filter leaves fields out.
        let _ = fields.enabled();
        tell_used().then(|| Resources { fields, spans: Generations::default() })
    }

    /// Reads what spans have used since the last call. Everything that a span has used was written before its record.
    pub(super) fn read(&mut self) {
        let spans = &mut self.spans;
        read_used(|span, used| spans.entry(span).add(used));
    }

    /// What a span that ends has used, and the record for it; `None` if nothing is known.
    pub(super) fn take(&mut self, span: Word, root: Word) -> Option<(Totals, RawRecord)> {
        let totals = self.spans.take(span)?;
        let mut fields = FieldList::expecting(FIELDS.len());
        match totals.source {
            Some(source) => {
                fields.push(&(totals.cpu_ns / 1000));
                fields.push(source.as_str());
            }
            None => fields.skip_to(2),
        }
        match totals.bytes {
            0 => [fields.push(&Empty), fields.push(&Empty)],
            bytes => [fields.push(&bytes), fields.push(&totals.peak.max(0).unsigned_abs())],
        };
        let (types, words) = fields.encoded();
        let mut raw = RawRecord::new();
        raw.head = Head::new(RecordKind::Fields, self.fields.id(), 0, types);
        raw.body[..3].copy_from_slice(&[0, span, root]);
        raw.body[3..3 + words.len()].copy_from_slice(words);
        raw.len = 3 + words.len();
        Some((totals, raw))
    }
}

/// A table of bounded size that forgets what has not been touched for longest.
#[derive(Debug)]
struct Generations<T> {
    young: HashMap<Word, T>,
    old: HashMap<Word, T>,
}

impl<T> Default for Generations<T> {
    fn default() -> Generations<T> {
        Generations { young: HashMap::new(), old: HashMap::new() }
    }
}

impl<T: Default> Generations<T> {
    fn entry(&mut self, key: Word) -> &mut T {
        if self.young.len() >= GENERATION && !self.young.contains_key(&key) {
            self.old = mem::take(&mut self.young);
        }
        let Generations { young, old } = self;
        young.entry(key).or_insert_with(|| old.remove(&key).unwrap_or_default())
    }

    fn take(&mut self, key: Word) -> Option<T> {
        self.young.remove(&key).or_else(|| self.old.remove(&key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_and_the_peak_is_that_of_the_whole() {
        let mut totals = Totals::default();
        for (bytes, net, peak) in [(100, 60, 100), (50, -60, 20), (30, 10, 30)] {
            totals.add(Used::Memory { bytes, net, peak });
        }
        assert_eq!((totals.bytes, totals.net, totals.peak), (180, 10, 100));
        totals.add(Used::Memory { bytes: 200, net: 0, peak: 200 });
        assert_eq!(totals.peak, 210);
    }

    #[test]
    fn spans_that_never_end_are_forgotten_and_those_in_use_are_not() {
        let mut spans = Generations::<u64>::default();
        for span in 1..=10 * GENERATION {
            *spans.entry(span) += 1;
            *spans.entry(0) += 1;
        }
        assert!(spans.young.len() + spans.old.len() <= 2 * GENERATION);
        assert_eq!(spans.take(0), Some(10 * GENERATION as u64));
        assert_eq!((spans.take(0), spans.take(1)), (None, None));
        assert_eq!(spans.take(10 * GENERATION), Some(1));
    }
}
