//! Turns bytes into items. [`Decoder`] splits the stream into frames; its private state reads them.

mod state;

use state::State;

use crate::counts::Counts;
use crate::elf::Elf;
use crate::item::{Context, Damage, DamageKind, Item};
use crate::ledger::Balance;
use crate::stream::{FrameReader, StreamError};
use crate::time::TimeOptions;

/// Most frames held back until the first preamble. A device sends one at least every 64 frames.
pub const MAX_HELD: usize = 64;
/// Most bytes of heap that a decoder takes on a 64-bit host.
pub const MAX_MEMORY: usize = 32 << 20;
/// A function that receives the items. The context is valid for the item passed with it.
pub type Sink<'s, 'elf> = &'s mut dyn FnMut(&Context, Item<'elf, '_>);

/// Decodes one stream of one device.
///
/// Up to [`MAX_HELD`] frames are held back until the first preamble, because ticks and ids cannot be
/// interpreted without it.
///
/// Memory is limited, whatever the bytes: one frame, [`MAX_HELD`] held frames, and the tables of
/// [`crate::series`]. It is less than [`MAX_MEMORY`] in all, not counting the table of the ELF's callsites. A
/// test asserts this.
///
/// ```
/// use throughline_decode::{Decoder, Item};
///
/// let mut decoder = Decoder::new(None, Default::default());
/// let mut damaged = 0;
/// decoder.push(b"\0no frame\0", None, &mut |_, item| damaged += matches!(item, Item::Damage(_)) as u32);
/// assert_eq!(damaged, 1);
/// ```
#[derive(Debug)]
pub struct Decoder<'elf> {
    reader: FrameReader,
    state: State<'elf>,
}

impl<'elf> Decoder<'elf> {
    /// A decoder at the start of a stream. Without an ELF every record is still decoded, under a name made
    /// from its id. Costs one pass over the ELF's callsites.
    pub fn new(elf: Option<&'elf Elf>, options: TimeOptions) -> Decoder<'elf> {
        Decoder { reader: FrameReader::new(), state: State::new(elf, options) }
    }

    /// Takes the next bytes, in chunks of any size, and passes the items that they complete to `sink`. For a
    /// live stream, `arrival_unix_ns` is when they arrived, in nanoseconds since 1970; for a file it is
    /// `None`.
    pub fn push(&mut self, mut bytes: &[u8], arrival_unix_ns: Option<u64>, sink: Sink<'_, 'elf>) {
        self.state.counts.bytes += bytes.len() as u64;
        loop {
            match self.reader.next(&mut bytes) {
                Ok(frame) => self.state.arrived(frame, arrival_unix_ns, sink),
                Err(StreamError::NeedMore) => return,
                Err(StreamError::Malformed(skipped)) => {
                    let kind = DamageKind::Skipped(skipped.why);
                    self.state.damage(Damage { offset: skipped.offset, len: skipped.len, kind }, sink);
                }
            }
        }
    }

    /// Ends the stream: passes on the items that were held back or unfinished.
    pub fn finish(&mut self, sink: Sink<'_, 'elf>) {
        self.state.release(sink);
        if let Err(skipped) = self.reader.finish() {
            let kind = DamageKind::Skipped(skipped.why);
            self.state.damage(Damage { offset: skipped.offset, len: skipped.len, kind }, sink);
        }
        self.state.end_snapshot(false, sink);
    }

    /// Call this when the link was lost and opened again, or when reading stops here: a frame that is cut at
    /// this point is not damage. Records lost in between are counted when the next frame comes.
    pub fn rejoin(&mut self) {
        self.state.counts.joined_bytes += self.reader.rejoin();
    }

    /// How many records went where, so far.
    pub fn balance(&self) -> Balance {
        self.state.ledger.balance()
    }

    /// The counts so far.
    pub fn counts(&self) -> Counts {
        self.state.counts
    }

    /// The device and its clock at the last item.
    pub fn context(&self) -> &Context {
        &self.state.context
    }
}
