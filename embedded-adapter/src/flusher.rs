//! The flusher: frames and the link they go to. Here what all links have in common, and frames kept in a buffer for any of them.

use throughline::Recorder;
use throughline::adapter::wire::{DELIMITER, Window};

use crate::Config;
use crate::frames::Frames;

/// Sends what a [`Recorder`] holds; made by [`init`](crate::init) with frames that are made in a buffer and kept until their link has taken them, or by
/// [`init_rtt`](crate::init_rtt) with frames that are made in an RTT channel. It takes about 124 bytes of RAM beside the buffer.
///
/// A record that does not fit a frame by itself is lost and counted: with texts of more than the buffer's length − 60 bytes, choose a longer buffer.
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

    /// Tells the stream the wall-clock time: `unix_ns` nanoseconds since 1970 at tick `ticks` of the recorder's clock, as
    /// [`Recorder::mark_clock`] reads it. A preamble with it goes out before the next records.
    pub fn set_wall_clock(&mut self, unix_ns: u64, ticks: u64) {
        self.frames.set_wall_clock(unix_ns, ticks);
    }

    /// The next flushes also send a snapshot of every metric in the program, frame by frame in turns with records. One
    /// that is still under way is finished, and this call does nothing.
    pub fn snapshot_metrics(&mut self) {
        self.frames.snapshot_metrics();
    }
}

/// A frame of at most `FRAME` bytes on the wire, 168 to 4096, kept until its link has taken it.
#[derive(Debug)]
pub struct Buffer<const FRAME: usize> {
    /// A delimiter goes before the frame: one was cut.
    delimit: bool,
    /// Records in the frame that is kept, and its length; 0 when there is none.
    records: u16,
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

    /// The next frame, made now unless one was kept, in at most `limit` bytes (`None` when it would be longer, or when there is nothing
    /// to send). It is kept until [`Flusher::sent`] is called. A limit of `FRAME` always gets on.
    pub fn frame(&mut self, limit: usize) -> Option<&[u8]> {
        if self.link.len == 0 {
            let before = self.frames.records();
            let room = limit.min(FRAME).saturating_sub(1);
            let len = self.frames.next(Window { buf: &mut self.link.bytes, at: 1, room });
            self.link.len = len as u16;
            self.link.records = self.frames.records().wrapping_sub(before) as u16;
        }
        let frame = self.link.frame();
        (self.link.len > 0 && frame.len() <= limit).then_some(frame)
    }

    /// The link took the frame. Says how many records were in it.
    pub fn sent(&mut self) -> u32 {
        self.link.delimit = false;
        self.link.len = 0;
        u32::from(core::mem::take(&mut self.link.records))
    }

    /// The link did not take the frame, which is kept. `cut`: it may have taken a part; the frame will be sent whole again, after
    /// a delimiter.
    pub fn refused(&mut self, cut: bool) {
        self.link.delimit |= cut;
    }

    /// The frame that is kept, as it goes to a link that may be left at any moment: it counts as cut until it is [sent](Flusher::sent).
    #[cfg(feature = "embassy")]
    pub(crate) fn begin(&mut self, limit: usize) -> Option<&[u8]> {
        let len = self.frame(limit)?.len();
        let from = usize::from(!self.link.delimit);
        self.link.delimit = true;
        Some(&self.link.bytes[from..from + len])
    }
}
