//! `ring`: a record of 32 bytes through a bounded queue of 1024.

use std::sync::Arc;

use crossbeam_queue::ArrayQueue;

use crate::{Subject, harness};

pub(super) const SUBJECTS: &[Subject] = &[
    ("rtrb (one writer, one reader)", |bench| {
        harness::ring(bench, || {
            let (mut writer, mut reader) = rtrb::RingBuffer::new(1024);
            (move |record| writer.push(record).is_ok(), move || reader.pop().ok())
        });
    }),
    ("heapless spsc (one writer, one reader)", |bench| {
        harness::ring(bench, || {
            let queue: &'static mut heapless::spsc::Queue<[u64; 4], 1024> =
                Box::leak(Box::new(heapless::spsc::Queue::new()));
            let (mut writer, mut reader) = queue.split();
            (move |record| writer.enqueue(record).is_ok(), move || reader.dequeue())
        });
    }),
    ("crossbeam ArrayQueue (any)", |bench| {
        harness::ring(bench, || {
            let writer = Arc::new(ArrayQueue::new(1024));
            let reader = Arc::clone(&writer);
            (move |record| writer.push(record).is_ok(), move || reader.pop())
        });
    }),
];
