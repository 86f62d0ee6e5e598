//! RTT, Segger's transport to a debugger. Frames are made directly in the channel's buffer, which the
//! debugger empties while the program runs.
//!
//! A program has one RTT control block, with a channel for each stream. To use `defmt` as well, let
//! `rtt-target` define the block, with its feature `defmt`. This replaces the crate `defmt-rtt`, whose
//! block has only one channel:
//!
//! ```ignore
//! let channels = rtt_target::rtt_init! {
//!     up: {
//!         0: { size: 1024, name: "defmt" }
//!         1: { size: 1024, name: "throughline" }
//!     }
//! };
//! rtt_target::set_defmt_channel(channels.up.0);
//! // SAFETY: `channels.up.1` is not used elsewhere.
//! let channel = unsafe { throughline_embedded::rtt::Channel::of_program(1) }.expect("it is defined above");
//! let mut flusher = throughline_embedded::init_rtt(&RECORDER, config, channel);
//! ```
//!
//! The layout comes from Segger's *J-Link/J-Trace User Guide* (UM08001), "RTT control block". It is the same
//! in every crate that defines the block.

use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

use throughline::adapter::AtomicWord as Cell;
use throughline::adapter::ring::Reader;
use throughline::adapter::wire::Window;

use crate::{Flushed, Flusher, Samples};

/// Defines the program's RTT control block, with one channel of `$size` bytes to the host, and returns that
/// channel. Call it once. The longest record takes 250 bytes. A program has one control block: if another
/// crate defines it (`rtt-target`, `defmt-rtt`), linking fails, and you use [`Channel::of_program`] instead.
#[macro_export]
macro_rules! rtt_channel {
    ($size:expr) => {{
        static mut _RTT_CHANNEL_BUFFER: [u8; $size] = [0; $size];
        // On bare metal the linker gives this block the name that debuggers look for, unless another crate
        // defines that name.
        #[cfg_attr(target_os = "none", unsafe(export_name = "__throughline_rtt"))]
        #[cfg_attr(not(target_os = "none"), unsafe(export_name = "_SEGGER_RTT"))]
        static __TL_RTT: $crate::rtt::ControlBlock =
            // SAFETY: nothing else refers to the buffer.
            unsafe { $crate::rtt::ControlBlock::new((&raw mut _RTT_CHANNEL_BUFFER).cast(), $size) };
        static __TL_RTT_TAKEN: $crate::rtt::Taken = $crate::rtt::Taken::new();
        // SAFETY: the block and its flag `Taken` are defined together.
        unsafe { __TL_RTT.channel(&__TL_RTT_TAKEN) }
    }};
}

/// Length in bytes of a frame that holds the longest text of a record on a 32-bit machine.
const USUAL: usize = 250;

/// The block that a debugger looks for in RAM.
#[derive(Debug)]
#[repr(C)]
pub struct ControlBlock {
    id: [u8; 16],
    up_channels: usize,
    down_channels: usize,
    up: [UpChannel; 1],
}

// SAFETY: only the offsets change, and they are atomic. The buffer behind the pointer belongs to the owner of
// the channel.
unsafe impl Sync for ControlBlock {}

/// A channel to the host.
#[derive(Debug)]
#[repr(C)]
struct UpChannel {
    name: *const u8,
    buffer: *mut u8,
    size: usize,
    /// Offset of the next byte that the program writes; only the program changes it.
    write: AtomicUsize,
    /// Offset of the next byte that the host reads; only the host changes it.
    read: AtomicUsize,
    /// The mode of a full buffer; 0 means that the writer skips. This crate never reads it.
    flags: AtomicUsize,
}

impl ControlBlock {
    /// For [`rtt_channel!`](crate::rtt_channel!).
    ///
    /// # Safety
    ///
    /// `buffer` must be valid for writes of `size` bytes as long as the program runs, and nothing else may
    /// use it.
    #[doc(hidden)]
    pub const unsafe fn new(buffer: *mut u8, size: usize) -> ControlBlock {
        assert!(size >= 256, "an RTT channel has at least 256 bytes");
        ControlBlock {
            id: *b"SEGGER RTT\0\0\0\0\0\0",
            up_channels: 1,
            down_channels: 0,
            up: [UpChannel {
                name: c"throughline".as_ptr().cast(),
                buffer,
                size,
                write: AtomicUsize::new(0),
                read: AtomicUsize::new(0),
                flags: AtomicUsize::new(0),
            }],
        }
    }

    /// For [`rtt_channel!`](crate::rtt_channel!). Panics if the channel was given away before.
    ///
    /// # Safety
    ///
    /// `taken` must be the same at every call for this block; otherwise two writers could get the buffer.
    ///
    /// ```compile_fail,E0133
    /// fn second(block: &'static throughline_embedded::rtt::ControlBlock) {
    ///     let _ = block.channel(&throughline_embedded::rtt::Taken::new());
    /// }
    /// ```
    #[doc(hidden)]
    pub unsafe fn channel(&'static self, taken: &Taken) -> Channel {
        // These references make the linker name the block and check that it is the only one;
        // `throughline-rtt.x` does both. The linker drops the section with the references.
        // SAFETY: this adds no instruction.
        #[cfg(target_os = "none")]
        unsafe {
            core::arch::asm!(
                ".pushsection .rodata.__throughline_rtt_references, \"a\", %progbits",
                ".long _SEGGER_RTT",
                ".long __throughline_rtt_is_alone",
                ".popsection",
                options(nomem, nostack, preserves_flags)
            );
        }
        assert!(taken.0.swap(1, Acquire) == 0, "an RTT channel has one writer");
        Channel(&self.up[0])
    }
}

