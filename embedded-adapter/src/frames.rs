//! Makes frames of a recorder's contents: preambles, batches of records and metrics snapshots. Each frame is
//! written directly into the buffer from which the link takes it.

use throughline::Recorder;
use throughline::adapter::LossReason;
use throughline::adapter::metrics::Series;
use throughline::adapter::ring::{MAX_BODY, Parked, Reader, Word};
use throughline::adapter::wire::{
    Batch, Check, Frame, Header, MAX_BUILD_ID, MAX_NAME, Mark, Metrics, PREAMBLE_EVERY, Preamble, Window,
};

use crate::timeline::Anchor;
use crate::{Config, Samples};

/// The state that is kept from one frame to the next.
#[derive(Debug)]
pub(crate) struct Frames {
    recorder: &'static Recorder,
    /// State of the ring's reader between two frames.
    parked: Parked,
    preamble: Preamble<'static>,
    header: Header,
    /// Time of the last record sent.
    time: u64,
    anchor: Anchor,
    snapshots: u32,
    snapshot: Option<Snapshot>,
    /// Number of frames until the next preamble.
    until_preamble: u8,
    /// Whether a frame is due even if it has no record, because its header must count a loss that the
    /// previous frame reported.
    header_is_due: bool,
    /// Whether the last frame was a metrics frame. Metrics frames and batches alternate.
    was_metrics: bool,
    /// Whether the ring held another record after the last frame.
    more: bool,
}

/// A metrics snapshot that is being sent, and where it continues.
#[derive(Clone, Copy, Debug)]
struct Snapshot {
    /// The next series; `None` if only the end of the snapshot is left to send.
    series: Option<Series>,
    from: usize,
    /// The function that makes a frame of the snapshot. It is called through a pointer, so that a program
    /// that never asks for a snapshot does not link it.
    build: fn(&mut Frames, &mut Frame<'_>, u64) -> usize,
}

/// Smallest room in bytes in which a frame is begun: a header and a loss always fit into it.
const SMALLEST: usize = 62;
/// Smallest room in bytes in which a metrics frame is begun: a part of any series fits into it.
const SMALLEST_METRICS: usize = 128;
/// An upper bound of the length in bytes of any text in a ring.
const LONGEST_TEXT: usize = (MAX_BODY * size_of::<Word>()).next_power_of_two();

impl Frames {
    pub(crate) fn new(recorder: &'static Recorder, config: Config) -> Frames {
        let Some(reader) = recorder.ring().reader() else {
            panic!("this recorder has a flusher already: call throughline_embedded::init once")
        };
        recorder.mark_clock();
        // `black_box` hides from the compiler that this is zero. Otherwise it links `memset`, which is as
        // long as the rest of this function.
        let zero = if cfg!(target_os = "none") { core::hint::black_box(0) } else { 0u32 };
        Frames {
            recorder,
            parked: reader.park(),
            preamble: Preamble {
                device_id: config.device_id.to_u64().to_le_bytes(),
                unix_ns: zero.into(),
                unix_ticks: zero.into(),
                check: match config.build_id {
                    #[cfg(target_os = "none")]
                    [] => crate::build_id::check(),
                    id => Check::BuildId(&id[..id.len().min(MAX_BUILD_ID)]),
                },
                name: cut(config.name),
            },
            header: Header { sequence: zero, epoch: config.boot_epoch, ordinal: zero, lost: zero },
            time: zero.into(),
            anchor: Anchor::NONE,
            snapshots: zero,
            snapshot: None,
            until_preamble: 0,
            header_is_due: false,
            was_metrics: false,
            more: false,
        }
    }

    pub(crate) fn set_wall_clock(&mut self, unix_ns: u64, ticks: u64) {
        (self.preamble.unix_ns, self.preamble.unix_ticks) = (unix_ns, ticks);
        self.until_preamble = 0;
    }

    pub(crate) fn snapshot_metrics(&mut self) {
        if self.snapshot.is_none() {
            self.snapshot = Some(Snapshot { series: Series::first(), from: 0, build: Frames::metrics });
        }
    }

