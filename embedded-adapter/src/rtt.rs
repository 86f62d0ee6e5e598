//! RTT, Segger's way to a debugger: frames are made in the channel's own buffer, which the debugger empties while the program runs.
//!
//! A program has one RTT control block, with a channel for each stream. Beside `defmt`, let `rtt-target` define it, with its feature `defmt` in place of
//! the crate `defmt-rtt`, whose block has no second channel:
//!
//! ```ignore
//! let channels = rtt_target::rtt_init! {
//!     up: {
//!         0: { size: 1024, name: "defmt" }
//!         1: { size: 1024, name: "throughline" }
//!     }
//! };
//! rtt_target::set_defmt_channel(channels.up.0);
//! // SAFETY: `channels.up.1` is not used.
//! let channel = unsafe { throughline_embedded::rtt::Channel::of_program(1) }.expect("it is defined above");
//! let mut flusher = throughline_embedded::init_rtt(&RECORDER, config, channel);
//! ```
//!
//! The layout is that of Segger's *J-Link/J-Trace User Guide* (UM08001), "RTT control block"; it is the same whichever crate defines it.

use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

use throughline::adapter::AtomicWord as Cell;
use throughline::adapter::ring::Reader;
use throughline::adapter::wire::Window;

use crate::{Flushed, Flusher};

/// Defines the program's RTT control block, with one channel to the host of this many bytes, and gives that channel. To be called once; a longest
/// record takes 250 bytes. A program has one control block: where another crate defines one (`rtt-target`, `defmt-rtt`) this does not link, and
/// [`Channel::of_program`] is the way.
#[macro_export]
macro_rules! rtt_channel {
    ($size:expr) => {{
        static mut _RTT_CHANNEL_BUFFER: [u8; $size] = [0; $size];
        // On bare metal the linker gives it the name that debuggers look for, if no other crate has taken that.
        #[cfg_attr(target_os = "none", unsafe(export_name = "__throughline_rtt"))]
        #[cfg_attr(not(target_os = "none"), unsafe(export_name = "_SEGGER_RTT"))]
        static __TL_RTT: $crate::rtt::ControlBlock =
            // SAFETY: nothing else refers to the buffer.
            unsafe { $crate::rtt::ControlBlock::new((&raw mut _RTT_CHANNEL_BUFFER).cast(), $size) };
        static __TL_RTT_TAKEN: $crate::rtt::Taken = $crate::rtt::Taken::new();
        // SAFETY: the block and what tells whether its channel was given away are defined together.
        unsafe { __TL_RTT.channel(&__TL_RTT_TAKEN) }
    }};
}

/// Bytes of a frame that holds the longest text of a record on a 32-bit machine.
const USUAL: usize = 250;

/// What a debugger looks for in RAM.
#[derive(Debug)]
#[repr(C)]
pub struct ControlBlock {
    id: [u8; 16],
    up_channels: usize,
    down_channels: usize,
    up: [UpChannel; 1],
}

// SAFETY: what is in it does not change but for the offsets, which are atomic; the buffer behind its pointer belongs to who has the channel.
unsafe impl Sync for ControlBlock {}

/// A channel to the host.
#[derive(Debug)]
#[repr(C)]
struct UpChannel {
    name: *const u8,
    buffer: *mut u8,
    size: usize,
    /// Where the program writes next; the program's.
    write: AtomicUsize,
    /// Where the host reads next; the host's.
    read: AtomicUsize,
    /// How a writer meets a full buffer: 0, not at all. Ours never looks.
    flags: AtomicUsize,
}

impl ControlBlock {
    /// For [`rtt_channel!`](crate::rtt_channel!).
    ///
    /// # Safety
    ///
    /// `buffer` must be good for writes of `size` bytes for as long as the program runs, and nobody else's.
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

