//! A profile: how much of the CPU time or of the memory each stack took, with the thread and the span that it was in.

use crate::output::Report;
use crate::stack::{End, Labels, Module, Sample, Stack};
use crate::symbols::Symbols;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use throughline::{SpanId, TraceId};

/// Samples of a span of time, without names yet; [`symbolize`](Profile::symbolize) looks them up.
#[derive(Clone, Debug)]
pub struct Profile {
    pub(crate) kind: Kind,
    pub(crate) started: SystemTime,
    pub(crate) duration: Duration,
    pub(crate) delivered: u64,
    pub(crate) stacks: Vec<Arc<Stack>>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) modules: Vec<Arc<Module>>,
    /// Ids and names.
    pub(crate) threads: Vec<(i32, String)>,
    /// Sets of further labels, names and values.
    pub(crate) label_sets: Vec<Vec<(String, String)>>,
    pub(crate) losses: Losses,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Cpu(Sampling),
    /// Memory; one allocation in about so many bytes was sampled.
    Heap {
        interval: u64,
    },
    /// The time of spans, which were not sampled.
    Wall,
}

/// How a CPU profile was sampled.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sampling {
    pub(crate) frequency: u32,
    pub(crate) signals: u64,
    pub(crate) untimed_threads: u64,
}

/// Samples that were due and are not in a profile, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Losses {
    /// The thread was still busy with another sample.
    pub busy: u64,
    /// The thread's ring was full, because the profiler's thread did not run for long.
    pub ring_full: u64,
    /// The profile had too many different stacks and spans: 200,000, or of a profile of spans 1,048,576 and 100,000 stacks.
    pub table_full: u64,
    /// Other threads were at work on samples of memory.
    pub contended: u64,
}

impl Losses {
    /// All of them together.
    pub fn total(self) -> u64 {
        let Losses { busy, ring_full, table_full, contended } = self;
        busy + ring_full + table_full + contended
    }
}

/// What a profile measures: a name and a unit, as in pprof.
pub(crate) type MeasureName = (&'static str, &'static str);

impl Default for Profile {
    fn default() -> Profile {
        Profile {
            kind: Kind::Cpu(Sampling::default()),
            started: SystemTime::UNIX_EPOCH,
            duration: Duration::ZERO,
            delivered: 0,
            stacks: Vec::new(),
            samples: Vec::new(),
            modules: Vec::new(),
            threads: Vec::new(),
            label_sets: Vec::new(),
            losses: Losses::default(),
        }
    }
}

impl Profile {
    /// A profile of the same time without samples.
    #[cfg(sampled)]
    pub(crate) fn without_samples(&self) -> Profile {
        let Profile { kind, started, duration, losses, .. } = *self;
        Profile { kind, started, duration, losses, ..Profile::default() }
    }

    /// When the first sample could have been taken.
    pub fn started(&self) -> SystemTime {
        self.started
    }

    /// How long samples were taken.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// The number of samples in the profile.
    pub fn samples(&self) -> u64 {
        self.delivered
    }

    /// Samples that were due and are not in the profile.
    pub fn losses(&self) -> Losses {
        self.losses
    }

    /// Signals of timers that arrived, of a CPU profile: [`samples`](Profile::samples) and [`losses`](Profile::losses)
    /// together.
    pub fn signals(&self) -> u64 {
        match self.kind {
            Kind::Cpu(sampling) => sampling.signals,
            Kind::Heap { .. } | Kind::Wall => 0,
        }
    }

    /// Threads that could not be sampled, because the system gave no timer for them or there are more than 4096.
    /// `ulimit -i` limits the timers of a user.
    pub fn untimed_threads(&self) -> u64 {
        match self.kind {
            Kind::Cpu(sampling) => sampling.untimed_threads,
            Kind::Heap { .. } | Kind::Wall => 0,
        }
    }

    /// The CPU time that the samples of a CPU profile stand for, over all threads.
    pub fn cpu_time(&self) -> Duration {
        match self.kind {
            Kind::Cpu(_) => Duration::from_nanos(self.total(1)),
            Kind::Heap { .. } | Kind::Wall => Duration::ZERO,
        }
    }

    /// Samples per second of CPU time that arrived, of a CPU profile. Where the kernel's ticks are rarer than the
    /// frequency that was asked for, this is the ticks' frequency. `None` without samples.
    pub fn delivered_frequency(&self) -> Option<f64> {
        let time = self.cpu_time().as_secs_f64();
        (time > 0.0).then(|| self.delivered as f64 / time)
    }