/// Whether the channel was given away.
#[doc(hidden)]
#[derive(Debug)]
pub struct Taken(Cell);

impl Taken {
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Taken {
        Taken(Cell::new(0))
    }
}

/// A channel to the host, for one writer.
#[derive(Debug)]
pub struct Channel(&'static UpChannel);

// SAFETY: the owner of the channel is the only user of the buffer behind its pointer.
unsafe impl Send for Channel {}

unsafe extern "C" {
    #[link_name = "_SEGGER_RTT"]
    static PROGRAMS: ControlBlock;
}

impl Channel {
    /// The channel to the host with this number in the program's control block, which another crate defines
    /// and has initialised. Returns `None` if there is no such channel, or if its buffer has fewer than 256
    /// bytes. The channel's mode does not matter, because this crate never waits and never writes a part of a
    /// frame.
    ///
    /// # Safety
    ///
    /// Nothing else may write to the channel from now on, for example through a handle of the crate that
    /// defines it.
    pub unsafe fn of_program(number: usize) -> Option<Channel> {
        // SAFETY: a block of this name has this layout, except for the number of channels, and it does not
        // change once it is initialised.
        let count = unsafe { ptr::read_volatile(&raw const PROGRAMS.up_channels) };
        if number >= count {
            return None;
        }
        // SAFETY: as above; this only takes the address.
        let first = unsafe { &raw const PROGRAMS.up };
        // SAFETY: the block has `count` channels, and `number` is less.
        let up = unsafe { &*first.cast::<UpChannel>().wrapping_add(number) };
        (!up.buffer.is_null() && up.size >= 256).then_some(Channel(up))
    }

    /// The place of the next frame, and how many bytes the host has left free there.
    fn window(&mut self, limit: usize) -> Window<'_> {
        let UpChannel { buffer, size, ref write, ref read, .. } = *self.0;
        let at = write.load(Relaxed);
        // Acquire: the host has finished reading the bytes that are overwritten next.
        let used = at.wrapping_sub(read.load(Acquire));
        // Offsets start again at 0 after `size` − 1.
        let used = if used > size { used.wrapping_add(size) } else { used };
        let free = size.wrapping_sub(used).wrapping_sub(1);
        // SAFETY: a channel's buffer is valid for `size` bytes, and the owner of `self` is its only writer.
        let buf = unsafe { core::slice::from_raw_parts_mut(buffer, size) };
        // A result outside the buffer means that something has overwritten the offsets; then nothing is
        // written.
        Window { buf, at, room: if at < size && free < size { free.min(limit) } else { 0 } }
    }

    /// Makes `bytes` more bytes visible to the host.
    fn publish(&mut self, bytes: usize) {
        let mut at = self.0.write.load(Relaxed) + bytes;
        if at >= self.0.size {
            at -= self.0.size;
        }
        // Release: the bytes are written before the host sees the new offset.
        self.0.write.store(at, Release);
    }
}

impl Flusher<Channel> {
    /// Makes whole frames in the channel, at most `budget` bytes in all. If the first frame does not fit the
    /// budget, it is made anyway and alone, so that every flush makes progress. Never waits: records for
    /// which the channel has no room stay in the recorder's ring.
    pub fn flush(&mut self, budget: usize) -> Flushed {
        let before = self.frames.records();
        let mut flushed = Flushed::default();
        let mut limit = budget;
        loop {
            let bytes = self.frames.next(self.link.window(limit));
            if bytes > 0 {
                self.link.publish(bytes);
                flushed.frames += 1;
                flushed.bytes += bytes;
                limit = budget.saturating_sub(flushed.bytes);
            } else if flushed.frames == 0 && limit < usize::MAX {
                limit = usize::MAX;
            } else {
                break;
            }
        }
        flushed.records = self.frames.records().wrapping_sub(before);
        flushed.pending = self.frames.is_pending();
        flushed
    }

    /// Makes a frame of the samples that wait in `samples`. `period` is the number of the recorder's ticks between two
    /// samples. Returns false if there are none, or if the channel has no room for one.
    pub fn take_samples<const N: usize>(&mut self, samples: &Samples<N>, period: u32) -> bool {
        let bytes = self.frames.samples(self.link.window(usize::MAX), samples, period);
        self.link.publish(bytes);
        bytes > 0
    }

    /// Polls the channel at most `polls` times, until the host has made room for a frame of `USUAL` bytes.
    pub(crate) fn wait_for_room(&mut self, polls: u32) {
        for _ in 0..polls {
            if self.link.window(USUAL).room == USUAL {
                break;
            }
        }
    }

    /// Makes a frame of a record in a ring that is not the recorder's. Returns false if there is no record or
    /// no room for it.
    pub(crate) fn make_aside(&mut self, reader: Option<&mut Reader<'_>>) -> bool {
        let Some(reader) = reader else { return false };
        let bytes = self.frames.aside(self.link.window(usize::MAX), reader);
        self.link.publish(bytes);
        bytes > 0
    }

    /// Whether the host has read everything that was sent.
    pub fn is_read(&self) -> bool {
        let channel = self.link.0;
        channel.read.load(Relaxed) == channel.write.load(Relaxed)
    }
}
