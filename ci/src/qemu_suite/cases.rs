//! The checks of all runs except the storm.

use std::fs;

use anyhow::{Context, Result, bail, ensure};

use crate::firmware::{Balance, Firmware, Tool};
use crate::tree_text::TreeText;
use crate::workspace;

/// Most bytes on the wire for a span without fields, with framing, in batches of 32.
const SPAN_BYTES: f64 = 9.0;
/// The same for an event with two `u32`.
const EVENT_BYTES: f64 = 9.0;

/// A caller's `traceparent`.
const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The thermostat: nothing is lost, and every board and link gives the same snapshot.
pub(super) fn thermostat(firmware: &Firmware, tool: &Tool, bless: bool) -> Result<String> {
    let capture = firmware.run("demo", b"", |_| Ok(()))?;
    let balance = Balance::of(&tool.json(&capture)?)?;
    ensure!(
        balance.decoded == balance.emitted,
        "{} of {} records are lost",
        balance.emitted - balance.decoded,
        balance.emitted
    );
    snapshot("thermostat", &TreeText::parse(&tool.tree(&capture)?), bless)?;
    Ok(format!("{} records in {} bytes, none lost", balance.decoded, balance.bytes))
}

/// A ring that overflows: what fits is kept, and everything else is counted.
pub(super) fn overflow(firmware: &Firmware, tool: &Tool, bless: bool) -> Result<String> {
    let capture = firmware.run("overflow", b"", |_| Ok(()))?;
    let balance = Balance::of(&tool.json(&capture)?)?;
    let (emitted, kept) = (capture.number("emitted")?, capture.number("kept")?);
    ensure!(
        balance.emitted == emitted,
        "the firmware made {emitted} records, the stream has {}",
        balance.emitted
    );
    ensure!(balance.decoded == kept, "the firmware kept {kept} records, {} were decoded", balance.decoded);
    ensure!(
        balance.lost_device == emitted - kept,
        "{} are counted as lost, not {}",
        balance.lost_device,
        emitted - kept
    );
    snapshot("overflow", &TreeText::parse(&tool.tree(&capture)?), bless)?;
    Ok(format!("{emitted} emitted = {kept} decoded + {} lost", balance.lost_device))
}

/// The thermostat below a remote span: its records belong to the caller's trace, and it prints its own
/// `traceparent`.
pub(super) fn remote(firmware: &Firmware, tool: &Tool, _: bool) -> Result<String> {
    let capture = firmware.run("remote", format!("{CALLER}\n").as_bytes(), |_| Ok(()))?;
    let objects = tool.json(&capture)?;
    let balance = Balance::of(&objects)?;
    ensure!(balance.decoded == balance.emitted, "{} records are lost", balance.emitted - balance.decoded);
    let (trace, caller) = (&CALLER[3..35], &CALLER[36..52]);
    let mut command = None;
    let mut spans = 0;
    for span in objects.iter().filter(|object| object["kind"] == "span") {
        ensure!(span["trace_id"] == trace, "{} is not of the caller's trace: {span}", span["name"]);
        spans += 1;
        if span["name"] == "command" {
            command = Some(span);
        }
    }
    let command = command.context("no span `command`")?;
    ensure!(command["parent_span_id"] == caller, "the caller is not its parent: {command}");
    let said = capture.said("traceparent")?.join(" ");
    let expected = format!("00-{trace}-{}-01", command["span_id"].as_str().unwrap_or_default());
    ensure!(said == expected, "the firmware printed {said}, but its span is {expected}");
    Ok(format!("{spans} spans in the caller's trace"))
}

/// Every type and width of field: nothing is lost, and every field has its name and its value.
pub(super) fn fields(firmware: &Firmware, tool: &Tool, bless: bool) -> Result<String> {
    let capture = firmware.run("fields", b"", |_| Ok(()))?;
    let objects = tool.json(&capture)?;
    let balance = Balance::of(&objects)?;
    let summary = objects.iter().find(|object| object["kind"] == "summary").context("no summary")?;
    ensure!(summary["unknown_records"] == 1, "the record that was written by hand is not there: {summary}");
    ensure!(balance.decoded == balance.emitted, "{} records are lost", balance.emitted - balance.decoded);
    let tree = tool.tree(&capture)?;
    ensure!(!tree.contains("field0"), "a field has no name:\n{tree}");
    snapshot("fields", &TreeText::parse(&tree), bless)?;
    Ok(format!("{} records, every field with its name", balance.decoded))
}