    /// The share of samples whose stack reaches the thread's outermost function, 0 to 1. The others are marked by a
    /// frame `[cut: …]` in place of the missing ones. `None` without samples.
    pub fn complete_stacks(&self) -> Option<f64> {
        let (mut complete, mut all) = (0, 0);
        for sample in &self.samples {
            all += sample.values[0];
            let end = self.stacks[sample.stack as usize].end;
            complete += if end == End::Complete { sample.values[0] } else { 0 };
        }
        (all > 0).then(|| complete as f64 / all as f64)
    }

    /// Only the samples of one trace.
    pub fn of_trace(mut self, trace: TraceId) -> Profile {
        self.keep(|_, labels| labels.place.is_some_and(|(id, _)| id == trace));
        self
    }

    /// Only the samples of one span, without those of its children.
    pub fn of_span(mut self, span: SpanId) -> Profile {
        self.keep(|_, labels| labels.place.is_some_and(|(_, id)| id == span));
        self
    }

    /// Only the samples of the threads with this name. The system keeps 15 bytes of a name.
    pub fn of_thread(mut self, name: &str) -> Profile {
        self.keep(|threads, labels| labels.thread.is_some_and(|index| threads[index as usize].1 == name));
        self
    }

    pub(crate) fn keep(&mut self, is_wanted: impl Fn(&[(i32, String)], Labels) -> bool) {
        let Profile { samples, threads, .. } = self;
        samples.retain(|sample| is_wanted(threads, sample.labels));
        self.delivered = self.counted_samples();
    }

    /// The number of samples, by their values. Of memory: as many as blocks of a place's average size are sampled.
    pub(crate) fn counted_samples(&self) -> u64 {
        let Kind::Heap { interval } = self.kind else { return self.total(0) };
        let of_place = |sample: &Sample| {
            let [objects, bytes, ..] = sample.values.map(|value| value as f64);
            objects * -(-bytes / objects.max(1.0) / interval.max(1) as f64).exp_m1()
        };
        self.samples.iter().map(of_place).sum::<f64>().round() as u64
    }

    /// Gives each sample in a span the labels that `labels` tells for it, such as an agent's name, beside its ids.
    ///
    /// ```no_run
    /// # let mut profile = throughline_profile::Profile::default();
    /// profile.label_spans(|trace, _span| vec![("tenant".into(), format!("of {trace}"))]);
    /// ```
    pub fn label_spans(&mut self, mut labels: impl FnMut(TraceId, SpanId) -> Vec<(String, String)>) {
        let mut known = HashMap::new();
        for sample in &mut self.samples {
            let Some((trace, span)) = sample.labels.place else { continue };
            sample.labels.set = *known.entry((trace, span)).or_insert_with(|| {
                let set = labels(trace, span);
                if set.is_empty() {
                    return None;
                }
                let index = self.label_sets.iter().position(|it| *it == set);
                Some(index.unwrap_or_else(|| {
                    self.label_sets.push(set);
                    self.label_sets.len() - 1
                }) as u32)
            });
        }
    }

    /// Looks up the names of all functions, with files and lines and with the functions that were inlined, in the
    /// files of the executable and the libraries. Cost: up to seconds for an executable with full debug information.
    pub fn symbolize(&self) -> Report {
        Report::new(self, &mut Symbols::new(&self.modules))
    }

    /// Whether it is a profile of CPU time; otherwise one of memory.
    pub fn is_cpu(&self) -> bool {
        matches!(self.kind, Kind::Cpu(_))
    }

    pub(crate) fn measures(&self) -> &'static [MeasureName] {
        match self.kind {
            Kind::Cpu(_) => &[("samples", "count"), ("cpu", "nanoseconds")],
            Kind::Heap { .. } => &[
                ("alloc_objects", "count"),
                ("alloc_space", "bytes"),
                ("inuse_objects", "count"),
                ("inuse_space", "bytes"),
            ],
            Kind::Wall => &[
                ("spans", "count"),
                ("busy", "nanoseconds"),
                ("idle", "nanoseconds"),
                ("wall", "nanoseconds"),
            ],
        }
    }

    pub(crate) fn total(&self, measure: usize) -> u64 {
        self.samples.iter().map(|sample| sample.values[measure]).sum()
    }
}
