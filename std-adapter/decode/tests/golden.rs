//! Captures of released wire format versions, kept in the repository, must always decode to the same text.
//!
//! After an intended change, run with `THROUGHLINE_BLESS=1` and read the difference. Captures of a released
//! version are never written again; a new version gets new files.

mod common;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use common::scenario::{damaged, everything, program};
use throughline_decode::trace::{Assembled, Entry, OwnedEvent, TraceBuilder};
use throughline_decode::{Context, Decoder, Elf, Fields, Item, Time, TimeOptions};
use throughline_export::message::{ValueText, render};

fn captures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures")
}

/// Compares with the file, or writes it if `THROUGHLINE_BLESS` is set.
fn same(name: &str, bytes: &[u8]) {
    let path = captures().join(name);
    if std::env::var_os("THROUGHLINE_BLESS").is_some() {
        std::fs::write(&path, bytes).unwrap();
    }
    let kept = std::fs::read(&path).unwrap_or_default();
    match (std::str::from_utf8(&kept), std::str::from_utf8(bytes)) {
        (Ok(kept), Ok(now)) => assert_eq!(kept, now, "{name}"),
        _ => assert!(kept == bytes, "{name} differs: the test's encoder is not what it was"),
    }
}

#[test]
fn captures_of_version_1_decode_for_ever() {
    same("v1.elf", &program().0);
    for (name, wire) in [
        ("v1-everything-32", everything(32).wire),
        ("v1-everything-64", everything(64).wire),
        ("v1-damaged", damaged()),
    ] {
        same(&format!("{name}.bin"), &wire);
        let elf = Elf::read(captures().join("v1.elf")).unwrap();
        let wire = std::fs::read(captures().join(format!("{name}.bin"))).unwrap();
        let items = dump(&elf, &wire, wire.len());
        assert_eq!(items, dump(&elf, &wire, 7), "chunks do not matter");
        same(&format!("{name}.items.txt"), items.as_bytes());
        same(&format!("{name}.traces.txt"), traces(&elf, &wire).as_bytes());
    }
}

fn dump(elf: &Elf, wire: &[u8], chunk: usize) -> String {
    let mut out = String::new();
    let mut decoder = Decoder::new(Some(elf), TimeOptions::default());
    let mut sink = |context: &Context, item: Item<'_, '_>| line(&mut out, context, &item);
    wire.chunks(chunk).for_each(|bytes| decoder.push(bytes, None, &mut sink));
    decoder.finish(&mut sink);
    // Counters that were added after these captures are 0 there, so leave them out.
    let counts =
        format!("{:?}", decoder.counts()).replace(", unknown_records: 0", "").replace(", clocks: 0", "");
    // The losses by reason were added later, too. They are parts of `device`, which the captures have.
    let balance = format!("{:?}", decoder.balance());
    let (before, rest) = balance.split_once(", ring_full: ").unwrap();
    let after = &rest[rest.find(", link: ").unwrap()..];
    writeln!(out, "{before}{after}\n{counts}").unwrap();
    let b = decoder.balance();
    assert!(b.ring_full + b.overwritten + b.too_large <= b.device, "{b:?}");
    assert!(decoder.balance().balances(), "{:?}", decoder.balance());
    out
}

fn line(out: &mut String, context: &Context, item: &Item<'_, '_>) {
    let fields = |fields: Fields<'_, '_>| fields.map(|(k, v)| format!(" {k}={v:?}")).collect::<String>();
    match item {
        Item::Span(s) => write!(
            out,
            "span {} {}/{:?}/{} {}+{} {:?} {:?} {:?}{}",
            s.callsite.name(),
            s.id,
            s.parent,
            s.root,
            s.start,
            s.duration,
            s.status,
            s.busy,
            s.callsite.span_kind(),
            fields(s.fields)
        ),
        Item::Event(e) => {
            let message = e.callsite.name();
            let text = render(&message, e.fields);
            let (level, time) = (e.callsite.level(), e.time);
            write!(out, "event {time} {:?} {level} {text:?}{}", e.span, fields(e.fields))
        }
        Item::Fields(e) => write!(out, "fields {} {:?}{}", e.time, e.span, fields(e.fields)),
        Item::Metrics(snapshot) => {
            writeln!(out, "metrics {} at {} complete {}", snapshot.number, snapshot.time, snapshot.complete)
                .unwrap();
            for p in &snapshot.points {
                writeln!(out, "  {} {:?} {:?} {}", p.callsite.name(), p.labels, p.value, p.callsite.unit())
                    .unwrap();
            }
            Ok(())
        }
        other => write!(out, "{other:?}"),
    }
    .unwrap();
    if let Item::Span(throughline_decode::Span { start, .. }) = item {
        write!(out, " {}", time(context.time(*start))).unwrap();
    }
    if !out.ends_with('\n') {
        out.push('\n');
    }
}

fn time(t: Time) -> String {
    format!("{} ±{:?} {:?}", t.unix_ns, t.error_ns, t.source)
}

fn traces(elf: &Elf, wire: &[u8]) -> String {
    let mut out = String::new();
    let mut decoder = Decoder::new(Some(elf), TimeOptions::default());
    let mut builder = TraceBuilder::new(1000, 8);
    let mut show = |assembled: Assembled<'_>| show(&mut out, assembled);
    decoder.push(wire, None, &mut |context, item| builder.take(context, &item, &mut show));
    decoder.finish(&mut |context, item| builder.take(context, &item, &mut show));
    builder.flush(&mut show);
    assert_eq!(builder.held(), 0);
    out
}

fn show(out: &mut String, assembled: Assembled<'_>) {
    match assembled {
        Assembled::Trace(trace) => {
            let id = trace.trace_id.map_or_else(|| "unknown".to_owned(), |id| id.to_string());
            writeln!(out, "trace {id} remote {:?} complete {}", trace.remote, trace.complete).unwrap();
            for (depth, entry) in trace.entries {
                write!(out, "{:width$}", "", width = 2 + 2 * depth).unwrap();
                match entry {
                    Entry::Span(s) => {
                        write!(out, "{} {} in {:?}", s.callsite.name(), s.span_id, s.parent_span_id).unwrap();
                        write!(out, " {} took {} ns", time(s.start), s.duration_ns).unwrap();
                        let fields: String = s
                            .fields
                            .iter()
                            .map(|(k, v)| format!(" {k}={}", ValueText(&v.as_value())))
                            .collect();
                        writeln!(out, " {:?} busy {:?}{fields}", s.status, s.busy_ns).unwrap();
                    }
                    Entry::Event(e) => event(out, &e),
                    other => writeln!(out, "{other:?}").unwrap(),
                }
            }
        }
        Assembled::Event(e) => event(out, &e),
        other => writeln!(out, "{other:?}").unwrap(),
    }
}

fn event(out: &mut String, e: &OwnedEvent<'_>) {
    let fields = e.fields.iter().map(|(k, v)| (&**k, v.as_value()));
    let message = e.callsite.name();
    let text = render(&message, fields);
    writeln!(out, "{} {text:?} in {:?} {}", e.callsite.level(), e.trace_id.zip(e.span_id), time(e.time))
        .unwrap();
}