/// Metrics of every kind from several callsites each: every series comes once, with the sum of all callsites
/// or the last value.
pub(super) fn metrics(firmware: &Firmware, tool: &Tool, bless: bool) -> Result<String> {
    let capture = firmware.run("metrics", b"", |_| Ok(()))?;
    let objects = tool.json(&capture)?;
    let series = objects.iter().filter(|object| object["kind"] == "metric").count();
    let depth = |bus: &str| {
        let of_bus = |object: &&serde_json::Value| {
            object["name"] == "queue.depth" && object["labels"]["bus"].as_str() == Some(bus)
        };
        objects.iter().filter(of_bus).map(|object| object["value"].clone()).collect::<Vec<_>>()
    };
    ensure!(depth("1") == [2], "the gauge does not have its last value: {:?}", depth("1"));
    ensure!(depth("2") == [100], "the gauge of other labels is {:?}", depth("2"));
    snapshot("metrics", &TreeText::parse(&tool.tree(&capture)?), bless)?;
    Ok(format!("{series} series, each once"))
}

/// A panic in an interrupt with a full ring: its message arrives with its location, and so does everything in
/// the ring.
pub(super) fn panic(firmware: &Firmware, tool: &Tool, _: bool) -> Result<String> {
    let capture = firmware.run_to_end("panic", b"", |_| Ok(()))?;
    ensure!(!capture.outcome.is_success() && !capture.outcome.timed_out, "it did not end by its panic");
    let objects = tool.json(&capture)?;
    let balance = Balance::of(&objects)?;
    let kept = objects.iter().filter(|object| object["kind"] == "event").count();
    ensure!(kept > 16 && balance.lost_device > 0, "the ring was not full: {kept} events");
    let said = objects.iter().find(|object| object["template"] == "panicked at {location}: {message}");
    let said = said.context("the panic's message did not arrive")?;
    let (place, message) = (&said["fields"]["location"], &said["fields"]["message"]);
    ensure!(place.as_str().is_some_and(|place| place.contains("src/bin/panic.rs:")), "its place is {place}");
    let begins = "the main loop does not answer: 000000";
    ensure!(message.as_str().is_some_and(|message| message.starts_with(begins)), "it is {message}");
    Ok(format!("the message, and {} records more", balance.decoded - 1))
}

/// A narrow clock that counts down: spans over several periods last as long as another clock says.
pub(super) fn systick(firmware: &Firmware, tool: &Tool, _: bool) -> Result<String> {
    let capture = firmware.run("systick", b"", |_| Ok(()))?;
    let (spans, expected) = (capture.number("spans")?, capture.number("nanoseconds")?);
    let objects = tool.json(&capture)?;
    let lasted: Vec<u64> = objects
        .iter()
        .filter(|object| object["kind"] == "span")
        .map(|span| span["duration_ns"].as_u64().context("a span has a duration"))
        .collect::<Result<_>>()?;
    ensure!(lasted.len() as u64 == spans, "{} of {spans} spans arrived", lasted.len());
    for ns in &lasted {
        ensure!(ns.abs_diff(expected) <= expected / 100, "a span of {expected} ns lasts {ns} ns");
    }
    Ok(format!("{spans} spans of {expected} ns, over turns of the clock"))
}

/// A profile: each function and each span has its share of the samples, inlined functions have their callers, and the
/// samples are all there.
pub(super) fn samples(firmware: &Firmware, tool: &Tool, _: bool) -> Result<String> {
    let capture = firmware.run("samples", b"", |_| Ok(()))?;
    let folded = tool.profile(&capture, "samples.folded")?;
    let mut all = 0.0;
    let mut functions = [("seven_tenths;", 0.7, 0.0), ("two_tenths;", 0.2, 0.0), ("one_tenth;", 0.1, 0.0)];
    for line in folded.lines() {
        let (stack, time) = line.rsplit_once(' ').with_context(|| format!("no value: {line}"))?;
        let time: f64 = time.parse()?;
        all += time;
        for (name, _, found) in &mut functions {
            // The loop is inlined.
            if stack.contains(&format!("{name}work")) {
                *found += time;
            }
        }
    }
    let text = tool.profile(&capture, "samples.txt")?;
    let objects = tool.json(&capture)?;
    let records: Vec<_> = objects.iter().filter(|object| object["kind"] == "samples").collect();
    let count = records.iter().filter_map(|record| Some(record["samples"].as_array()?.len())).sum::<usize>();
    ensure!(count > 300, "only {count} samples:\n{text}");
    ensure!(capture.number("lost")? == 0, "the ring was full");
    let last = records.last().context("there are records")?;
    let before = last["before"].as_u64().context("a record has the samples before it")?;
    let in_last = last["samples"].as_array().map_or(0, Vec::len);
    ensure!(before as usize + in_last == count, "{count} samples are here, of {}", before as usize + in_last);
    for (name, share, found) in functions {
        let (found, deviation) = (found / all, (share * (1.0 - share) / count as f64).sqrt());
        ensure!((found - share).abs() < 5.0 * deviation + 0.02, "{name} has {found} of the time:\n{folded}");
    }
    for (span, share) in [("filter", 70.0), ("control", 20.0), ("report", 10.0)] {
        let line = text.lines().find(|line| line.ends_with(&format!("%  {span}")));
        let line = line.with_context(|| format!("no span {span}:\n{text}"))?;
        let found =
            line.split_whitespace().find_map(|word| word.strip_suffix('%')).context("it has a share")?;
        let deviation: f64 = 100.0 * (share / 100.0 * (1.0 - share / 100.0) / count as f64).sqrt();
        ensure!((found.parse::<f64>()? - share).abs() < 5.0 * deviation + 2.0, "{line}");
    }
    Ok(format!("{count} samples, over functions and spans as 70, 20 and 10 %"))
}

