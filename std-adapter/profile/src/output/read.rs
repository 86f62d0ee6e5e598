//! Reads pprof files again, so that everything can be made of a profile that was written before.

use super::proto::{Value, fields};
use super::{Location, Report};
use crate::profile::{Kind, Profile, Sampling};
use crate::stack::{End, Frame, Labels, Module, Sample, Stack};
use crate::symbols::Function;
use std::collections::HashMap;
use std::io::Read;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use throughline::{SpanId, TraceId};

/// Most bytes of a file after decompression.
const MAX_BYTES: u64 = 512 << 20;

/// Why a file is not a profile that can be read.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It is not compressed by gzip, or damaged, or too large.
    #[error("it cannot be decompressed: {0}; pass a file in pprof's format, compressed by gzip (`.pb.gz`)")]
    Gzip(#[source] std::io::Error),
    /// It is cut off, or no profile.
    #[error("it is damaged, or not a profile: {0}; pass a file in pprof's format (`.pb.gz`)")]
    Damaged(&'static str),
    /// It measures something else.
    #[error(
        "it measures {0}; profiles of CPU time (samples, cpu), of memory (alloc_objects …) and of spans (spans …) can be read"
    )]
    Measures(String),
}

/// As `Display`, because `Debug` is what a `main` that returns the error prints.
impl std::fmt::Debug for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// The tables of a file by the numbers in it.
#[derive(Default)]
struct Tables<'a> {
    strings: Vec<&'a str>,
    /// Ids and numbers in [`Profile::modules`].
    mappings: HashMap<u64, u32>,
    functions: HashMap<u64, [u64; 3]>,
    locations: HashMap<u64, Location>,
    /// By their locations' ids.
    stacks: HashMap<Vec<u64>, u32>,
}

impl Report {
    /// Reads a file that [`pprof`](Report::pprof) has written. What it does not tell, the losses, is 0.
    ///
    /// # Errors
    ///
    /// [`ReadError`] says what is wrong with the file.
    pub fn read_pprof(file: &[u8]) -> Result<Report, ReadError> {
        let mut bytes = Vec::new();
        let decoder = flate2::read::GzDecoder::new(file);
        decoder.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(ReadError::Gzip)?;
        if bytes.len() as u64 > MAX_BYTES {
            let error = std::io::Error::new(std::io::ErrorKind::FileTooLarge, "more than 512 MiB");
            return Err(ReadError::Gzip(error));
        }
        read(&bytes)
    }

    /// Adds the samples of another profile of the same kind, such as the next window of the same program. Returns
    /// false, and changes nothing, if it is of another kind.
    pub fn add(&mut self, other: Report) -> bool {
        let (to, from) = (&mut self.profile, other.profile);
        if std::mem::discriminant(&to.kind) != std::mem::discriminant(&from.kind) {
            return false;
        }
        let modules: Vec<u32> = from.modules.into_iter().map(|it| index(&mut to.modules, it)).collect();
        let threads: Vec<u32> = from.threads.into_iter().map(|it| index(&mut to.threads, it)).collect();
        let sets: Vec<u32> = from.label_sets.into_iter().map(|it| index(&mut to.label_sets, it)).collect();
        let stacks = to.stacks.len() as u32;
        let moved = |frame: Frame| Frame { module: frame.module.map(|it| modules[it as usize]), ..frame };
        to.stacks.extend(from.stacks.iter().map(|stack| {
            Arc::new(Stack { frames: stack.frames.iter().copied().map(moved).collect(), end: stack.end })
        }));
        self.stacks.extend(other.stacks.into_iter().map(|mut locations| {
            locations.iter_mut().for_each(|location| location.frame = location.frame.map(moved));
            locations
        }));
        to.samples.extend(from.samples.into_iter().map(|sample| {
            let labels = Labels {
                thread: sample.labels.thread.map(|it| threads[it as usize]),
                set: sample.labels.set.map(|it| sets[it as usize]),
                ..sample.labels
            };
            Sample { stack: sample.stack + stacks, labels, ..sample }
        }));
        to.started = to.started.min(from.started);
        to.duration += from.duration;
        to.delivered += from.delivered;
        true
    }
}

