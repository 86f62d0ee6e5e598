//! A profile with names, and what can be made of it: pprof, folded text, a flame graph and a table.

mod chrome;
mod difference;
mod flame_graph;
mod folded;
mod json;
mod otlp;
mod pprof;
mod proto;
mod read;
mod sample_profile;
mod speedscope;
mod table;

use crate::profile::{Kind, MeasureName, Profile};
use crate::stack::{Frame, Labels, Sample, Stack};
use crate::symbols::{Function, Symbols};
use std::rc::Rc;
use throughline::{SpanId, TraceId};

pub use read::ReadError;

/// A profile whose functions have names.
#[derive(Debug)]
pub struct Report {
    pub(crate) profile: Profile,
    /// For each stack, its locations, the innermost first.
    stacks: Vec<Vec<Location>>,
    /// The measure that reports of one number show.
    measure: usize,
}

/// An address, and the functions that it is in, the innermost first.
#[derive(Clone, Debug)]
struct Location {
    frame: Option<Frame>,
    functions: Rc<[Function]>,
}

impl Report {
    pub(crate) fn new(profile: &Profile, symbols: &mut Symbols<'_>) -> Report {
        let locations = |stack: &Stack| {
            let known = stack
                .frames
                .iter()
                .map(|&frame| Location { frame: Some(frame), functions: symbols.look_up(frame) });
            let mut locations: Vec<_> = known.collect();
            let cut = stack.end.marker();
            locations
                .extend(cut.map(|name| Location { frame: None, functions: [Function::named(name)].into() }));
            locations
        };
        let mut stacks: Vec<_> = profile.stacks.iter().map(|stack| stack.as_ref()).map(locations).collect();
        if let Kind::Heap { .. } = profile.kind {
            stacks.iter_mut().for_each(cut_sampling);
        }
        let measure = profile.measures().len() - 1;
        Report { profile: profile.clone(), stacks, measure }
    }

    /// A report of stacks whose frames are names, the innermost first.
    pub(crate) fn of_names(profile: Profile, stacks: Vec<Vec<Rc<str>>>) -> Report {
        let location = |name: Rc<str>| Location { frame: None, functions: [Function::named(&name)].into() };
        let stacks = stacks.into_iter().map(|names| names.into_iter().map(location).collect()).collect();
        let measure = profile.measures().len() - 1;
        Report { profile, stacks, measure }
    }

    /// Shows another measure than CPU time or memory in use in [`folded`](Report::folded), [`text`](Report::text) and
    /// [`flame_graph`](Report::flame_graph): `samples` or `cpu` of a CPU profile; `alloc_objects`, `alloc_space`,
    /// `inuse_objects` or `inuse_space` of a memory profile; `spans`, `busy`, `idle` or `wall` of the time of spans. An unknown name changes nothing.
    pub fn measure(mut self, name: &str) -> Report {
        let known = self.profile.measures().iter().position(|(known, _)| *known == name);
        self.measure = known.unwrap_or(self.measure);
        self
    }

