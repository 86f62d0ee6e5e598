//! The encoder of wire format 1: it writes records and metrics as frames directly into the output buffer,
//! without allocation or copies.
//!
//! The format is specified in `core/docs/wire-format.md`; the sections (§) named in this module are those of
//! that page. `throughline-decode` decodes it on the host. `throughline-embedded` builds a recorder's frames
//! with this module; use it directly only to write another such adapter.
//!
//! ```
//! use throughline::adapter::ring::{Head, Mode, RecordKind, Ring};
//! use throughline::adapter::wire;
//! # static SLOTS: throughline::Slots<8> = throughline::Slots::new();
//! # let ring = Ring::new(SLOTS.as_slice(), Mode::SharedOldest);
//! # ring.push(Head::new(RecordKind::Event, 7, 0, 0), &[100, 0, 0], 100);
//! let mut reader = ring.reader().unwrap();
//! let mut buffer = [0; 192];
//! let mut frame = wire::Frame::new(wire::Window { buf: &mut buffer, at: 0, room: 192 });
//! let mut batch = wire::Batch::new(&mut frame, &wire::Header::default(), 0);
//! while reader.find() {
//!     let before = batch.mark();
//!     if !batch.push(&mut reader.words(), 0) {
//!         batch.roll_back(&before);
//!         break; // full: the record stays in the ring
//!     }
//!     if !reader.commit() {
//!         batch.roll_back(&before); // overwritten while it was being read
//!     }
//! }
//! let len = batch.finish();
//! assert!(len > 12 && buffer[len - 1] == 0);
//! ```

mod batch;
mod crc;
mod frame;
mod metrics;
mod preamble;
mod samples;

pub use batch::{Batch, Mark};
pub use frame::{Frame, Header, MAX_FRAME, Window};
pub use metrics::Metrics;
pub use preamble::{Check, MAX_BUILD_ID, MAX_NAME, Preamble, checksum};
pub use samples::{Sample, SamplesHead};

/// The version of the format, in the first byte of every frame.
pub const VERSION: u8 = 1;
/// The byte that ends every frame and precedes the first.
pub const DELIMITER: u8 = 0;
/// The number of frames after which the preamble must be sent again.
pub const PREAMBLE_EVERY: u32 = 64;
