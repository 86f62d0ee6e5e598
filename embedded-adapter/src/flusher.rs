//! The flusher: it makes frames and passes them to a link. This module has the part that all links share, and
//! the buffer that keeps a frame until its link has taken it.

use throughline::Recorder;
use throughline::adapter::ring::Reader;
use throughline::adapter::wire::{DELIMITER, Window};

use crate::frames::Frames;
use crate::{Config, Flushed, Samples};

/// Sends the records of a [`Recorder`]. [`init`](crate::init) makes a flusher with a buffer, which keeps each
/// frame until the link has taken it; [`init_rtt`](crate::init_rtt) makes one that writes its frames into an
/// RTT channel. A flusher takes about 124 bytes of RAM plus the buffer.
///
/// If a record is too long for a frame, its texts are cut until it fits and are marked as truncated. Choose a
/// longer buffer for texts of more than its length − 60 bytes. A record that is too long even without its
/// texts (more than twelve large 64-bit numbers, with the default buffer) is lost and counted.
///
/// [`Flusher::flush`] and the other flush functions serve links that are writers. For any other link (packets
/// of a radio, USB, a file), take the frames one by one:
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
///         flusher.refused(false); // kept; the next call of `frame` returns it again
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

    /// Puts the wall-clock time into the stream: `unix_ns` nanoseconds since 1970 at tick `ticks` of the
    /// recorder's clock, which [`Recorder::mark_clock`] returns. The flusher sends a preamble with it before
    /// the next records.
    pub fn set_wall_clock(&mut self, unix_ns: u64, ticks: u64) {
        self.frames.set_wall_clock(unix_ns, ticks);
    }

    /// Makes the next flushes send a snapshot of every metric in the program. Its frames alternate with those
    /// of records. Does nothing while a snapshot is already being sent.
    pub fn snapshot_metrics(&mut self) {
        self.frames.snapshot_metrics();
    }
}

/// A buffer for one frame of at most `FRAME` bytes on the wire (168 to 4096), kept until the link has taken
/// it.
#[derive(Debug)]
pub struct Buffer<const FRAME: usize> {
    /// Whether a delimiter must be sent before the frame, because the link took a part of the frame earlier.
    delimit: bool,
    /// Number of records in the kept frame.
    records: u16,
    /// Length of the kept frame in bytes; 0 if there is none.
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
    /// Whether the last flush left something to send: a frame that the link did not take, or records or
    /// metrics beyond its budget.
    pub fn is_pending(&self) -> bool {
        self.link.len > 0 || self.frames.is_pending()
    }

    /// The kept frame, or else a new one; `None` if there is nothing to send. The frame has at most `limit`
    /// bytes if a frame that short can be made. A preamble, a long record or a kept frame may be longer than
    /// a small limit and is returned anyway, but no frame is longer than `FRAME`. If the link takes packets
    /// of a fixed size, choose that size as `FRAME`. The frame is kept until [`Flusher::sent`] is called.
    pub fn frame(&mut self, limit: usize) -> Option<&[u8]> {
        (self.make(limit) || self.make(FRAME)).then(|| self.link.frame())
    }

    /// Makes a frame if none is kept. Returns whether the kept frame now has at most `limit` bytes.
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

    /// Whether a flush that has already sent `flushed` should send the frame that is now kept: it fits into
    /// the rest of the budget, or it is the flush's first frame.
    pub(crate) fn make_within(&mut self, budget: usize, flushed: &Flushed) -> bool {
        self.make(budget.saturating_sub(flushed.bytes)) || flushed.frames == 0 && self.make(FRAME)
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.link.len > 0
    }

    /// Makes and keeps a frame of a record in a ring that is not the recorder's. Returns false if there is no
    /// record. The caller makes sure that no frame is kept.
    pub(crate) fn make_aside(&mut self, reader: Option<&mut Reader<'_>>) -> bool {
        let Some(reader) = reader else { return false };
        let before = self.frames.records();
        let window = Window { buf: &mut self.link.bytes, at: 1, room: FRAME - 1 };
        self.link.len = self.frames.aside(window, reader) as u16;
        self.link.records = self.frames.records().wrapping_sub(before) as u16;
        self.link.len > 0
    }

    /// Makes and keeps a frame of the samples that wait in `samples`, which the next flush sends first. `period` is the
    /// number of the recorder's ticks between two samples. Returns false if there are none, or if a frame is already
    /// kept; call it again after the flush then, or when more samples wait than one frame holds (about 20 with the
    /// default buffer).
    pub fn take_samples<const N: usize>(&mut self, samples: &Samples<N>, period: u32) -> bool {
        if self.link.len > 0 {
            return false;
        }
        let before = self.frames.records();
        let window = Window { buf: &mut self.link.bytes, at: 1, room: FRAME - 1 };
        self.link.len = self.frames.samples(window, samples, period) as u16;
        self.link.records = self.frames.records().wrapping_sub(before) as u16;
        self.link.len > 0
    }

    /// The kept frame.
    pub(crate) fn kept(&self) -> &[u8] {
        self.link.frame()
    }

    /// Call this when the link has taken the frame. Returns the number of records in it.
    pub fn sent(&mut self) -> u32 {
        self.link.delimit = false;
        self.link.len = 0;
        u32::from(core::mem::take(&mut self.link.records))
    }

    /// Call this when the link did not take the frame; the flusher keeps it. Pass `cut` = true if the link
    /// may have taken a part of it: the whole frame is then sent again after a delimiter.
    pub fn refused(&mut self, cut: bool) {
        self.link.delimit |= cut;
    }

    /// The kept frame, for a link whose write may be cancelled at any moment: the frame counts as cut until
    /// [`Flusher::sent`] is called.
    #[cfg(feature = "embassy")]
    pub(crate) fn begin(&mut self) -> &[u8] {
        let len = self.link.frame().len();
        let from = usize::from(!self.link.delimit);
        self.link.delimit = true;
        &self.link.bytes[from..from + len]
    }
}
