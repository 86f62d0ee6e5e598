//! Remote parents: maps local ids to spans of other processes. The table is bounded, and an entry that an
//! open span may need is not dropped.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use throughline::TraceContext;
pub(super) use throughline::adapter::record::is_remote;
use throughline::adapter::ring::Word;

type Table = HashMap<Word, Entry, BuildHasherDefault<IdHasher>>;

/// The remote parents to which later spans may belong, up to a limit. One is dropped only to make room, and
/// only if nothing can refer to it any more: its guard is gone, and if a future or a context carried it
/// elsewhere, a span of that has ended. If there is none of these, the oldest one is dropped, because the
/// record of its end may have been lost.
#[derive(Debug)]
pub(super) struct Remotes {
    table: Table,
    /// Entries that may be dropped, in this order.
    done: VecDeque<Word>,
    /// All entries, and some that were dropped, in the order in which they came.
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
    /// Its guard is alive. The flag says whether the first span below it has ended.
    Attached(bool),
    /// Its guard is gone, and something carries it elsewhere.
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

    /// Notes that the guard is gone. `held` says whether something made meanwhile may carry the parent
    /// elsewhere.
    pub(super) fn detach(&mut self, id: Word, held: bool) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        let is_over = !held || entry.life == Life::Attached(true);
        entry.life = if is_over { Life::Done } else { Life::Held };
        if is_over {
            self.done.push_back(id);
        }
    }

    /// Notes that a span directly below it has ended.
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

/// Hashes ids. Ids are consecutive, so a multiplication spreads them (Knuth).
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
