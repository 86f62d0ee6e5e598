//! Entries on a 32-bit microcontroller: the linker collects them in the section `throughline_metrics_0_1` in
//! flash, a table of all metrics.

use super::{Special, special};
use crate::callsite::{Blob, Kind, Meta};
use crate::metrics::series::SeriesKey;
use crate::metrics::shape::shape_of;
use crate::sync::Cell;

// The section's name, here and in `macros/entries.rs`, has the crate's version. Cargo links two versions into one
// program if they are not compatible; with one name for both, each would read the other's entries as its own.
const _: () = assert!(
    is(env!("CARGO_PKG_VERSION_MAJOR"), "0") && is(env!("CARGO_PKG_VERSION_MINOR"), "1"),
    "the crate has a new version: rename the section `throughline_metrics_0_1` to match"
);

const fn is(text: &str, expected: &str) -> bool {
    let (text, expected) = (text.as_bytes(), expected.as_bytes());
    let mut i = 0;
    while i < text.len() && i < expected.len() && text[i] == expected[i] {
        i += 1;
    }
    i == text.len() && i == expected.len()
}

/// A metric in the table.
#[derive(Debug)]
#[repr(C)]
pub struct Entry {
    /// The address is the callsite's id. The content is only in the ELF on the host.
    blob: &'static u8,
    pub(crate) cells: &'static [Cell],
    pub(crate) keys: &'static [SeriesKey],
    pub(crate) special: Option<&'static Special>,
    pub(crate) kind: u8,
    pub(crate) param: u8,
    pub(crate) labels: u8,
    pub(crate) shape: u8,
    /// For a gauge: the hash of the properties that make callsites the same gauge. The texts themselves are
    /// only on the host.
    identity: [u32; 2],
}

impl Entry {
    /// The macros call this.
    #[doc(hidden)]
    pub const fn new(
        blob: &'static [u8],
        cells: &'static [Cell],
        keys: &'static [SeriesKey],
        meta: &Meta,
    ) -> Entry {
        let (kind, param) = (meta.kind as u8, meta.param);
        let identity = if let Kind::Gauge = meta.kind { identity(meta) } else { 0 };
        Entry {
            blob: &blob[0],
            cells,
            keys,
            special: special(keys, kind, param),
            kind,
            param,
            labels: meta.fields.len() as u8,
            shape: shape_of(kind, param),
            identity: [identity as u32, (identity >> 32) as u32],
        }
    }

    /// The callsite's id.
    pub(crate) fn callsite(&self) -> usize {
        core::ptr::from_ref(self.blob).addr()
    }

    /// Always `None`: the description of the metric is only on the host.
    pub(crate) fn blob(&self) -> Option<Blob<'static>> {
        None
    }

    pub(crate) fn first() -> Option<&'static Entry> {
        core::hint::black_box(&NONE);
        Entry::at((&raw const START).cast::<Entry>())
    }

    pub(crate) fn next(&self) -> Option<&'static Entry> {
        Entry::at(core::ptr::from_ref(self).wrapping_add(1))
    }

    fn at(at: *const Entry) -> Option<&'static Entry> {
        // SAFETY: the linker put the section's entries back to back between the two symbols. `at` is the
        // first entry or follows another one.
        (at < (&raw const STOP).cast::<Entry>()).then(|| unsafe { &*at })
    }

    /// The entry whose cells all callsites of this gauge use: the first one in the table. Never `None`.
    pub(crate) fn home(&'static self) -> Option<&'static Entry> {
        let mut entry = Entry::first();
        while let Some(other) = entry {
            if other.kind == self.kind && other.identity == self.identity {
                break;
            }
            entry = other.next();
        }
        entry
    }

    /// Whether this gauge uses the cells of another entry.
    pub(crate) fn has_home_elsewhere(&'static self) -> bool {
        self.home().is_some_and(|home| !core::ptr::eq(home, self))
    }
}

/// The hash of the properties that make callsites the same gauge: name, unit, value type and labels, the
/// labels in any order.
const fn identity(meta: &Meta) -> u64 {
    let mut labels = 0_u64;
    let mut i = 0;
    while i < meta.labels.len() {
        let (key, value) = meta.labels[i];
        labels = labels.wrapping_add(finished(text(text(BASIS, key), value)));
        i += 1;
    }
    let mut hash = text(text(BASIS, meta.name), meta.unit) ^ meta.param as u64 ^ labels;
    i = 0;
    while i < meta.fields.len() {
        hash = text(hash, meta.fields[i]);
        i += 1;
    }
    finished(hash)
}

/// The constants of FNV-1a.
const BASIS: u64 = 0xCBF2_9CE4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01B3;

/// FNV-1a of a text and an end mark, 0xFF, which no UTF-8 text contains.
const fn text(mut hash: u64, text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u64).wrapping_mul(PRIME);
        i += 1;
    }
    (hash ^ 0xFF).wrapping_mul(PRIME)
}

/// SplitMix64's finaliser. It keeps the sum of the labels' hashes from cancelling out for similar texts.
const fn finished(hash: u64) -> u64 {
    let x = (hash ^ hash >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ x >> 31
}

// An empty entry list, so that the section and the symbols below exist in a program without metrics.
#[unsafe(link_section = "throughline_metrics_0_1")]
static NONE: [Entry; 0] = [];

// SAFETY: the linker defines both, as the first byte of the section and the byte after its last. Only their
// addresses are used.
unsafe extern "C" {
    #[link_name = "__start_throughline_metrics_0_1"]
    static START: u8;
    #[link_name = "__stop_throughline_metrics_0_1"]
    static STOP: u8;
}
