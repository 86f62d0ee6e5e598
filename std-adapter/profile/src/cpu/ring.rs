//! The samples of one thread on their way from its signal handler to the collector: a fixed ring of words with one
//! writer and one reader. Neither ever waits for the other.

#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Words of 8 bytes in a ring; a power of two. A sample takes at most [`MAX_FRAMES`](crate::unwind::MAX_FRAMES) and a
/// few more, so a ring holds the samples of at least 60 ms at the kernel's fastest tick, and usually of seconds.
pub(crate) const WORDS: usize = if cfg!(loom) { 8 } else { 1 << 13 };

/// The ring. A record is a word with the number of words that follow it, and these words.
#[derive(Debug)]
pub(crate) struct Ring {
    words: Box<[AtomicU64]>,
    /// Position after the last record; only the writer stores it.
    head: AtomicUsize,
    /// Position of the first record that is not read yet; only the reader stores it.
    tail: AtomicUsize,
}

/// Writes one record. Dropping it without [`finish`](Writer::finish) leaves the ring as it was.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    ring: &'a Ring,
    start: usize,
    at: usize,
    end: usize,
}

impl Ring {
    /// A ring whose memory is taken from the system as it is first written.
    pub(crate) fn new() -> Ring {
        // SAFETY: an atomic of zeros is valid.
        #[cfg(not(loom))]
        let words = unsafe { Box::<[AtomicU64]>::new_zeroed_slice(WORDS).assume_init() };
        // Those of the model checker cannot be made of zeros.
        #[cfg(loom)]
        let words = (0..WORDS).map(|_| AtomicU64::new(0)).collect();
        Ring { words, head: AtomicUsize::new(0), tail: AtomicUsize::new(0) }
    }

    fn word(&self, position: usize) -> &AtomicU64 {
        &self.words[position & (WORDS - 1)]
    }

    /// Begins a record. There must be one writer at a time.
    pub(crate) fn writer(&self) -> Writer<'_> {
        let start = self.head.load(Ordering::Relaxed);
        // Acquire: what the reader has read of these words is over before they are written again.
        let end = self.tail.load(Ordering::Acquire).wrapping_add(WORDS);
        Writer { ring: self, start, at: start.wrapping_add(1), end }
    }

    /// Reads all records that are complete, in order. There must be one reader at a time.
    pub(crate) fn read(&self, mut record: impl FnMut(&[u64])) {
        // Acquire: the words of every record before this position were written before it.
        let head = self.head.load(Ordering::Acquire);
        let mut at = self.tail.load(Ordering::Relaxed);
        let mut copy = Vec::new();
        while at != head {
            let length = self.word(at).load(Ordering::Relaxed) as usize;
            copy.clear();
            copy.extend((1..=length).map(|i| self.word(at.wrapping_add(i)).load(Ordering::Relaxed)));
            at = at.wrapping_add(1 + length);
            self.tail.store(at, Ordering::Release);
            record(&copy);
        }
    }
}

impl Writer<'_> {
    /// Adds a word. Returns false if there is no room for it.
    #[must_use]
    pub(crate) fn put(&mut self, word: u64) -> bool {
        // One position is kept for the length.
        let room = self.end.wrapping_sub(self.at) as isize > 0;
        if room {
            self.ring.word(self.at).store(word, Ordering::Relaxed);
            self.at = self.at.wrapping_add(1);
        }
        room
    }

    /// Replaces a word that was added before, counted from 0.
    pub(crate) fn set(&mut self, index: usize, word: u64) {
        self.ring.word(self.start.wrapping_add(1 + index)).store(word, Ordering::Relaxed);
    }

    /// Gives the record to the reader. Returns false if not even its length found room.
    pub(crate) fn finish(self) -> bool {
        if self.end.wrapping_sub(self.start) as isize <= 0 {
            return false;
        }
        let length = self.at.wrapping_sub(self.start) - 1;
        self.ring.word(self.start).store(length as u64, Ordering::Relaxed);
        self.ring.head.store(self.at, Ordering::Release);
        true
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_full_ring_refuses_records_and_keeps_those_it_has() {
        let (ring, rounds) = (Ring::new(), if cfg!(miri) { 3 } else { 50 });
        let (mut written, mut read) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            for n in 0..40 {
                let record: Vec<u64> =
                    (0..(round * 7 + n * 11) % 500).map(|i| round << 32 | n << 16 | i).collect();
                let mut writer = ring.writer();
                if record.iter().all(|word| writer.put(*word)) && writer.finish() {
                    written.push(record);
                }
            }
            ring.read(|record| read.push(record.to_vec()));
        }
        assert!(written.len() < rounds as usize * 40, "the ring was never full");
        assert!(written.len() > rounds as usize * 10, "the ring was always full");
        assert_eq!(written, read);
    }

    #[test]
    fn a_reader_on_another_thread_sees_whole_records_in_order() {
        let ring = Ring::new();
        let (records, mut next) = (if cfg!(miri) { 50 } else { 20_000 }, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut n = 0_u64;
                while n < records {
                    let mut writer = ring.writer();
                    let all = (0..n % 90).all(|i| writer.put(n << 8 | i));
                    match all && writer.finish() {
                        true => n += 1,
                        false => std::thread::yield_now(),
                    }
                }
            });
            while next < records {
                ring.read(|record| {
                    assert!(record.iter().copied().eq((0..next % 90).map(|i| next << 8 | i)));
                    next += 1;
                });
            }
        });
    }
}
