//! Makes frames of what a recorder holds: preambles, batches of records, metrics snapshots, each kept until its link has taken it.

use throughline::metrics;
use throughline::record::Record;
use throughline::ring::{Loss, Mode, RawRecord, Reader, RecordKind, Word};
use throughline::wire::{Batch, DELIMITER, Header, Metrics, PREAMBLE_EVERY, Preamble};
use throughline::{LossReason, Recorder};

use crate::Config;
use crate::timeline::{self, Timeline};

/// Sends what a [`Recorder`] holds; made by [`init`](crate::init). `FRAME` is the most bytes of a frame on the wire, 168 to 4096; it takes that
/// much RAM and about 150 bytes more, and 300 bytes of stack while it flushes.
///
/// A record that does not fit a frame by itself is lost and counted: with texts of more than `FRAME` − 60 bytes, choose longer frames.
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
pub struct Flusher<const FRAME: usize = 192> {
    recorder: &'static Recorder,
    reader: Reader<'static>,
    config: Config,
    /// Wall-clock time in ns since 1970, and the tick it is of.
    wall: (u64, u64),
    timeline: Timeline,
    sequence: u32,
    ordinal: u32,
    /// Records the ring had lost when it was last asked.
    ring_lost: u32,
    /// Records that fitted no frame, and how many of them were reported.
    too_large: u32,
    too_large_reported: u32,
    snapshots: u32,
    snapshot: Option<Snapshot<FRAME>>,
    /// Frames to come before the next preamble.
    until_preamble: u8,
    /// Whether the frame before was one of metrics; they take turns with batches.
    was_metrics: bool,
    more: bool,
    /// A delimiter goes before the next frame: the first, and one that follows a cut one.
    delimit: bool,
    /// Records in the frame that is kept, and its length; 0 when there is none.
    records: u16,
    len: u16,
    /// A delimiter, then the frame.
    buffer: [u8; FRAME],
}

/// A metrics snapshot that is under way: where it goes on.
#[derive(Clone, Copy, Debug)]
struct Snapshot<const FRAME: usize> {
    time: u64,
    /// Callsite and index of the series to go on with; `None`: the first.
    series: Option<(usize, usize)>,
    from: usize,
    /// A pointer, so that a program that never asks for a snapshot does not link what makes one.
    build: fn(&mut Flusher<FRAME>, usize),
}

/// Bytes below which no frame is begun.
const SMALLEST: usize = 48;
/// Bytes below which no metrics frame is begun: any one series gets on in it.
const SMALLEST_METRICS: usize = 128;

impl<const FRAME: usize> Flusher<FRAME> {
    pub(crate) fn new(recorder: &'static Recorder, config: Config) -> Self {
        const { assert!(FRAME >= 168 && FRAME <= 4096, "a flusher's frames have 168 to 4096 bytes") };
        let Some(reader) = recorder.ring().reader() else {
            panic!("this recorder has a flusher already: call throughline_embedded::init once")
        };
        recorder.mark_clock();
        #[cfg(all(feature = "build-id", target_os = "none"))]
        let config = match config.build_id {
            [] => Config { build_id: crate::build_id::build_id(), ..config },
            _ => config,
        };
        Flusher {
            recorder,
            reader,
            config,
            wall: (0, 0),
            timeline: Timeline::new(),
            sequence: 0,
            ordinal: 0,
            ring_lost: 0,
            too_large: 0,
            too_large_reported: 0,
            snapshots: 0,
            snapshot: None,
            until_preamble: 0,
            was_metrics: false,
            more: false,
            delimit: true,
            records: 0,
            len: 0,
            buffer: [DELIMITER; FRAME],
        }
    }

    /// Tells the stream the wall-clock time: `unix_ns` nanoseconds since 1970 at tick `ticks` of the recorder's clock, as
    /// [`Recorder::mark_clock`] reads it. A preamble with it goes out before the next records.
    pub fn set_wall_clock(&mut self, unix_ns: u64, ticks: u64) {
        self.wall = (unix_ns, ticks);
        self.until_preamble = 0;
    }

    /// The next flushes also send a snapshot of every metric in the program, frame by frame in turns with records. One
    /// that is still under way is finished, and this call does nothing.
    pub fn snapshot_metrics(&mut self) {
        if self.snapshot.is_none() {
            let time = self.recorder.mark_clock();
            self.snapshot = Some(Snapshot { time, series: None, from: 0, build: Self::build_metrics });
        }
    }

    /// Whether the last flush left something: a frame the link did not take, or records or metrics beyond its budget.
    pub fn is_pending(&self) -> bool {
        self.len > 0 || self.more || self.snapshot.is_some()
    }

    /// The next frame, made now unless one was kept, in at most `limit` bytes (`None` when it would be longer, or when there is nothing
    /// to send). It is kept until [`Flusher::sent`] is called. A limit of `FRAME` always gets on.
    pub fn frame(&mut self, limit: usize) -> Option<&[u8]> {
        if self.len == 0 {
            self.build(limit.min(FRAME).saturating_sub(1));
        }
        let from = usize::from(!self.delimit);
        let end = 1 + usize::from(self.len);
        (end > 1 && end - from <= limit).then(|| &self.buffer[from..end])
    }

    /// The link took the frame. Says how many records were in it.
    pub fn sent(&mut self) -> u32 {
        self.delimit = false;
        self.len = 0;
        u32::from(core::mem::take(&mut self.records))
    }

