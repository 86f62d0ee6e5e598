//! Flushing to links that are writers, those of `embedded-io` and of `embedded-io-async`.

use crate::{Buffer, Flusher};

/// The result of a flush.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Number of frames sent.
    pub frames: u32,
    /// Number of bytes sent, including delimiters.
    pub bytes: usize,
    /// Number of records in these frames.
    pub records: u32,
    /// Whether something is left to send, because the budget was spent or the link did not take it.
    pub pending: bool,
}

impl<const FRAME: usize> Flusher<Buffer<FRAME>> {
    /// Sends whole frames to a writer, at most `budget` bytes in all. If the first frame does not fit the
    /// budget, it is sent anyway and alone, so that every flush makes progress.
    ///
    /// Blocks as long as the writer's `write` does, and does not call its `flush`. The flush ends when the
    /// writer takes nothing (`Ok(0)`).
    ///
    /// # Errors
    ///
    /// Returns the writer's error. The frame that failed is kept, and the next flush sends it whole again
    /// after a delimiter; nothing is lost.
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

    /// Like [`Flusher::flush`], for an async writer. If this future is dropped while it waits, it may have
    /// sent a part of a frame; the next flush sends that frame whole again.
    ///
    /// # Errors
    ///
    /// Like [`Flusher::flush`].
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
