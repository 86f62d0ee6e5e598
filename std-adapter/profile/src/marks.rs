//! Short records of one thread on their way to the pump: a fixed ring with one writer and one reader. Neither ever waits
//! for the other, and neither allocates through the program's allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// A ring for `N` records of `W` words; `N` is a power of two.
#[derive(Debug)]
pub(crate) struct Marks<const W: usize, const N: usize> {
    writer: Writer,
    reader: Reader,
    records: [[AtomicU64; W]; N],
}

/// What the writer stores, on a line of the cache of its own.
#[derive(Debug)]
#[repr(align(64))]
struct Writer {
    /// Records written so far.
    head: AtomicUsize,
    /// Where the ring was full when the writer looked last.
    full: AtomicUsize,
}

/// What the reader stores.
#[derive(Debug)]
#[repr(align(64))]
struct Reader {
    /// Records read so far.
    tail: AtomicUsize,
}

impl<const W: usize, const N: usize> Marks<W, N> {
    const MASK: usize = {
        assert!(N.is_power_of_two());
        N - 1
    };

    pub(crate) const fn new() -> Marks<W, N> {
        Marks {
            writer: Writer { head: AtomicUsize::new(0), full: AtomicUsize::new(0) },
            reader: Reader { tail: AtomicUsize::new(0) },
            records: [const { [const { AtomicU64::new(0) }; W] }; N],
        }
    }

    /// An empty ring that is never freed; `None` without memory. The system provides its pages as they are first written.
    pub(crate) fn leak() -> Option<&'static Marks<W, N>> {
        // SAFETY: the layout is not empty.
        let memory = unsafe { System.alloc_zeroed(Layout::new::<Marks<W, N>>()) }.cast::<Marks<W, N>>();
        // SAFETY: the memory is large enough, nothing else has it, and atomics of zeros are valid.
        unsafe { memory.as_ref() }
    }

    /// Adds a record; false if there is no room. There must be one writer at a time.
    #[inline]
    pub(crate) fn put(&self, record: [u64; W]) -> bool {
        self.put_unseen(record)
            || self.look(self.writer.head.load(Ordering::Relaxed)) > 0 && self.put_unseen(record)
    }

    /// Adds a record if there was room for it when the writer looked last.
    #[inline(always)]
    pub(crate) fn put_unseen(&self, record: [u64; W]) -> bool {
        let head = self.writer.head.load(Ordering::Relaxed);
        if head == self.writer.full.load(Ordering::Relaxed) {
            return false;
        }
        for (word, value) in self.records[head & Self::MASK].iter().zip(record) {
            word.store(value, Ordering::Relaxed);
        }
        self.writer.head.store(head.wrapping_add(1), Ordering::Release);
        true
    }

    /// Adds a record if there is room for another one after it.
    pub(crate) fn put_if_room_for_two(&self, record: [u64; W]) -> bool {
        self.look(self.writer.head.load(Ordering::Relaxed)) >= 2 && self.put(record)
    }

    /// Looks how many records there is room for.
    #[cold]
    #[inline(never)]
    fn look(&self, head: usize) -> usize {
        // Acquire: what the reader has read of these records is over before they are written again.
        let full = self.reader.tail.load(Ordering::Acquire).wrapping_add(N);
        self.writer.full.store(full, Ordering::Relaxed);
        full.wrapping_sub(head)
    }

    /// Records written so far.
    pub(crate) fn head(&self) -> usize {
        self.writer.head.load(Ordering::Relaxed)
    }

    /// Reads all records, in order, and returns how many were written so far. There must be one reader at a time.
    pub(crate) fn read(&self, mut each: impl FnMut([u64; W])) -> usize {
        // Acquire: the words of every record before this position were written before it.
        let head = self.writer.head.load(Ordering::Acquire);
        let mut tail = self.reader.tail.load(Ordering::Relaxed);
        while tail != head {
            each(self.records[tail & Self::MASK].each_ref().map(|word| word.load(Ordering::Relaxed)));
            tail = tail.wrapping_add(1);
            self.reader.tail.store(tail, Ordering::Release);
        }
        head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_on_another_thread_sees_whole_records_in_order() {
        let marks = Marks::<3, 8>::leak().unwrap();
        let (records, mut next) = (if cfg!(miri) { 100 } else { 50_000 }, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut n = 0;
                while n < records {
                    match marks.put([n, n * 2, !n]) {
                        true => n += 1,
                        false => std::thread::yield_now(),
                    }
                }
            });
            while next < records {
                marks.read(|record| {
                    assert_eq!(record, [next, next * 2, !next]);
                    next += 1;
                });
            }
        });
        assert!((0..8).all(|n| marks.put([n; 3])) && !marks.put([8; 3]), "it holds 8 records");
    }
}
