//! Trees for people to read: traces when they end, metrics at each snapshot of a live stream and at the end
//! of each boot, then the summary.

use std::collections::BTreeMap;
use std::io::{BufWriter, StdoutLock, Write};

use super::Output;
use throughline::TraceId;
use throughline_decode::ledger::{Boot, BootCause};
use throughline_decode::preamble::Hex;
use throughline_decode::series::MAX_SERIES;
use throughline_decode::trace::{Assembled, Entry};
use throughline_decode::{Context, Item, Point, PointValue, Snapshot, Time, TimeSource};
use throughline_export::terminal::{Nanoseconds, Style, TimeOfDay, Tree, write_metrics};
use throughline_export::text::Escaped;

use crate::args::Metrics;
use crate::error::CliError;
use crate::summary::Summary;
use crate::views::{self, PointTexts};

/// Number of columns in the drawing of a histogram.
const BARS: usize = 32;

/// Stands for the id of a trace whose id is not known. It is not shown, and each trace is drawn at once, so
/// two such traces never mix.
const NO_ID: TraceId = match TraceId::from_bytes([0xff; 16]) {
    Some(id) => id,
    None => unreachable!(),
};

/// Points with the same name, unit, shape and labels are one series.
type Series<'elf> = (String, &'elf str, u8, Vec<(&'elf str, String)>);

pub(crate) struct TreeText<'elf> {
    out: BufWriter<StdoutLock<'static>>,
    style: Style,
    tree: Tree,
    /// The latest value of every series in this boot.
    metrics: BTreeMap<Series<'elf>, Point<'elf>>,
    when: Metrics,
    announced: bool,
    /// The source of the times shown last.
    source: Option<TimeSource>,
}

impl<'elf> TreeText<'elf> {
    pub(crate) fn new(when: Metrics) -> TreeText<'elf> {
        let style = Style::of(&std::io::stdout());
        TreeText {
            out: BufWriter::new(std::io::stdout().lock()),
            style,
            tree: Tree::new(style, usize::MAX),
            metrics: BTreeMap::new(),
            when,
            announced: false,
            source: None,
        }
    }

    fn boot(&mut self, boot: &Boot) -> Result<(), CliError> {
        self.metrics()?;
        self.announced = false;
        match boot.cause {
            BootCause::Joined => {}
            BootCause::Epoch => writeln!(self.out, "── the device restarted: epoch {}", boot.epoch)?,
            BootCause::Sequence => {
                writeln!(self.out, "── the device restarted without a new epoch: ids may repeat")?;
            }
            _ => writeln!(self.out, "── the device restarted")?,
        }
        if let Some(missed) = boot.missed {
            let (records, frames) = (missed.records, missed.frames);
            writeln!(self.out, "── joined late, after {records} records in {frames} frames")?;
        }
        Ok(())
    }

    /// Prints the source of the times below when it changes.
    fn times(&mut self, time: &Time) -> Result<(), CliError> {
        if self.source.replace(time.source) == Some(time.source) {
            return Ok(());
        }
        let known = match time.source {
            TimeSource::Device => "times are by the device's own clock",
            TimeSource::Arrival => "times are by arrival here",
            TimeSource::Given => "times are by the given anchor",
            TimeSource::Boot => "times count from boot; --anchor TIME makes them wall-clock times",
            _ => "times are of a source that is not known here",
        };
        Ok(writeln!(self.out, "── {known}")?)
    }

    /// Prints the identity of the device, once per boot.
    fn preamble(&mut self, context: &Context) -> Result<(), CliError> {
        let Some(preamble) = context.preamble.as_ref().filter(|_| !self.announced) else { return Ok(()) };
        self.announced = true;
        let name = if preamble.name.is_empty() { "device" } else { &preamble.name };
        write!(self.out, "── {} {:016x}, epoch {}", Escaped(name), preamble.device_id, context.epoch)?;
        if !preamble.build_id.is_empty() {
            write!(self.out, ", build {}", Hex(&preamble.build_id[..preamble.build_id.len().min(6)]))?;
        }
        let tick_ns = context.clock.tick_hz().map(|hz| 1e9 / hz as f64);
        match tick_ns {
            Some(ns) => write!(self.out, ", tick {} ns", (ns * 1000.0).round() / 1000.0)?,
            None => write!(self.out, ", tick rate unknown: durations are in ticks, shown as ns")?,
        }
        writeln!(self.out)?;
        Ok(())
    }

    /// Keeps the values of a snapshot, and shows them if each snapshot is to be shown.
    fn snapshot(&mut self, context: &Context, snapshot: &Snapshot<'elf>) -> Result<(), CliError> {
        for point in &snapshot.points {
            let name = point.callsite.name().into_owned();
            let key = (name, point.callsite.unit(), shape(&point.value), point.labels.clone());
            if self.metrics.len() < MAX_SERIES || self.metrics.contains_key(&key) {
                self.metrics.insert(key, point.clone());
            }
        }
        if self.when == Metrics::Each {
            let time = context.time(snapshot.time);
            self.times(&time)?;
            let missing = if snapshot.complete { "" } else { ", parts of it are missing" };
            writeln!(self.out, "── metrics at {}{missing}", TimeOfDay(time.unix_ns))?;
            self.table(snapshot.points.iter())?;
        }
        Ok(())
    }

    /// Shows the latest metrics of a boot that has ended.
    fn metrics(&mut self) -> Result<(), CliError> {
        let points = std::mem::take(&mut self.metrics);
        if points.is_empty() {
            return Ok(());
        }
        writeln!(self.out)?;
        self.table(points.values())
    }

    /// Writes a table, and a drawing of each histogram.
    fn table<'p>(&mut self, points: impl Iterator<Item = &'p Point<'elf>> + Clone) -> Result<(), CliError>
    where
        'elf: 'p,
    {
        let texts: Vec<_> = points.clone().map(PointTexts::new).collect();
        write_metrics(&mut self.out, self.style, texts.iter().map(|t| t.view(0, 0)))?;
        for (point, text) in points.zip(&texts) {
            if let Some(picture) = picture(&point.value) {
                let view = text.view(0, 0);
                let unit = view.unit.trim_start_matches('{').trim_end_matches('}');
                writeln!(self.out, "{} {picture} {}", Escaped(view.name), Escaped(unit))?;
            }
        }
        Ok(())
    }
}