/// The number of an item in a list, to which it is added unless it is there.
fn index<T: PartialEq>(list: &mut Vec<T>, item: T) -> u32 {
    let known = list.iter().position(|known| *known == item);
    known.unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    }) as u32
}

/// The fields of a message, or that it is damaged.
fn read_fields<'a>(
    message: &'a [u8],
    mut field: impl FnMut(u64, Value<'a>) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    fields(message).try_for_each(|it| {
        let (number, value) = it.ok_or(ReadError::Damaged("a message is cut off"))?;
        field(number, value)
    })
}

/// The numbers of a message's fields that are below `N`.
fn numbers<const N: usize>(message: &[u8]) -> Result<[u64; N], ReadError> {
    let mut numbers = [0; N];
    read_fields(message, |field, value| {
        if let Some(number) = numbers.get_mut(field as usize) {
            *number = value.number();
        }
        Ok(())
    })?;
    Ok(numbers)
}

fn read(bytes: &[u8]) -> Result<Report, ReadError> {
    // Messages refer to what may come after them, so they are sorted first.
    let mut messages: [Vec<&[u8]>; 6] = Default::default();
    let (mut tables, mut profile, mut period) = (Tables::default(), Profile::default(), 0);
    read_fields(bytes, |field, value| {
        match field {
            6 => {
                let text = std::str::from_utf8(value.bytes());
                tables.strings.push(text.map_err(|_| ReadError::Damaged("a name is not UTF-8"))?);
            }
            1..6 => messages[field as usize].push(value.bytes()),
            9 => profile.started = UNIX_EPOCH + Duration::from_nanos(value.number() & u64::MAX >> 1),
            10 => profile.duration = Duration::from_nanos(value.number()),
            12 => period = value.number(),
            _ => {}
        }
        Ok(())
    })?;
    let [_, measures, samples, mappings, locations, functions] = messages;
    profile.kind = tables.kind(&measures, period)?;
    for mapping in mappings {
        let [_, id, start, end, offset, name, build_id] = numbers::<7>(mapping)?;
        let name = tables.string(name)?.to_owned();
        let hex = tables.string(build_id)?.as_bytes();
        let module = Module {
            path: name.clone(),
            name,
            code: start..end,
            bias: start.wrapping_sub(offset),
            build_id: hex.chunks(2).filter_map(byte).collect(),
        };
        tables.mappings.insert(id, profile.modules.len() as u32);
        profile.modules.push(Arc::new(module));
    }
    for function in functions {
        let [_, id, name, system_name, file] = numbers::<5>(function)?;
        tables.functions.insert(id, [name, system_name, file]);
    }
    for location in locations {
        tables.read_location(location, &profile)?;
    }
    let mut report = Report { measure: profile.measures().len() - 1, profile, stacks: Vec::new() };
    samples.into_iter().try_for_each(|sample| tables.read_sample(sample, &mut report))?;
    report.profile.delivered = report.profile.counted_samples();
    Ok(report)
}

fn byte(hex: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()
}

