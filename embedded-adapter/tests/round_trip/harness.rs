//! What the tests share: a recorder for each, a decoder, and the lock that lets one test run at a time.

use std::sync::{Mutex, MutexGuard, PoisonError};

use throughline::Recorder;
use throughline::adapter::ring::{Head, RecordKind};
use throughline_decode::{Balance, Context, DamageKind, Decoder, Item};
use throughline_embedded::{Buffer, Config, DeviceId, Flusher};

/// Serialises the tests, because a process has only one recorder that the macros use.
static ALONE: Mutex<()> = Mutex::new(());

pub(crate) fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) const CONFIG: Config =
    Config { name: "pump", device_id: DeviceId::new(17), boot_epoch: 3, ..Config::DEFAULT };

macro_rules! recorder {
    ($make:ident, $slots:literal) => {{
        static SLOTS: throughline::Slots<$slots> = throughline::Slots::new();
        static RECORDER: throughline::Recorder =
            throughline::Recorder::$make(&SLOTS, throughline::Clock::mock());
        &RECORDER
    }};
}

/// An event without fields, at `time`.
pub(crate) fn push(recorder: &Recorder, time: usize) {
    recorder.ring().push(Head::new(RecordKind::Event, 7, 0, 0), &[time, 0, 0], time);
}

pub(crate) fn decode(bytes: &[u8], mut see: impl FnMut(&Context, Item<'_, '_>)) -> Balance {
    let mut decoder = Decoder::new(None, Default::default());
    decoder.push(bytes, None, &mut |context, item| see(context, item));
    decoder.finish(&mut |context, item| see(context, item));
    assert!(decoder.balance().balances(), "{:?}", decoder.balance());
    decoder.balance()
}

pub(crate) fn event_times(bytes: &[u8]) -> (Vec<u64>, Balance) {
    let mut times = Vec::new();
    let balance = decode(bytes, |_, item| match item {
        Item::Event(event) => times.push(event.time),
        // Accept a frame that the link cut, and a callsite that is not in an ELF, because there is none here.
        Item::Damage(damage) => {
            assert!(matches!(damage.kind, DamageKind::Skipped(_) | DamageKind::Callsite(_)), "{damage:?}");
        }
        _ => {}
    });
    (times, balance)
}

pub(crate) fn flush_all<const FRAME: usize>(flusher: &mut Flusher<Buffer<FRAME>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(frame) = flusher.frame(FRAME) {
        bytes.extend_from_slice(frame);
        flusher.sent();
    }
    bytes
}

pub(crate) use recorder;
