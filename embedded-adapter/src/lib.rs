//! Throughline on a microcontroller: sends the records of the ring over RTT, serial or any other link, in
//! wire format 1.
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
//! Nothing of this crate runs in the code being observed. That code only puts records into the ring; the rest
//! happens in the context that calls `flush`, which should be the one with the lowest priority. A flush sends
//! whole frames only, and at most as many bytes as its budget; only its first frame may be longer. Whatever
//! the link does not take is kept. Records that then find the ring full are counted, and the count is reported
//! in the stream.
//!
//! ## Clocks
//!
//! Any counter with a constant rate will do. A 32-bit counter must be read by a flush (or
//! `Recorder::mark_clock`) at least once in 2^31 − 2^16 ticks. A counter of fewer bits, such as SysTick,
//! needs a `NarrowCounter` and must be read more than once in each of its periods; any reading counts. Every
//! span reads the clock twice, every event once. The host tool reports a clock that stands still or wraps
//! early.
//!
//! | clock | for | cost of a reading |
//! |---|---|---|
//! | `Clock::register(hz, address)` | a counter that counts up, in a register that can be read directly: `DWT.CYCCNT`, `TIMERAWL` of an RP2040, `CNT` of an STM32's TIM2 | one load; spans and events make no call for it |
//! | `Clock::new(hz, function)` | any other counter, for example one that must be captured first or that spans two registers | the call, the registers that the caller saves for it, and the function itself |
//! | the same with `NarrowCounter::<24>::down` in the function | SysTick, and other counters that count down or have fewer than 32 bits | as above, and five instructions |
//! | `Clock::embassy()` (feature `embassy-time` of `throughline`) | the `embassy-time` driver that the program already has | as above: a call, and the driver's reading |
//!
//! ```
//! use throughline::Clock;
//! use throughline::clock::NarrowCounter;
//! # mod syst { pub fn get_current() -> u32 { 0 } }
//!
//! /// SysTick: 24 bits, counts down. Its reload value is 2^24 − 1.
//! static SYSTICK: NarrowCounter<24> = NarrowCounter::new();
//! const CALLED: Clock = Clock::new(25_000_000, || SYSTICK.down(syst::get_current));
//!
//! # #[cfg(target_pointer_width = "32")]
//! // SAFETY: this is the cycle counter of a Cortex-M4 that runs at 64 MHz; `main` turns it on.
//! const REGISTER: Clock = unsafe { Clock::register(64_000_000, 0xE000_1004 as *const u32) };
//! ```
//!
//! ## Profiles
//!
//! [`Samples`] is a ring for a timer's interrupt that samples the program counter. The host tool makes a flame graph of it, with
//! the spans: `throughline decode --profile FILE`.
//!
//! ## Linking
//!
//! Add `-Tthroughline.x` and `--build-id` to the linker arguments, after the runtime's script (`-Tlink.x`).
//! This crate's build script puts the file where the linker finds it. It is optional: it saves flash and
//! bytes on the wire (its comment says how).
//!
//! Every preamble identifies the program's build, so that the host refuses the ELF of another build: by the
//! linker's build id if `throughline.x` is used, by a checksum of the callsites otherwise. [`init`] computes
//! that checksum, which takes about five instructions for each byte of the callsites.
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
mod samples;
#[cfg(feature = "embassy")]
mod task;
mod timeline;

pub use config::{Config, DeviceId};
pub use epoch::BootEpoch;
pub use flusher::{Buffer, Flusher};
pub use link::Flushed;
pub use panic::PanicAccess;
pub use samples::Samples;
#[cfg(feature = "embassy")]
pub use task::flush_task;

use throughline::Recorder;
use throughline::adapter::IdKey;

/// Makes `recorder` the one that all instrumentation of this program uses, and returns the flusher that sends
/// its records in frames of at most 192 bytes. Call it once, before the first record.
///
/// # Panics
///
/// Panics if the recorder's ring already has a reader, because the recorder was passed to `init` before.
pub fn init(recorder: &'static Recorder, config: Config) -> Flusher {
    init_with_frame(recorder, config)
}

/// Like [`init`], with frames of at most `FRAME` bytes on the wire (168 to 4096). Each frame has about 22
/// bytes of overhead, so longer frames have less of it in total; the buffer takes `FRAME` bytes of RAM.
pub fn init_with_frame<const FRAME: usize>(
    recorder: &'static Recorder,
    config: Config,
) -> Flusher<Buffer<FRAME>> {
    init_link(recorder, config, Buffer::new())
}

/// Like [`init`], but makes the frames directly in an RTT channel's buffer, so that no other buffer is
/// needed.
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
/// Like [`init`].
pub fn init_rtt(recorder: &'static Recorder, config: Config, channel: rtt::Channel) -> Flusher<rtt::Channel> {
    init_link(recorder, config, channel)
}

fn init_link<L>(recorder: &'static Recorder, config: Config, link: L) -> Flusher<L> {
    throughline::adapter::recorder::set_id_key(IdKey::new(config.device_id.to_u64(), config.boot_epoch));
    let flusher = Flusher::new(recorder, config, link);
    throughline::install(recorder);
    flusher
}
