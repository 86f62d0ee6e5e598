//! What macros record is what a decoder reads: values of all types, and the names of the device.

use throughline::{Clock, Recorder, Slots, StaticStr, Status, info, span};
use throughline_decode::{Item, OwnedValue};
use throughline_embedded::{Config, init};

use crate::harness::{CONFIG, alone, decode, flush_all, push, recorder};

#[test]
fn what_macros_record_is_what_a_decoder_reads() {
    let _alone = alone();
    let mut flusher = init(recorder!(new, 64), CONFIG);
    {
        let mut outer = span!("outer", a = 1u32, b = -2i32);
        let _inner = span!("inner");
        info!("text {}", text = "héllo", yes = true, f = 1.5f32, d = -0.5f64, big = u64::MAX, neg = i64::MIN);
        info!("more", s = StaticStr("static"), bytes = &[1u8, 2][..]);
        outer.set_status(Status::Error);
    }
    let mut seen = Vec::new();
    decode(&flush_all(&mut flusher), |context, item| match item {
        Item::Preamble(preamble) => {
            assert_eq!(
                (preamble.name.as_str(), preamble.device_id, preamble.tick_hz),
                ("pump", 17, 1_000_000_000)
            );
            assert_eq!((context.epoch, context.word_bits()), (3, usize::BITS as u8));
        }
        Item::Event(event) => {
            let fields: Vec<OwnedValue> = event.fields.map(|(_, value)| value.into()).collect();
            seen.push(format!("event {:?} {fields:?}", event.span));
        }
        Item::Span(span) => {
            let fields: Vec<OwnedValue> = span.fields.map(|(_, value)| value.into()).collect();
            seen.push(format!(
                "span {} of {:?} in {} {:?} {fields:?}",
                span.id, span.parent, span.root, span.status
            ));
        }
        _ => {}
    });
    let expected = [
        "event Some((2, 1)) [Str(\"héllo\", false), Bool(true), F32(1.5), F64(-0.5), U64(18446744073709551615), I64(-9223372036854775808)]",
        "event Some((2, 1)) [Str(\"static\", false), Bytes([1, 2], false)]",
        "span 2 of Some(1) in 1 Unset []",
        "span 1 of None in 1 Error [U64(1), I64(-2)]",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn optional_extended_and_shown_values_reach_the_decoder() {
    let _alone = alone();
    let mut flusher = init(recorder!(new, 64), CONFIG);
    info!(
        "optional",
        a = None::<u64>,
        b = Some(7u8),
        c = None::<&str>,
        d = Some("d"),
        e = Some(None::<i32>),
        end = 1
    );
    let took = core::time::Duration::new(3, 5);
    info!(
        "extended",
        a = 'ü',
        b = u128::MAX,
        c = -1i128,
        took,
        list = [-1i8, 2],
        ip = [127u8, 0, 0, 1],
        end = 2
    );
    info!("shown {:.1?}", Some(0.25));
    let mut seen = Vec::new();
    decode(&flush_all(&mut flusher), |_, item| {
        if let Item::Event(event) = item {
            let fields = event.fields.map(|(_, value)| match value {
                throughline::Value::Extended(value) => format!("{:?}", value.get()),
                value => format!("{value:?}"),
            });
            seen.push(fields.collect::<Vec<_>>().join(" "));
        }
    });
    let expected = [
        "Absent U64(7) Absent Str { text: \"d\", truncated: false } Absent I64(1)",
        "Char('ü') U128(340282366920938463463374607431768211455) I128(-1) Duration(3.000000005s) \
         List(List { code: 3, elements: [255, 255, 255, 255, 2, 0, 0, 0] }) \
         Bytes { bytes: [127, 0, 0, 1], truncated: false } I64(2)",
        "Shown { text: \"Some(0.2)\", truncated: false }",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn a_name_too_long_is_cut_between_characters() {
    let _alone = alone();
    for (name, kept) in
        [("é".repeat(40), 62), ("x".repeat(70), 63), ("€".repeat(22), 63), ("𝄞".repeat(17), 60)]
    {
        let recorder =
            Box::leak(Box::new(Recorder::new(Box::leak(Box::new(Slots::<8>::new())), Clock::mock())));
        let mut flusher = init(recorder, Config { name: String::leak(name.clone()), ..CONFIG });
        push(recorder, 1);
        let mut names = vec![];
        decode(&flush_all(&mut flusher), |_, item| {
            if let Item::Preamble(preamble) = item {
                names.push(preamble.name.clone());
            }
        });
        assert_eq!(names, [&name[..kept]]);
    }
}
