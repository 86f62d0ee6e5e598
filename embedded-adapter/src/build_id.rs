//! The GNU build id that the linker put into the program.

unsafe extern "C" {
    #[link_name = "__throughline_build_id"]
    static START: u8;
    #[link_name = "__throughline_build_id_end"]
    static END: u8;
}

/// Bytes of an ELF note before its description, with the name `GNU`.
const NOTE_HEADER: usize = 16;

/// The build id; empty when the note is not one.
pub(crate) fn build_id() -> &'static [u8] {
    let len = (&raw const END).addr().wrapping_sub((&raw const START).addr());
    // SAFETY: the fragment defines the symbols as begin and end of the note, which is in read-only memory.
    let note = unsafe { core::slice::from_raw_parts(&raw const START, len) };
    note.get(NOTE_HEADER..).unwrap_or(&[])
}
