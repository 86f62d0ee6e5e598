//! Decodes what a throughline device sends: turns the bytes of a serial port, an RTT channel or a file into
//! spans, events and metrics with names, wall-clock times and W3C ids. Every loss is counted.
//!
//! The format is described in `core/docs/wire-format.md`; section numbers (§) in this crate refer to that
//! page.
//!
//! ```no_run
//! use throughline_decode::{Decoder, Elf, Item, TimeOptions};
//!
//! let elf = Elf::read("target/thumbv7em-none-eabihf/release/firmware")?;
//! let mut decoder = Decoder::new(Some(&elf), TimeOptions::default());
//! let mut show = |context: &throughline_decode::Context, item: Item<'_, '_>| {
//!     if let Item::Span(span) = item {
//!         println!("{} took {} ns", span.callsite.name(), context.duration_ns(span.duration));
//!     }
//! };
//! decoder.push(&std::fs::read("capture.bin")?, None, &mut show);
//! decoder.finish(&mut show);
//! assert!(decoder.balance().balances());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod batch;
mod bytes;
pub mod callsite;
pub mod clock;
pub mod clock_watch;
pub mod counts;
pub mod decoder;
pub mod elf;
pub mod fields;
pub mod frame;
pub mod item;
pub mod ledger;
mod load_address;
pub mod metrics;
pub mod points;
pub mod preamble;
mod remotes;
pub mod samples;
pub mod series;
pub mod stream;
pub mod time;
pub mod trace;
mod trace_builder;
mod trace_group;
mod trace_tree;

pub use bytes::{Malformed, What};
pub use callsite::Callsite;
pub use counts::Counts;
pub use decoder::Decoder;
pub use elf::{Elf, ElfError};
pub use fields::{Fields, OwnedValue};
pub use item::{Attach, Context, Damage, DamageKind, Detach, Event, Item, Loss, Span};
pub use ledger::Balance;
pub use points::{Point, PointValue, Snapshot};
pub use preamble::Preamble;
pub use samples::{Sample, Samples};
pub use time::{Time, TimeOptions, TimeSource};
