//! A microcontroller reports a temperature to a gateway, the gateway asks the house for the setpoint over HTTP, books the report there over gRPC, and
//! answers the microcontroller. All three are one trace. The firmware is the binary `report` of `examples/firmware`.
//!
//! ```text
//! report ──serial port──▶ gateway ──HTTP──▶ house
//!        binary context          └──gRPC──▶ house
//! ```
//!
//! This library has what they say to each other; the programs are `src/bin/gateway.rs` and `src/bin/house.rs`.

use std::time::Duration;

use anyhow::bail;
use throughline_std::Guard;

/// What the microcontroller sends: its context in the binary form of `core/docs/wire-format.md` §9, and behind it the number of a room (`u8`) and its
/// temperature in hundredths of a degree Celsius (`i16`, little-endian).
#[derive(Clone, Copy, Debug)]
pub struct Report {
    bytes: [u8; Report::LEN],
}

impl Report {
    /// Its length. All reports have the same, so nothing on the link separates them; a link that may lose bytes needs frames.
    pub const LEN: usize = 29;

    /// A report as it came.
    pub const fn new(bytes: [u8; Report::LEN]) -> Report {
        Report { bytes }
    }

    /// The sender's context, in its binary form.
    pub fn context(&self) -> &[u8] {
        &self.bytes[..26]
    }

    /// The room.
    pub const fn room(&self) -> u8 {
        self.bytes[26]
    }

    /// Its temperature in hundredths of a degree Celsius.
    pub const fn temperature(&self) -> i16 {
        i16::from_le_bytes([self.bytes[27], self.bytes[28]])
    }
}

/// The path at which the house books over gRPC.
pub const BOOK: &str = "/house.Ledger/Book";

/// The request of [`BOOK`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Reading {
    /// The room.
    #[prost(uint32, tag = "1")]
    pub room: u32,
    /// Its temperature in hundredths of a degree Celsius.
    #[prost(sint32, tag = "2")]
    pub temperature: i32,
}

/// The answer of [`BOOK`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Booked {
    /// How many readings of the room the house has.
    #[prost(uint32, tag = "1")]
    pub readings: u32,
}

/// How long the last records may take to be sent.
const SHUTDOWN: Duration = Duration::from_secs(10);

/// Delivers everything, and prints the ledger.
///
/// # Errors
///
/// If not all of it was delivered.
pub fn finish(guard: Guard) -> anyhow::Result<()> {
    let report = guard.shutdown(SHUTDOWN);
    eprint!("{}", report.ledger);
    if let Some(error) = &report.last_error {
        bail!("{error}");
    }
    if !report.complete {
        bail!("not everything was delivered within {} s", SHUTDOWN.as_secs());
    }
    Ok(())
}
