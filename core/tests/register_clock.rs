//! Firmware whose clock is a register: the short path records the same as with a function as the clock, and
//! the same as the general path on a ring that keeps the newest.
#![cfg(all(target_pointer_width = "32", not(feature = "std"), not(loom)))]

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use throughline::adapter::LossReason;
use throughline::adapter::record::{Record, Values};
use throughline::adapter::ring::{Loss, Mode, RawRecord};
use throughline::{
    Clock, Level, Recorder, Slots, Status, TraceContext, attach, current, info, record, set_min_level, span,
};

/// The register that counts the ticks.
static COUNTER: AtomicU32 = AtomicU32::new(0);
const HZ: u64 = 25_000_000;
const START: u32 = 1000;

// SAFETY: the register is an aligned static, and reading it has no side effect. The tests write it while none
// of them reads it.
const REGISTER: Clock = unsafe { Clock::register(HZ, COUNTER.as_ptr()) };
const FUNCTION: Clock = Clock::new(HZ, || COUNTER.load(Relaxed) as usize);

const SLOTS: usize = 16;

fn wait(ticks: u32) {
    COUNTER.store(COUNTER.load(Relaxed).wrapping_add(ticks), Relaxed);
}

/// What work left in a ring.
#[derive(Debug, PartialEq)]
struct Left {
    records: Vec<String>,
    loss: Option<Loss>,
    now: u64,
}

