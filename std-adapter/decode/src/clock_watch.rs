//! Watches the times of one boot for faults of the clock: it stands still, or it wraps before 32 bits.

/// What is wrong with a device's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClockFault {
    /// The clock does not move.
    #[error(
        "the device's clock stands still: {records} records in a row have the same time; start the counter before the first record (the cycle \
         counter of a Cortex-M needs `DCB.enable_trace()` and `DWT.enable_cycle_counter()`), or give the recorder another clock"
    )]
    Stands {
        /// Records with the same time.
        records: u64,
    },
    /// The clock has fewer than 32 bits, or it counts down.
    #[error(
        "the device's clock turns over early: {spans} spans lasted almost a whole turn of 32 bits; a counter that counts down or has fewer than 32 \
         bits must be read through `throughline::clock::NarrowCounter`"
    )]
    TurnsOver {
        /// Spans with such a duration.
        spans: u64,
    },
}

/// The watch over the clock in one boot.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClockWatch {
    /// Ticks of the newest record, and how many records in a row had these.
    ticks: u64,
    same: u64,
    /// `backward` counts spans whose duration in 32 bits is negative and small; `long` counts spans whose
    /// duration is at least half a period.
    backward: u64,
    long: u64,
    said: [bool; 2],
}

/// Records in a row that any clock may have at one tick. A processor makes at most 20 million records per
/// second, so a slow clock gets more.
const AT_ONE_TICK: u64 = 64;
const RECORDS_PER_SECOND: u64 = 20_000_000;
/// Spans needed to report a clock that wraps early. One long span in 256 looks like this by chance.
const BACKWARD: u64 = 3;

impl ClockWatch {
    /// Takes the time of a record by a clock of `hz` ticks per second. Reports a clock that stands still,
    /// once per boot.
    pub(crate) fn made(&mut self, ticks: u64, hz: Option<u64>) -> Option<ClockFault> {
        if ticks != self.ticks {
            (self.ticks, self.same) = (ticks, 0);
        }
        self.same += 1;
        let most = AT_ONE_TICK + RECORDS_PER_SECOND / hz.filter(|hz| *hz > 0)?;
        if self.same <= most || std::mem::replace(&mut self.said[0], true) {
            return None;
        }
        Some(ClockFault::Stands { records: self.same })
    }

    /// Takes the duration of a span on a device with 32-bit words. Reports a clock that wraps early, once per
    /// boot.
    pub(crate) fn lasted(&mut self, duration: u64) -> Option<ClockFault> {
        let low = duration as u32;
        self.long += u64::from(duration >> 31 != 0);
        // A wrapped counter of 24 bits makes a duration look like this.
        self.backward += u64::from(low >= 0xff00_0000);
        if self.backward < BACKWARD
            || self.backward * 2 < self.long
            || std::mem::replace(&mut self.said[1], true)
        {
            return None;
        }
        Some(ClockFault::TurnsOver { spans: self.backward })
    }
}
