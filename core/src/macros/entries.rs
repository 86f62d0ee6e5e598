//! What a metric leaves in the binary: its entry in the list of metrics, and what keeps the linker from dropping it.

#[cfg(registered_callsites)]
#[doc(hidden)]
#[macro_export]
macro_rules! __metric_entry {
    ($entry:ident, $cells:expr, $keys:expr, $meta:expr) => {
        static $entry: $crate::__private::Entry =
            $crate::__private::Entry::new($crate::__blob!($meta), $cells, $keys);
    };
}

#[cfg(registered_callsites)]
#[doc(hidden)]
#[macro_export]
macro_rules! __metric_keep {
    ($entry:ident) => {
        &$entry
    };
}

#[cfg(not(registered_callsites))]
#[doc(hidden)]
#[macro_export]
macro_rules! __metric_entry {
    ($entry:ident, $cells:expr, $keys:expr, $meta:expr) => {
        #[unsafe(link_section = "throughline_metrics")]
        static $entry: $crate::__private::Entry = {
            const __TL_ENTRY_META: $crate::__private::Meta = $meta;
            $crate::__private::Entry::new($crate::__blob!(__TL_ENTRY_META), $cells, $keys, &__TL_ENTRY_META)
        };
    };
}

/// A function that refers to a metric's entry by a relocation of type NONE and is otherwise empty. Rejected: a reference in the
/// entry's own register, which costs an instruction or two per count; `#[used]`, which the linker's garbage collection does not heed.
#[cfg(not(registered_callsites))]
#[doc(hidden)]
#[macro_export]
macro_rules! __metric_keep {
    ($entry:ident) => {{
        fn keep() {
            $crate::__metric_reloc!($entry)
        }
        keep
    }};
}

#[cfg(all(not(registered_callsites), target_arch = "arm"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __metric_reloc {
    ($entry:ident) => {
        // SAFETY: assembles to nothing.
        unsafe {
            ::core::arch::asm!(
                ".reloc ., R_ARM_NONE, {}",
                sym $entry,
                options(nomem, nostack, preserves_flags)
            )
        }
    };
}

#[cfg(all(not(registered_callsites), target_arch = "riscv32"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __metric_reloc {
    ($entry:ident) => {
        // SAFETY: assembles to nothing.
        unsafe {
            ::core::arch::asm!(
                ".reloc ., R_RISCV_NONE, {}",
                sym $entry,
                options(nomem, nostack, preserves_flags)
            )
        }
    };
}

/// On other architectures the entry's address passes through a register.
#[cfg(all(not(registered_callsites), not(any(target_arch = "arm", target_arch = "riscv32"))))]
#[doc(hidden)]
#[macro_export]
macro_rules! __metric_reloc {
    ($entry:ident) => {
        _ = ::core::hint::black_box(&$entry)
    };
}
