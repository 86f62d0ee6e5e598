//! The traces that show a finding best.

use throughline::TraceId;

/// Keeps the traces with the greatest weights, each once. Of equal ones the last stay, because backends forget the first.
#[derive(Clone, Debug, Default)]
pub(super) struct Evidence(Vec<(u64, TraceId)>);

impl Evidence {
    /// Takes a trace in, if it is among the first `most`.
    pub(super) fn add(&mut self, weight: u64, trace: TraceId, most: usize) {
        if let Some(known) = self.0.iter_mut().find(|(_, known)| *known == trace) {
            known.0 = known.0.max(weight);
        } else if self.0.len() < most {
            self.0.push((weight, trace));
        } else if let Some(least) = self.0.iter_mut().min_by_key(|(weight, _)| *weight)
            && least.0 <= weight
        {
            *least = (weight, trace);
        }
    }

    /// Takes those of another one in.
    pub(super) fn merge(&mut self, other: &Evidence, most: usize) {
        other.0.iter().for_each(|(weight, trace)| self.add(*weight, *trace, most));
    }

    /// The traces, the best first.
    pub(super) fn traces(&self) -> Vec<TraceId> {
        let mut all = self.0.clone();
        all.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        all.into_iter().map(|(_, trace)| trace).collect()
    }
}
