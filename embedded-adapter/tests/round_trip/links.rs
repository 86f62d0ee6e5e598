//! Links that fail and lose frames: nothing is lost uncounted, whatever they do.

use embedded_io::{ErrorKind, ErrorType, Write};
use throughline::Recorder;
use throughline::adapter::ring::{Head, RecordKind};
use throughline_decode::Balance;
use throughline_embedded::init;

use crate::harness::{CONFIG, alone, event_times, flush_all, push, recorder};

/// A link that takes some bytes of each write, and fails at fixed points of a pseudorandom sequence.
struct Flaky {
    bytes: Vec<u8>,
    random: u32,
}

impl Flaky {
    fn next(&mut self) -> u32 {
        self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.random >> 24
    }
}

impl ErrorType for Flaky {
    type Error = ErrorKind;
}

impl Write for Flaky {
    fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        match self.next() {
            0..40 => Err(ErrorKind::Other),
            40..60 => Ok(0),
            n => {
                let n = buf.len().min(n as usize / 4);
                self.bytes.extend_from_slice(&buf[..n]);
                Ok(n)
            }
        }
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

/// Writes and flushes alternately over a bad link. Returns the decoded times, the balance, and the number of
/// records written.
fn in_turns(recorder: &'static Recorder) -> (Vec<u64>, Balance, u64) {
    let mut flusher = init(recorder, CONFIG);
    let mut link = Flaky { bytes: Vec::new(), random: 1 };
    let mut written = 0;
    for _ in 0..3000 {
        for _ in 0..link.next() / 16 {
            written += 1;
            push(recorder, 1000 * written as usize);
        }
        let budget = 200 + link.next() as usize;
        let before = link.bytes.len();
        if let Ok(flushed) = flusher.flush(&mut link, budget) {
            assert!(flushed.bytes <= budget);
            assert!(link.bytes.len() - before <= budget);
        }
    }
    // The next record carries the count of losses after the last one.
    link.bytes.extend(flush_all(&mut flusher));
    written += 1;
    push(recorder, 1000 * written as usize);
    link.bytes.extend(flush_all(&mut flusher));
    let (times, balance) = event_times(&link.bytes);
    (times, balance, written)
}

#[test]
fn a_bad_link_costs_nothing_but_time_and_the_ring_counts_the_rest() {
    let _alone = alone();
    let (times, balance, written) = in_turns(recorder!(new, 64));
    assert!(times.is_sorted() && times.iter().all(|time| time % 1000 == 0));
    assert_eq!(balance.emitted, written);
    assert_eq!(balance.decoded, times.len() as u64);
    assert_eq!((balance.link, balance.undecoded), (0, 0));
    assert!(balance.device > 0, "the ring was to overflow");
}

#[test]
fn a_flight_recorder_balances_too() {
    let _alone = alone();
    let (times, balance, written) = in_turns(recorder!(keep_newest, 32));
    assert_eq!(times.last(), Some(&(1000 * written)));
    assert_eq!((balance.emitted, balance.decoded), (written, times.len() as u64));
    assert!(balance.device > 0, "records were to be overwritten");
}

#[test]
fn frames_lost_on_the_link_are_counted_to_the_record() {
    let _alone = alone();
    let recorder = recorder!(new, 64);
    let mut flusher = init(recorder, CONFIG);
    let (mut bytes, mut dropped) = (Vec::new(), 0);
    for round in 1..200 {
        for i in 0..20 {
            push(recorder, 100 * round + i);
        }
        let mut frame = 0;
        while let Some(it) = flusher.frame(192) {
            frame += 1;
            let lost = (round + frame) % 5 == 0 && round > 1 && round < 199;
            if !lost {
                bytes.extend_from_slice(it);
            }
            let records = flusher.sent();
            dropped += if lost { u64::from(records) } else { 0 };
        }
    }
    let (times, balance) = event_times(&bytes);
    assert_eq!((balance.emitted, balance.link), (199 * 20, dropped));
    assert_eq!(times.len() as u64 + dropped, balance.emitted);
    assert!(dropped > 100);
}

#[test]
fn a_preamble_at_least_every_64_frames_and_first() {
    let _alone = alone();
    let recorder = recorder!(new, 64);
    let mut flusher = init(recorder, CONFIG);
    assert!(flusher.frame(192).is_none(), "nothing to say, nothing said");
    let (mut since, mut preambles) = (64, 0);
    for time in 0..1000 {
        push(recorder, time);
        while let Some(frame) = flusher.frame(192) {
            // The second byte of a frame is its version and type, if the first COBS code is not 2.
            let start = usize::from(frame[0] == 0);
            if frame[start + 1] == 0x10 {
                since = 0;
                preambles += 1;
            }
            since += 1;
            assert!(since <= 64, "at record {time}");
            flusher.sent();
        }
    }
    assert!(preambles >= 16);
}

/// A ring that overwrites: a clock record that is overwritten is not a lost record.
#[test]
fn overwritten_readings_of_the_clock_are_no_losses_25() {
    let _alone = alone();
    let recorder = recorder!(keep_newest, 32);
    let mut flusher = init(recorder, CONFIG);
    for n in 0..5000 {
        push(recorder, n);
        if n % 100 == 0 {
            recorder.ring().push(Head::new(RecordKind::Clock, 0, 0, 0), &[n, 0], n);
        }
    }
    let (times, balance) = event_times(&flush_all(&mut flusher));
    assert_eq!((balance.emitted, balance.decoded), (5000, times.len() as u64));
}

/// A clock record that finds the ring full is not a lost record either.
#[test]
fn a_reading_of_the_clock_without_room_is_no_loss_25() {
    let _alone = alone();
    let recorder = recorder!(new, 32);
    let mut flusher = init(recorder, CONFIG);
    for n in 0..40 {
        push(recorder, n);
    }
    recorder.ring().push(Head::new(RecordKind::Clock, 0, 0, 0), &[40, 0], 40);
    let (times, balance) = event_times(&flush_all(&mut flusher));
    assert_eq!((balance.emitted, times.len()), (40, 32));
}
