//! Instructions per operation and bytes per record, as the firmware prints them.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use throughline_benches::{Row, SUBJECT, Unit};

use super::{Firmware, PEER, Profile};
use crate::qemu::{Options, Qemu, Serial};

/// Longest time for a guest; it takes some seconds.
const LIMIT: Duration = Duration::from_secs(300);

/// The rows of all operations, for Throughline and for the peer.
pub(super) fn rows(firmware: &Firmware) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (binary, subject) in [("ops", SUBJECT), ("ops_samples", SUBJECT), ("ops_defmt", PEER)] {
        let printed = printed(firmware, binary)?;
        let counts = instructions(&printed).with_context(|| format!("`{binary}` printed: {printed}"))?;
        let count = |(path, value): &(String, f64)| firmware.row(path, subject, Unit::Instructions, *value);
        rows.extend(counts.iter().map(count));
        if firmware.profile == Profile::Fast {
            let bytes = bytes(&printed)?;
            rows.extend(bytes.iter().map(|(path, value)| firmware.row(path, subject, Unit::Bytes, *value)));
        }
    }
    if firmware.profile == Profile::Fast {
        let printed = printed(firmware, "wire")?;
        if !printed.contains("metrics 3\n") {
            bail!("`wire` has three metrics and finds others: it printed: {printed}");
        }
        rows.extend(bytes(&printed)?.iter().map(|(path, value)| firmware.ours(path, Unit::Bytes, *value)));
    }
    Ok(rows)
}

fn printed(firmware: &Firmware, binary: &str) -> Result<String> {
    let options = Options { serial: Serial::None, count_instructions: true, hold: true, limit: LIMIT };
    let mut qemu = Qemu::boot(firmware.machine, &firmware.binary(binary), &options)?;
    // A guest that runs this briefly may have exited before QEMU answers.
    let resumed = qemu.resume();
    let outcome = qemu.wait()?;
    if !outcome.is_success() {
        resumed?;
        bail!("`{binary}` on {}: {outcome:?}", firmware.machine.name());
    }
    Ok(outcome.semihosting)
}

/// Reads lines `ticks NAME TICKS OPERATIONS`. Subtracts the empty loop, and converts to instructions with the
/// line `calibration TICKS INSTRUCTIONS`.
fn instructions(printed: &str) -> Result<Vec<(String, f64)>> {
    let mut per_tick = None;
    let mut ticks = Vec::new();
    for line in printed.lines() {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["ticks", name, n, operations] => {
                ticks.push((name.to_owned(), n.parse::<f64>()? / operations.parse::<f64>()?));
            }
            ["calibration", n, count] => per_tick = Some(count.parse::<f64>()? / n.parse::<f64>()?),
            _ => {}
        }
    }
    let per_tick = per_tick.context("no line `calibration`")?;
    let empty = ticks.iter().find(|(name, _)| name == "empty").context("no line `ticks empty`")?.1;
    let others = ticks.iter().filter(|(name, _)| name != "empty");
    // An operation takes an integer number of instructions, and the average is exact to a tenth of one.
    Ok(others.map(|(name, n)| (name.clone(), ((n - empty) * per_tick).round())).collect())
}

/// Lines `bytes NAME BYTES RECORDS`, added up by name.
fn bytes(printed: &str) -> Result<Vec<(String, f64)>> {
    let mut sums: HashMap<String, (f64, f64)> = HashMap::new();
    for line in printed.lines() {
        if let ["bytes", name, bytes, records] = line.split(' ').collect::<Vec<_>>()[..] {
            let sum = sums.entry(name.to_owned()).or_default();
            sum.0 += bytes.parse::<f64>()?;
            sum.1 += records.parse::<f64>()?;
        }
    }
    let mut all: Vec<_> = sums.into_iter().map(|(name, (bytes, records))| (name, bytes / records)).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_become_instructions_less_the_empty_loop() {
        let printed = "ticks empty 100 1000\nticks span 2100 1000\nnoise\ncalibration 50000 2000000\n";
        assert_eq!(instructions(printed).unwrap(), [("span".to_owned(), 80.0)]);
        assert!(instructions("ticks empty 1 1\n").is_err(), "no calibration");
    }

    #[test]
    fn bytes_of_several_frames_add_up() {
        assert_eq!(bytes("bytes a 30 3\nbytes a 10 1\n").unwrap(), [("a".to_owned(), 10.0)]);
    }
}
