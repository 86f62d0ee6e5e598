//! The interrupt storm: no record is torn, every missing record is counted, and the records of each context
//! are in order.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::firmware::{Balance, Firmware, Tool};

/// How many interrupts must come while the main loop writes a record. With fewer, the run proves nothing.
const CAUGHT: u64 = 200;

/// The main loop, the lower interrupt and the timer.
const CONTEXTS: usize = 3;

pub(super) fn check(firmware: &Firmware, tool: &Tool, _: bool) -> Result<String> {
    let capture = firmware.run("isr_storm", b"", |_| Ok(()))?;
    let objects = tool.json(&capture)?;
    let balance = Balance::of(&objects)?;
    let (emitted, storms, caught) =
        (capture.number("emitted")?, capture.number("storms")?, capture.number("caught")?);
    ensure!(
        balance.emitted == emitted,
        "the firmware made {emitted} records, the stream has {}",
        balance.emitted
    );
    ensure!(
        caught >= CAUGHT,
        "only {caught} of {storms} interrupts came while the main loop was writing a record"
    );

    // Time and number of the events of each context.
    let mut made: [Vec<(u64, u64)>; CONTEXTS] = Default::default();
    let mut spans = 0;
    for object in &objects {
        match object["kind"].as_str() {
            Some("span") => spans += 1,
            Some("event") => {
                let (context, time, n) = event(object)?;
                made.get_mut(context)
                    .with_context(|| format!("no context {context}: {object}"))?
                    .push((time, n));
            }
            _ => {}
        }
    }
    for (context, made) in made.iter_mut().enumerate() {
        ensure!(!made.is_empty(), "nothing of context {context} came through");
        made.sort_unstable();
        for pair in made.windows(2) {
            ensure!(pair[0].1 < pair[1].1, "context {context} made {} before {}", pair[1].1, pair[0].1);
        }
    }
    let events: usize = made.iter().map(Vec::len).sum();
    ensure!(
        (events + spans) as u64 == balance.decoded,
        "{events} events and {spans} spans are not {} records",
        balance.decoded
    );
    ensure!(balance.lost_device > 0, "nothing was lost: the ring was never full");
    let Balance { decoded, lost_device, .. } = balance;
    Ok(format!(
        "{caught} of {storms} interrupts came while a record was being written; {emitted} emitted = {decoded} decoded + {lost_device} lost, none torn"
    ))
}

/// An event's context, time and number, after its checksum was verified.
fn event(object: &Value) -> Result<(usize, u64, u64)> {
    let number = |value: &Value| value.as_u64().with_context(|| format!("a field is missing: {object}"));
    let fields = &object["fields"];
    let (context, n, check) = (number(&fields["context"])?, number(&fields["n"])?, number(&fields["check"])?);
    ensure!(n ^ check == u64::from(u32::MAX), "torn: {object}");
    Ok((usize::try_from(context)?, number(&object["time_ns"])?, n))
}
