//! The versions of this crate that are linked into a program.
//!
//! Cargo can link two versions of one crate side by side, each with its own statics. Code that uses a version
//! without an adapter records nothing, and nothing else would reveal that. So each version puts a note into
//! one linker section, and an adapter finds all notes between the symbols that the linker makes for the
//! section's bounds. A note has the same form in all versions: 32 bytes of text, padded with zeros.

/// Length of a note in bytes.
const LEN: usize = 32;

#[cfg(target_os = "linux")]
#[used]
#[unsafe(link_section = "throughline_versions")]
static NOTE: [u8; LEN] = note(env!("CARGO_PKG_VERSION"));

#[cfg(target_os = "linux")]
const fn note(version: &str) -> [u8; LEN] {
    let mut out = [0; LEN];
    let mut at = 0;
    // Cut a longer version: it would be useless to a reader, but it must not stop the build.
    while at < version.len() && at < LEN {
        out[at] = version.as_bytes()[at];
        at += 1;
    }
    out
}

/// References the note, so that no linker discards it.
#[inline(always)]
pub(crate) fn keep() {
    #[cfg(target_os = "linux")]
    core::hint::black_box(&NOTE);
}

/// All versions of this crate in the program, this one included. Empty on targets other than Linux, where the
/// linker makes no such symbols.
#[cfg(feature = "std")]
pub fn versions() -> impl Iterator<Item = &'static str> {
    notes().chunks_exact(LEN).map(|note| {
        let text = note.split(|byte| *byte == 0).next().unwrap_or_default();
        core::str::from_utf8(text).unwrap_or("an unknown version")
    })
}

#[cfg(all(feature = "std", target_os = "linux", not(miri)))]
fn notes() -> &'static [u8] {
    // SAFETY: the linker defines both, as the first byte of the section and the byte after its last. Only their
    // addresses are used.
    unsafe extern "C" {
        #[link_name = "__start_throughline_versions"]
        static START: u8;
        #[link_name = "__stop_throughline_versions"]
        static STOP: u8;
    }
    keep();
    let (start, stop) = (&raw const START, &raw const STOP);
    // SAFETY: the linker puts the section between the two symbols; it is read-only data, valid as bytes
    // whoever wrote it.
    unsafe { core::slice::from_raw_parts(start, stop.addr() - start.addr()) }
}

#[cfg(all(feature = "std", not(all(target_os = "linux", not(miri)))))]
fn notes() -> &'static [u8] {
    &[]
}
