//! Flushing to links that are writers: those of `embedded-io` and of `embedded-io-async`.

use crate::{Buffer, Flusher};

/// What a flush sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Frames.
    pub frames: u32,
    /// Bytes, delimiters included.
    pub bytes: usize,
    /// Records in the frames.
    pub records: u32,
    /// Whether something is left: the budget was spent, or the link did not take it.
    pub pending: bool,
}

impl<const FRAME: usize> Flusher<Buffer<FRAME>> {
    /// Sends whole frames to a writer, at most `budget` bytes in all; but a first frame that does not fit the budget is sent by itself, so that every
    /// flush gets on, whatever its budget.
    ///
    /// Waits as long as the writer's `write` does, and does not call its `flush`. A writer that takes nothing (`Ok(0)`) ends the flush.
    ///
    /// # Errors
    ///
    /// The writer's. The frame it failed in is kept and sent whole again by the next flush, after a delimiter; nothing is lost.
    pub fn flush<W: embedded_io::Write>(&mut self, link: &mut W, budget: usize) -> Result<Flushed, W::Error> {
        let mut flushed = Flushed::default();
        while self.make_within(budget, &flushed) {
            let frame = self.kept();
            let (len, mut at) = (frame.len(), 0);
            while at < len {
                match link.write(&frame[at..]) {
                    Ok(n) if n > 0 => at += n,
                    Ok(_) => {
                        self.refused(at > 0);
                        return Ok(flushed.until(self));
                    }
                    Err(error) => {
                        self.refused(true);
                        return Err(error);
                    }
                }
            }
            flushed.add(len, self);
        }
        Ok(flushed.until(self))
    }

    /// As [`Flusher::flush`], to an async writer. When this future is dropped while it waits, it may have sent a part of a frame; the next flush
    /// sends that frame whole again.
    ///
    /// # Errors
    ///
    /// As [`Flusher::flush`].
    #[cfg(feature = "embassy")]
    pub async fn flush_async<W: embedded_io_async::Write>(
        &mut self,
        link: &mut W,
        budget: usize,
    ) -> Result<Flushed, W::Error> {
        let mut flushed = Flushed::default();
        while self.make_within(budget, &flushed) {
            let frame = self.begin();
            let (len, mut at) = (frame.len(), 0);
            while at < len {
                match link.write(&frame[at..]).await? {
                    0 => return Ok(flushed.until(self)),
                    n => at += n,
                }
            }
            flushed.add(len, self);
        }
        Ok(flushed.until(self))
    }
}

impl Flushed {
    fn add<const FRAME: usize>(&mut self, len: usize, flusher: &mut Flusher<Buffer<FRAME>>) {
        self.frames += 1;
        self.bytes += len;
        self.records += flusher.sent();
    }

    fn until<const FRAME: usize>(mut self, flusher: &Flusher<Buffer<FRAME>>) -> Flushed {
        self.pending = flusher.is_pending();
        self
    }
}
