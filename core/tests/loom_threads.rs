//! The pool of recorders under the model checker: threads that come and go, and one reader. No two threads
//! have a recorder at the same time, each thread sees everything that the previous owner wrote, and no record
//! or count is lost or read twice. Run with `cargo xtask test --only loom`.
#![cfg(loom)]

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;
use std::sync::Arc;
use throughline::adapter::ring::{FIRST_WORDS, Head, Mode, RawRecord, RecordKind, Ring, Slot};
use throughline::list::{Link, Linked};
use throughline::pool::{Membership, Pool, Pooled};

/// The part of a recorder that one thread owns: a ring, the next id, a metric cell.
struct Recorder {
    membership: Membership<Recorder>,
    ring: Ring<'static>,
    next_id: AtomicUsize,
    cell: AtomicUsize,
    /// Only the owner accesses it. The model checker panics if two threads access it at once, or if one does
    /// not see what the previous owner did.
    mine: UnsafeCell<usize>,
}

// SAFETY: the model checker watches the only member that is not `Sync`.
unsafe impl Sync for Recorder {}

impl Linked for Recorder {
    fn link(&self) -> &Link<Recorder> {
        self.membership.link()
    }
}

impl Pooled for Recorder {
    fn membership(&self) -> &Membership<Recorder> {
        &self.membership
    }
}

impl Recorder {
    /// A recorder with `room` slots left in its ring, so that the writers wrap around its end.
    fn make(room: usize) -> Option<&'static Recorder> {
        let slots: &'static [Slot] = Vec::leak((0..8).map(|_| Slot::new()).collect());
        let ring = Ring::new(slots, Mode::LocalOldest);
        for _ in room..8 {
            assert!(push(&ring, 0));
        }
        Some(Box::leak(Box::new(Recorder {
            membership: Membership::new(),
            ring,
            next_id: AtomicUsize::new(1),
            cell: AtomicUsize::new(0),
            mine: UnsafeCell::new(0),
        })))
    }

    /// The work of a thread with its recorder: an id, a record and a count, all with plain loads and stores.
    /// Returns false when the record was lost.
    fn work(&self, n: usize) -> bool {
        // SAFETY: no other thread has the recorder, which is what the model checker checks.
        self.mine.with_mut(|mine| unsafe { *mine += 1 });
        self.next_id.store(self.next_id.load(Relaxed) + 1, Relaxed);
        self.cell.store(self.cell.load(Relaxed) + 1, Relaxed);
        push(&self.ring, n)
    }
}

fn push(ring: &Ring<'_>, n: usize) -> bool {
    ring.push(Head::new(RecordKind::Event, n as u32, 0, 0), &[n; FIRST_WORDS], n)
}

/// Reads at most `most` records of each recorder. Panics on a torn record. The records that filled the ring
/// beforehand are left out.
fn read(pool: &Pool<Recorder>, most: usize) -> Vec<usize> {
    let mut seen = vec![];
    for recorder in pool.iter() {
        let mut reader = recorder.ring.reader().expect("one reader at a time");
        let mut raw = RawRecord::new();
        for _ in 0..most {
            if !reader.next(&mut raw) {
                break;
            }
            assert!(reader.commit());
            let n = raw.head.callsite as usize;
            assert!(raw.body[..FIRST_WORDS].iter().all(|w| *w == n), "torn: {n}");
            if n > 0 {
                seen.push(n);
            }
        }
    }
    seen
}

/// The life of a thread: it acquires a recorder, works, and releases it.
fn live(pool: &Pool<Recorder>, room: usize, n: usize) -> bool {
    let recorder = pool.acquire(|| Recorder::make(room)).expect("made when none is left");
    let kept = recorder.work(n);
    pool.release(recorder);
    kept
}

fn model(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(f);
}

fn run(first_round: usize, room: usize, read_meanwhile: usize) {
    let pool = Arc::new(Pool::<Recorder>::new());
    for n in 0..first_round {
        // The recorder of a thread that ended earlier.
        assert!(live(&pool, room, 100 + n));
    }
    let threads = [200, 300].map(|n| {
        let pool = pool.clone();
        thread::spawn(move || live(&pool, room, n))
    });
    let mut seen = read(&pool, read_meanwhile);
    let kept = threads.map(|t| t.join().unwrap()).iter().filter(|kept| **kept).count() + first_round;
    seen.extend(read(&pool, usize::MAX));
    let total = |f: fn(&Recorder) -> usize| pool.iter().map(f).sum::<usize>();
    let lives = first_round + 2;
    assert_eq!((seen.len(), total(|r| r.ring.lost())), (kept, lives - kept), "{seen:?}");
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), kept, "none twice");
    assert_eq!(total(|r| r.cell.load(Relaxed)), lives);
    assert_eq!(total(|r| r.next_id.load(Relaxed) - 1), lives, "no id twice");
    assert!(pool.iter().count() <= 2, "as many as ran at once, no more");
}

#[test]
fn threads_that_make_recorders_or_take_over_each_others() {
    model(3, || run(0, 8, 1));
}

#[test]
fn two_threads_want_the_one_that_is_left() {
    model(3, || run(1, 8, 0));
}

#[test]
fn records_left_undrained_fill_the_ring_of_the_next_thread() {
    model(3, || run(1, 2, 1));
}