    /// The link did not take the frame, which is kept. `cut`: it may have taken a part; the frame will be sent whole again, after
    /// a delimiter.
    pub fn refused(&mut self, cut: bool) {
        self.delimit |= cut;
    }

    fn header(&self) -> Header {
        Header {
            sequence: self.sequence,
            epoch: self.config.boot_epoch,
            ordinal: self.ordinal,
            lost: self.ring_lost.wrapping_add(self.too_large_reported),
        }
    }

    fn built(&mut self, len: usize) {
        self.len = len as u16;
        if len > 0 {
            self.sequence = self.sequence.wrapping_add(1);
            self.until_preamble = self.until_preamble.saturating_sub(1);
        }
    }

    fn build(&mut self, room: usize) {
        let now = self.recorder.mark_clock();
        let ring = self.recorder.ring();
        self.timeline.begin(ring.head(), now);
        let mut raw = RawRecord::new();
        let have = self.reader.next(&mut raw);
        // What is lost of a ring that keeps the newest is what came before; times go on from there.
        if have && ring.mode() == Mode::SharedNewest {
            let known = self.reader.oldest_clock().unwrap_or(now);
            self.timeline.set(known.saturating_sub(timeline::BEFORE_CLOCK));
        }
        let snapshot = self.snapshot.filter(|_| !have || !self.was_metrics);
        self.more = have;
        let any =
            have || snapshot.is_some() || self.reader.has_loss() || self.too_large != self.too_large_reported;
        if !any || room < SMALLEST {
            return;
        }
        if self.until_preamble == 0 {
            self.build_preamble(room);
        } else if let Some(snapshot) = snapshot {
            self.was_metrics = true;
            if room >= SMALLEST_METRICS {
                (snapshot.build)(self, room);
            }
        } else {
            self.was_metrics = false;
            self.build_batch(room, &mut raw, have);
        }
    }

    fn build_preamble(&mut self, room: usize) {
        let preamble = Preamble {
            tick_hz: self.recorder.clock().hz(),
            device_id: self.config.device_id.to_u64(),
            unix_ns: self.wall.0,
            unix_ticks: self.wall.1,
            build_id: self.config.build_id,
            name: self.config.name,
        };
        let header = self.header();
        let len = preamble.encode(&mut self.buffer[1..=room], &header);
        self.built(len);
        if len > 0 {
            self.until_preamble = PREAMBLE_EVERY as u8 - 1;
        }
    }

    fn build_batch(&mut self, room: usize, raw: &mut RawRecord, mut have: bool) {
        let ring_loss = self.reader.take_loss();
        if let Some(loss) = &ring_loss {
            self.ring_lost = loss.total as u32;
        }
        let too_large = self.too_large.wrapping_sub(self.too_large_reported);
        self.too_large_reported = self.too_large;
        let header = self.header();
        let Flusher { reader, timeline, buffer, .. } = self;

        let Some(mut batch) = Batch::new(&mut buffer[1..=room], &header, timeline.now(), 0) else { return };
        let mut used = false;
        if let Some(loss) = ring_loss {
            used |= batch.push_loss(&loss, timeline.near(loss.first));
        }
        if too_large > 0 {
            let loss = Loss { reason: LossReason::TooLarge, count: too_large as usize, total: 0, first: 0 };
            used |= batch.push_loss(&loss, timeline.now());
        }
        let mut records = 0;
        while have {
            let before = (batch.mark(), *timeline);
            let fits = match Record::parse(raw) {
                Some(record) => {
                    let time = key_time(&record, reader.position(), timeline);
                    batch.push(&record, time)
                }
                None => false,
            };
            if !fits && (used || room < FRAME - 1) {
                break;
            }
            if !reader.commit() {
                batch.roll_back(before.0);
                *timeline = before.1;
            } else if !fits {
                // Alone in the longest frame there is.
                self.too_large = self.too_large.wrapping_add(1);
            } else {
                used = true;
                records += u16::from(raw.head.kind() != Some(RecordKind::Clock));
            }
            have = reader.next(raw);
        }
        self.more = have;
        if used {
            let len = batch.finish();
            self.ordinal = self.ordinal.wrapping_add(records.into());
            self.records = records;
            self.built(len);
        }
    }

    fn build_metrics(&mut self, room: usize) {
        let Some(snapshot) = self.snapshot else { return };
        let header = self.header();
        let Some(mut frame) =
            Metrics::new(&mut self.buffer[1..=room], &header, self.snapshots, snapshot.time)
        else {
            return;
        };
        let mut skip = snapshot.series;
        let mut from = snapshot.from;
        let mut stopped = None;
        metrics::for_each(|series| {
            let place = (series.callsite(), series.index());
            if stopped.is_some() || skip.is_some_and(|at| at != place) {
                return;
            }
            skip = None;
            if let Some(next) = frame.push(&series, core::mem::take(&mut from)) {
                stopped = Some((place, next));
            }
        });
        let len = frame.finish(stopped.is_none());
        self.snapshot = stopped.map(|(place, from)| Snapshot { series: Some(place), from, ..snapshot });
        if stopped.is_none() {
            self.snapshots = self.snapshots.wrapping_add(1);
        }
        self.built(len);
    }
}

/// The time of a record, extended; of a span, that of its end.
fn key_time(record: &Record<'_>, position: Option<Word>, timeline: &mut Timeline) -> u64 {
    if let Record::Clock { ticks } = record {
        timeline.set(*ticks);
        return *ticks;
    }
    timeline.extend(record.time(), position.unwrap_or(0))
}