impl Tables<'_> {
    fn string(&self, number: u64) -> Result<&str, ReadError> {
        let text = usize::try_from(number).ok().and_then(|number| self.strings.get(number));
        text.copied().ok_or(ReadError::Damaged("a name is missing"))
    }

    fn kind(&self, measures: &[&[u8]], period: u64) -> Result<Kind, ReadError> {
        let mut names = Vec::new();
        for measure in measures {
            let [_, name] = numbers::<2>(measure)?;
            names.push(self.string(name)?);
        }
        let frequency = (1_000_000_000 / period.max(1)) as u32;
        let cpu = Kind::Cpu(Sampling { frequency, ..Sampling::default() });
        let kinds = [cpu, Kind::Heap { interval: period }, Kind::Wall];
        let kind = kinds.into_iter().find(|&kind| {
            let profile = Profile { kind, ..Profile::default() };
            profile.measures().iter().map(|(name, _)| *name).eq(names.iter().copied())
        });
        kind.ok_or_else(|| ReadError::Measures(names.join(", ")))
    }

    fn read_location(&mut self, message: &[u8], profile: &Profile) -> Result<(), ReadError> {
        let [_, id, mapping, address] = numbers::<4>(message)?;
        let mut functions = Vec::new();
        read_fields(message, |field, value| {
            if field == 4 {
                let [_, function, line] = numbers::<3>(value.bytes())?;
                let [name, system_name, file] =
                    *self.functions.get(&function).ok_or(ReadError::Damaged("a function is missing"))?;
                let known = |text: &str| Some(Rc::<str>::from(text)).filter(|text| !text.is_empty());
                functions.push(Function {
                    name: self.string(name)?.into(),
                    system_name: known(self.string(system_name)?),
                    file: known(self.string(file)?),
                    line: line as u32,
                });
            }
            Ok(())
        })?;
        if functions.is_empty() {
            functions.push(Function::named(&format!("{address:#x}")));
        }
        let module = self.mappings.get(&mapping).copied();
        let bias = module.map_or(0, |index| profile.modules[index as usize].bias);
        // What stands for missing frames has no address.
        let frame = (address != 0).then(|| Frame { module, address: address.wrapping_sub(bias) });
        self.locations.insert(id, Location { frame, functions: functions.into() });
        Ok(())
    }

    fn read_sample(&mut self, message: &[u8], report: &mut Report) -> Result<(), ReadError> {
        let (mut ids, mut all, mut labels, mut set) = (Vec::new(), Vec::new(), Labels::default(), Vec::new());
        let (mut thread, mut trace, mut span) = ((0, ""), None, None);
        read_fields(message, |field, value| {
            let cut = ReadError::Damaged("a sample is cut off");
            match field {
                1 => value.numbers(&mut ids).ok_or(cut),
                2 => value.numbers(&mut all).ok_or(cut),
                3 => {
                    let [_, key, text, number] = numbers::<4>(value.bytes())?;
                    match (self.string(key)?, self.string(text)?) {
                        ("thread", name) => thread.1 = name,
                        ("thread_id", _) => thread.0 = number as i32,
                        ("trace_id", id) => trace = TraceId::from_hex(id),
                        ("span_id", id) => span = SpanId::from_hex(id),
                        (key, text) => set.push((key.to_owned(), text.to_owned())),
                    }
                    Ok(())
                }
                _ => Ok(()),
            }
        })?;
        let mut values = [0; 4];
        if all.len() != report.profile.measures().len() {
            return Err(ReadError::Damaged("a sample has not one value for each measure"));
        }
        values[..all.len()].copy_from_slice(&all);
        labels.place = trace.zip(span);
        let profile = &mut report.profile;
        labels.thread =
            (thread != (0, "")).then(|| index(&mut profile.threads, (thread.0, thread.1.to_owned())));
        labels.set = (!set.is_empty()).then(|| index(&mut profile.label_sets, set));
        let stack = match self.stacks.get(&ids) {
            Some(stack) => *stack,
            None => {
                let missing = ReadError::Damaged("a location is missing");
                let locations: Option<Vec<Location>> =
                    ids.iter().map(|id| self.locations.get(id).cloned()).collect();
                let locations = locations.ok_or(missing)?;
                let outermost = locations.last().filter(|it| it.frame.is_none());
                let cut =
                    |end: &End| outermost.is_some_and(|it| Some(&*it.functions[0].name) == end.marker());
                let end = End::ALL.into_iter().find(cut).unwrap_or(End::Complete);
                let frames = locations.iter().filter_map(|location| location.frame).collect();
                profile.stacks.push(Arc::new(Stack { frames, end }));
                report.stacks.push(locations);
                self.stacks.insert(ids, profile.stacks.len() as u32 - 1);
                profile.stacks.len() as u32 - 1
            }
        };
        profile.samples.push(Sample { stack, labels, values });
        Ok(())
    }
}
