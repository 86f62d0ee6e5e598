//! How the program identifies its ELF to the host: by the build id that the linker made, or by a checksum of
//! the callsites when they are in flash.

use throughline::adapter::wire::{Check, checksum};

// The linker may not define some of these addresses; an undefined weak symbol has the address 0.
core::arch::global_asm!(
    ".section .rodata.__throughline_links, \"a\", %progbits",
    ".global __throughline_links",
    ".weak __throughline_build_id",
    ".weak __throughline_build_id_end",
    ".weak __start_throughline_callsites",
    ".weak __stop_throughline_callsites",
    ".balign 4",
    "__throughline_links:",
    ".long __throughline_build_id",
    ".long __throughline_build_id_end",
    ".long __start_throughline_callsites",
    ".long __stop_throughline_callsites",
    ".text",
);

// SAFETY: the assembly above defines it as two pairs of addresses, the layout of two `Range`s.
unsafe extern "C" {
    #[link_name = "__throughline_links"]
    static LINKS: [Range; 2];
}

/// Start and end address of something in flash.
#[repr(C)]
struct Range {
    start: *const u8,
    end: *const u8,
}

impl Range {
    fn bytes(&self) -> &'static [u8] {
        let len = self.end.addr().wrapping_sub(self.start.addr());
        if len == 0 {
            return &[];
        }
        // SAFETY: the length is not 0, so the linker defined both symbols: the start and the end of one
        // section in read-only memory.
        unsafe { core::slice::from_raw_parts(self.start, len) }
    }
}

/// Bytes of an ELF note before its description, when the note's name is `GNU`.
const NOTE_HEADER: usize = 16;

/// The build id, if the linker was given `throughline.x`; otherwise the checksum of the callsites.
pub(crate) fn check() -> Check<'static> {
    // SAFETY: the table above has this layout and is never written.
    let [note, callsites] = unsafe { &LINKS };
    match note.bytes().get(NOTE_HEADER..) {
        Some(build_id) => Check::BuildId(build_id),
        None => Check::Callsites(checksum(callsites.bytes())),
    }
}
