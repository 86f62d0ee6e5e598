//! Remote parents: which local id stands for which span of another process. Bounded, and what an open span may need is not forgotten.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use throughline::TraceContext;
pub(super) use throughline::adapter::record::is_remote;
use throughline::adapter::ring::Word;

type Table = HashMap<Word, Entry, BuildHasherDefault<IdHasher>>;

/// The remote parents that spans still to come may belong to, up to a limit. One is forgotten only to make room, and only when nothing is left that could
/// name it: its guard is gone, and what was made to go on elsewhere (a future, a context) has had a span that ended. When there is none of
/// those, the one that came first is forgotten: it may be there only because the record of its end was lost.
#[derive(Debug)]
pub(super) struct Remotes {
    table: Table,
    /// Those that may be forgotten, the first to be first.
    done: VecDeque<Word>,
    /// All, and some that are gone, in the order in which they came.
    order: VecDeque<Word>,
    limit: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    remote: TraceContext,
    life: Life,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// Its guard is alive; whether the first span below it has ended.
    Attached(bool),
    /// Its guard is gone, and something went on elsewhere.
    Held,
    Done,
}

impl Remotes {
    pub(super) fn new(limit: usize) -> Remotes {
        Remotes {
            table: Table::default(),
            done: VecDeque::new(),
            order: VecDeque::new(),
            limit: limit.max(1),
        }
    }

    pub(super) fn insert(&mut self, id: Word, remote: TraceContext) {
        while self.table.len() >= self.limit {
            let Some(next) = self.done.pop_front().or_else(|| self.order.pop_front()) else { break };
            self.table.remove(&next);
        }
        if self.order.len() >= 2 * self.limit {
            self.order.retain(|id| self.table.contains_key(id));
        }
        self.order.push_back(id);
        self.table.insert(id, Entry { remote, life: Life::Attached(false) });
    }

    pub(super) fn get(&self, id: Word) -> Option<TraceContext> {
        self.table.get(&id).map(|entry| entry.remote)
    }

    /// The guard is gone; what was made meanwhile may go on elsewhere if it is `held`.
    pub(super) fn detach(&mut self, id: Word, held: bool) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        let is_over = !held || entry.life == Life::Attached(true);
        entry.life = if is_over { Life::Done } else { Life::Held };
        if is_over {
            self.done.push_back(id);
        }
    }

    /// A span directly below it has ended.
    pub(super) fn ended(&mut self, id: Word) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        match entry.life {
            Life::Attached(_) => entry.life = Life::Attached(true),
            Life::Held => {
                entry.life = Life::Done;
                self.done.push_back(id);
            }
            Life::Done => {}
        }
    }
}

/// Hashes ids, which are consecutive: a multiplication spreads them (Knuth).
#[derive(Debug, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &b in bytes {
            self.write_usize(usize::from(b) ^ self.0 as usize);
        }
    }

    #[inline]
    fn write_usize(&mut self, n: usize) {
        let x = (n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = x ^ x >> 32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REMOTE: Word = 1 << (Word::BITS - 2);

    fn context(n: u8) -> TraceContext {
        let (trace, span) = (format!("{n:02x}").repeat(16), format!("{n:02x}").repeat(8));
        TraceContext::parse(&format!("00-{trace}-{span}-01")).unwrap()
    }

    #[test]
    fn what_an_open_span_may_need_outlives_any_number_of_others_07() {
        let mut remotes = Remotes::new(100);
        let [attached, held, over] = [1, 2, 3].map(|id| REMOTE | id);
        for (id, n) in [(attached, 7), (held, 8), (over, 9)] {
            remotes.insert(id, context(n));
        }
        remotes.detach(held, true);
        remotes.ended(over);
        remotes.detach(over, true);
        for id in 4..10_000 {
            remotes.insert(REMOTE | id, context(5));
            remotes.detach(REMOTE | id, false);
        }
        assert_eq!((remotes.get(attached), remotes.get(held)), (Some(context(7)), Some(context(8))));
        assert_eq!(remotes.get(over), None);
        assert_eq!(remotes.get(REMOTE | 9_999), Some(context(5)), "the last are still known");
        assert!(remotes.table.len() <= 100 && remotes.done.len() <= 100);
        remotes.ended(held);
        (10_000..10_100).for_each(|id| {
            remotes.insert(REMOTE | id, context(5));
            remotes.detach(REMOTE | id, false);
        });
        assert_eq!(remotes.get(held), None);
    }

    #[test]
    fn beyond_the_limit_those_that_came_first_are_unknown_07() {
        let mut remotes = Remotes::new(100);
        (0..1000).for_each(|id| remotes.insert(REMOTE | id, context(5)));
        assert_eq!((remotes.get(REMOTE | 899), remotes.get(REMOTE | 900)), (None, Some(context(5))));
        assert!(remotes.table.len() <= 100 && remotes.order.len() <= 200);
    }
}
