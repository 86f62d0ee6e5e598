//! The profile of a device: its samples of the program counter, as a file.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use throughline::{SpanId, TraceId};
use throughline_decode::trace::{Assembled, Entry};
use throughline_decode::{Context, Item, Samples};
use throughline_profile::{DeviceRun, DeviceSample, Profile};

use super::Output;
use crate::error::CliError;
use crate::say;
use crate::summary::Summary;

/// Most different places that are kept, and most spans whose names are known. One takes about 100 bytes.
const MOST: usize = 200_000;

/// What the file holds, by the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `.svg`
    FlameGraph,
    /// `.pb.gz`
    Pprof,
    /// `.folded`
    Folded,
    /// `.txt`
    Text,
}

impl Kind {
    pub(crate) fn of(path: &Path) -> Option<Kind> {
        let name = path.file_name()?.to_str()?;
        let ends = [
            (".svg", Kind::FlameGraph),
            (".pb.gz", Kind::Pprof),
            (".folded", Kind::Folded),
            (".txt", Kind::Text),
        ];
        ends.into_iter().find_map(|(end, kind)| name.ends_with(end).then_some(kind))
    }
}

/// A place that samples found, and the span that was current.
type Place = (u32, u32, Option<SpanId>);

pub(crate) struct ProfileFile {
    path: PathBuf,
    kind: Kind,
    elf: PathBuf,
    /// Samples and their time in nanoseconds.
    places: HashMap<Place, (u64, u64)>,
    /// The trace and the name of each span that has ended.
    spans: HashMap<SpanId, (TraceId, String)>,
    /// Times of the first and of the last record of samples, in nanoseconds since 1970 or since boot.
    times: Option<(u64, u64)>,
    expected: u32,
    lost: Lost,
}

#[derive(Clone, Copy, Debug, Default)]
struct Lost {
    /// In boots before this one.
    device_before: u64,
    /// In this boot.
    device: u32,
    link: u64,
    /// Samples whose places found no room here.
    here: u64,
}

impl Lost {
    fn device(self) -> u64 {
        self.device_before + u64::from(self.device)
    }
}

impl ProfileFile {
    pub(crate) fn new(path: &Path, elf: &Path) -> Result<ProfileFile, CliError> {
        let kind = Kind::of(path).ok_or_else(|| CliError::ProfileName { path: path.to_owned() })?;
        // A file that cannot be written is told before hours of decoding.
        std::fs::File::create(path).map_err(|source| CliError::Written { path: path.to_owned(), source })?;
        Ok(ProfileFile {
            path: path.to_owned(),
            kind,
            elf: elf.to_owned(),
            places: HashMap::new(),
            spans: HashMap::new(),
            times: None,
            expected: 0,
            lost: Lost::default(),
        })
    }

    fn take(&mut self, context: &Context, samples: &Samples<'_>) {
        let time = context.time(samples.time).unix_ns;
        self.times = Some((self.times.map_or(time, |(first, _)| first), time));
        self.lost.link += u64::from(samples.before.wrapping_sub(self.expected));
        self.lost.device = samples.lost;
        self.expected = samples.before;
        let period = context.duration_ns(samples.period);
        for sample in samples.iter() {
            self.expected = self.expected.wrapping_add(1);
            let place = (sample.pc, sample.lr, sample.span.map(|id| context.span_id(id)));
            if self.places.len() >= MOST && !self.places.contains_key(&place) {
                self.lost.here += 1;
                continue;
            }
            let (count, time) = self.places.entry(place).or_default();
            *count += 1;
            *time += period;
        }
    }

    fn profile(&self) -> std::io::Result<Profile> {
        let (first, last) = self.times.unwrap_or((0, 0));
        let run = DeviceRun {
            started: SystemTime::UNIX_EPOCH + Duration::from_nanos(first),
            duration: Duration::from_nanos(last - first),
            lost: self.lost.device() + self.lost.link + self.lost.here,
        };
        let samples = self.places.iter().flat_map(|(&(pc, lr, span), &(count, time))| {
            // A span that never ended has no trace that is known.
            let place = span.and_then(|id| Some((self.spans.get(&id)?.0, id)));
            std::iter::repeat_n(DeviceSample { pc, lr, place, time_ns: time / count }, count as usize)
        });
        Profile::of_device(&self.elf, &run, samples)
    }

    /// A table of the spans by name, with the share of the samples that were taken in them.
    fn by_span(&self) -> String {
        let mut names = HashMap::<&str, (u64, u64)>::new();
        for ((_, _, span), (count, time)) in &self.places {
            let name = match span {
                Some(id) => self.spans.get(id).map_or("(a span that did not end)", |(_, name)| name),
                None => "(outside of spans)",
            };
            let (all, all_time) = names.entry(name).or_default();
            *all += count;
            *all_time += time;
        }
        let total: u64 = names.values().map(|(count, _)| count).sum();
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort_unstable_by_key(|(name, (count, _))| (std::cmp::Reverse(*count), *name));
        let mut text = format!("{:>12} {:>7}  span\n", "time", "time%");
        for (name, (count, time)) in names {
            let (time, share) = (time as f64 / 1e6, 100.0 * count as f64 / total.max(1) as f64);
            let _ = writeln!(text, "{time:>9.3} ms {share:>6.1}%  {name}");
        }
        text
    }

    fn write(&self) -> Result<(), CliError> {
        let unread = |source| CliError::ProfileFile { path: self.elf.clone(), source: Box::new(source) };
        let report = self.profile().map_err(unread)?.symbolize();
        let bytes = match self.kind {
            Kind::FlameGraph => report.flame_graph(&self.elf.to_string_lossy()).into_bytes(),
            Kind::Pprof => report.pprof(),
            Kind::Folded => report.folded().into_bytes(),
            Kind::Text => format!("{}\n{}", report.text(), self.by_span()).into_bytes(),
        };
        std::fs::write(&self.path, bytes)
            .map_err(|source| CliError::Written { path: self.path.clone(), source })
    }
}

impl<'elf> Output<'elf> for ProfileFile {
    fn item(&mut self, context: &Context, item: &Item<'elf, '_>) -> Result<(), CliError> {
        match item {
            Item::Samples(samples) => self.take(context, samples),
            Item::Boot(_) => {
                self.expected = 0;
                self.lost.device_before = self.lost.device();
                self.lost.device = 0;
            }
            _ => {}
        }
        Ok(())
    }

    fn assembled(&mut self, assembled: &Assembled<'elf>) -> Result<(), CliError> {
        let Assembled::Trace(trace) = assembled else { return Ok(()) };
        for (_, entry) in &trace.entries {
            if let Entry::Span(span) = entry
                && let Some(trace_id) = span.trace_id
                && self.spans.len() < MOST
            {
                self.spans.insert(span.span_id, (trace_id, span.callsite.name().into_owned()));
            }
        }
        Ok(())
    }

    fn pause(&mut self) -> Result<(), CliError> {
        Ok(())
    }

    fn finish(&mut self, _: &Context, _: &Summary) -> Result<(), CliError> {
        let count: u64 = self.places.values().map(|(count, _)| count).sum();
        self.write()?;
        let path = self.path.display();
        if count == 0 {
            say(&format_args!(
                "{path} is empty, because the device sent no samples; record them with throughline_embedded::Samples"
            ));
            return Ok(());
        }
        say(&format_args!(
            "{path}: {count} samples; {} lost on the device, {} on the link, {} here",
            self.lost.device(),
            self.lost.link,
            self.lost.here
        ));
        Ok(())
    }
}