/// Runs the work on a new recorder.
fn left(mode: Mode, clock: Clock, work: fn(&'static Recorder)) -> Left {
    /// Recorders are never freed, so keep them reachable.
    static ALL: Mutex<Vec<&'static Recorder>> = Mutex::new(vec![]);
    let slots: &'static Slots<SLOTS> = Box::leak(Box::new(Slots::new()));
    let recorder = match mode {
        Mode::SharedNewest => Recorder::keep_newest(slots, clock),
        _ => Recorder::new(slots, clock),
    };
    let recorder = Box::leak(Box::new(recorder));
    // One at a time, because the counter and the installed recorder belong to the process.
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    all.push(recorder);
    COUNTER.store(START, Relaxed);
    set_min_level(Some(Level::Trace));
    throughline::install(recorder);
    work(recorder);
    let mut reader = recorder.ring().reader().expect("the only reader");
    let mut records = vec![];
    reader.drain(|raw| records.push(told(raw)));
    Left { records, loss: reader.take_loss(), now: recorder.mark_clock() }
}

/// Runs the work with either clock, which must make no difference.
fn with_either(mode: Mode, work: fn(&'static Recorder)) -> Left {
    let register = left(mode, REGISTER, work);
    assert_eq!(register, left(mode, FUNCTION, work));
    register
}

/// The records of work that fits in the ring, so that the ring's mode must make no difference.
fn records(work: fn(&'static Recorder)) -> Vec<String> {
    let oldest = with_either(Mode::SharedOldest, work);
    assert_eq!(oldest, with_either(Mode::SharedNewest, work));
    assert_eq!(oldest.loss, None);
    oldest.records
}

/// A record as one line: kind and name, `id<parent^root` or `<span^root`, begin and duration, and the rest.
fn told(raw: &RawRecord) -> String {
    let values = |values: Values<'_>| values.into_iter().map(|v| format!(" {v:?}")).collect::<String>();
    let event = |kind, e: throughline::adapter::record::EventRecord<'_>| {
        format!("{kind}{} <{}^{} @{}{}", name(e.callsite), id(e.span), id(e.root), e.time, values(e.values))
    };
    match Record::parse(raw).expect("a record") {
        Record::Span(s) => {
            let status = if s.status == Status::Unset { String::new() } else { format!(" {:?}", s.status) };
            let place = format!("{}<{}^{}", id(s.id), id(s.parent), id(s.root));
            format!("{} {place} @{}+{}{status}{}", name(s.callsite), s.start, s.duration, values(s.values))
        }
        Record::Event(e) => event("! ", e),
        Record::Fields(e) => event("+ ", e),
        Record::Clock { .. } => "clock".into(),
        Record::Attach { time, id: local, .. } => format!("attach {} @{time}", id(local)),
        other => panic!("{other:?}"),
    }
}

/// An id, with an `r` if it stands for a remote span.
fn id(id: usize) -> String {
    const REMOTE: usize = 1 << 31;
    if id & REMOTE != 0 { format!("r{}", id & !REMOTE) } else { id.to_string() }
}

fn name(callsite: u32) -> String {
    let mut name = String::new();
    throughline::adapter::callsite::registry::for_each(|c| {
        if c.id() == callsite {
            name = c.blob().name.to_string();
        }
    });
    name
}

#[test]
fn spans_and_events_plain_and_nested() {
    let all = records(|_| {
        info!("outside");
        wait(1);
        {
            let _outer = span!("outer");
            wait(2);
            {
                let _inner = span!("inner");
                wait(3);
                info!("within");
                let _innermost = span!("innermost");
                wait(4);
            }
            info!("between", n = 7_u8);
            wait(5);
            info!("two", n = 1_u64);
        }
        drop(span!("next"));
    });
    assert_eq!(
        all,
        [
            "! outside <0^0 @1000",
            "! within <2^1 @1006",
            "innermost 3<2^1 @1006+4",
            "inner 2<1^1 @1003+7",
            "! between <1^1 @1010 U64(7)",
            "! two <1^1 @1015 U64(1)",
            "outer 1<0^1 @1001+14",
            "next 4<0^4 @1015+0",
        ]
    );
}

#[test]
fn a_root_inside_another_trace() {
    let all = records(|_| {
        let _outer = span!("outer");
        wait(1);
        {
            let _request = span!(root: true, "request");
            wait(1);
            drop(span!("served"));
            info!("serving");
        }
        drop(span!("child"));
    });
    assert_eq!(
        all,
        [
            "served 3<2^2 @1002+0",
            "! serving <2^2 @1002",
            "request 2<0^2 @1001+1",
            "child 4<1^1 @1002+0",
            "outer 1<0^1 @1000+2",
        ]
    );
}

#[test]
fn guards_dropped_in_any_order() {
    let all = records(|_| {
        let outer = span!("outer");
        let inner = span!("inner");
        wait(1);
        drop(outer);
        info!("after outer");
        drop(inner);
        drop(span!("next"));
    });
    let [outer, rest @ ..] = &all[..] else { panic!("nothing") };
    assert_eq!(outer, "outer 1<0^1 @1000+1");
    assert_eq!(rest, ["! after outer <2^1 @1001", "inner 2<1^1 @1000+1", "next 3<0^3 @1001+0"]);
}

#[test]
fn fields_late_fields_and_status() {
    let all = records(|_| {
        let mut outer = span!("outer", channel = 3_u8);
        wait(1);
        drop(span!("long", a = 1_u64, b = 2_u64, c = 3_u64));
        wait(1);
        let mut bare = span!("bare");
        record!(bare, late = 5_u32);
        bare.set_status(Status::Ok);
        drop(bare);
        info!("long", a = 1_u64, b = 2_u64);
        info!("text", text = "some text");
        outer.set_status(Status::Error);
    });
    assert_eq!(
        all,
        [
            "+ long <2^1 @1001 U64(1) U64(2) U64(3)",
            "long 2<1^1 @1001+0",
            "+  <3^1 @1002 U64(5)",
            "bare 3<1^1 @1002+0 Ok",
            "! long <1^1 @1002 U64(1) U64(2)",
            "! text <1^1 @1002 Str { text: \"some text\", truncated: false }",
            "outer 1<0^1 @1000+2 Error U64(3)",
        ]
    );
}

#[test]
fn below_a_remote_parent() {
    let all = records(|_| {
        let parent = |flags| {
            let header = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
            attach(TraceContext::parse(&header).expect("a header"))
        };
        {
            let _remote = parent("01");
            wait(1);
            let _served = span!("served");
            drop(span!("leaf"));
            info!("serving");
        }
        {
            let _unsampled = parent("00");
            let _served = span!("unseen");
            drop(span!("unseen"));
            info!("unseen");
            assert_eq!(current().map(|here| here.sampled()), Some(false));
        }
        wait(1);
        drop(span!("own"));
    });
    // A span directly below a remote span takes two ids and keeps the second one, or none.
    assert_eq!(
        all,
        [
            "attach r1 @1000",
            "leaf 4<3^r1 @1001+0",
            "! serving <3^r1 @1001",
            "served 3<r1^r1 @1001+0",
            "attach r5 @1001",
            "! unseen <r5^r5 @1001",
            "own 8<0^8 @1002+0",
        ]
    );
}

#[test]
fn what_the_level_switches_off_leaves_nothing() {
    let all = records(|_| {
        set_min_level(Some(Level::Error));
        {
            let _off = span!("off");
            info!("off");
        }
        set_min_level(Some(Level::Trace));
        drop(span!("on"));
    });
    assert_eq!(all, ["on 1<0^1 @1000+0"]);
}

#[test]
fn a_full_ring_counts_what_it_loses_and_writes_nothing() {
    let left = with_either(Mode::SharedOldest, |recorder| {
        let _outer = span!("outer");
        for n in 0..SLOTS {
            info!("kept", n = n as u32);
        }
        let head = recorder.ring().head();
        wait(5);
        {
            let _lost = span!("lost");
            wait(1);
            info!("lost");
        }
        info!("lost", n = 1_u32);
        info!("lost", n = 1_u64);
        info!("lost", a = 1_u64, b = 2_u64);
        drop(span!("lost", n = 1_u32));
        assert_eq!(recorder.ring().head(), head);
        // The place in the trace is the same as if there had been room.
        assert_ne!(current(), None);
        drop(_outer);
        assert_eq!(current(), None);
    });
    let kept: Vec<_> = (0..SLOTS).map(|n| format!("! kept <1^1 @1000 U64({n})")).collect();
    assert_eq!(left.records, kept);
    let lost = 7;
    let loss = Loss { reason: LossReason::RingFull, count: lost, total: lost, first: 1006 };
    assert_eq!(left.loss, Some(loss));
}

#[test]
fn a_ring_that_has_room_again_is_used_again() {
    let left = with_either(Mode::SharedOldest, |recorder| {
        for _ in 0..SLOTS {
            drop(span!("kept"));
        }
        info!("lost");
        let mut taken = 0;
        recorder.ring().reader().expect("the only reader").drain(|_| taken += 1);
        assert_eq!(taken, SLOTS);
        wait(1);
        drop(span!("again"));
        info!("again");
    });
    assert_eq!(left.records, ["again 17<0^17 @1001+0", "! again <0^0 @1001"]);
    assert_eq!(left.loss.map(|loss| loss.count), Some(1));
}

#[test]
fn a_ring_that_keeps_the_newest_overwrites() {
    let left = with_either(Mode::SharedNewest, |_| {
        for _ in 0..SLOTS {
            wait(1);
            info!("overwritten");
        }
        for n in 0..SLOTS / 2 {
            wait(1);
            drop(span!("kept"));
            info!("kept", n = n as u32);
        }
    });
    assert_eq!(left.records.len(), SLOTS);
    assert_eq!(left.records[..2], ["kept 1<0^1 @1017+0", "! kept <0^0 @1017 U64(0)"]);
    assert_eq!(left.loss.map(|loss| (loss.reason, loss.count)), Some((LossReason::Overwritten, SLOTS)));
}

#[test]
fn spans_over_half_wraps_and_whole_ones() {
    /// The longest time for which the clock may run without a mark.
    const MARK: u32 = (1 << 31) - (1 << 16);
    let left = with_either(Mode::SharedOldest, |recorder| {
        let _days = span!("days");
        {
            // Across a half wrap, with a mark before its end.
            let _half = span!("half");
            wait(MARK);
            recorder.mark_clock();
            wait(1 << 17);
            recorder.mark_clock();
            drop(span!("second half"));
            // Across the wrap, without a mark.
            let _unseen = span!("unseen");
            wait(MARK);
        }
        recorder.mark_clock();
        wait(MARK);
        recorder.mark_clock();
        wait(MARK);
        recorder.mark_clock();
        info!("later");
    });
    let (mark, more) = (u64::from(MARK), 1_u64 << 17);
    let at = |ticks: u64| (1000 + ticks) as u32;
    assert_eq!(
        left.records,
        [
            "clock".to_string(),
            format!("second half 3<2^1 @{}+0", at(mark + more)),
            format!("unseen 4<2^1 @{}+{mark}", at(mark + more)),
            format!("half 2<1^1 @1000+{}", 2 * mark + more),
            "clock".to_string(),
            "clock".to_string(),
            "clock".to_string(),
            format!("! later <1^1 @{}", at(4 * mark + more)),
            format!("days 1<0^1 @1000+{}", 4 * mark + more),
        ]
    );
    assert_eq!(left.now, 1000 + 4 * mark + more);
}
