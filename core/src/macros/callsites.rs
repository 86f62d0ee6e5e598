//! Defines a callsite in the calling code and checks whether it is enabled.

/// The id of a callsite that is defined in the calling code, if the callsite is compiled in and enabled.
#[doc(hidden)]
#[macro_export]
macro_rules! __enabled {
    ($level:ident, $meta:expr) => {
        if $crate::__private::Level::$level as ::core::primitive::u8 >= $crate::__private::STATIC_MIN {
            $crate::__callsite!($crate::__private::Level::$level as ::core::primitive::u8, $meta)
        } else {
            ::core::option::Option::None
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __blob {
    ($meta:expr) => {{
        // Items have no hygiene: if this constant had a name that the user's code also uses, it would shadow
        // that name in `$meta`.
        const __TL_META: $crate::__private::Meta =
            $meta.in_package(::core::option_env!("CARGO_PKG_NAME"), ::core::option_env!("CARGO_PKG_VERSION"));
        // On bare metal the section has a name for which the linker defines start and stop symbols, so that a
        // program can compute a checksum of it.
        #[cfg_attr(target_os = "none", unsafe(link_section = "throughline_callsites"))]
        #[cfg_attr(target_os = "linux", unsafe(link_section = ".throughline"))]
        static __TL_BLOB: [::core::primitive::u8; __TL_META.encoded_len()] = __TL_META.blob();
        &__TL_BLOB
    }};
}

#[cfg(registered_callsites)]
#[doc(hidden)]
#[macro_export]
macro_rules! __callsite {
    ($level:expr, $meta:expr) => {{
        static __TL_CALLSITE: $crate::__private::Callsite =
            $crate::__private::Callsite::new($crate::__blob!($meta), $level);
        __TL_CALLSITE.enabled()
    }};
}

#[cfg(not(registered_callsites))]
#[doc(hidden)]
#[macro_export]
macro_rules! __callsite {
    ($level:expr, $meta:expr) => {
        ::core::option::Option::Some($crate::__private::Callsite::of($crate::__blob!($meta), $level))
    };
}
