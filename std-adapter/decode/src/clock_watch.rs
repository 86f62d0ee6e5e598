//! Watches the times of one boot for what no working clock shows: that it stands still, or that it turns over before 32 bits.

/// What is wrong with a device's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClockFault {
    /// It does not move.
    #[error(
        "the device's clock stands still: {records} records in a row have the same time; start the counter before the first record (the cycle \
         counter of a Cortex-M needs `DCB.enable_trace()` and `DWT.enable_cycle_counter()`), or give the recorder another clock"
    )]
    Stands {
        /// Records with the same time.
        records: u64,
    },
    /// It has fewer than 32 bits, or counts down.
    #[error(
        "the device's clock turns over early: {spans} spans lasted almost a whole turn of 32 bits; a counter that counts down or has fewer than 32 \
         bits is read through `throughline::clock::NarrowCounter`"
    )]
    TurnsOver {
        /// Spans with such a duration.
        spans: u64,
    },
}

/// The watch over one boot.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClockWatch {
    /// Ticks of the newest record, and how many records in a row had them.
    ticks: u64,
    same: u64,
    /// Spans whose duration, in 32 bits, is negative and small, and spans whose duration is at least half a turn.
    backward: u64,
    long: u64,
    said: [bool; 2],
}

/// Records that any clock may put at one tick. No processor records more than 20 million in a second, so a slow clock gets more.
const AT_ONE_TICK: u64 = 64;
const RECORDS_PER_SECOND: u64 = 20_000_000;
/// Spans that show a clock that turns over. A long span's duration looks so by chance in one case of 256.
const BACKWARD: u64 = 3;

impl ClockWatch {
    /// A record was made at `ticks` of a clock of `hz`; says when the clock stands still. Once a boot.
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

    /// A span took so many ticks on a device with 32-bit words; says when the clock turns over early. Once a boot.
    pub(crate) fn lasted(&mut self, duration: u64) -> Option<ClockFault> {
        let low = duration as u32;
        self.long += u64::from(duration >> 31 != 0);
        // What a counter of 24 bits takes for a turn.
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
