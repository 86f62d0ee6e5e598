//! A profile with names, and what can be made of it: pprof, folded text, a flame graph and a table.

mod flame_graph;
mod folded;
mod pprof;
mod proto;
mod table;

use crate::profile::{Kind, Labels, MeasureName, Profile};
use crate::symbols::{Function, Symbols};
use std::rc::Rc;

/// A profile whose functions have names.
#[derive(Debug)]
pub struct Report {
    profile: Profile,
    /// For each stack, its locations, the innermost first.
    stacks: Vec<Vec<Location>>,
    /// The measure that reports of one number show.
    measure: usize,
}

/// An address, and the functions that it is in, the innermost first.
#[derive(Clone, Debug)]
struct Location {
    frame: Option<crate::profile::Frame>,
    functions: Rc<[Function]>,
}

impl Report {
    pub(crate) fn new(profile: &Profile, symbols: &mut Symbols<'_>) -> Report {
        let locations = |stack: &crate::profile::Stack| {
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

    /// Shows another measure than CPU time or memory in use in [`folded`](Report::folded), [`text`](Report::text) and
    /// [`flame_graph`](Report::flame_graph): `samples` or `cpu` of a CPU profile; `alloc_objects`, `alloc_space`,
    /// `inuse_objects` or `inuse_space` of a memory profile. An unknown name changes nothing.
    pub fn measure(mut self, name: &str) -> Report {
        let known = self.profile.measures().iter().position(|(known, _)| *known == name);
        self.measure = known.unwrap_or(self.measure);
        self
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

    fn thread(&self, labels: Labels) -> Option<&(libc::pid_t, String)> {
        self.profile.threads.get(labels.thread? as usize)
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
    let is_in = |location: &Location, path: &str| location.functions.iter().any(|it| it.name.contains(path));
    let sampling =
        stack.iter().position(|location| is_in(location, "throughline_profile::memory::sampler::due"));
    let after = sampling.map_or(0, |index| index + 1);
    let allocator = stack[after..].iter().take_while(|it| is_in(it, "throughline_profile::memory::")).count();
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
mod tests {
    use super::*;
    use crate::profile::{Frame, Sample, Sampling, Stack};
    use crate::unwind::End;
    use std::sync::Arc;

    /// A profile of three stacks without modules, so that addresses stand for names.
    fn report() -> Report {
        let stack = |addresses: &[u64], end| {
            let frames = addresses.iter().map(|&address| Frame { module: None, address }).collect();
            Arc::new(Stack { frames, end })
        };
        let sample = |stack, milliseconds: u64, thread| Sample {
            stack,
            labels: Labels { thread: Some(thread), place: None },
            values: [milliseconds / 10, milliseconds * 1_000_000, 0, 0],
        };
        let profile = Profile {
            kind: Kind::Cpu(Sampling { frequency: 100, signals: 11, untimed_threads: 0 }),
            duration: std::time::Duration::from_secs(1),
            delivered: 10,
            stacks: vec![
                stack(&[0xa, 0xb, 0xb, 0xc], End::Complete),
                stack(&[0xd, 0xc], End::Complete),
                stack(&[0xa], End::UnknownCode),
            ],
            samples: vec![sample(0, 60, 0), sample(1, 30, 0), sample(2, 10, 1)],
            threads: vec![(7, "main; <first>".into()), (8, "other".into())],
            losses: crate::Losses { ring_full: 1, ..Default::default() },
            ..Profile::default()
        };
        profile.symbolize()
    }

    #[test]
    fn folded_stacks_begin_with_the_thread_and_keep_the_separator_for_themselves() {
        let expected = "main, <first>;0xc;0xb;0xb;0xa 60000\nmain, <first>;0xc;0xd 30000\nother;[cut: unknown code];0xa 10000\n";
        assert_eq!(report().folded(), expected);
        let counts =
            "main, <first>;0xc;0xb;0xb;0xa 6\nmain, <first>;0xc;0xd 3\nother;[cut: unknown code];0xa 1\n";
        assert_eq!(report().measure("samples").folded(), counts);
    }

    #[test]
    fn the_table_counts_a_function_that_calls_itself_once() {
        let expected = "\
100.000 ms of CPU time in 1.0 s: 10 samples, 100 per second of CPU time of 100 asked for, 1 lost

        self   self%        total  total%  function
   70.000 ms   70.0%    70.000 ms   70.0%  0xa
   30.000 ms   30.0%    30.000 ms   30.0%  0xd
        0 ns    0.0%    90.000 ms   90.0%  0xc
        0 ns    0.0%    60.000 ms   60.0%  0xb
        0 ns    0.0%    10.000 ms   10.0%  [cut: unknown code]
";
        assert_eq!(report().text(), expected);
    }

    #[test]
    fn the_flame_graph_has_a_frame_for_each_function_with_its_share_and_escapes_names() {
        let picture = report().flame_graph("a < b & c");
        assert!(picture.contains("a &lt; b &amp; c"));
        let frame = |x: u64, value: u64, depth: u32, title: &str| {
            format!("<g data-x=\"{x}\" data-w=\"{value}\" data-d=\"{depth}\"><title>{title}</title>")
        };
        for expected in [
            frame(0, 100_000_000, 0, "all (100.000 ms, 100.00 %)"),
            frame(0, 90_000_000, 1, "thread main; &lt;first&gt; (90.000 ms, 90.00 %)"),
            frame(0, 60_000_000, 3, "0xb (60.000 ms, 60.00 %)"),
            frame(60_000_000, 30_000_000, 3, "0xd (30.000 ms, 30.00 %)"),
            frame(90_000_000, 10_000_000, 2, "[cut: unknown code] (10.000 ms, 10.00 %)"),
        ] {
            assert!(picture.contains(&expected), "{expected}\nin {picture}");
        }
    }
}