    /// Whether something was left to send after the last frame.
    pub(crate) fn is_pending(&self) -> bool {
        self.more || self.snapshot.is_some()
    }

    /// Number of records put into frames so far.
    pub(crate) fn records(&self) -> u32 {
        self.header.ordinal
    }

    /// Makes the next frame and returns its length on the wire in bytes; 0 if there is nothing to send or too
    /// little room.
    #[cfg_attr(target_os = "none", inline(never))]
    pub(crate) fn next(&mut self, window: Window<'_>) -> usize {
        let now = self.recorder.mark_clock();
        let ring = self.recorder.ring();
        let begun = Anchor { position: ring.head(), time: now };
        self.anchor.begin(&begun);
        let mut reader = self.parked.resume(ring);
        let len = self.frame(window, &mut reader, &begun);
        self.parked = reader.park();
        len
    }

    #[inline(always)]
    fn frame(&mut self, window: Window<'_>, reader: &mut Reader<'_>, begun: &Anchor) -> usize {
        self.more = reader.find();
        let any = self.more || self.snapshot.is_some() || reader.has_loss() || self.header_is_due;
        if !any || window.room < SMALLEST {
            return 0;
        }
        let room = window.room;
        let mut frame = Frame::new(window);
        let len = match self.snapshot {
            _ if self.until_preamble == 0 => self.preamble(&mut frame),
            Some(snapshot) if !self.more || !self.was_metrics => {
                self.was_metrics = true;
                if room < SMALLEST_METRICS {
                    return 0;
                }
                (snapshot.build)(self, &mut frame, begun.time)
            }
            _ => {
                self.was_metrics = false;
                self.batch(&mut frame, reader, begun)
            }
        };
        self.count(len);
        len
    }

    /// Makes a frame of the next record of another ring, or a preamble if none was sent yet, and returns its
    /// length in bytes; 0 if there is no record. The record's time must be now or slightly earlier.
    #[cold]
    pub(crate) fn aside(&mut self, window: Window<'_>, reader: &mut Reader<'_>) -> usize {
        let now = self.recorder.mark_clock();
        if !reader.find() {
            return 0;
        }
        let mut frame = Frame::new(window);
        let len = if self.until_preamble == 0 {
            self.preamble(&mut frame)
        } else {
            let mut batch = Batch::new(&mut frame, &self.header, now);
            let before = batch.mark();
            let fits = batch.push(&mut reader.words(), now)
                || batch.has_texts() && push_cut(&mut batch, &before, reader, now);
            if fits && reader.commit() {
                self.header.ordinal = self.header.ordinal.wrapping_add(1);
                batch.finish()
            } else {
                0
            }
        };
        self.count(len);
        len
    }

    /// Makes a frame of samples, or a preamble if none was sent yet, and returns its length in bytes; 0 if there is no
    /// sample or too little room. Samples that do not fit stay in their ring.
    pub(crate) fn samples<const N: usize>(
        &mut self,
        window: Window<'_>,
        samples: &Samples<N>,
        period: u32,
    ) -> usize {
        let now = self.recorder.mark_clock();
        if samples.waiting().next().is_none() {
            return 0;
        }
        let mut frame = Frame::new(window);
        let len = if self.until_preamble == 0 {
            self.preamble(&mut frame)
        } else {
            let mut batch = Batch::new(&mut frame, &self.header, self.time);
            let count = batch.push_samples(&samples.head(period, now), samples.waiting());
            if count == 0 {
                return 0;
            }
            let len = batch.finish();
            if len > 0 {
                samples.pass(count);
                self.header.ordinal = self.header.ordinal.wrapping_add(1);
            }
            len
        };
        self.count(len);
        len
    }

    /// Counts a frame of `len` bytes; a length of 0 means that no frame was made.
    fn count(&mut self, len: usize) {
        if len > 0 {
            self.header.sequence = self.header.sequence.wrapping_add(1);
            self.until_preamble = self.until_preamble.saturating_sub(1);
        }
    }

