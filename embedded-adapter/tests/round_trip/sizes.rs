//! Records, texts and losses that are long for a frame.

use throughline::clock::mock;
use throughline::info;
use throughline_decode::{Item, OwnedValue};
use throughline_embedded::{Config, init, init_with_frame};

use crate::harness::{CONFIG, alone, decode, flush_all, push, recorder};

#[test]
fn a_record_too_large_for_a_frame_is_lost_at_its_time_30() {
    let _alone = alone();
    let mut flusher = init_with_frame::<168>(recorder!(new, 64), CONFIG);
    let n = u64::MAX;
    mock::set(1_000_000);
    info!("before");
    for _ in 0..2 {
        mock::advance(500);
        info!(
            "long",
            n,
            b = n,
            c = n,
            d = n,
            e = n,
            f = n,
            g = n,
            h = n,
            i = n,
            j = n,
            k = n,
            l = n,
            m = n,
            o = n,
            p = n
        );
    }
    mock::advance(500);
    info!("after");
    let bytes = flush_all(&mut flusher);
    let mut losses = Vec::new();
    let balance = decode(&bytes, |_, item| {
        if let Item::Loss(loss) = item {
            losses.push((loss.reason, loss.count, loss.first));
        }
    });
    let too_large = Some(throughline::adapter::LossReason::TooLarge);
    assert_eq!(losses, [(too_large, 1, 1_000_500), (too_large, 1, 1_001_000)]);
    assert_eq!((balance.emitted, balance.decoded, balance.device), (4, 2, 2));
}

#[test]
fn texts_longer_than_a_frame_are_cut_to_fit_and_marked_30() {
    let _alone = alone();
    let mut flusher = init_with_frame::<168>(recorder!(new, 64), CONFIG);
    let long = "0123456789".repeat(30);
    info!("one", text = long.as_str(), n = 7u32);
    info!("short ones stay whole", a = "abc", b = &long[..100], c = "déf", d = &[9u8; 90][..]);
    info!("wide characters", text = "€".repeat(100).as_str());
    let bytes = flush_all(&mut flusher);
    let mut seen = Vec::new();
    let balance = decode(&bytes, |_, item| {
        if let Item::Event(event) = item {
            seen.push(event.fields.map(|(_, value)| value.into()).collect::<Vec<OwnedValue>>());
        }
    });
    assert_eq!((balance.emitted, balance.decoded, balance.device), (3, 3, 0));
    let [one, two, three] = &seen[..] else { panic!("{seen:?}") };
    let [OwnedValue::Str(text, true), OwnedValue::U64(7)] = &one[..] else { panic!("{one:?}") };
    // 168 bytes less a delimiter, 21 bytes of header, CRC and COBS, and about twelve bytes of the record.
    assert!(long.starts_with(&**text) && text.len() > 120, "{} bytes were kept", text.len());
    let [
        OwnedValue::Str(a, false),
        OwnedValue::Str(b, true),
        OwnedValue::Str(c, false),
        OwnedValue::Bytes(d, true),
    ] = &two[..]
    else {
        panic!("{two:?}")
    };
    assert_eq!((&**a, &**c), ("abc", "déf"));
    assert!(b.len() == d.len() && b.len() > 50, "both have the same length: {}, {}", b.len(), d.len());
    let [OwnedValue::Str(text, true)] = &three[..] else { panic!("{three:?}") };
    assert!(text.len() > 120 && text.chars().all(|c| c == '€'), "cut between characters: {text}");
}

#[test]
fn a_loss_always_finds_room_in_a_frame_30() {
    let _alone = alone();
    let recorder = recorder!(new, 8);
    let epoch = Config { boot_epoch: u32::MAX, ..CONFIG };
    let mut flusher = init(recorder, epoch);
    let begin = usize::MAX / 2;
    push(recorder, begin);
    let mut bytes = flush_all(&mut flusher);
    for n in 0..200 {
        push(recorder, begin + n);
    }
    // 63 bytes, delimiter included, is the smallest limit at which a frame is made.
    while let Some(frame) = flusher.frame(63) {
        bytes.extend_from_slice(frame);
        flusher.sent();
    }
    let mut losses = 0;
    decode(&bytes, |_, item| {
        if let Item::Loss(loss) = item {
            losses += loss.count;
        }
    });
    assert_eq!(losses, 192);
}
