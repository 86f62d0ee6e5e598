//! A program of a host: the system loads it at any address, and what it sends still decodes with its own ELF.
#![cfg(target_os = "linux")]

use throughline::{Clock, Recorder, Slots, StaticStr, counter, info, record, span};
use throughline_decode::{Decoder, Elf, Item};
use throughline_embedded::{Config, init};

static SLOTS: Slots<64> = Slots::new();
static RECORDER: Recorder = Recorder::new(&SLOTS, Clock::mock());

// The linker of the 32-bit musl target makes programs with a fixed address.
#[cfg_attr(target_env = "musl", ignore = "programs of this target are not position-independent")]
#[test]
fn a_position_independent_program_decodes_with_its_own_elf() {
    let elf = Elf::read(std::env::current_exe().unwrap()).unwrap();
    assert!(elf.is_position_independent(), "this test needs a position-independent program");
    let mut flusher = init(&RECORDER, Config { name: "host", ..Config::DEFAULT });
    {
        let outer = span!("outer", answer = 42u32);
        info!("found {what}", what = StaticStr("a needle"));
        record!(outer, straws = 7u32);
    }
    counter!("needles", unit = "{needle}", place = "haystack").add(1);
    let mut bytes = Vec::new();
    flusher.snapshot_metrics();
    while let Some(frame) = flusher.frame(512) {
        bytes.extend_from_slice(frame);
        flusher.sent();
    }
    let mut seen = Vec::new();
    let mut decoder = Decoder::new(Some(&elf), Default::default());
    decoder.push(&bytes, None, &mut |_, item| {
        let fields = |fields: throughline_decode::Fields<'_, '_>| {
            fields.map(|(name, value)| format!(" {name}={value:?}")).collect::<String>()
        };
        match item {
            Item::Span(span) => seen.push(format!("span {}{}", span.callsite.name(), fields(span.fields))),
            Item::Event(event) => {
                seen.push(format!("event {}{}", event.callsite.name(), fields(event.fields)))
            }
            Item::Fields(added) => seen.push(format!("fields{}", fields(added.fields))),
            Item::Metrics(snapshot) => {
                let needles = snapshot.points.iter().find(|point| point.callsite.name() == "needles");
                seen.push(format!("metric {:?}", needles.map(|point| (&point.labels, &point.value))));
            }
            Item::Damage(damage) => panic!("{damage:?}"),
            _ => {}
        }
    });
    seen.sort();
    let expected = [
        r#"event found {what} what=Str { text: "a needle", truncated: false }"#,
        "fields straws=U64(7)",
        r#"metric Some(([("place", "haystack")], Counter(1)))"#,
        "span outer answer=U64(42)",
    ];
    assert_eq!(seen, expected);
}
