//! The way out: the flusher of `throughline-embedded` with the serial port or, by feature `rtt`, an RTT channel of its own; and the panic handler,
//! which sends the panic's message the same way.

use core::panic::PanicInfo;

use cortex_m_semihosting::debug::{self, EXIT_FAILURE};
use cortex_m_semihosting::hprintln;
use throughline::Recorder;
#[cfg(feature = "rtt")]
use throughline_embedded::rtt;
use throughline_embedded::{BootEpoch, Config, DeviceId, Flushed, PanicAccess};

/// Bytes that one visit to the link sends at most; bounds how long the program is away.
const BUDGET: usize = 512;

/// Counts boots: a reset leaves it alone.
#[unsafe(link_section = ".uninit.boot_epoch")]
static EPOCH: BootEpoch = BootEpoch::new();

#[cfg(not(feature = "rtt"))]
type Flusher = throughline_embedded::Flusher;
#[cfg(feature = "rtt")]
type Flusher = throughline_embedded::Flusher<rtt::Channel>;

/// Where the panic handler finds the flusher.
static FLUSHER: PanicAccess<Flusher> = PanicAccess::new();

/// A flusher with its link.
pub struct Link {
    flusher: &'static mut Flusher,
    #[cfg(not(feature = "rtt"))]
    port: crate::Uart,
}

impl Link {
    /// Makes `recorder` the program's, under this service name, and gets the link ready.
    pub fn new(recorder: &'static Recorder, name: &'static str) -> Link {
        let device_id = DeviceId::from_bytes(crate::NAME.as_bytes());
        let config = Config { name, device_id, boot_epoch: EPOCH.advance(), ..Config::DEFAULT };
        #[cfg(not(feature = "rtt"))]
        let flusher = throughline_embedded::init(recorder, config);
        #[cfg(feature = "rtt")]
        let flusher =
            throughline_embedded::init_rtt(recorder, config, throughline_embedded::rtt_channel!(1024));
        Link {
            flusher: FLUSHER.hold(flusher),
            #[cfg(not(feature = "rtt"))]
            port: crate::Uart,
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

/// Sends the panic's message and what the ring holds, says it over semihosting too, and ends the emulator with failure.
#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    cortex_m::interrupt::disable();
    // SAFETY: interrupts are off, there is one core, and this does not return.
    if let Some(flusher) = unsafe { FLUSHER.take() } {
        #[cfg(not(feature = "rtt"))]
        match flusher.panicked(info, &mut crate::Uart) {
            Ok(_) => {}
            Err(never) => match never {},
        }
        #[cfg(feature = "rtt")]
        flusher.panicked(info, 1_000_000);
        // The emulator's end would lose what its host has not read. A real device resets or halts here.
        #[cfg(feature = "rtt")]
        while flusher.flush(usize::MAX).pending || !flusher.is_read() {}
    }
    hprintln!("{}", info);
    loop {
        debug::exit(EXIT_FAILURE);
    }
}
