//! The link: the flusher of `throughline-embedded` with the serial port or, with the feature `rtt`, an RTT
//! channel; and the panic handler, which sends the panic's message over the same link.

use core::panic::PanicInfo;

use cortex_m_semihosting::debug::{self, EXIT_FAILURE};
use cortex_m_semihosting::hprintln;
use throughline::Recorder;
#[cfg(feature = "rtt")]
use throughline_embedded::rtt;
use throughline_embedded::{BootEpoch, Config, DeviceId, Flushed, PanicAccess, Samples};

/// Most bytes that one flush sends, which limits how long it takes.
const BUDGET: usize = 512;

/// Counts boots. A reset does not clear it.
#[unsafe(link_section = ".uninit.boot_epoch")]
static EPOCH: BootEpoch = BootEpoch::new();

#[cfg(not(feature = "rtt"))]
type Flusher = throughline_embedded::Flusher;
#[cfg(feature = "rtt")]
type Flusher = throughline_embedded::Flusher<rtt::Channel>;

/// Gives the panic handler access to the flusher.
static FLUSHER: PanicAccess<Flusher> = PanicAccess::new();

/// A flusher with its link.
pub struct Link {
    flusher: &'static mut Flusher,
    #[cfg(not(feature = "rtt"))]
    port: crate::Uart,
}

impl Link {
    /// Makes `recorder` the program's recorder under this service name, and prepares the link.
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

    /// Sends a part of what was recorded.
    pub fn flush(&mut self) -> Flushed {
        #[cfg(not(feature = "rtt"))]
        return match self.flusher.flush(&mut self.port, BUDGET) {
            Ok(flushed) => flushed,
            Err(never) => match never {},
        };
        #[cfg(feature = "rtt")]
        self.flusher.flush(BUDGET)
    }

    /// Sends a frame of the samples that wait. Returns whether there were any.
    pub fn flush_samples<const N: usize>(&mut self, samples: &Samples<N>, period: u32) -> bool {
        #[cfg(not(feature = "rtt"))]
        while self.flusher.is_pending() {
            self.flush();
        }
        let any = self.flusher.take_samples(samples, period);
        self.flush();
        any
    }

    /// Sends everything that was recorded, and the metrics.
    pub fn finish(&mut self) {
        self.flusher.snapshot_metrics();
        while self.flush().pending {}
        // The contents of an RTT channel are lost when the emulator ends, so wait until the host has read
        // them.
        #[cfg(feature = "rtt")]
        while !self.flusher.is_read() {}
    }
}

/// Sends the panic's message and everything in the ring, prints the message over semihosting too, and ends
/// the emulator with failure.
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
        // When the emulator ends, bytes that the host has not read are lost. A real device resets or halts
        // here instead.
        #[cfg(feature = "rtt")]
        while flusher.flush(usize::MAX).pending || !flusher.is_read() {}
    }
    hprintln!("{}", info);
    loop {
        debug::exit(EXIT_FAILURE);
    }
}
