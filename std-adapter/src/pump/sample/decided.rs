//! Remembers the verdicts about the last traces, for spans of them that come later.

use super::Verdict;
use crate::pump::remote::IdHasher;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasherDefault;
use throughline::adapter::ring::Word;

/// Verdicts by trace. Beyond the limit the oldest are forgotten; a span of such a trace begins to wait again.
#[derive(Debug)]
pub(super) struct Decided {
    verdicts: HashMap<Word, Verdict, BuildHasherDefault<IdHasher>>,
    order: VecDeque<Word>,
    limit: usize,
}

impl Decided {
    pub(super) fn new(limit: usize) -> Decided {
        Decided { verdicts: HashMap::default(), order: VecDeque::new(), limit: limit.max(1) }
    }

    pub(super) fn get(&self, root: Word) -> Option<Verdict> {
        self.verdicts.get(&root).copied()
    }

    pub(super) fn insert(&mut self, root: Word, verdict: Verdict) {
        if self.verdicts.insert(root, verdict).is_some() {
            return;
        }
        self.order.push_back(root);
        if self.order.len() > self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.verdicts.remove(&oldest);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.order.len().max(self.verdicts.len())
    }
}
