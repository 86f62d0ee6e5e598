//! Samples of the program counter: those that found room arrive in order, and all others are counted.

use crate::harness::{CONFIG, alone, decode, flush_all, recorder};
use proptest::prelude::*;
use throughline_decode::Item;
use throughline_embedded::Samples;

/// Places that are near each other, as in a program, and ones that are not.
fn place() -> impl Strategy<Value = (u32, u32)> {
    let near = (0x0800_0000..0x0801_0000_u32, 0x0800_0000..0x0801_0000_u32);
    prop_oneof![4 => near, 1 => (any::<u32>(), any::<u32>())]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn samples_arrive_in_order_or_are_counted(
        bursts in prop::collection::vec(prop::collection::vec((place(), any::<bool>()), 0..24), 1..8),
    ) {
        let _alone = alone();
        let recorder = recorder!(new, 256);
        let samples = Samples::<16>::new();
        let mut flusher = throughline_embedded::init(recorder, CONFIG);
        let (mut sent, mut kept, mut bytes) = (0, Vec::new(), flush_all(&mut flusher));
        for burst in &bursts {
            for (n, ((pc, lr), is_inside)) in burst.iter().enumerate() {
                let span = is_inside.then(|| throughline::span!("inside"));
                samples.record(recorder, *pc, *lr);
                if n < 16 {
                    let id = span.as_ref().map(|_| recorder.current_id() as u64);
                    kept.push((*pc, *lr, id));
                }
                drop(span);
                sent += 1;
            }
            bytes.extend(flush_all(&mut flusher));
            while flusher.take_samples(&samples, 1000) {
                bytes.extend(flush_all(&mut flusher));
            }
        }
        let (mut found, mut counted) = (Vec::new(), 0);
        decode(&bytes, |_, item| {
            let Item::Samples(record) = item else { return };
            assert_eq!((record.before as usize, record.period), (found.len(), 1000));
            counted = record.lost;
            found.extend(record.iter().map(|sample| (sample.pc, sample.lr, sample.span)));
        });
        let kept: Vec<_> = kept.into_iter().map(|(pc, lr, id)| (pc, lr, id.map(|id| id as u32 as u64))).collect();
        prop_assert_eq!(&found, &kept);
        prop_assert_eq!(sent, found.len() as u32 + samples.lost());
        // The count of the last record is that of its own time.
        prop_assert!(counted <= samples.lost());
    }
}

#[test]
fn a_full_ring_keeps_what_it_has() {
    let _alone = alone();
    let recorder = recorder!(new, 64);
    let samples = Samples::<4>::new();
    let mut flusher = throughline_embedded::init(recorder, CONFIG);
    for pc in 0..7 {
        samples.record(recorder, pc, 100);
    }
    assert!(flusher.take_samples(&samples, 5));
    let mut bytes = flush_all(&mut flusher);
    assert!(flusher.take_samples(&samples, 5), "the first frame was the preamble");
    assert!(!flusher.take_samples(&samples, 5), "a frame is kept");
    bytes.extend(flush_all(&mut flusher));
    let mut found = Vec::new();
    let balance = decode(&bytes, |_, item| {
        if let Item::Samples(record) = item {
            assert_eq!((record.before, record.lost, record.period), (0, 3, 5));
            found.extend(record.iter().map(|sample| (sample.pc, sample.lr, sample.span)));
        }
    });
    assert_eq!(found, [(0, 100, None), (1, 100, None), (2, 100, None), (3, 100, None)]);
    assert_eq!((balance.emitted, balance.decoded), (1, 1));
}
