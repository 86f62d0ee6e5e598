//! The parts of a metric in the binary: its entry in the list of metrics, and a reference that keeps the
//! linker from dropping the entry.

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
        #[unsafe(link_section = "throughline_metrics_0_1")]
        static $entry: $crate::__private::Entry = {
            const __TL_ENTRY_META: $crate::__private::Meta = $meta;
            $crate::__private::Entry::new($crate::__blob!(__TL_ENTRY_META), $cells, $keys, &__TL_ENTRY_META)
        };
    };
}

/// A function that refers to a metric's entry by a relocation of type NONE and is otherwise empty. Two
/// alternatives were rejected: holding the entry's address in a register costs one or two instructions per
/// count, and the linker's garbage collection ignores `#[used]`.
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
        // SAFETY: this assembles to no instruction.
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
        // SAFETY: this assembles to no instruction.
        unsafe {
            ::core::arch::asm!(
                ".reloc ., R_RISCV_NONE, {}",
                sym $entry,
                options(nomem, nostack, preserves_flags)
            )
        }
    };
}

/// On other architectures the entry's address is loaded into a register.
#[cfg(all(not(registered_callsites), not(any(target_arch = "arm", target_arch = "riscv32"))))]
#[doc(hidden)]
#[macro_export]
macro_rules! __metric_reloc {
    ($entry:ident) => {
        _ = ::core::hint::black_box(&$entry)
    };
}
