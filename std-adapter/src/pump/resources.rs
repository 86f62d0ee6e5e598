//! What spans have used, CPU time and memory, joined to them before they are exported: as fields of a record of its own,
//! as if the program had added them.

#[cfg_attr(not(profiled), allow(dead_code, reason = "only profiles read labels"))]
pub(crate) mod labels;
mod roll_up;
mod timeline;

pub(crate) use roll_up::{Prices, RollUp};

use crate::profiling::{
    Source, Used, has_switches, monotonic_ns, read_switches, read_used, tell_samples, tell_used,
};
use crate::wall_time::WallTime;
use std::collections::HashMap;
use std::mem;
use throughline::adapter::bridge::{self, FieldList};
use throughline::adapter::callsite::{Callsite, Kind, Meta};
use throughline::adapter::record::Record;
use throughline::adapter::recorder::record_polls;
use throughline::adapter::ring::ExtendedKind;
use throughline::adapter::ring::{Head, RawRecord, RecordKind, Word};
use throughline::{Clock, Empty, Level, Value};
use timeline::Timeline;

/// Spans that are touched until the older half of the table is forgotten. An entry takes 64 bytes.
const GENERATION: usize = 1 << 15;

/// The fields, in the order in which they are written.
const FIELDS: [&str; 5] = [
    "throughline.profile.samples",
    "resource.cpu.micros",
    "resource.cpu.source",
    "resource.memory.bytes",
    "resource.memory.peak",
];

/// What spans are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// How many samples a profile has of them.
    Samples,
    /// What they have used too.
    Resources,
}

/// What is known of spans that have not ended.
#[derive(Debug)]
pub(super) struct Resources {
    wanted: Wanted,
    fields: &'static Callsite,
    spans: Generations<Totals>,
    /// Of threads whose switches are recorded, by their recorders' addresses.
    timelines: HashMap<usize, Timeline>,
    /// How often switches were read.
    round: u64,
}

/// What a span has used itself, without the spans inside it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Totals {
    pub(super) samples: u64,
    pub(super) cpu_ns: u64,
    source: Option<Source>,
    pub(super) bytes: u64,
    net: i64,
    pub(super) peak: i64,
}

impl Totals {
    fn add(&mut self, used: Used) {
        self.samples += u64::from(matches!(used, Used::Cpu { source: Source::Samples, .. }));
        match used {
            // Switches tell everything that samples can.
            Used::Cpu { source: Source::Samples, .. } if self.source == Some(Source::Switches) => {}
            Used::Cpu { nanoseconds, source } => {
                let is_first = self.source != Some(source);
                self.cpu_ns = if is_first { nanoseconds } else { self.cpu_ns + nanoseconds };
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
    pub(super) fn new(wanted: Wanted) -> Option<Resources> {
        let level = Level::Info as u8;
        let meta = Meta { kind: Kind::Fields, level, fields: &FIELDS, ..Meta::EMPTY };
        let fields = bridge::callsite(&meta)?;
        // This gives it its number, also if a filter leaves fields out.
        let _ = fields.enabled();
        let told = match wanted {
            Wanted::Samples => tell_samples(),
            Wanted::Resources => tell_used(),
        };
        if !told {
            return None;
        }
        record_polls(has_switches());
        Some(Resources { wanted, fields, spans: Generations::default(), timelines: HashMap::new(), round: 0 })
    }

    /// Reads what spans have used since the last call. Everything that a span has used was written before its record.
    pub(super) fn read(&mut self, clock: &Clock, wall_time: &WallTime) {
        let Resources { spans, timelines, .. } = self;
        read_used(|span, used| spans.entry(span).add(used));
        if !has_switches() {
            return;
        }
        self.round += 1;
        let (now, ns) = now(clock);
        let hz = i128::from(wall_time.hz());
        let ticks = |time: u64| {
            let ticks = (i128::from(time) - i128::from(ns)) * hz / 1_000_000_000;
            now.saturating_add_signed(ticks as i64)
        };
        let round = self.round;
        read_switches(|recorder, away| {
            let line = timelines.entry(recorder).or_default();
            line.round = round;
            if let Some((from, to)) = away {
                line.away(ticks(from), ticks(to));
            }
        });
    }

    /// Notes when a span was current on the thread whose recorder has this address. Every record comes here first, in the
    /// order of its ring.
    pub(super) fn follow(&mut self, raw: &RawRecord, recorder: usize, wall_time: &WallTime) {
        // A recorder may have got a thread whose switches are not recorded.
        let line = self.timelines.get_mut(&recorder).filter(|line| line.round == self.round);
        let Some(line) = line else { return };
        let (span, begin, end) = match Record::parse(raw) {
            Some(Record::Span(span)) if span.busy.is_none() => {
                (span.id, span.start as u64, (span.start as u64).wrapping_add(span.duration))
            }
            Some(Record::Extended(poll)) if poll.kind == ExtendedKind::POLL => {
                let mut values = poll.values.into_iter();
                let (Some(Value::U64(span)), Some(Value::U64(begin))) = (values.next(), values.next()) else {
                    return;
                };
                (span as Word, begin, poll.time as u64)
            }
            _ => return,
        };
        let nanoseconds = wall_time.nanos(line.close(begin, end));
        self.spans.entry(span).add(Used::Cpu { nanoseconds, source: Source::Switches });
    }

    /// What a span that ends has used, and the record for it; `None` if nothing is known.
    pub(super) fn take(&mut self, span: Word, root: Word) -> Option<(Totals, RawRecord)> {
        let totals = self.spans.take(span)?;
        let mut fields = FieldList::expecting(FIELDS.len());
        match totals.samples {
            0 => fields.push(&Empty),
            samples => fields.push(&samples),
        };
        if let Some(source) = totals.source.filter(|_| self.wanted == Wanted::Resources) {
            fields.push(&(totals.cpu_ns / 1000));
            fields.push(source.as_str());
        }
        fields.skip_to(3);
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

/// The time by two clocks: ticks, and nanoseconds as switches have them. The reading that took the shortest time counts.
fn now(clock: &Clock) -> (u64, u64) {
    let reading = |_| {
        let before = clock.ticks() as u64;
        let ns = monotonic_ns();
        let width = (clock.ticks() as u64).wrapping_sub(before);
        (width, before.wrapping_add(width / 2), ns)
    };
    let best = (0..3).map(reading).min_by_key(|(width, ..)| *width);
    best.map_or((0, 0), |(_, ticks, ns)| (ticks, ns))
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

    #[cfg_attr(not(profiled), allow(dead_code, reason = "only profiles read labels"))]
    fn get(&self, key: Word) -> Option<&T> {
        self.young.get(&key).or_else(|| self.old.get(&key))
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