/// The ELF of another program is refused, and no name is taken from it.
pub(super) fn wrong_elf(firmware: &Firmware, tool: &Tool, _: bool) -> Result<String> {
    let capture = firmware.run("overflow", b"", |_| Ok(()))?;
    let (code, said) = tool.decode_with(&capture, &firmware.elf("isr_storm"))?;
    ensure!(code == Some(1), "the exit code is {code:?}: {said}");
    ensure!(said.contains("pass the ELF of that build"), "it does not say what to do: {said}");
    ensure!(said.contains("callsite@") && !said.contains("made"), "a name is from the wrong ELF: {said}");
    Ok("refused".to_owned())
}

/// An embassy program: its flush task sends every record and the metrics.
pub(super) fn embassy(firmware: &Firmware, tool: &Tool, _: bool) -> Result<String> {
    let capture = firmware.run("embassy", b"", |_| Ok(()))?;
    let emitted = capture.number("emitted")?;
    let objects = tool.json(&capture)?;
    let balance = Balance::of(&objects)?;
    ensure!(
        (balance.emitted, balance.decoded) == (emitted, emitted),
        "the firmware made {emitted} records, the stream has {}, {} were decoded",
        balance.emitted,
        balance.decoded
    );
    let rounds: Vec<_> = objects.iter().filter(|object| object["name"] == "round").collect();
    for round in &rounds {
        let (lasted, busy) = (round["duration_ns"].as_u64(), round["busy_ns"].as_u64());
        // It waits for seven milliseconds, in ticks of a tenth.
        ensure!(
            lasted.is_some_and(|ns| (6_900_000..10_000_000).contains(&ns)),
            "its duration is wrong: {round}"
        );
        ensure!(busy.is_some_and(|ns| ns < 1_000_000), "it is busy while it waits: {round}");
    }
    let metrics = TreeText::parse(&tool.tree(&capture)?).metrics;
    let counted = metrics.get("rounds").is_some_and(|value| *value == rounds.len().to_string());
    ensure!(
        counted && rounds.len() as u64 == emitted / 2,
        "{} rounds, but metrics {metrics:?}",
        rounds.len()
    );
    Ok(format!("{emitted} records and the metrics by `flush_task`"))
}

/// Bytes on the wire.
pub(super) fn wire(firmware: &Firmware, tool: &Tool, _: bool) -> Result<String> {
    let capture = firmware.run("wire", b"", |_| Ok(()))?;
    let balance = Balance::of(&tool.json(&capture)?)?;
    ensure!(balance.decoded == balance.emitted, "{} records are lost", balance.emitted - balance.decoded);
    let (span, event) = (capture.bytes_each("span")?, capture.bytes_each("event")?);
    ensure!(span <= SPAN_BYTES, "a span takes {span:.2} bytes, more than {SPAN_BYTES}");
    ensure!(event <= EVENT_BYTES, "an event takes {event:.2} bytes, more than {EVENT_BYTES}");
    Ok(format!("{span:.2} bytes per span, {event:.2} per event with two numbers"))
}

fn snapshot(name: &str, found: &TreeText, bless: bool) -> Result<()> {
    let path = workspace::root().join(format!("examples/firmware/tests/snapshots/{name}.txt"));
    let found = found.text();
    if bless {
        fs::create_dir_all(path.parent().context("it is in a folder")?)?;
        return fs::write(&path, found).with_context(|| format!("can't write {}", path.display()));
    }
    let kept = fs::read_to_string(&path);
    let kept =
        kept.with_context(|| format!("no {}: `cargo xtask qemu --bless` writes it", path.display()))?;
    let differs = crate::tree_text::diff_texts(&kept, &found);
    if !differs.is_empty() {
        bail!("differs from {} (`cargo xtask qemu --bless` writes it again):\n{differs}", path.display());
    }
    Ok(())
}
