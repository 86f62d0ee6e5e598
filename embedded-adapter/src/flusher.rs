//! The flusher: frames and the link they go to. This module has what all links share, and the buffer that keeps a frame until its link has taken it.

use throughline::Recorder;
use throughline::adapter::ring::Reader;
use throughline::adapter::wire::{DELIMITER, Window};

use crate::frames::Frames;
use crate::{Config, Flushed};

/// Sends what a [`Recorder`] holds. [`init`](crate::init) makes one with a buffer, which keeps each frame until the link has taken it;
/// [`init_rtt`](crate::init_rtt) makes one that writes its frames into an RTT channel. It takes about 124 bytes of RAM beside the buffer.
///
/// A record that is too long for a frame of its own has its texts cut until it fits, and each is marked as truncated. With texts of more than the
/// buffer's length − 60 bytes, choose a longer buffer. A record that is too long without its texts (more than twelve large 64-bit numbers, with the
/// default buffer) is lost and counted.
///
/// [`Flusher::flush`] and its siblings serve links that are writers. For any other link (a radio's packets, USB, a file) take the frames
/// one by one:
///
/// ```
/// # use throughline::{Clock, Recorder, Slots, info};
/// # use throughline_embedded::Config;
/// # static SLOTS: Slots<64> = Slots::new();
/// # static RECORDER: Recorder = Recorder::new(&SLOTS, Clock::mock());
/// # let mut flusher = throughline_embedded::init(&RECORDER, Config::DEFAULT);
/// # fn send(packet: &[u8]) -> bool { true }
/// # info!("something to say");
/// let mut records = 0;
/// while let Some(frame) = flusher.frame(192) {
///     if send(frame) {
///         records += flusher.sent();
///     } else {
///         flusher.refused(false); // kept; the next `frame` gives it again
///         break;
///     }
/// }
/// assert_eq!(records, 1);
/// ```
#[derive(Debug)]
pub struct Flusher<L = Buffer<192>> {
    pub(crate) frames: Frames,
    pub(crate) link: L,
}

impl<L> Flusher<L> {
    pub(crate) fn new(recorder: &'static Recorder, config: Config, link: L) -> Self {
        Flusher { frames: Frames::new(recorder, config), link }
    }

    /// Puts the wall-clock time into the stream: it was `unix_ns` nanoseconds since 1970 at tick `ticks` of the recorder's clock, as
    /// [`Recorder::mark_clock`] reads it. A preamble with it goes out before the next records.
    pub fn set_wall_clock(&mut self, unix_ns: u64, ticks: u64) {
        self.frames.set_wall_clock(unix_ns, ticks);
    }

    /// Makes the next flushes send a snapshot of every metric in the program too; its frames and those of records take turns. While a snapshot is
    /// under way, this does nothing.
    pub fn snapshot_metrics(&mut self) {
        self.frames.snapshot_metrics();
    }
}

/// A frame of at most `FRAME` bytes on the wire, 168 to 4096, kept until its link has taken it.
#[derive(Debug)]
pub struct Buffer<const FRAME: usize> {
    /// Whether a delimiter goes before the frame, because the link took a part of it before.
    delimit: bool,
    /// Number of records in the frame that is kept.
    records: u16,
    /// Length of the frame that is kept; 0 when there is none.
    len: u16,
    /// A delimiter, then the frame.
    bytes: [u8; FRAME],
}

impl<const FRAME: usize> Buffer<FRAME> {
    pub(crate) const fn new() -> Self {
        const { assert!(FRAME >= 168 && FRAME <= 4096, "a flusher's frames have 168 to 4096 bytes") };
        Buffer { delimit: false, records: 0, len: 0, bytes: [DELIMITER; FRAME] }
    }

    fn frame(&self) -> &[u8] {
        &self.bytes[usize::from(!self.delimit)..][..usize::from(self.len) + usize::from(self.delimit)]
    }
}

impl<const FRAME: usize> Flusher<Buffer<FRAME>> {
    /// Whether the last flush left something: a frame the link did not take, or records or metrics beyond its budget.
    pub fn is_pending(&self) -> bool {
        self.link.len > 0 || self.frames.is_pending()
    }

    /// The next frame, made now unless one is kept; `None` when there is nothing to send. It has at most `limit` bytes where a frame that short can
    /// be made, and never more than `FRAME`: a preamble, a long record or a frame that is kept may be longer than a small limit, and comes all the same.
    /// For a link that takes packets of a fixed size, choose that size as `FRAME`. The frame is kept until [`Flusher::sent`] is called.
    pub fn frame(&mut self, limit: usize) -> Option<&[u8]> {
        (self.make(limit) || self.make(FRAME)).then(|| self.link.frame())
    }

    /// Whether a frame of at most `limit` bytes is kept now; makes one when none is.
    fn make(&mut self, limit: usize) -> bool {
        if self.link.len == 0 {
            let before = self.frames.records();
            let room = limit.min(FRAME).saturating_sub(1);
            let len = self.frames.next(Window { buf: &mut self.link.bytes, at: 1, room });
            self.link.len = len as u16;
            self.link.records = self.frames.records().wrapping_sub(before) as u16;
        }
        self.link.len > 0 && self.link.frame().len() <= limit
    }

    /// Whether a flush that has sent so much is to send another frame, which is then kept: one that its budget still has room for, or the first of all.
    pub(crate) fn make_within(&mut self, budget: usize, flushed: &Flushed) -> bool {
        self.make(budget.saturating_sub(flushed.bytes)) || flushed.frames == 0 && self.make(FRAME)
    }

    /// Whether a frame is kept.
    pub(crate) fn is_kept(&self) -> bool {
        self.link.len > 0
    }

    /// Makes and keeps a frame of a record in another ring than the recorder's; false when there is none. No frame must be kept before.
    pub(crate) fn make_aside(&mut self, reader: Option<&mut Reader<'_>>) -> bool {
        let Some(reader) = reader else { return false };
        let before = self.frames.records();
        let window = Window { buf: &mut self.link.bytes, at: 1, room: FRAME - 1 };
        self.link.len = self.frames.aside(window, reader) as u16;
        self.link.records = self.frames.records().wrapping_sub(before) as u16;
        self.link.len > 0
    }

    /// The frame that is kept.
    pub(crate) fn kept(&self) -> &[u8] {
        self.link.frame()
    }

    /// Call this when the link took the frame. Gives the number of records in it.
    pub fn sent(&mut self) -> u32 {
        self.link.delimit = false;
        self.link.len = 0;
        u32::from(core::mem::take(&mut self.link.records))
    }

    /// Call this when the link did not take the frame, which is kept. With `cut` the link may have taken a part of it; the frame is then sent whole
    /// again, after a delimiter.
    pub fn refused(&mut self, cut: bool) {
        self.link.delimit |= cut;
    }

    /// The frame that is kept, for a link whose writing may be given up at any moment: the frame counts as cut until it is [sent](Flusher::sent).
    #[cfg(feature = "embassy")]
    pub(crate) fn begin(&mut self) -> &[u8] {
        let len = self.link.frame().len();
        let from = usize::from(!self.link.delimit);
        self.link.delimit = true;
        &self.link.bytes[from..from + len]
    }
}