impl<'elf> Output<'elf> for TreeText<'elf> {
    fn item(&mut self, context: &Context, item: &Item<'elf, '_>) -> Result<(), CliError> {
        match item {
            Item::Boot(boot) => self.boot(boot)?,
            Item::Preamble(_) => {
                self.preamble(context)?;
            }
            Item::Metrics(snapshot) => self.snapshot(context, snapshot)?,
            Item::ClockSet { by_ns } => {
                let way = if *by_ns < 0 { "back" } else { "forward" };
                let by = Nanoseconds(by_ns.unsigned_abs());
                writeln!(
                    self.out,
                    "── the device set its clock {way} by {by}: times below use the new time"
                )?;
            }
            Item::Damage(damage) if damage.is_late_join() => {
                writeln!(self.out, "── joined within a frame: {} bytes of it skipped", damage.len)?;
            }
            Item::Damage(damage) => {
                writeln!(
                    self.out,
                    "▲ bytes {}+{}: {}",
                    damage.offset,
                    damage.len,
                    Escaped(&damage.kind.to_string())
                )?;
            }
            _ => {}
        }
        Ok(())
    }

    fn assembled(&mut self, assembled: &Assembled<'elf>) -> Result<(), CliError> {
        match assembled {
            Assembled::Trace(trace) => {
                let first = trace.entries.iter().find_map(|(_, entry)| match entry {
                    Entry::Span(span) => Some(span.start),
                    Entry::Event(event) | Entry::Fields(event) => Some(event.time),
                    Entry::Loss(_) => None,
                });
                first.map_or(Ok(()), |time| self.times(&time))?;
                let trace_id = trace.trace_id.unwrap_or(NO_ID);
                if trace.trace_id.is_none() {
                    self.tree.unknown(trace_id);
                }
                if trace.part > 0 {
                    self.tree.continued(trace_id);
                }
                for (_, entry) in &trace.entries {
                    match entry {
                        Entry::Span(span) => {
                            let name = span.callsite.name();
                            self.tree.span(&views::span(span, trace_id, &name));
                        }
                        Entry::Event(event) => {
                            let message = event.callsite.name();
                            self.tree.log(&views::log(event, Some(trace_id), &message));
                        }
                        Entry::Fields(event) => {
                            self.tree.log(&views::log(
                                event,
                                Some(trace_id),
                                "fields of a span that was not seen",
                            ));
                        }
                        Entry::Loss(loss) => self.tree.loss(views::loss(loss)),
                    }
                }
            }
            Assembled::Event(event) => {
                self.times(&event.time)?;
                let message = event.callsite.name();
                self.tree.log(&views::log(event, None, &message));
            }
            Assembled::Loss(loss) => self.tree.loss(views::loss(loss)),
        }
        // Everything that comes here is complete or must be shown in part, so hold nothing back again.
        self.tree.write_all(&mut self.out)?;
        Ok(())
    }

    fn pause(&mut self) -> Result<(), CliError> {
        Ok(self.out.flush()?)
    }

    fn finish(&mut self, _: &Context, summary: &Summary) -> Result<(), CliError> {
        if summary.interrupted {
            writeln!(
                self.out,
                "── stopped by a signal; traces that had not ended are shown as far as they came"
            )?;
        }
        self.metrics()?;
        writeln!(self.out, "\n{summary}")?;
        Ok(self.out.flush()?)
    }
}

fn shape(value: &PointValue) -> u8 {
    match value {
        PointValue::Counter(_) | PointValue::CounterFloat(_) => 0,
        PointValue::UpDown(_) => 1,
        PointValue::GaugeInt(_) => 2,
        PointValue::GaugeFloat(_) => 3,
        PointValue::Histogram { .. } => 4,
    }
}

/// Draws a histogram's buckets as at most [`BARS`] bars; neighbouring buckets are added up.
fn picture(value: &PointValue) -> Option<String> {
    let PointValue::Histogram { scale, fraction_bits, offset, buckets, .. } = value else { return None };
    let per_bar = buckets.len().div_ceil(BARS).max(1);
    let bars: Vec<u64> =
        buckets.chunks(per_bar).map(|c| c.iter().fold(0u64, |a, n| a.saturating_add(*n))).collect();
    let most = bars.iter().copied().max().filter(|n| *n > 0)?;
    let bound = |index: i64| (index as f64 / f64::from(1u32 << scale.min(&31))).exp2();
    let (low, high) = (bound(i64::from(*offset)), bound(i64::from(*offset) + buckets.len() as i64));
    const LEVELS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    // Round up, so that a bucket with a single value is visible.
    let level = |n: &u64| LEVELS[(n.saturating_mul(8).div_ceil(most)).min(8) as usize];
    let digits = if *fraction_bits > 0 { 3 } else { 0 };
    Some(format!("{low:.digits$} ▕{}▏ {high:.digits$}", bars.iter().map(level).collect::<String>()))
}
