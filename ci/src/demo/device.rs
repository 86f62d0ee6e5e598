//! The demo's microcontrollers.

use std::fmt;

use anyhow::{Result, ensure};

use crate::firmware::{Balance, Firmware, Tool};

/// A run of the thermostat.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// What the host tool drew.
    pub(super) drawn: String,
    /// Where its records went.
    pub(super) account: Account,
}

/// Where a run's records went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account(Balance);

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Balance { emitted, decoded, lost_device, lost_link, bytes, frames } = self.0;
        write!(
            f,
            "{emitted} records emitted = {decoded} decoded + {lost_device} lost on the device + {lost_link} on the link; "
        )?;
        write!(f, "{bytes} bytes in {frames} frames")
    }
}

/// How much of a run is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Show {
    /// Each line as it arrives.
    All,
    /// The identity of the board, and the ledger.
    Ends,
    /// Nothing.
    Nothing,
}

/// Boots the thermostat and decodes its records live.
pub(super) fn run_live(firmware: &Firmware, tool: &Tool, show: Show) -> Result<Run> {
    let mut live = tool.live(&firmware.elf("demo"), move |line| {
        if show == Show::All {
            println!("{line}");
        }
    })?;
    let capture = firmware.run("demo", b"", |bytes| live.feed(bytes))?;
    let drawn = live.finish()?;
    if show == Show::Ends {
        let ends = drawn.lines().take(1).chain(drawn.lines().rev().take(1));
        ends.for_each(|line| println!("{line}"));
    }
    let balance = Balance::of(&tool.json(&capture)?)?;
    ensure!(balance.emitted > 0, "the firmware recorded nothing");
    Ok(Run { drawn, account: Account(balance) })
}

/// Bytes on the wire per span and event, as text.
pub(super) fn wire_bytes(firmware: &Firmware) -> Result<String> {
    let capture = firmware.run("wire", b"", |_| Ok(()))?;
    let (span, event) = (capture.bytes_each("span")?, capture.bytes_each("event")?);
    Ok(format!(
        "{span:.2} bytes on the wire for a span, {event:.2} for an event with two numbers (in batches of 32, all framing counted)"
    ))
}
