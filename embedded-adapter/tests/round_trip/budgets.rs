//! Budgets of a flush and limits of a frame: a flush always makes progress and keeps to its budget where it can.

use std::convert::Infallible;

use embedded_io::{ErrorType, Write};
use throughline::{counter, info};
use throughline_decode::Item;
use throughline_embedded::{Config, init};

use crate::harness::{CONFIG, alone, decode, event_times, flush_all, push, recorder};

#[test]
fn a_flush_gets_on_whatever_its_budget_36() {
    let _alone = alone();
    let recorder = recorder!(new, 64);
    let name = "a name as long as a name can be, so that preambles are long too";
    let mut flusher = init(recorder, Config { name, ..CONFIG });
    for budget in [0, 1, 47, 100, 191] {
        info!("long", text = "x".repeat(150).as_str());
        counter!("flushes.of.any.budget").add(1);
        flusher.set_wall_clock(1, 1);
        flusher.snapshot_metrics();
        let mut bytes = Vec::new();
        let mut flushes = 0;
        loop {
            let before = bytes.len();
            let flushed = match flusher.flush(&mut Sink(&mut bytes), budget) {
                Ok(flushed) => flushed,
                Err(never) => match never {},
            };
            assert_eq!(bytes.len() - before, flushed.bytes);
            assert!(flushed.bytes <= budget || flushed.frames == 1 && flushed.bytes <= 192, "{flushed:?}");
            flushes += 1;
            assert!(flushes < 20, "no progress with a budget of {budget}");
            if !flushed.pending {
                break;
            }
        }
        let (mut texts, mut snapshots) = (0, 0);
        decode(&bytes, |_, item| match item {
            Item::Event(event) => {
                texts += event
                    .fields
                    .filter(|(_, v)| matches!(v, throughline::Value::Str { truncated: false, .. }))
                    .count();
            }
            Item::Metrics(snapshot) => snapshots += u32::from(snapshot.complete),
            _ => {}
        });
        assert_eq!((texts, snapshots), (1, 1), "with a budget of {budget}");
    }
}

#[test]
fn a_frame_comes_whatever_its_limit_36() {
    let _alone = alone();
    let recorder = recorder!(new, 64);
    let mut flusher = init(recorder, CONFIG);
    for limit in [0, 10, 61, 100] {
        push(recorder, 1);
        let mut frames = 0;
        while flusher.is_pending() || frames == 0 {
            assert!(flusher.frame(limit).is_some_and(|frame| frame.len() <= 192));
            flusher.sent();
            frames += 1;
            if flusher.frame(limit).is_none() {
                break;
            }
        }
    }
}

#[test]
fn a_small_budget_makes_small_frames() {
    let _alone = alone();
    let recorder = recorder!(new, 64);
    let mut flusher = init(recorder, CONFIG);
    push(recorder, 0);
    let mut bytes = flush_all(&mut flusher);
    for time in 1..50 {
        push(recorder, time);
    }
    let mut flushes = 0;
    loop {
        let flushed = match flusher.flush(&mut Sink(&mut bytes), 64) {
            Ok(flushed) => flushed,
            Err(never) => match never {},
        };
        assert!(flushed.bytes <= 64);
        flushes += 1;
        if !flushed.pending {
            break;
        }
    }
    assert!(flushes > 3);
    assert_eq!(event_times(&bytes).0, (0..50).collect::<Vec<_>>());
}

struct Sink<'v>(&'v mut Vec<u8>);

impl ErrorType for Sink<'_> {
    type Error = Infallible;
}

impl Write for Sink<'_> {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Infallible> {
        self.0.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
