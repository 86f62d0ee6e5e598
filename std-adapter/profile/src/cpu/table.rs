//! Adds up the samples of a window: one line for each different stack, thread and span.

use super::handler::RawSample;
use crate::modules::{Modules, Modulewise};
use crate::stack::{Labels, Module, Sample, Stack};
use std::collections::HashMap;
use std::sync::Arc;

/// Most lines of a window. A line takes some 200 bytes and its stack.
const MAX_LINES: usize = 200_000;

/// The samples of a window.
#[derive(Default)]
pub(super) struct Table {
    stacks: HashMap<Arc<Stack>, u32>,
    lines: HashMap<(u32, Labels), [u64; 2]>,
    by_module: Modulewise,
    /// Samples that found no room here.
    pub(super) full_drops: u64,
    pub(super) samples: u64,
}

impl Table {
    pub(super) fn add(&mut self, sample: &RawSample<'_>, thread: u32, modules: &Modules) {
        let frames = sample.frames.iter().map(|&address| self.by_module.frame(address, modules)).collect();
        let stack = Stack { frames, end: sample.end };
        let next = self.stacks.len() as u32;
        let labels = Labels { thread: Some(thread), place: sample.place, ..Labels::default() };
        let is_full = self.lines.len() >= MAX_LINES;
        let known = self.stacks.get(&stack).copied();
        if is_full && !known.is_some_and(|stack| self.lines.contains_key(&(stack, labels))) {
            self.full_drops += 1;
            return;
        }
        let stack = known.unwrap_or_else(|| {
            self.stacks.insert(Arc::new(stack), next);
            next
        });
        let [count, time] = self.lines.entry((stack, labels)).or_default();
        *count += 1;
        *time += sample.weight;
        self.samples += 1;
    }

    /// The stacks, the samples and the modules.
    pub(super) fn into_parts(self) -> (Vec<Arc<Stack>>, Vec<Sample>, Vec<Arc<Module>>) {
        let mut stacks: Vec<_> = self.stacks.into_iter().collect();
        stacks.sort_unstable_by_key(|(_, index)| *index);
        let lines = self.lines.into_iter();
        let mut samples: Vec<_> = lines
            .map(|((stack, labels), [count, time])| Sample { stack, labels, values: [count, time, 0, 0] })
            .collect();
        samples.sort_unstable_by_key(|sample| (std::cmp::Reverse(sample.values[1]), sample.stack));
        (stacks.into_iter().map(|(stack, _)| stack).collect(), samples, self.by_module.modules)
    }
}
