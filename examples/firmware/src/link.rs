//! The way out: the flusher of `throughline-embedded` with the serial port or, by feature `rtt`, an RTT channel of its own.

use throughline::Recorder;
#[cfg(feature = "rtt")]
use throughline_embedded::rtt;
use throughline_embedded::{BootEpoch, Config, DeviceId, Flushed, Flusher};

/// Bytes that one visit to the link sends at most; bounds how long the program is away.
const BUDGET: usize = 512;

/// Counts boots: a reset leaves it alone.
#[unsafe(link_section = ".uninit.boot_epoch")]
static EPOCH: BootEpoch = BootEpoch::new();

/// A flusher with its link.
#[cfg(not(feature = "rtt"))]
pub struct Link {
    flusher: Flusher,
    port: crate::Uart,
}

/// A flusher with its link.
#[cfg(feature = "rtt")]
pub struct Link {
    flusher: Flusher<rtt::Channel>,
}

impl Link {
    /// Makes `recorder` the program's, under this service name, and gets the link ready.
    pub fn new(recorder: &'static Recorder, name: &'static str) -> Link {
        let device_id = DeviceId::from_bytes(crate::NAME.as_bytes());
        let config = Config { name, device_id, boot_epoch: EPOCH.advance(), ..Config::DEFAULT };
        #[cfg(not(feature = "rtt"))]
        return Link { flusher: throughline_embedded::init(recorder, config), port: crate::Uart };
        #[cfg(feature = "rtt")]
        Link {
            flusher: throughline_embedded::init_rtt(
                recorder,
                config,
                throughline_embedded::rtt_channel!(1024),
            ),
        }
    }

    /// Sends some of what was recorded.
    pub fn flush(&mut self) -> Flushed {
        #[cfg(not(feature = "rtt"))]
        return match self.flusher.flush(&mut self.port, BUDGET) {
            Ok(flushed) => flushed,
            Err(never) => match never {},
        };
        #[cfg(feature = "rtt")]
        self.flusher.flush(BUDGET)
    }

    /// Sends all that was recorded, and the metrics.
    pub fn finish(&mut self) {
        self.flusher.snapshot_metrics();
        while self.flush().pending {}
        // What is in an RTT channel when the emulator ends, ends with it.
        #[cfg(feature = "rtt")]
        while !self.flusher.is_read() {}
    }
}
