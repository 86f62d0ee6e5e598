//! The ring's protocols under the model checker: every interleaving of writers and reader, and every
//! reordering that the memory model allows. Run with `cargo xtask test --only loom`, which sets `--cfg loom`.
//!
//! Each record has the same number in all its words, so that a torn record is detected. Each run ends with a
//! check of the ledger: pushed = read + lost.
#![cfg(loom)]

use loom::thread;
use std::sync::Arc;
use throughline::adapter::ring::{FIRST_WORDS, Head, Mode, RawRecord, Reader, RecordKind, Ring, Slot};

/// Pushes a record whose body has `words` words, all of them `n`.
fn push(ring: &Ring<'_>, n: usize, words: usize) -> bool {
    let body = [n; 24];
    ring.push(Head::new(RecordKind::Event, n as u32, 0, 0), &body[..words], n)
}

/// Reads all records. Panics on a torn record.
fn drain(ring: &Ring<'_>, words: impl Fn(usize) -> usize) -> Vec<usize> {
    read(ring, usize::MAX, words)
}

/// Reads at most `most` records. While writers run a few are enough, and each further one multiplies the
/// interleavings.
fn read(ring: &Ring<'_>, most: usize, words: impl Fn(usize) -> usize) -> Vec<usize> {
    read_on(&mut ring.reader().expect("one reader at a time"), most, words)
}

/// Like `read`, continuing with an existing reader.
fn read_on(reader: &mut Reader<'_>, most: usize, words: impl Fn(usize) -> usize) -> Vec<usize> {
    let mut seen = Vec::new();
    let mut raw = RawRecord::new();
    for _ in 0..most {
        if !reader.next(&mut raw) {
            break;
        }
        if reader.commit() {
            let n = raw.head.callsite as usize;
            assert!(raw.body[..words(n)].iter().all(|w| *w == n), "torn: {n} {:?}", &raw.body[..raw.len]);
            seen.push(n);
        }
    }
    seen
}

fn ring(mode: Mode) -> Arc<Ring<'static>> {
    // The model checker runs a closure many times. Leaking eight slots per run costs little.
    let slots: &'static [Slot] = Vec::leak((0..8).map(|_| Slot::new()).collect());
    Arc::new(Ring::new(slots, mode))
}

fn model(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(f);
}

fn one(_: usize) -> usize {
    FIRST_WORDS
}

/// Pushes `records` records of one slot, numbered from 1.
fn prefill(ring: &Ring<'_>, records: usize) {
    for n in 1..=records {
        assert!(push(ring, n, 1));
    }
}

#[test]
fn shared_oldest_two_producers_and_a_reader() {
    model(3, || {
        let ring = ring(Mode::SharedOldest);
        let other = {
            let ring = ring.clone();
            thread::spawn(move || push(&ring, 100, FIRST_WORDS) as usize)
        };
        let third = {
            let ring = ring.clone();
            thread::spawn(move || push(&ring, 200, FIRST_WORDS) as usize)
        };
        let mut seen = drain(&ring, one);
        let pushed = other.join().unwrap() + third.join().unwrap();
        seen.extend(drain(&ring, one));
        seen.sort_unstable();
        assert_eq!((pushed, seen, ring.lost()), (2, vec![100, 200], 0));
    });
}

#[test]
fn shared_oldest_when_full_every_loss_is_counted() {
    model(3, || {
        let ring = ring(Mode::SharedOldest);
        prefill(&ring, 7);
        let other = {
            let ring = ring.clone();
            thread::spawn(move || push(&ring, 100, FIRST_WORDS) as usize)
        };
        let mine = push(&ring, 200, FIRST_WORDS) as usize;
        let kept = 7 + mine + other.join().unwrap();
        let seen = drain(&ring, |n| if n < 100 { 1 } else { FIRST_WORDS });
        assert_eq!((seen.len(), ring.lost()), (kept, 9 - kept));
        assert_eq!(kept, 8);
    });
}

#[test]
fn shared_oldest_records_of_several_slots_are_whole() {
    model(2, || {
        let ring = ring(Mode::SharedOldest);
        prefill(&ring, 6);
        assert_eq!(drain(&ring, |_| 1).len(), 6);
        let other = {
            let ring = ring.clone();
            thread::spawn(move || push(&ring, 100, FIRST_WORDS + 3) as usize)
        };
        let mine = push(&ring, 200, FIRST_WORDS + 3) as usize;
        let mut seen = drain(&ring, |_| FIRST_WORDS + 3);
        let theirs = other.join().unwrap();
        seen.extend(drain(&ring, |_| FIRST_WORDS + 3));
        assert_eq!((seen.len(), mine + theirs, ring.lost()), (2, 2, 0));
    });
}

#[test]
fn local_oldest_reader_frees_what_the_writer_reuses() {
    model(3, || {
        let ring = ring(Mode::LocalOldest);
        prefill(&ring, 7);
        let words = |n| if n < 100 { 1 } else { FIRST_WORDS };
        // The reader is the thread that is spawned. The checker sees a conflict between a load and the last store before
        // it, but none between a store and another thread's load after which the storing thread has loaded too.
        let reader = {
            let ring = ring.clone();
            thread::spawn(move || read(&ring, 8, words))
        };
        let kept = (100..103).filter(|n| push(&ring, *n, FIRST_WORDS)).count();
        let mut seen = reader.join().unwrap();
        seen.extend(drain(&ring, words));
        assert_eq!(seen.len(), 7 + kept);
        assert_eq!(ring.lost(), 3 - kept);
        assert!(seen.is_sorted());
    });
}