    /// The measures that there are.
    pub fn measures(&self) -> Vec<&'static str> {
        self.profile.measures().iter().map(|(name, _)| *name).collect()
    }

    fn measure_name(&self) -> MeasureName {
        self.profile.measures()[self.measure]
    }

    /// Each stack as names of functions, the outermost first, with its labels and its value.
    fn lines(&self) -> impl Iterator<Item = (Vec<&Rc<str>>, Labels, u64)> {
        self.profile.samples.iter().map(|sample| {
            let locations = self.stacks[sample.stack as usize].iter().rev();
            let names = locations.flat_map(|location| location.functions.iter().rev().map(|it| &it.name));
            (names.collect(), sample.labels, sample.values[self.measure])
        })
    }

    /// The samples in an order in which those of one thread and of stacks that begin alike lie side by side.
    fn side_by_side(&self) -> Vec<&Sample> {
        let mut samples: Vec<_> = self.profile.samples.iter().collect();
        let names = |sample: &Sample| {
            let locations = self.stacks[sample.stack as usize].iter().rev();
            locations.flat_map(|location| location.functions.iter().rev().map(|it| Rc::clone(&it.name)))
        };
        samples.sort_by(|a, b| {
            let threads = self.thread(a.labels).cmp(&self.thread(b.labels));
            threads.then_with(|| names(a).cmp(names(b)))
        });
        samples
    }

    fn thread(&self, labels: Labels) -> Option<&(i32, String)> {
        self.profile.threads.get(labels.thread? as usize)
    }

    fn label_set(&self, labels: Labels) -> &[(String, String)] {
        labels.set.and_then(|index| self.profile.label_sets.get(index as usize)).map_or(&[], Vec::as_slice)
    }

    /// Only the samples of one trace.
    pub fn of_trace(mut self, trace: TraceId) -> Report {
        self.profile = self.profile.of_trace(trace);
        self
    }

    /// Only the samples of one span, without those of its children.
    pub fn of_span(mut self, span: SpanId) -> Report {
        self.profile = self.profile.of_span(span);
        self
    }

    /// Only the samples with this label, such as `agent_name` = `planner`; see
    /// [`Profile::label_spans`](crate::Profile::label_spans).
    pub fn of_label(mut self, name: &str, value: &str) -> Report {
        let sets = &self.profile.label_sets;
        let has = |set: &[(String, String)]| set.iter().any(|(key, text)| key == name && text == value);
        let wanted: Vec<bool> = sets.iter().map(|set| has(set)).collect();
        self.profile.keep(|_, labels| labels.set.is_some_and(|index| wanted[index as usize]));
        self
    }

    /// The number of samples.
    pub fn samples(&self) -> u64 {
        self.profile.samples()
    }

    /// Whether it tells CPU time.
    pub fn is_cpu(&self) -> bool {
        self.profile.is_cpu()
    }

    /// Whether it tells the time of spans, as [`WallProfile`](crate::WallProfile) does. A report that tells neither this nor
    /// CPU time tells memory.
    pub fn is_wall(&self) -> bool {
        matches!(self.profile.kind, Kind::Wall)
    }

    /// A line about the whole profile.
    fn summary(&self) -> String {
        let profile = &self.profile;
        let mut text = match profile.kind {
            Kind::Cpu(sampling) => format!(
                "{} of CPU time in {:.1} s: {} samples, {:.0} per second of CPU time of {} asked for",
                quantity(profile.total(1), "nanoseconds"),
                profile.duration.as_secs_f64(),
                profile.delivered,
                profile.delivered_frequency().unwrap_or(0.0),
                sampling.frequency,
            ),
            Kind::Heap { interval } => format!(
                "{} in use, {} allocated: {} samples, one in {}",
                quantity(profile.total(3), "bytes"),
                quantity(profile.total(1), "bytes"),
                profile.delivered,
                quantity(interval, "bytes"),
            ),
            Kind::Wall => format!(
                "{} in {} spans within {:.1} s, {} of it waiting",
                quantity(profile.total(3), "nanoseconds"),
                profile.delivered,
                profile.duration.as_secs_f64(),
                quantity(profile.total(2), "nanoseconds"),
            ),
        };
        let lost = profile.losses.total();
        if lost > 0 {
            text += &format!(", {lost} lost");
        }
        if profile.untimed_threads() > 0 {
            text += &format!(", {} threads without samples", profile.untimed_threads());
        }
        text
    }
}

/// Removes the innermost frames of a stack of an allocation, which are those of the sampling itself.
fn cut_sampling(stack: &mut Vec<Location>) {
    const SAMPLING: &str = "throughline_profile::memory::sampler::due";
    // Debug information of lines alone has no paths in the names of inlined functions, but it has their files.
    let sources = file!().trim_end_matches("output/mod.rs");
    let is_allocator = |function: &Function| {
        let file = function.file.as_ref().and_then(|file| file.strip_suffix("memory.rs"));
        function.name.contains("throughline_profile::memory::")
            || file.is_some_and(|it| it.ends_with(sources))
    };
    let sampling = stack.iter().position(|it| it.functions.iter().any(|it| it.name.contains(SAMPLING)));
    let after = sampling.map_or(0, |index| index + 1);
    let allocator = stack[after..].iter().take_while(|it| it.functions.iter().any(is_allocator)).count();
    stack.drain(..after + allocator);
}

/// A number with its unit, for people.
fn quantity(value: u64, unit: &str) -> String {
    let scaled = |steps: &[(f64, &str)], plain: &str| {
        let step = steps.iter().find(|(from, _)| value as f64 >= *from);
        step.map_or_else(
            || format!("{value} {plain}"),
            |(from, name)| format!("{:.3} {name}", value as f64 / from),
        )
    };
    match unit {
        "nanoseconds" => scaled(&[(1e9, "s"), (1e6, "ms"), (1e3, "µs")], "ns"),
        "bytes" => scaled(&[(1_073_741_824.0, "GiB"), (1_048_576.0, "MiB"), (1024.0, "KiB")], "B"),
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests;
