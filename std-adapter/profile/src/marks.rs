//! Short records of one thread on their way to the pump: a fixed ring with one writer and one reader. Neither ever waits
//! for the other, and neither allocates through the program's allocator.

#[cfg(loom)]
use loom::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::ptr;
#[cfg(not(loom))]
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

type Record<const W: usize> = [AtomicU64; W];

/// A ring for `N - 1` records of `W` words. The writer's two words lie here, among those that it uses anyway, and the ring lies
/// elsewhere.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Marks<const W: usize, const N: usize> {
    /// Where the next record goes.
    next: AtomicPtr<Record<W>>,
    /// Where the writer must look before it goes on: at the end of the ring, or at the one record that is always left free.
    limit: AtomicPtr<Record<W>>,
    /// Null before [`make`](Marks::make). Never freed.
    ring: AtomicPtr<Ring<W, N>>,
}

#[repr(C, align(64))]
struct Ring<const W: usize, const N: usize> {
    records: [Record<W>; N],
    reader: Reader,
}

/// What the reader stores, on a line of the cache of its own.
#[repr(align(64))]
struct Reader {
    /// The record that is read next.
    tail: AtomicUsize,
}

impl<const W: usize, const N: usize> Ring<W, N> {
    /// The number of the record at a position of the writer, which may be just after the last one.
    fn index(&self, next: *mut Record<W>) -> usize {
        (next.addr() - self.records.as_ptr().addr()) / size_of::<Record<W>>() % N
    }

    /// The position of a record, or just after the last one.
    fn at(&self, index: usize) -> *mut Record<W> {
        self.records[index..].as_ptr().cast_mut()
    }

    /// An empty one; null without memory.
    #[cfg(not(loom))]
    fn leak() -> *mut Ring<W, N> {
        use std::alloc::{GlobalAlloc, Layout, System};
        // SAFETY: the layout is not empty. Atomics of zeros are valid.
        unsafe { System.alloc_zeroed(Layout::new::<Ring<W, N>>()) }.cast()
    }

    /// Atomics of the model checker cannot be made of zeros.
    #[cfg(loom)]
    fn leak() -> *mut Ring<W, N> {
        let records = std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0)));
        Box::leak(Box::new(Ring { records, reader: Reader { tail: AtomicUsize::new(0) } }))
    }
}

impl<const W: usize, const N: usize> Marks<W, N> {
    /// Without a ring, so that no record finds room.
    pub(crate) fn new() -> Marks<W, N> {
        let null = ptr::null_mut();
        Marks {
            next: AtomicPtr::new(null),
            limit: AtomicPtr::new(null),
            ring: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Makes the ring if there is none yet; false without memory. The system provides its pages as they are first written. Only
    /// the writer may call this.
    pub(crate) fn make(&self) -> bool {
        if self.ring().is_some() {
            return true;
        }
        let memory = Ring::<W, N>::leak();
        // SAFETY: it is null or a ring, which is never freed.
        let Some(ring) = (unsafe { memory.as_ref() }) else { return false };
        self.next.store(ring.at(0), Ordering::Relaxed);
        self.limit.store(ring.at(0), Ordering::Relaxed);
        self.ring.store(memory, Ordering::Release);
        true
    }

    fn ring(&self) -> Option<&Ring<W, N>> {
        // SAFETY: only `make` stores this pointer, to a ring that is never freed.
        unsafe { self.ring.load(Ordering::Acquire).as_ref() }
    }

    /// Adds a record; false if there is no room. There must be one writer at a time.
    #[inline]
    pub(crate) fn put(&self, record: [u64; W]) -> bool {
        self.put_unseen(record) || self.look() > 0 && self.put_unseen(record)
    }

    /// Adds a record if there was room for it when the writer looked last. Cost: two loads, a comparison, and a store for each
    /// word and for the position.
    #[inline(always)]
    pub(crate) fn put_unseen(&self, record: [u64; W]) -> bool {
        let next = self.next.load(Ordering::Relaxed);
        if next == self.limit.load(Ordering::Relaxed) {
            return false;
        }
        // SAFETY: before the limit there are records of the ring, which is never freed.
        let words = unsafe { &*next };
        for (word, value) in words.iter().zip(record) {
            word.store(value, Ordering::Relaxed);
        }
        // SAFETY: this is at most the end of the ring.
        self.next.store(unsafe { next.add(1) }, Ordering::Release);
        true
    }

    /// Adds a record if there is room for another one after it.
    pub(crate) fn put_if_room_for_two(&self, record: [u64; W]) -> bool {
        self.look() >= 2 && self.put(record)
    }

    /// Looks how many records there is room for.
    #[cold]
    #[inline(never)]
    fn look(&self) -> usize {
        let Some(ring) = self.ring() else { return 0 };
        let at = ring.index(self.next.load(Ordering::Relaxed));
        // Acquire: what the reader has read of these records is over before they are written again.
        let room = (ring.reader.tail.load(Ordering::Acquire) + N - 1 - at) % N;
        // Release, because the reader may see this position and not the one before it, after the last record.
        self.next.store(ring.at(at), Ordering::Release);
        self.limit.store(ring.at((at + room).min(N)), Ordering::Relaxed);
        room
    }

    /// Where the writer is: as long as it has written no record since [`read`](Marks::read), this is what that returned.
    pub(crate) fn head(&self) -> usize {
        self.ring().map_or(0, |ring| ring.index(self.next.load(Ordering::Relaxed)))
    }

    /// Reads all records, in order, and returns where the writer was; `None` if there is no ring yet. There must be one reader at
    /// a time.
    pub(crate) fn read(&self, mut each: impl FnMut([u64; W])) -> Option<usize> {
        let ring = self.ring()?;
        // Acquire: the words of every record before this position were written before it.
        let head = ring.index(self.next.load(Ordering::Acquire));
        let mut tail = ring.reader.tail.load(Ordering::Relaxed);
        while tail != head {
            each(ring.records[tail].each_ref().map(|word| word.load(Ordering::Relaxed)));
            tail = (tail + 1) % N;
            ring.reader.tail.store(tail, Ordering::Release);
        }
        Some(head)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_reader_on_another_thread_sees_whole_records_in_order() {
        let marks = Marks::<3, 8>::new();
        assert!(!marks.put([0; 3]) && marks.read(|_| {}).is_none(), "it has no ring");
        assert!(marks.make() && marks.make());
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
        assert!((0..7).all(|n| marks.put([n; 3])) && !marks.put([7; 3]), "it holds 7 records");
    }
}