    /// For [`rtt_channel!`](crate::rtt_channel!). Panics when the channel was given away before.
    ///
    /// # Safety
    ///
    /// `taken` must be the same at every call for this block: a second one would let two writers have the buffer.
    ///
    /// ```compile_fail,E0133
    /// fn second(block: &'static throughline_embedded::rtt::ControlBlock) {
    ///     let _ = block.channel(&throughline_embedded::rtt::Taken::new());
    /// }
    /// ```
    #[doc(hidden)]
    pub unsafe fn channel(&'static self, taken: &Taken) -> Channel {
        // The linker is to name the block and to see that it is alone; both is said in `throughline-rtt.x`. The references are in a section that the
        // linker drops.
        // SAFETY: there is no instruction.
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

// SAFETY: who has it, has the buffer behind its pointer.
unsafe impl Send for Channel {}

unsafe extern "C" {
    #[link_name = "_SEGGER_RTT"]
    static PROGRAMS: ControlBlock;
}

impl Channel {
    /// The channel to the host with this number of the program's control block, which another crate defines and has initialised; `None` when there
    /// is none such, or its buffer has less than 256 bytes. What its mode is makes no difference: this crate never waits and never
    /// writes in parts.
    ///
    /// # Safety
    ///
    /// Nothing else may write to the channel from now on, as a handle of the crate that defines it would.
    pub unsafe fn of_program(number: usize) -> Option<Channel> {
        // SAFETY: a block of this name has this layout, but for its length; what another crate has initialised, it changes no more.
        let count = unsafe { ptr::read_volatile(&raw const PROGRAMS.up_channels) };
        if number >= count {
            return None;
        }
        // SAFETY: as above; no more than its place is asked for.
        let first = unsafe { &raw const PROGRAMS.up };
        // SAFETY: there are `count` channels, of which this is one.
        let up = unsafe { &*first.cast::<UpChannel>().wrapping_add(number) };
        (!up.buffer.is_null() && up.size >= 256).then_some(Channel(up))
    }

    /// Where the next frame goes, and how many bytes the host has left room for.
    fn window(&mut self, limit: usize) -> Window<'_> {
        let UpChannel { buffer, size, ref write, ref read, .. } = *self.0;
        let at = write.load(Relaxed);
        // Acquire: the host has read what we write next.
        let used = at.wrapping_sub(read.load(Acquire));
        // Offsets count up to the size.
        let used = if used > size { used.wrapping_add(size) } else { used };
        let free = size.wrapping_sub(used).wrapping_sub(1);
        // SAFETY: a channel's buffer is good for that many bytes, and whoever has `self` is its only writer.
        let buf = unsafe { core::slice::from_raw_parts_mut(buffer, size) };
        // A free space beyond the size is one of offsets that something has overwritten.
        Window { buf, at, room: if at < size && free < size { free.min(limit) } else { 0 } }
    }

    /// Shows the host that many more bytes.
    fn publish(&mut self, bytes: usize) {
        let mut at = self.0.write.load(Relaxed) + bytes;
        if at >= self.0.size {
            at -= self.0.size;
        }
        // Release: they are there.
        self.0.write.store(at, Release);
    }
}

impl Flusher<Channel> {
    /// Makes whole frames in the channel, at most `budget` bytes in all; but a first frame that does not fit the budget is made by itself, so that every
    /// flush gets on, whatever its budget. Never waits: what the channel has no room for stays in the recorder's ring.
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

    /// Looks at the channel at most `polls` times, until the host has made room for a frame of usual length.
    pub(crate) fn wait_for_room(&mut self, polls: u32) {
        for _ in 0..polls {
            if self.link.window(USUAL).room == USUAL {
                break;
            }
        }
    }

    /// Makes a frame of a record in another ring than the recorder's; false when there is none, or no room for it.
    pub(crate) fn make_aside(&mut self, reader: Option<&mut Reader<'_>>) -> bool {
        let Some(reader) = reader else { return false };
        let bytes = self.frames.aside(self.link.window(usize::MAX), reader);
        self.link.publish(bytes);
        bytes > 0
    }

    /// Whether the host has read all that was sent.
    pub fn is_read(&self) -> bool {
        let channel = self.link.0;
        channel.read.load(Relaxed) == channel.write.load(Relaxed)
    }
}
