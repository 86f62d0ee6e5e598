//! The interrupt storm: no record is torn, none is missing but those counted, and each context's are in order.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::firmware::{Balance, Firmware, Tool};

/// Interrupts that must have come while the main loop was writing a record, or the run shows nothing.
const CAUGHT: u64 = 200;

/// The main loop, the lower interrupt, the timer.
const CONTEXTS: usize = 3;

pub(super) fn check(firmware: &Firmware, tool: &Tool, _: bool) -> Result<String> {
    let capture = firmware.run("isr_storm", b"", |_| Ok(()))?;
    let objects = tool.json(&capture)?;
    let balance = Balance::of(&objects)?;
    let (emitted, storms, caught) =
        (capture.number("emitted")?, capture.number("storms")?, capture.number("caught")?);
    ensure!(
        balance.emitted == emitted,
        "the firmware made {emitted} records, the stream tells of {}",
        balance.emitted
    );
    ensure!(caught >= CAUGHT, "only {caught} of {storms} interrupts came amid a record of the main loop");

    let mut numbers: [Vec<u64>; CONTEXTS] = Default::default();
    let mut spans = 0;
    for object in &objects {
        match object["kind"].as_str() {
            Some("span") => spans += 1,
            Some("event") => {
                let (context, n) = event(object)?;
                numbers.get_mut(context).with_context(|| format!("no context {context}: {object}"))?.push(n);
            }
            _ => {}
        }
    }
    for (context, numbers) in numbers.iter_mut().enumerate() {
        numbers.sort_unstable();
        let made = numbers.len();
        ensure!(made > 0, "nothing of context {context} came through");
        numbers.dedup();
        ensure!(numbers.len() == made, "a record of context {context} came twice");
    }
    let events: usize = numbers.iter().map(Vec::len).sum();
    ensure!(
        (events + spans) as u64 == balance.decoded,
        "{events} events and {spans} spans are not {} records",
        balance.decoded
    );
    ensure!(balance.lost_device > 0, "nothing was lost: the ring was never full");
    let Balance { decoded, lost_device, .. } = balance;
    Ok(format!(
        "{caught} of {storms} interrupts amid a record; {emitted} emitted = {decoded} decoded + {lost_device} lost, none torn"
    ))
}

/// An event's context and number, once its check has been found right.
fn event(object: &Value) -> Result<(usize, u64)> {
    let field =
        |name: &str| object["fields"][name].as_u64().with_context(|| format!("no `{name}`: {object}"));
    let (context, n, check) = (field("context")?, field("n")?, field("check")?);
    ensure!(n ^ check == u64::from(u32::MAX), "torn: {object}");
    Ok((usize::try_from(context)?, n))
}
