//! The version of this crate, where a program that has several of them finds each.
//!
//! Cargo links two versions of one crate side by side, each with statics of its own. What uses the version that no adapter knows of records nothing,
//! and nothing else would say so. So each puts a note into one section of the program, by whose linker-made bounds an adapter finds them all. A note has
//! the same form in all versions: 32 bytes of text, filled up with zeros.

/// Bytes of a note.
const LEN: usize = 32;

#[cfg(target_os = "linux")]
#[used]
#[unsafe(link_section = "throughline_versions")]
static NOTE: [u8; LEN] = note(env!("CARGO_PKG_VERSION"));

#[cfg(target_os = "linux")]
const fn note(version: &str) -> [u8; LEN] {
    let mut out = [0; LEN];
    let mut at = 0;
    // What does not fit is of no use to a reader, and no reason not to build.
    while at < version.len() && at < LEN {
        out[at] = version.as_bytes()[at];
        at += 1;
    }
    out
}

/// Refers to the note, so that no linker drops it.
#[inline(always)]
pub(crate) fn keep() {
    #[cfg(target_os = "linux")]
    core::hint::black_box(&NOTE);
}

/// Versions of this crate in the program, this one among them. Empty where the linker offers no way to know: elsewhere than on Linux.
#[cfg(feature = "std")]
pub fn versions() -> impl Iterator<Item = &'static str> {
    notes().chunks_exact(LEN).map(|note| {
        let text = note.split(|byte| *byte == 0).next().unwrap_or_default();
        core::str::from_utf8(text).unwrap_or("an unknown version")
    })
}

#[cfg(all(feature = "std", target_os = "linux", not(miri)))]
fn notes() -> &'static [u8] {
    // The first and the last byte of the section; only their addresses mean anything.
    unsafe extern "C" {
        #[link_name = "__start_throughline_versions"]
        static START: u8;
        #[link_name = "__stop_throughline_versions"]
        static STOP: u8;
    }
    keep();
    let (start, stop) = (&raw const START, &raw const STOP);
    // SAFETY: between the two symbols the linker put the section, which is read-only data of the program: bytes, whoever put them there.
    unsafe { core::slice::from_raw_parts(start, stop.addr() - start.addr()) }
}

#[cfg(all(feature = "std", not(all(target_os = "linux", not(miri)))))]
fn notes() -> &'static [u8] {
    &[]
}
