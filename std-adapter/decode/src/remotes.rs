//! Remote parents: maps local ids to spans of other processes. The table is bounded, and an entry that an
//! open span may need is dropped last.

use std::collections::{HashMap, VecDeque};

use throughline::TraceContext;

/// Whether the id stands for a span of another process, which an attach record names. `word_bits` is the
/// width of the device's ids.
pub(crate) fn is_remote(id: u64, word_bits: u8) -> bool {
    let mark = if word_bits == 64 { 1 << 62 } else { 1 << 31 };
    id & mark != 0
}

/// The remote parents to which later spans may belong, up to a limit. One is dropped only to make room: first
/// those to which nothing more belongs, according to their detach records; then those below which a span has
/// ended, because devices send no detach records; then the oldest.
#[derive(Debug)]
pub(crate) struct Remotes {
    table: HashMap<u64, Entry>,
    done: VecDeque<u64>,
    used: VecDeque<u64>,
    /// All entries, oldest first. Each queue may also hold ids that were dropped or have changed their state.
    order: VecDeque<u64>,
    limit: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    remote: TraceContext,
    life: Life,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// No span below it has ended.
    Attached,
    /// A span directly below it has ended; others may follow.
    Used,
    /// It was detached, but something made earlier may carry it elsewhere.
    Held,
    /// Nothing more belongs to it.
    Done,
}

impl Remotes {
    pub(crate) fn new(limit: usize) -> Remotes {
        Remotes {
            table: HashMap::new(),
            done: VecDeque::new(),
            used: VecDeque::new(),
            order: VecDeque::new(),
            limit: limit.max(1),
        }
    }

    pub(crate) fn get(&self, id: u64) -> Option<TraceContext> {
        self.table.get(&id).map(|entry| entry.remote)
    }

    pub(crate) fn insert(&mut self, id: u64, remote: TraceContext) {
        if self.table.len() >= self.limit && !self.table.contains_key(&id) {
            self.forget_one();
        }
        if self.table.insert(id, Entry { remote, life: Life::Attached }).is_none() {
            self.order.push_back(id);
        }
        let most = 2 * self.limit;
        for (queue, life) in [(&mut self.done, Life::Done), (&mut self.used, Life::Used)] {
            if queue.len() >= most {
                queue.retain(|id| self.table.get(id).is_some_and(|entry| entry.life == life));
            }
        }
        if self.order.len() >= most {
            self.order.retain(|id| self.table.contains_key(id));
        }
    }

    fn forget_one(&mut self) {
        for (queue, life) in [(&mut self.done, Life::Done), (&mut self.used, Life::Used)] {
            while let Some(id) = queue.pop_front() {
                if self.table.get(&id).is_some_and(|entry| entry.life == life) {
                    self.table.remove(&id);
                    return;
                }
            }
        }
        while let Some(id) = self.order.pop_front() {
            if self.table.remove(&id).is_some() {
                return;
            }
        }
    }

    /// Notes that a span directly below it has ended.
    pub(crate) fn ended(&mut self, id: u64) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        match entry.life {
            Life::Attached => {
                entry.life = Life::Used;
                self.used.push_back(id);
            }
            Life::Held => {
                entry.life = Life::Done;
                self.done.push_back(id);
            }
            Life::Used | Life::Done => {}
        }
    }

    /// Notes that its guard is gone. `held` says whether something made earlier may carry the parent
    /// elsewhere.
    pub(crate) fn detach(&mut self, id: u64, held: bool) {
        let Some(entry) = self.table.get_mut(&id) else { return };
        if entry.life == Life::Done {
            return;
        }
        let is_over = !held || entry.life == Life::Used;
        entry.life = if is_over { Life::Done } else { Life::Held };
        if is_over {
            self.done.push_back(id);
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Remotes::new(self.limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> TraceContext {
        TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap()
    }

    #[test]
    fn what_may_still_be_needed_is_forgotten_last_and_memory_is_bounded_07() {
        let mut remotes = Remotes::new(100);
        let [open, held, used] = [1, 2, 3];
        [open, held, used].into_iter().for_each(|id| remotes.insert(id, context()));
        remotes.detach(held, true);
        remotes.ended(used);
        let bounded = |r: &Remotes| {
            assert!(r.table.len() <= 100);
            assert!([&r.done, &r.used, &r.order].iter().all(|queue| queue.len() <= 200));
        };
        for id in 4..10_000 {
            remotes.insert(id, context());
            remotes.detach(id, false);
            bounded(&remotes);
        }
        let known = |r: &Remotes| [open, held, used].map(|id| r.get(id).is_some());
        assert_eq!(known(&remotes), [true; 3], "those that are over go first");
        for id in 10_000..20_000 {
            remotes.insert(id, context());
            remotes.ended(id);
            bounded(&remotes);
        }
        assert_eq!(known(&remotes), [true, true, false], "then those below which a span has ended");
        for id in 20_000..30_000 {
            remotes.insert(id, context());
            bounded(&remotes);
        }
        assert_eq!(known(&remotes), [false; 3], "then the first");
        assert!(remotes.get(29_900).is_some() && remotes.get(29_899).is_none());
    }
}
