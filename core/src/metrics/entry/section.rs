//! On a 32-bit microcontroller: a table of all metrics, which the linker makes of the section `throughline_metrics`; in flash.

use super::{Special, special};
use crate::callsite::{Blob, Kind, Meta};
use crate::metrics::series::SeriesKey;
use crate::metrics::shape::shape_of;
use crate::sync::Cell;

/// A metric's place in the table.
#[derive(Debug)]
#[repr(C)]
pub struct Entry {
    /// Its address is the callsite's id; what it holds is on the host.
    blob: &'static u8,
    pub(crate) cells: &'static [Cell],
    pub(crate) keys: &'static [SeriesKey],
    pub(crate) special: Option<&'static Special>,
    pub(crate) kind: u8,
    pub(crate) param: u8,
    pub(crate) labels: u8,
    pub(crate) shape: u8,
    /// Of a gauge: a hash of what makes callsites one gauge. The texts themselves are on the host.
    identity: [u32; 2],
}

impl Entry {
    /// For the macros.
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

    /// What is known of the metric is on the host.
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
        // SAFETY: between the two symbols the linker put the section's entries, back to back; `at` is the first or follows another.
        (at < (&raw const STOP).cast::<Entry>()).then(|| unsafe { &*at })
    }

    /// The entry that stands for all callsites of this gauge: the first of them in the table. Never `None`.
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

    /// Whether another entry stands for this gauge.
    pub(crate) fn is_away(&'static self) -> bool {
        self.home().is_some_and(|home| !core::ptr::eq(home, self))
    }
}

/// A hash of what makes callsites one gauge: name, unit, value type and labels, these in any order.
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

/// FNV-1a's.
const BASIS: u64 = 0xCBF2_9CE4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01B3;

/// FNV-1a over a text and a mark of its end, which no UTF-8 has.
const fn text(mut hash: u64, text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u64).wrapping_mul(PRIME);
        i += 1;
    }
    (hash ^ 0xFF).wrapping_mul(PRIME)
}

/// SplitMix64's finaliser, so that adding hashes up does not let like texts cancel each other.
const fn finished(hash: u64) -> u64 {
    let x = (hash ^ hash >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ x >> 31
}

// So that the section, and with it the symbols below, exist in a program without metrics.
#[unsafe(link_section = "throughline_metrics")]
static NONE: [Entry; 0] = [];

// The first and the last byte of the section, whatever is in it; only their addresses mean anything.
unsafe extern "C" {
    #[link_name = "__start_throughline_metrics"]
    static START: u8;
    #[link_name = "__stop_throughline_metrics"]
    static STOP: u8;
}
