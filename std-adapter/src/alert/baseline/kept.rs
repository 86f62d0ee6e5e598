//! The baselines of all series.

use super::super::Labels;
use super::super::language::ByHash;
use super::{Baseline, QUARTER, Usual};
use std::collections::HashMap;
use std::sync::Arc;

/// Most series that have a baseline: 11 MB.
const MOST: usize = 1000;

/// The baselines of all series that rules ask for. A new series beyond the most has none, which is counted.
#[derive(Debug, Default)]
pub(in super::super) struct Baselines {
    /// By the expression as it is written, and the labels of its result.
    pub(super) all: HashMap<Arc<str>, HashMap<Labels, Baseline, ByHash>>,
    len: usize,
    /// Series that have none, at the last evaluation.
    refused: usize,
    /// The quarter of an hour of the last evaluation.
    quarter: i64,
    /// Whether something was learnt that the file does not have.
    pub(super) is_new: bool,
}

impl Baselines {
    /// Call before each evaluation. Forgets series that have been away for four weeks.
    pub(in super::super) fn begin(&mut self, now: i64) {
        self.refused = 0;
        let quarter = now.div_euclid(QUARTER);
        if std::mem::replace(&mut self.quarter, quarter) == quarter {
            return;
        }
        self.all.values_mut().for_each(|series| series.retain(|_, baseline| !baseline.is_old(now)));
        self.len = self.all.values().map(HashMap::len).sum();
    }

    /// Forgets the series of other expressions, such as those of rules that are gone.
    pub(in super::super) fn keep(&mut self, is_asked_for: impl Fn(&str) -> bool) {
        self.all.retain(|of, _| is_asked_for(of));
    }

    /// What is usual for a series at `now`. Its value is taken for the future.
    pub(in super::super) fn learn(
        &mut self,
        of: &Arc<str>,
        labels: &Labels,
        now: i64,
        value: f64,
    ) -> Option<Usual> {
        let series = match self.all.get_mut(of) {
            Some(series) => series,
            None => self.all.entry(Arc::clone(of)).or_default(),
        };
        // A new version of the program knows what was usual before.
        let labels = labels.without_version();
        let baseline = match series.get_mut(&labels) {
            Some(baseline) => baseline,
            None if self.len >= MOST => {
                self.refused += 1;
                return None;
            }
            None => {
                self.len += 1;
                series.entry(labels).or_insert_with(|| Baseline::new(now.div_euclid(QUARTER)))
            }
        };
        self.is_new |= baseline.quarter != now.div_euclid(QUARTER);
        baseline.learn(now, value)
    }

    /// What is usual now for the series of an expression from which an alert with these labels follows.
    pub(in super::super) fn usual(&self, of: &Arc<str>, alert: &Labels) -> Option<Usual> {
        let is_of = |labels: &Labels| labels.iter().all(|(name, value)| alert.get(name) == Some(value));
        let series = self.all.get(of)?.iter().filter(|(labels, _)| is_of(labels));
        series.max_by_key(|(labels, _)| labels.iter().len())?.1.usual
    }

    /// How many series have a baseline, and how many have none because there are too many.
    pub(in super::super) fn counts(&self) -> (usize, usize) {
        (self.len, self.refused)
    }
}
