//! Any bytes, as a stream and as bodies of frames with a right CRC: the decoder does not panic, its memory is
//! bounded, the ledger balances, and the items do not depend on the chunks.
#![no_main]

use libfuzzer_sys::fuzz_target;
use throughline_decode::trace::TraceBuilder;
use throughline_decode::{Decoder, TimeOptions};

fuzz_target!(|bytes: &[u8]| {
    let whole = decode(bytes, bytes.len().max(1));
    assert_eq!(whole, decode(bytes, 1), "chunks do not matter");
    // Random bytes rarely have a right CRC, so add one to every piece.
    let mut wire = vec![0];
    for frame in bytes.split(|b| *b == 0xFF).filter(|piece| piece.len() < 4000) {
        let mut frame = frame.to_vec();
        frame.extend(crc32fast::hash(&frame).to_le_bytes());
        wire.extend(cobs::encode_vec(&frame));
        wire.push(0);
    }
    decode(&wire, 97);
});

fn decode(wire: &[u8], chunk: usize) -> u64 {
    let mut decoder = Decoder::new(None, TimeOptions::default());
    let mut builder = TraceBuilder::new(32, 4);
    let mut items = 0;
    let mut out = |_| {};
    for bytes in wire.chunks(chunk) {
        decoder.push(bytes, None, &mut |context, item| {
            items += 1;
            builder.take(context, &item, &mut out);
            assert!(builder.held() <= 32);
        });
    }
    decoder.finish(&mut |context, item| builder.take(context, &item, &mut out));
    builder.flush(&mut out);
    assert_eq!(builder.held(), 0);
    let balance = decoder.balance();
    assert!(balance.balances(), "{balance:?}");
    items
}
