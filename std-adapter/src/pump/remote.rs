//! Remote parents: which local id stands for which span of another process. Bounded, and what is in use is not forgotten.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use throughline::TraceContext;
pub(super) use throughline::adapter::record::is_remote;
use throughline::adapter::ring::Word;

type Table = HashMap<Word, TraceContext, BuildHasherDefault<IdHasher>>;

/// Two generations of remote parents. When the young one is full, the old one is forgotten and the young one is old; an id that is asked
/// for is young again. So any of the last `limit` in use are known.
#[derive(Debug)]
pub(super) struct Remotes {
    young: Table,
    old: Table,
    limit: usize,
}

impl Remotes {
    pub(super) fn new(limit: usize) -> Remotes {
        Remotes { young: Table::default(), old: Table::default(), limit: limit.max(1) }
    }

    pub(super) fn insert(&mut self, id: Word, remote: TraceContext) {
        if self.young.len() >= self.limit {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(id, remote);
    }

    pub(super) fn get(&mut self, id: Word) -> Option<TraceContext> {
        if let Some(remote) = self.young.get(&id) {
            return Some(*remote);
        }
        let remote = self.old.remove(&id)?;
        self.insert(id, remote);
        Some(remote)
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

    #[test]
    fn bounded_and_what_is_in_use_stays() {
        let context = |n: u8| {
            TraceContext::parse(&format!(
                "00-{}-{}-01",
                format!("{n:02x}").repeat(16),
                format!("{n:02x}").repeat(8)
            ))
            .unwrap()
        };
        let mut remotes = Remotes::new(100);
        remotes.insert(REMOTE | 1, context(7));
        for id in 2..1000 {
            remotes.insert(REMOTE | id, context(9));
            assert_eq!(remotes.get(REMOTE | 1), Some(context(7)), "{id}");
        }
        assert_eq!(remotes.get(REMOTE | 2), None);
        assert!(remotes.young.len() + remotes.old.len() <= 200);
    }
}
