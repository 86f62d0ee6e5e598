//! What nodes keep from one evaluation to the next.
//!
//! The series of a process are nearly always those of the evaluation before. So a node keeps its samples, of which only the values are
//! written anew, and what it has found out about labels: which samples are a group, and which are partners. All of this holds as long as the
//! *shape* of its input is the same: the labels of the samples, in their order.

use super::super::baseline::Baselines;
use super::super::labels::Labels;
use super::super::store::{Sample, Value};
use std::sync::Arc;

/// What all nodes keep.
#[derive(Debug, Default)]
pub(in super::super) struct Memory {
    pub(super) nodes: Vec<Kept>,
    pub(in super::super) baselines: Baselines,
    shapes: u64,
}

impl Memory {
    /// A shape that no samples have had.
    pub(super) fn new_shape(&mut self) -> u64 {
        self.shapes += 1;
        self.shapes
    }
}

/// What one node keeps.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// The last results.
    pub(super) samples: Arc<Vec<Sample>>,
    /// Their shape; 0 if nothing was computed yet.
    pub(super) shape: u64,
    /// The shapes of the inputs that the rest is for.
    pub(super) of: (u64, u64),
    pub(super) groups: Parts,
    pub(super) pairs: Vec<Pair>,
}

/// Samples in groups, by their places.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// The places of all samples, group by group.
    order: Vec<u32>,
    /// The labels of each group, and where it ends in `order`.
    pub(super) groups: Vec<(Labels, u32)>,
}

/// Two samples that find each other.
#[derive(Debug)]
pub(super) struct Pair {
    /// Places on the left and on the right.
    pub(super) places: (u32, u32),
    /// Labels of the result.
    pub(super) labels: Labels,
}

impl Kept {
    /// The results, to write values into. `None` if someone still has them.
    pub(super) fn in_place(&mut self) -> Option<&mut Vec<Sample>> {
        Arc::get_mut(&mut self.samples)
    }

    /// Whether these samples have the labels of the last ones, in the same order.
    pub(super) fn is_like(&self, samples: &[Sample]) -> bool {
        self.shape != 0
            && self.samples.len() == samples.len()
            && self.samples.iter().zip(samples).all(|(a, b)| a.labels == b.labels)
    }
}

impl Parts {
    /// Puts samples into groups, of which `group_of` says the labels.
    pub(super) fn of(samples: &[Sample], group_of: impl Fn(&Labels) -> Labels) -> Parts {
        let mut numbers: super::ByLabels<u32> = super::ByLabels::default();
        let mut groups: Vec<(Labels, u32)> = Vec::new();
        let group = |sample: &Sample| {
            let labels = group_of(&sample.labels);
            let new = groups.len() as u32;
            let number = *numbers.entry(labels.clone()).or_insert(new);
            if number == new {
                groups.push((labels, 0));
            }
            groups[number as usize].1 += 1;
            number
        };
        let of: Vec<u32> = samples.iter().map(group).collect();
        let mut end = 0;
        let mut next: Vec<u32> = Vec::with_capacity(groups.len());
        for (_, size) in &mut groups {
            next.push(end);
            end += *size;
            *size = end;
        }
        let mut order = vec![0; samples.len()];
        for (place, group) in (0..).zip(of) {
            let to = &mut next[group as usize];
            order[*to as usize] = place;
            *to += 1;
        }
        Parts { order, groups }
    }

    /// Each group with its labels and its members.
    pub(super) fn members<'p>(
        &'p self,
        samples: &'p [Sample],
    ) -> impl Iterator<Item = (&'p Labels, impl ExactSizeIterator<Item = &'p Sample> + Clone)> {
        let mut begin = 0;
        self.groups.iter().map(move |(labels, end)| {
            let places = &self.order[begin..*end as usize];
            begin = *end as usize;
            (labels, places.iter().map(|place| &samples[*place as usize]))
        })
    }
}

/// Writes values in place, as long as there are as many as samples. Returns whether that is so.
pub(super) fn overwrite(samples: &mut [Sample], mut values: impl Iterator<Item = Option<Value>>) -> bool {
    for sample in samples {
        match values.next() {
            Some(Some(value @ Value::Float(_))) => sample.value = value,
            _ => return false,
        }
    }
    values.next().is_none()
}
