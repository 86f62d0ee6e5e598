//! The way out: the flusher of `throughline-embedded` with the serial port or, by feature `rtt`, an RTT channel of its own.

use throughline::Recorder;
use throughline_embedded::{BootEpoch, Config, DeviceId, Flushed, Flusher};

/// Bytes that one visit to the link sends at most; bounds how long the program is away.
const BUDGET: usize = 512;

/// Counts boots: a reset leaves it alone.
#[unsafe(link_section = ".uninit.boot_epoch")]
static EPOCH: BootEpoch = BootEpoch::new();

/// A flusher with its link.
pub struct Link {
    flusher: Flusher,
    port: Port,
}

#[cfg(not(feature = "rtt"))]
type Port = crate::Uart;
#[cfg(feature = "rtt")]
type Port = rtt_target::UpChannel;

impl Link {
    /// Makes `recorder` the program's, under this service name, and gets the link ready.
    pub fn new(recorder: &'static Recorder, name: &'static str) -> Link {
        let device_id = DeviceId::from_bytes(crate::NAME.as_bytes());
        let config = Config { name, device_id, boot_epoch: EPOCH.advance(), ..Config::DEFAULT };
        let flusher = throughline_embedded::init(recorder, config);
        #[cfg(not(feature = "rtt"))]
        let port = crate::Uart;
        #[cfg(feature = "rtt")]
        let port = rtt_target::rtt_init! { up: { 0: { size: 1024, name: "throughline" } } }.up.0;
        Link { flusher, port }
    }

    /// Sends some of what was recorded.
    pub fn flush(&mut self) -> Flushed {
        #[cfg(not(feature = "rtt"))]
        let flushed = match self.flusher.flush(&mut self.port, BUDGET) {
            Ok(flushed) => flushed,
            Err(never) => match never {},
        };
        #[cfg(feature = "rtt")]
        let flushed = self.flusher.flush_rtt(&mut self.port, BUDGET);
        flushed
    }

    /// Sends all that was recorded, and the metrics.
    pub fn finish(&mut self) {
        self.flusher.snapshot_metrics();
        while self.flush().pending {}
        // What is in an RTT channel when the emulator ends, ends with it.
        #[cfg(feature = "rtt")]
        self.port.flush();
    }
}
