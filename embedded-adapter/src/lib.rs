//! Throughline on a microcontroller: sends what the recorder's ring holds over RTT, serial or any link, in wire format 1.
//!
//! ```no_run
//! # use throughline::{Clock, Recorder, Slots};
//! # use throughline_embedded::{BootEpoch, Config, DeviceId};
//! # fn ticks() -> usize { 0 }
//! # fn unique_id() -> [u8; 12] { [0; 12] }
//! # let mut uart = embedded_io_sink();
//! static SLOTS: Slots<256> = Slots::new();
//! static RECORDER: Recorder = Recorder::new(&SLOTS, Clock::new(25_000_000, ticks));
//! # #[cfg(target_os = "none")]
//! #[unsafe(link_section = ".uninit.boot_epoch")]
//! static EPOCH: BootEpoch = BootEpoch::new();
//! # #[cfg(not(target_os = "none"))]
//! # static EPOCH: BootEpoch = BootEpoch::new();
//!
//! let mut flusher = throughline_embedded::init(&RECORDER, Config {
//!     name: "pump",
//!     device_id: DeviceId::from_bytes(&unique_id()),
//!     boot_epoch: EPOCH.advance(),
//!     ..Config::DEFAULT
//! });
//! loop {
//!     // … the application …
//!     flusher.flush(&mut uart, 512)?; // at most 512 bytes now
//!     # break;
//! }
//! # fn embedded_io_sink() -> &'static mut [u8] { Box::leak(Box::new([0; 1024])) }
//! # Ok::<(), embedded_io::SliceWriteError>(())
//! ```
//!
//! Nothing here runs in the code being observed: a record is put into the ring there, and all the rest happens in whatever context calls
//! `flush`, which should be the one with the lowest priority. A flush sends whole frames only and no more bytes than it is told. What the link
//! does not take is kept; what then finds no room in the ring is counted and reported in the stream.
//!
//! ## Clocks
//!
//! Any counter with a constant rate will do. One of 32 bits must be read by a flush (or `Recorder::mark_clock`) at least once in 2^31 ticks, less 2^16; one of
//! fewer bits, such as SysTick, is read through a `NarrowCounter`, by anything, more than once in each of its turns. Every span reads the clock twice,
//! every event once. The host tool says when a clock stands still or turns over early.
//!
//! | clock | for | a reading costs |
//! |---|---|---|
//! | `Clock::register(hz, address)` | a counter that counts up in a register which may be read as it is: `DWT.CYCCNT`, `TIMERAWL` of an RP2040, `CNT` of an STM32's TIM2 | one load, and spans and events make no call for it |
//! | `Clock::new(hz, function)` | all others: one that must be captured first, or is put together from two registers | the call, what the function does, and what a call makes its caller keep |
//! | the same with `NarrowCounter::<24>::down` in the function | SysTick, and other counters that count down or have fewer than 32 bits | as above, and five instructions |
//! | `Clock::embassy()` (feature `embassy-time` of `throughline`) | the `embassy-time` driver that the program has anyway | as above: a call, and the driver's reading |
//!
//! ```
//! use throughline::Clock;
//! use throughline::clock::NarrowCounter;
//! # mod syst { pub fn get_current() -> u32 { 0 } }
//!
//! /// SysTick: 24 bits, downwards. Its reload value is 2^24 − 1.
//! static SYSTICK: NarrowCounter<24> = NarrowCounter::new();
//! const CALLED: Clock = Clock::new(25_000_000, || SYSTICK.down(syst::get_current));
//!
//! # #[cfg(target_pointer_width = "32")]
//! // SAFETY: the cycle counter of a Cortex-M4 that runs at 64 MHz; `main` turns it on.
//! const REGISTER: Clock = unsafe { Clock::register(64_000_000, 0xE000_1004 as *const u32) };
//! ```
//!
//! ## Linking
//!
//! Add `-Tthroughline.x` and `--build-id` to the linker arguments, after the runtime's script (`-Tlink.x`). This crate's build script puts the
//! fragment where the linker finds it. It saves flash and bytes on the wire (see its comment); nothing depends on it.
//!
//! Every preamble says of which build the program is, so that the host refuses the ELF of another: by the linker's build id with the fragment, by a
//! checksum of the callsites without it. [`init`] makes that checksum, at some five instructions for each byte of the callsites.
//!
//! | feature | adds |
//! |---|---|
//! | `embassy` | `flush_task`: an async loop over `embedded-io-async` and `embassy-time` |

#![no_std]

#[cfg(target_os = "none")]
mod build_id;
mod config;
mod epoch;
mod flusher;
mod frames;
mod link;
pub mod panic;
pub mod rtt;
#[cfg(feature = "embassy")]
mod task;
mod timeline;

pub use config::{Config, DeviceId};
pub use epoch::BootEpoch;
pub use flusher::{Buffer, Flusher};
pub use link::Flushed;
pub use panic::PanicAccess;
#[cfg(feature = "embassy")]
pub use task::flush_task;

use throughline::Recorder;
use throughline::adapter::IdKey;

/// Makes `recorder` the one that all instrumentation of this program reaches, and gives what sends its records, with frames of at
/// most 192 bytes. To be called once, before the first record.
///
/// # Panics
///
/// When the recorder's ring has a reader already: it was given to `init` before.
pub fn init(recorder: &'static Recorder, config: Config) -> Flusher {
    init_with_frame(recorder, config)
}

/// As [`init`], with frames of at most `FRAME` bytes on the wire, 168 to 4096. Longer frames have less overhead (about 22 bytes each) and take
/// as much more RAM.
pub fn init_with_frame<const FRAME: usize>(
    recorder: &'static Recorder,
    config: Config,
) -> Flusher<Buffer<FRAME>> {
    init_link(recorder, config, Buffer::new())
}

/// As [`init`], with frames that are made right in an RTT channel's buffer, so that there is no other.
///
/// ```no_run
/// # use throughline::{Clock, Recorder, Slots};
/// # use throughline_embedded::Config;
/// # static SLOTS: Slots<64> = Slots::new();
/// # static RECORDER: Recorder = Recorder::new(&SLOTS, Clock::mock());
/// let channel = throughline_embedded::rtt_channel!(1024);
/// let mut flusher = throughline_embedded::init_rtt(&RECORDER, Config::DEFAULT, channel);
/// loop {
///     // … the application …
///     flusher.flush(512);
/// }
/// ```
///
/// # Panics
///
/// As [`init`].
pub fn init_rtt(recorder: &'static Recorder, config: Config, channel: rtt::Channel) -> Flusher<rtt::Channel> {
    init_link(recorder, config, channel)
}

fn init_link<L>(recorder: &'static Recorder, config: Config, link: L) -> Flusher<L> {
    throughline::adapter::recorder::set_id_key(IdKey::new(config.device_id.to_u64(), config.boot_epoch));
    let flusher = Flusher::new(recorder, config, link);
    throughline::install(recorder);
    flusher
}