#[test]
fn local_newest_overwrites_and_the_reader_never_believes_a_torn_record() {
    model(2, || {
        let ring = ring(Mode::LocalNewest);
        prefill(&ring, 7);
        let writer = {
            let ring = ring.clone();
            thread::spawn(move || {
                push(&ring, 100, 2);
                push(&ring, 101, FIRST_WORDS + 1);
            })
        };
        let words = |n| [1, 2, FIRST_WORDS + 1][(n >= 100) as usize + (n >= 101) as usize];
        let mut seen = read(&ring, 2, words);
        writer.join().unwrap();
        seen.extend(drain(&ring, words));
        assert_eq!(seen.len() + ring.lost(), 9, "{seen:?}");
        assert!(seen.is_sorted());
        assert_eq!(seen.last(), Some(&101));
    });
}

#[test]
fn shared_newest_overwrites_under_two_writers_and_a_reader() {
    model(3, || {
        let ring = ring(Mode::SharedNewest);
        prefill(&ring, 8);
        let other = {
            let ring = ring.clone();
            thread::spawn(move || push(&ring, 100, 2) as usize)
        };
        let third = {
            let ring = ring.clone();
            thread::spawn(move || push(&ring, 200, 2) as usize)
        };
        let words = |n| if n < 100 { 1 } else { 2 };
        let mut seen = read(&ring, 1, words);
        other.join().unwrap();
        third.join().unwrap();
        seen.extend(drain(&ring, words));
        assert_eq!(seen.len() + ring.lost(), 10, "{seen:?}");
    });
}

#[test]
fn shared_newest_overwrites_a_record_of_several_slots_while_it_is_read() {
    model(5, || {
        let ring = ring(Mode::SharedNewest);
        let words = |n| [FIRST_WORDS + 1, 2, 1][(n >= 100) as usize + (n >= 200) as usize];
        push(&ring, 1, FIRST_WORDS + 1);
        prefill_more(&ring, 6);
        let other = {
            let ring = ring.clone();
            thread::spawn(move || push(&ring, 100, 2) as usize)
        };
        let mut seen = read(&ring, 1, words);
        other.join().unwrap();
        seen.extend(drain(&ring, words));
        assert_eq!(seen.len() + ring.lost(), 8, "{seen:?}");
    });
}

#[test]
fn shared_newest_a_scan_that_the_writer_overtakes_stays_in_order() {
    model(3, || {
        let ring = ring(Mode::SharedNewest);
        prefill(&ring, 8);
        let other = {
            let ring = ring.clone();
            thread::spawn(move || (100..103).for_each(|n| _ = push(&ring, n, 2)))
        };
        let words = |n| if n < 100 { 1 } else { 2 };
        let mut reader = ring.reader().unwrap();
        let mut seen = read_on(&mut reader, 1, words);
        other.join().unwrap();
        // The rest of the scan that was under way, and then the new records.
        seen.extend(read_on(&mut reader, usize::MAX, words));
        seen.extend(read_on(&mut reader, usize::MAX, words));
        assert_eq!(seen.len() + ring.lost(), 11, "{seen:?}");
        assert!(seen.is_sorted(), "{seen:?}");
    });
}

#[test]
fn shared_newest_a_record_whose_second_slot_a_later_lap_took() {
    model(4, || {
        let ring = ring(Mode::SharedNewest);
        push(&ring, 1, FIRST_WORDS + 1);
        prefill_more(&ring, 6);
        // While this writer is stopped before it claims the record's first slot, the next writer claims the
        // record's second slot.
        let stalled = {
            let ring = ring.clone();
            thread::spawn(move || push(&ring, 100, 1) as usize)
        };
        push(&ring, 101, 1);
        let words = |n| if n == 1 { FIRST_WORDS + 1 } else { 1 };
        let mut seen = drain(&ring, words);
        stalled.join().unwrap();
        seen.extend(drain(&ring, words));
        assert_eq!(seen.len() + ring.lost(), 9, "{seen:?}");
        let loss = ring.reader().unwrap().take_loss().expect("there were nine for eight slots");
        assert!([1, 100, 101].contains(&loss.first), "first lost at {}", loss.first);
    });
}

#[test]
fn shared_newest_with_a_writer_stalled_for_a_lap() {
    model(6, || {
        let ring = ring(Mode::SharedNewest);
        // One writer may be stopped anywhere in its push while the other one goes around the whole ring and
        // over the same slot.
        let stalled = {
            let ring = ring.clone();
            thread::spawn(move || push(&ring, 100, FIRST_WORDS + 1) as usize)
        };
        let newest = (1..=4).map(|n| push(&ring, n, FIRST_WORDS + 1)).last();
        stalled.join().unwrap();
        let seen = drain(&ring, |_| FIRST_WORDS + 1);
        if newest == Some(true) {
            assert!(seen.contains(&4), "one that woke up late took the newest's place: {seen:?}");
        }
        if let Some(loss) = ring.reader().unwrap().take_loss() {
            assert!([1, 2, 3, 4, 100].contains(&loss.first), "first lost at {}", loss.first);
        }
        assert_eq!(seen.len() + ring.lost(), 5, "{seen:?}");
    });
}

fn prefill_more(ring: &Ring<'_>, records: usize) {
    for n in 0..records {
        push(ring, 200 + n, 1);
    }
}