    fn preamble(&mut self, frame: &mut Frame<'_>) -> usize {
        let len = self.preamble.encode(frame, &self.header, self.recorder.clock().hz());
        if len > 0 {
            self.until_preamble = PREAMBLE_EVERY as u8;
        }
        len
    }

    #[cfg_attr(target_os = "none", inline(never))]
    fn batch(&mut self, frame: &mut Frame<'_>, reader: &mut Reader<'_>, begun: &Anchor) -> usize {
        let loss = reader.take_loss();
        let lost = loss.map_or(0, |loss| loss.count as u32);
        self.header.lost = self.header.lost.wrapping_add(lost);
        let mut batch = Batch::new(frame, &self.header, self.time);
        let mut is_due = core::mem::take(&mut self.header_is_due);
        let mut is_empty = true;
        if let Some(loss) = loss {
            is_empty = !batch.push_loss(loss.reason, loss.count, loss.first);
        }
        let not_before = reader.not_before(begun.time);
        while reader.find() {
            let before = batch.mark();
            let mut words = reader.words();
            let position = words.position();
            let not_before = not_before.max(self.anchor.not_before(position));
            let mut fits = batch.push(&mut words, not_before);
            if !fits && (!is_empty || !batch.is_longest()) {
                batch.roll_back(&before);
                break;
            }
            if !fits && batch.has_texts() {
                fits = push_cut(&mut batch, &before, reader, not_before);
            }
            let time = batch.time() as Word;
            let taken = reader.commit();
            if !fits || !taken {
                batch.roll_back(&before);
            }
            if taken {
                self.anchor.pass(position, begun);
                is_empty = false;
                if fits {
                    self.header.ordinal = self.header.ordinal.wrapping_add(u32::from(!words.is_clock()));
                } else {
                    batch.push_loss(LossReason::TooLarge, 1, time);
                    self.header.lost = self.header.lost.wrapping_add(1);
                    self.header_is_due = true;
                }
            }
        }
        self.time = batch.time();
        is_due |= !is_empty;
        if is_due { batch.finish() } else { 0 }
    }

    fn metrics(&mut self, frame: &mut Frame<'_>, time: u64) -> usize {
        let Some(begun) = self.snapshot else { return 0 };
        let mut frame = Metrics::new(frame, &self.header, self.snapshots);
        // Each frame states at its start whether it is the last of the snapshot. Assume that it is, and make
        // it again if the series do not fit.
        let mut last = true;
        loop {
            frame.begin(last, time);
            let mut at = begun;
            while let Some(series) = at.series {
                let from = frame.push(&series, at.from);
                if from == at.from {
                    break;
                }
                at.from = from;
                if from == Metrics::WHOLE {
                    at = Snapshot { series: series.next(), from: 0, ..at };
                }
            }
            if last && at.series.is_some() {
                last = false;
                continue;
            }
            self.snapshot = if last { None } else { Some(at) };
            self.snapshots = self.snapshots.wrapping_add(last.into());
            return frame.finish();
        }
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        // A resumed reader gives up its claim when it is dropped, so the ring can have a new reader.
        drop(self.parked.resume(self.recorder.ring()));
    }
}

/// Puts a record that is too long for any frame into a batch that was last at `before`. All its texts are cut
/// to the same length, the first tried at which the record fits. Returns false if the record does not fit
/// even without texts. Costs one encoding for each sixteenth that is cut off.
#[cold]
#[inline(never)]
fn push_cut(batch: &mut Batch<'_, '_>, before: &Mark, reader: &Reader<'_>, not_before: u64) -> bool {
    let mut most = LONGEST_TEXT;
    while most > 0 {
        most -= most.div_ceil(16);
        batch.roll_back(before);
        if batch.push_cut(&mut reader.words(), not_before, most) {
            return true;
        }
    }
    false
}

/// Cuts a name to the length that the wire format allows, between two characters.
#[inline(always)]
fn cut(name: &str) -> &str {
    let mut len = name.len().min(MAX_NAME);
    while !name.is_char_boundary(len) {
        len -= 1;
    }
    &name[..len]
}
