//! Remote parents: maps local ids to spans of other processes. The ids of an open span are never forgotten, and
//! the table is bounded.
//!
//! An open span needs the ids of its remote parent until it ends, but nothing tells the pump which spans are
//! open. Three rules keep the ids known:
//!
//! * A remote parent whose guard is alive is kept. The end of a guard is recorded.
//! * A remote parent that belongs to the current place of a thread is kept.
//! * All others are known only to futures and contexts. When one of these is entered, and the ids were last
//!   recorded in an earlier turn, the ids are recorded again before anything else ([`turn_remote_parents`]).
//!
//! So the pump forgets remote parents one turn at a time. A turn ends after as many records as the limit says.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use throughline::TraceContext;
pub(super) use throughline::adapter::record::is_remote;
use throughline::adapter::recorder::{for_each_thread, remote_parent, turn_remote_parents};
use throughline::adapter::ring::Word;

type Table = HashMap<Word, Entry, BuildHasherDefault<IdHasher>>;

#[derive(Debug)]
pub(super) struct Remotes {
    /// Entries recorded in this turn, and those that were kept when it began.
    young: Table,
    /// Entries of the last turn.
    old: Table,
    /// Entries of the turn before that. They are dropped one round later, because rings may still hold records
    /// that were made before the current places were read.
    going: Option<Table>,
    /// Number of records in this turn.
    recorded: usize,
    limit: usize,
    /// Number of rounds in which records were lost. The end of a guard may be among the lost records.
    losses: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    remote: TraceContext,
    /// While its guard is alive: the number of losses when it was attached.
    attached: Option<u64>,
}

impl Remotes {
    pub(super) fn new(limit: usize) -> Remotes {
        Remotes {
            young: Table::default(),
            old: Table::default(),
            going: None,
            recorded: 0,
            limit: limit.max(1),
            losses: 0,
        }
    }

    /// Adds a remote parent that was attached, or recorded `again`.
    pub(super) fn insert(&mut self, id: Word, remote: TraceContext, again: bool) {
        self.recorded += 1;
        let attached =
            if again { self.entry(id).and_then(|entry| entry.attached) } else { Some(self.losses) };
        self.young.insert(id, Entry { remote, attached });
    }

    #[inline]
    pub(super) fn get(&self, id: Word) -> Option<TraceContext> {
        self.young.get(&id).or_else(|| self.get_old(id)).map(|entry| entry.remote)
    }

    #[cold]
    fn get_old(&self, id: Word) -> Option<&Entry> {
        self.old.get(&id).or_else(|| self.going.as_ref()?.get(&id))
    }

    fn entry(&mut self, id: Word) -> Option<&mut Entry> {
        let Remotes { young, old, going, .. } = self;
        young.get_mut(&id).or_else(|| old.get_mut(&id)).or_else(|| going.as_mut()?.get_mut(&id))
    }

    /// Notes that the guard is gone. Futures and contexts that go on elsewhere record it again if they must.
    pub(super) fn detach(&mut self, id: Word) {
        if let Some(entry) = self.entry(id) {
            entry.attached = None;
        }
    }

    /// Notes that records were lost in this round.
    pub(super) fn lost(&mut self) {
        self.losses += 1;
    }

    /// Ends a round over all rings. `current` gives the ids that belong to the current places of threads.
    pub(super) fn end_round(&mut self, current: impl FnOnce(&mut dyn FnMut(Word))) {
        if self.going.take().is_some() || self.recorded < self.limit {
            return;
        }
        // The turn begins before places are read, so that every place entered afterwards is recorded again.
        turn_remote_parents();
        self.recorded = 0;
        let mut going = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
        current(&mut |id| {
            if let Some(entry) = going.remove(&id) {
                self.young.insert(id, entry);
            }
        });
        let open = going.extract_if(|_, entry| entry.attached == Some(self.losses));
        self.young.extend(open);
        self.going = Some(going);
    }
}

/// Calls `each` with the id of the remote parent that belongs to the current place of each thread.
pub(super) fn current(each: &mut dyn FnMut(Word)) {
    for_each_thread(|recorder| each(remote_parent(recorder)));
}

/// Hashes ids. Ids are consecutive, so a multiplication spreads them (Knuth).
#[derive(Debug, Default)]
pub(super) struct IdHasher(u64);

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

    /// Attaches and detaches these, with a round after each.
    fn pass(remotes: &mut Remotes, ids: std::ops::Range<Word>, current: &[Word]) {
        for id in ids {
            remotes.insert(REMOTE | id, context(5), false);
            remotes.detach(REMOTE | id);
            remotes.end_round(|each| current.iter().for_each(|id| each(*id)));
        }
    }

    fn kept(remotes: &Remotes) -> usize {
        remotes.young.len() + remotes.old.len() + remotes.going.as_ref().map_or(0, HashMap::len)
    }

    #[test]
    fn what_an_open_span_may_need_outlives_any_number_of_others_07() {
        let mut remotes = Remotes::new(100);
        let [attached, current, over] = [1, 2, 3].map(|id| REMOTE | id);
        for (id, n) in [(attached, 7), (current, 8), (over, 9)] {
            remotes.insert(id, context(n), false);
        }
        remotes.detach(current);
        remotes.detach(over);
        pass(&mut remotes, 4..10_000, &[current]);
        assert_eq!((remotes.get(attached), remotes.get(current)), (Some(context(7)), Some(context(8))));
        assert_eq!(remotes.get(over), None);
        assert_eq!(remotes.get(REMOTE | 9_900), Some(context(5)), "the last are still known");
        assert!(kept(&remotes) <= 3 * 100 + 2);
        remotes.detach(attached);
        pass(&mut remotes, 10_000..10_400, &[]);
        assert_eq!((remotes.get(attached), remotes.get(current)), (None, None));
    }

    #[test]
    fn one_that_is_recorded_again_is_as_young_as_it_is_then_07() {
        let mut remotes = Remotes::new(100);
        let [waiting, attached] = [1, 2].map(|id| REMOTE | id);
        remotes.insert(waiting, context(7), false);
        remotes.insert(attached, context(8), false);
        remotes.detach(waiting);
        pass(&mut remotes, 3..1_000, &[]);
        assert_eq!(remotes.get(waiting), None);
        remotes.insert(waiting, context(7), true);
        remotes.insert(attached, context(8), true);
        pass(&mut remotes, 1_000..1_090, &[]);
        assert_eq!(remotes.get(waiting), Some(context(7)));
        pass(&mut remotes, 1_090..2_000, &[]);
        assert_eq!((remotes.get(waiting), remotes.get(attached)), (None, Some(context(8))));
    }

    #[test]
    fn guards_whose_end_may_be_lost_take_no_memory_for_ever_07() {
        let mut remotes = Remotes::new(100);
        (0..1000).for_each(|id| remotes.insert(REMOTE | id, context(7), false));
        pass(&mut remotes, 1000..2000, &[]);
        assert!(remotes.get(REMOTE).is_some() && kept(&remotes) >= 1000);
        remotes.lost();
        pass(&mut remotes, 2000..3000, &[]);
        assert_eq!(remotes.get(REMOTE), None);
        assert!(kept(&remotes) <= 3 * 100);
    }
}
