//! ELFs: what is read from one, what is reported about a wrong one, and that any bytes are survived.

mod common;

use common::scenario::{CHARGER, STRINGS, program, sites};
use common::{BUILD_ID, Device, F, RODATA, Rec, elf, fnv1a, section};
use proptest::prelude::*;
use throughline_decode::{DamageKind, Decoder, Elf, ElfError, Item, TimeOptions, preamble::Hex};

#[test]
fn callsites_strings_and_build_id_are_read() {
    let elf = Elf::parse("fw.elf", program().0).unwrap();
    let names: Vec<_> = elf.callsites().map(|(_, blob)| blob.name).collect();
    assert_eq!(names, sites().iter().map(|s| s.name).collect::<Vec<_>>());
    assert_eq!(elf.build_id(), BUILD_ID);
    let base = u64::from(RODATA);
    assert_eq!(elf.text(base, 7), Some("charger"));
    assert_eq!(elf.text(base + 7, 8), Some("balancer"));
    assert_eq!(elf.text(base, STRINGS.len() as u64 + 1), None, "beyond the section");
    assert_eq!(elf.text(base - 1, 2), None, "before the section");
    assert_eq!(elf.text(0, 4), None, "the callsites are not loaded");
    assert_eq!(elf.text(u64::MAX, u64::MAX), None);
}

#[test]
fn every_error_names_the_file_and_the_next_step() {
    let no_file = Elf::read("/no/such/fw.elf").unwrap_err();
    let text = no_file.to_string();
    assert!(text.starts_with("cannot read /no/such/fw.elf: ") && text.contains("target/"), "{text}");
    let no_elf = Elf::parse("fw.bin", b"not an ELF at all".to_vec()).unwrap_err();
    assert!(matches!(no_elf, ElfError::NotElf { .. }));
    let text = no_elf.to_string();
    assert!(text.starts_with("fw.bin is not an ELF") && text.contains("not the .bin"), "{text}");
    let no_section = Elf::parse("fw.elf", elf(None, STRINGS, &BUILD_ID).0).unwrap_err();
    assert!(matches!(no_section, ElfError::NoSection { .. }));
    let text = no_section.to_string();
    assert!(text.starts_with("fw.elf has no section .throughline") && text.contains("strip"), "{text}");
    let wrong = Elf::parse("fw.elf", program().0).unwrap().check_build_id(&[7; 20]).unwrap_err();
    let (ours, theirs) = ("b1".repeat(20), "07".repeat(20));
    let expected = format!(
        "fw.elf has build id {ours}, but the device runs {theirs}; pass the ELF of that build, or flash this one"
    );
    assert_eq!(wrong.to_string(), expected);
}

#[test]
fn an_elf_without_the_devices_build_id_is_of_another_build_33() {
    let with = Elf::parse("a", program().0).unwrap();
    assert_eq!(with.check_build_id(&BUILD_ID), Ok(true));
    assert_eq!(with.check_build_id(&[]), Ok(false), "nothing is proved");
    let without = Elf::parse("b", elf(Some(&sites()), STRINGS, &[]).0).unwrap();
    let mismatch = without.check_build_id(&[7; 2]).unwrap_err();
    assert!(mismatch.to_string().starts_with("b has build id none, but the device runs 0707;"), "{mismatch}");
}

#[test]
fn callsites_are_compared_by_their_checksum_where_there_is_no_build_id_33() {
    let (file, ids) = elf(Some(&sites()), STRINGS, &[]);
    let elf = Elf::parse("fw.elf", file).unwrap();
    let sum = fnv1a(&section(&sites())).to_le_bytes();
    assert_eq!(elf.check_build_id(&sum), Ok(true));
    // The same program with one letter of one message changed.
    let mut others = sites();
    others[4].name = "tock {{idle}}";
    let others = fnv1a(&section(&others)).to_le_bytes();
    let mut device = Device::new(32);
    device.build_id = others.to_vec();
    device.preamble().batch(0, 0, &[Rec::Event { callsite: ids[4], time: 1, span: None, fields: vec![] }]);
    let mut decoder = Decoder::new(Some(&elf), TimeOptions::default());
    let mut said = Vec::new();
    decoder.push(&device.wire, None, &mut |_, item| match item {
        Item::Event(event) => said.push(event.callsite.name().into_owned()),
        Item::Damage(damage) => said.push(damage.kind.to_string()),
        _ => {}
    });
    let wrong =
        format!("fw.elf has callsites with checksum {}, but the device runs {};", Hex(&sum), Hex(&others));
    assert!(said[0].starts_with(&wrong), "{said:?}");
    assert_eq!(said[1..], [format!("callsite@{:#x}?", ids[4])], "no name rather than a wrong one");
    assert_eq!((decoder.counts().build_ids, decoder.counts().damage()), (1, 1));
}

