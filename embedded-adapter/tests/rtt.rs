//! RTT: what the host reads from the channel, at any pace, decodes to what was recorded, and nothing waits
//! for the host.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use throughline::adapter::ring::{Head, RecordKind};
use throughline::{Clock, Recorder, Slots, counter, histogram};
use throughline_decode::{Decoder, Item};
use throughline_embedded::{Config, init_rtt, rtt, rtt_channel};

const SIZE: usize = 512;

/// Segger's layout, as a debugger reads it.
#[repr(C)]
struct ControlBlock {
    id: [u8; 16],
    up_channels: usize,
    down_channels: usize,
    name: *const u8,
    buffer: *const u8,
    size: usize,
    write: AtomicUsize,
    read: AtomicUsize,
    flags: AtomicUsize,
}

// SAFETY: the pointers point to statics.
unsafe impl Sync for ControlBlock {}

unsafe extern "C" {
    #[link_name = "_SEGGER_RTT"]
    static BLOCK: ControlBlock;
}

/// The debugger's side: reads at most `most` bytes.
fn host_reads(most: usize, into: &mut Vec<u8>) {
    // SAFETY: `rtt_channel!` defines the block.
    let block = unsafe { &BLOCK };
    let (write, mut read) = (block.write.load(Relaxed), block.read.load(Relaxed));
    assert!(write < block.size && block.flags.load(Relaxed) == 0);
    for _ in 0..most {
        if read == write {
            break;
        }
        // SAFETY: the buffer has that many bytes.
        into.push(unsafe { *block.buffer.wrapping_add(read) });
        read = (read + 1) % block.size;
    }
    block.read.store(read, Relaxed);
}

#[test]
fn the_host_reads_what_was_recorded() {
    static SLOTS: Slots<64> = Slots::new();
    static RECORDER: Recorder = Recorder::new(&SLOTS, Clock::mock());
    let channel = rtt_channel!(SIZE);
    // SAFETY: `rtt_channel!` defines the block.
    let block = unsafe { &BLOCK };
    assert_eq!((&block.id, block.up_channels, block.size), (b"SEGGER RTT\0\0\0\0\0\0", 1, SIZE));
    // SAFETY: nothing is written to these channels.
    let of_program = |number| unsafe { rtt::Channel::of_program(number) };
    assert!(of_program(0).is_some() && of_program(1).is_none());

    let mut flusher = init_rtt(&RECORDER, Config { name: "pump", ..Config::DEFAULT }, channel);
    let (mut random, mut bytes, mut written, mut sent) = (1u32, Vec::new(), 0, 0);
    for round in 0..3000 {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        for _ in 0..random >> 28 {
            written += 1;
            RECORDER.ring().push(
                Head::new(RecordKind::Event, 7, 0, 0),
                &[1000 * written, 0, 0],
                1000 * written,
            );
        }
        counter!("rounds").add(1);
        histogram!("sizes", scale = 4).record((random >> 20) as usize);
        if random >> 24 & 15 == 0 {
            flusher.snapshot_metrics();
        }
        // If a budget is too small for any frame, the flush makes one frame anyway.
        let budget = (random >> 16 & 1023) as usize;
        let flushed = flusher.flush(budget);
        let is_alone = flushed.frames == 1 && budget < 200;
        assert!((flushed.bytes <= budget || is_alone) && flushed.bytes < SIZE, "{flushed:?} of {budget}");
        sent += flushed.records as usize;
        let host_is_away = round / 100 % 4 == 3;
        if !host_is_away {
            host_reads((random >> 8 & 255) as usize, &mut bytes);
        }
    }
    while !flusher.is_read() || flusher.flush(SIZE).pending {
        host_reads(SIZE, &mut bytes);
    }
    // The next record carries the count of losses after the last one.
    written += 1;
    RECORDER.ring().push(Head::new(RecordKind::Event, 7, 0, 0), &[1000 * written, 0, 0], 1000 * written);
    flusher.flush(SIZE);
    host_reads(SIZE, &mut bytes);

    let mut decoder = Decoder::new(None, Default::default());
    let (mut times, mut rounds) = (Vec::new(), 0);
    decoder.push(&bytes, None, &mut |_, item| match item {
        Item::Event(event) => times.push(event.time as usize),
        Item::Metrics(snapshot) => {
            assert!(snapshot.complete);
            rounds += 1;
        }
        _ => {}
    });
    let balance = decoder.balance();
    assert!(balance.balances() && times.is_sorted() && rounds > 10, "{balance:?}, {rounds} snapshots");
    assert_eq!((balance.emitted, balance.link, balance.undecoded), (written as u64, 0, 0));
    assert_eq!(times.last(), Some(&(1000 * written)));
    assert!(balance.device > 0 && sent > 0, "the ring was to overflow");
}
