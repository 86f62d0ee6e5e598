//! The rings of marks and of samples under the model checker: every interleaving of the writer and the reader, and every
//! reordering that the memory model allows. Run with `cargo xtask test --only loom`, which sets `--cfg loom`.
#![cfg(loom)]

#[path = "../src/marks.rs"]
#[allow(dead_code)]
mod marks;
#[path = "../src/cpu/ring.rs"]
#[allow(dead_code)]
mod ring;

use loom::sync::atomic::{AtomicU64, Ordering, fence};
use loom::thread;
use marks::Marks;
use ring::Ring;
use std::sync::Arc;

/// The reader is the thread that is spawned: the checker sees a conflict between a load and the last store before it, but
/// none between a store and a load that its own thread has loaded after.
fn model(f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    let times = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = times.clone();
    builder.check(move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        f();
    });
    let times = times.load(std::sync::atomic::Ordering::Relaxed);
    assert!(times > 50, "{times} executions are not all that there are");
}

/// Records from 1 to 4, of which two have room; the others only if the reader makes it.
fn written_and_read(put: impl Fn(u64) -> bool, read: impl Fn(&mut Vec<u64>) + Send + 'static) {
    let reader = thread::spawn(move || {
        let mut seen = Vec::new();
        read(&mut seen);
        read(&mut seen);
        (seen, read)
    });
    let written: Vec<u64> = (1..=4).filter(|n| put(*n)).collect();
    let (mut seen, read) = reader.join().unwrap();
    read(&mut seen);
    assert!(written.len() >= 2 && seen == written, "{written:?} written, {seen:?} read");
}

#[test]
fn marks_are_whole_and_in_order_while_the_ring_wraps() {
    model(|| {
        let marks = Arc::new(Marks::<2, 3>::new());
        let reader = marks.clone();
        let read = move |seen: &mut Vec<u64>| {
            reader.read(|[n, not_n]| {
                assert_eq!(not_n, !n, "torn");
                seen.push(n);
            });
        };
        written_and_read(|n| marks.make() && marks.put([n, !n]), read);
    });
}

#[test]
fn samples_are_whole_and_in_order_while_the_ring_wraps() {
    model(|| {
        let ring = Arc::new(Ring::new());
        let reader = ring.clone();
        let read = move |seen: &mut Vec<u64>| {
            reader.read(|words| {
                assert!(words.len() == 2 && words[0] == words[1], "torn: {words:?}");
                seen.push(words[0]);
            });
        };
        let put = |n| {
            let mut writer = ring.writer();
            writer.put(n) && writer.put(n) && writer.finish()
        };
        written_and_read(put, read);
    });
}

#[test]
fn a_reader_that_finds_the_writer_where_it_was_knows_all_marks() {
    model(|| {
        let (marks, counted) = (Arc::new(Marks::<1, 4>::new()), Arc::new(AtomicU64::new(0)));
        marks.make();
        let reader = {
            let (marks, counted) = (marks.clone(), counted.clone());
            thread::spawn(move || {
                let mut last = 0;
                let end = marks.read(|[n]| last = n).unwrap();
                let counted = counted.load(Ordering::Relaxed);
                fence(Ordering::Acquire);
                assert!(marks.head() != end || counted <= last, "{counted} was counted after mark {last}");
            })
        };
        for n in 1..=3 {
            assert!(marks.put([n]));
            fence(Ordering::Release);
            counted.store(n, Ordering::Relaxed);
        }
        reader.join().unwrap();
    });
}