#[test]
fn a_wrong_elf_gives_no_names_but_every_record() {
    let (file, ids) = program();
    let elf = Elf::parse("fw.elf", file).unwrap();
    let event = Rec::Event { callsite: ids.tick, time: 1, span: None, fields: vec![F::U32(3), CHARGER] };
    let mut device = Device::new(32);
    device.build_id = vec![7; 20];
    device.preamble().batch(0, 0, std::slice::from_ref(&event));
    device.preamble();
    // After a reset, the device runs the right program.
    device.reset(1);
    device.build_id = BUILD_ID.to_vec();
    device.preamble().batch(0, 0, &[event]);
    let mut decoder = Decoder::new(Some(&elf), TimeOptions::default());
    let (mut names, mut mismatches) = (Vec::new(), 0);
    decoder.push(&device.wire, None, &mut |_, item| match item {
        Item::Event(event) => {
            let text = format!("{:?}", event.fields.last().unwrap().1);
            names.push((event.callsite.name().into_owned(), text.contains("charger")));
        }
        Item::Damage(damage) => mismatches += u32::from(matches!(damage.kind, DamageKind::BuildId(_))),
        _ => {}
    });
    let unknown = format!("callsite@{:#x}?", ids.tick);
    // The bytes at the string's address in a wrong ELF are not the string.
    assert_eq!(names, [(unknown, false), ("tick {{idle}}".to_owned(), true)]);
    assert_eq!((mismatches, decoder.counts().build_ids), (1, 1), "said once");
}

#[test]
fn a_callsite_of_another_kind_gives_no_name() {
    let (file, ids) = program();
    let elf = Elf::parse("fw.elf", file).unwrap();
    let event = |callsite| Rec::Event { callsite, time: 1, span: None, fields: vec![] };
    let mut device = Device::new(32);
    device.preamble().batch(0, 0, &[event(ids.measure), event(ids.measure), event(ids.tick)]);
    let mut decoder = Decoder::new(Some(&elf), TimeOptions::default());
    let (mut known, mut said) = (Vec::new(), 0);
    decoder.push(&device.wire, None, &mut |_, item| match item {
        Item::Event(event) => known.push(event.callsite.blob.is_some()),
        Item::Damage(_) => said += 1,
        _ => {}
    });
    assert_eq!(known, [false, false, true]);
    assert_eq!((said, decoder.counts().unknown_callsites), (1, 2), "said once, counted twice");
}

#[test]
fn fields_written_under_a_spans_own_callsite_have_its_names_24() {
    let (file, ids) = program();
    let elf = Elf::parse("fw.elf", file).unwrap();
    let fields = |callsite| Rec::Fields { callsite, time: 1, span: (1, 1), fields: vec![F::U32(7)] };
    let mut device = Device::new(32);
    device.preamble().batch(0, 0, &[fields(ids.measure), fields(ids.tick)]);
    let mut decoder = Decoder::new(Some(&elf), TimeOptions::default());
    let mut names = Vec::new();
    decoder.push(&device.wire, None, &mut |_, item| {
        if let Item::Fields(added) = item {
            names.extend(added.fields.map(|(name, _)| name.to_owned()));
        }
    });
    let first = sites().iter().find(|site| site.name == "measure").unwrap().fields[0];
    assert_eq!(names, [first, "field0"], "an event's callsite is none for fields of a span");
    assert_eq!(decoder.counts().unknown_callsites, 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_survived(at in any::<prop::sample::Index>(), bytes in prop::collection::vec(any::<u8>(), 1..16)) {
        let mut file = program().0;
        let at = at.index(file.len());
        for (place, byte) in file[at..].iter_mut().zip(bytes) {
            *place = byte;
        }
        if let Ok(elf) = Elf::parse("x", file) {
            let fields = |blob: throughline::adapter::callsite::Blob<'_>| blob.fields().count() + blob.labels().count();
            assert!(elf.callsites().all(|(_, blob)| fields(blob) <= 30));
            elf.text(u64::from(RODATA), 7);
        }
    }
}
