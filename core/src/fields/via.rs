//! Chooses how a macro call records a value by the value's type, which the macro does not know.
//!
//! A method call first looks for a method of the receiver's type, and then of the type that it refers to. The
//! macros call a method on several nested references to a wrapper. Each way of recording is a trait that is
//! implemented for one depth of references, so the compiler takes the first way whose bounds hold. Unlike
//! specialization, this works on stable Rust, and it costs nothing at run time.

use super::Field;
use super::text::{Debug, Formatted};
use core::fmt;
use core::num::{NonZero, Wrapping};
use core::ops::Deref;

/// A value that was given as a field without `%` or `?`.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a, T: ?Sized>(pub &'a T);

/// An argument of an instrumented function, which is recorded without being named.
#[derive(Clone, Copy, Debug)]
pub struct Argument<'a, T: ?Sized>(pub &'a T);

/// First choice: a type that is a field.
pub trait AsField<'a, T: ?Sized> {
    /// The value itself.
    fn throughline_field(&self) -> &'a T;
}

/// Second choice: a type that dereferences to a field, such as `String`.
pub trait AsDeref<'a, T: ?Sized> {
    /// The value that it dereferences to.
    fn throughline_field(&self) -> &'a T;
}

/// Third choice: a reference to such a type, or a `Box` of one.
pub trait AsDerefTwice<'a, T: ?Sized> {
    /// The value that it dereferences to.
    fn throughline_field(&self) -> &'a T;
}

/// Fourth choice: an `Option` of a type that dereferences to a field, or a reference to one.
pub trait AsOptionDeref<'a, T: ?Sized> {
    /// The value that it dereferences to, if there is one.
    fn throughline_field(&self) -> Option<&'a T>;
}

/// Fifth choice: an `Option` of a reference to such a type.
pub trait AsOptionDerefTwice<'a, T: ?Sized> {
    /// The value that it refers to, if there is one.
    fn throughline_field(&self) -> Option<&'a T>;
}

macro_rules! ways {
    ($($wrapper:ident)*) => {$(
        impl<'a, T: Field + ?Sized> AsField<'a, T> for &&&&&&$wrapper<'a, T> {
            #[inline(always)]
            fn throughline_field(&self) -> &'a T {
                self.0
            }
        }

        impl<'a, T: Deref<Target: Field> + ?Sized> AsDeref<'a, T::Target> for &&&&&$wrapper<'a, T> {
            #[inline(always)]
            fn throughline_field(&self) -> &'a T::Target {
                self.0
            }
        }

        impl<'a, T, U> AsDerefTwice<'a, U::Target> for &&&&$wrapper<'a, T>
        where
            T: Deref<Target = U> + ?Sized,
            U: Deref<Target: Field> + ?Sized + 'a,
        {
            #[inline(always)]
            fn throughline_field(&self) -> &'a U::Target {
                self.0
            }
        }

        impl<'a, T: Deref<Target: Field>> AsOptionDeref<'a, T::Target> for &&&$wrapper<'a, Option<T>> {
            #[inline(always)]
            fn throughline_field(&self) -> Option<&'a T::Target> {
                self.0.as_deref()
            }
        }

        impl<'a, T: Deref<Target: Field>> AsOptionDeref<'a, T::Target> for &&&$wrapper<'a, &Option<T>> {
            #[inline(always)]
            fn throughline_field(&self) -> Option<&'a T::Target> {
                self.0.as_deref()
            }
        }

        impl<'a, T, U> AsOptionDerefTwice<'a, U::Target> for &&$wrapper<'a, Option<T>>
        where
            T: Deref<Target = U>,
            U: Deref<Target: Field> + ?Sized + 'a,
        {
            #[inline(always)]
            fn throughline_field(&self) -> Option<&'a U::Target> {
                self.0.as_ref().map(|value| &***value)
            }
        }
    )*};
}

ways!(Given Argument);

/// Sixth choice, for arguments only: a type with `Debug`.
pub trait AsDebug<'a, T: ?Sized> {
    /// The value's `Debug`.
    fn throughline_field(&self) -> Debug<&'a T>;
}

impl<'a, T: fmt::Debug + ?Sized> AsDebug<'a, T> for &Argument<'a, T> {
    #[inline(always)]
    fn throughline_field(&self) -> Debug<&'a T> {
        Debug(self.0)
    }
}

/// Last choice for arguments: no value, so that the function compiles as it would without the attribute.
pub trait AsNothing {
    /// No value.
    fn throughline_field(&self) -> super::Empty;
}

impl<T: ?Sized> AsNothing for Argument<'_, T> {
    #[inline(always)]
    fn throughline_field(&self) -> super::Empty {
        super::Empty
    }
}

/// Last choice for everything else: the compiler reports that the type is not a [`Field`].
pub trait AsFieldOrError<'a, T: ?Sized> {
    /// The value itself, if it were a field.
    fn throughline_field(&self) -> &'a T
    where
        T: Field;
}

impl<'a, T: ?Sized> AsFieldOrError<'a, T> for Given<'a, T> {
    #[inline(always)]
    fn throughline_field(&self) -> &'a T
    where
        T: Field,
    {
        self.0
    }
}

/// A value that a placeholder shows, and the style of the placeholder.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a, T: ?Sized, S>(pub &'a T, pub S);

/// First choice: a type whose values the reader of a record formats as `format!` does.
pub trait AsRaw<'a, T: ?Sized> {
    /// The value itself. The closure only lets the compiler check the format.
    fn throughline_shown<F: Fn(&T, &mut fmt::Formatter<'_>) -> fmt::Result>(&self, format: F) -> &'a T;
}

impl<'a, T: Raw<S> + ?Sized, S> AsRaw<'a, T> for &Shown<'a, T, S> {
    #[inline(always)]
    fn throughline_shown<F: Fn(&T, &mut fmt::Formatter<'_>) -> fmt::Result>(&self, _: F) -> &'a T {
        self.0
    }
}

/// Second choice: for any other type, the text that the placeholder produces.
pub trait AsText<'a, T: ?Sized> {
    /// The value and how to format it.
    fn throughline_shown<F: Fn(&T, &mut fmt::Formatter<'_>) -> fmt::Result>(
        &self,
        format: F,
    ) -> Formatted<'a, T, F>;
}

impl<'a, T: ?Sized, S> AsText<'a, T> for Shown<'a, T, S> {
    #[inline(always)]
    fn throughline_shown<F: Fn(&T, &mut fmt::Formatter<'_>) -> fmt::Result>(
        &self,
        format: F,
    ) -> Formatted<'a, T, F> {
        Formatted { value: self.0, format }
    }
}

/// A type whose values the reader of a record formats exactly as `format!` does, in the style `S`.
#[diagnostic::on_unimplemented(
    message = "the message shows this value in several formats, and `{Self}` is not recorded in a way that its reader can format",
    note = "give each format a field of its own, as in `\"{{a}} {{b:?}}\", a = %value, b = ?value`"
)]
pub trait Raw<S>: Field {}

macro_rules! styles {
    ($($(#[$doc:meta])* $style:ident: $($t:ty)*;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $style;
        $(impl Raw<$style> for $t {})*
        impl<T: Raw<$style> + ?Sized> Raw<$style> for &T {}
        impl<T: Raw<$style> + ?Sized> Raw<$style> for &mut T {}
    )*};
}

styles! {
    /// `{}`
    InDisplay:
        bool char u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64 str super::StaticStr
        core::net::Ipv4Addr core::net::Ipv6Addr core::net::IpAddr;
    /// `{:?}`
    InDebug:
        bool char u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64 str
        core::net::Ipv4Addr core::net::Ipv6Addr core::net::IpAddr core::time::Duration;
    /// `{:x?}`. Smaller signed integers are missing: their digits depend on their width, which the record
    /// does not keep.
    InHexDebug: u8 u16 u32 u64 u128 usize i64 i128;
    /// `{:x}`, `{:X}`, `{:o}` and `{:b}`; smaller signed integers are missing as for `{:x?}`.
    InBits: u8 u16 u32 u64 u128 usize i64 i128;
    /// `{:e}`
    InExponent: u8 u16 u32 u64 usize i8 i16 i32 i64 isize f32 f64;
    /// `{:p}`. No record can hold an address that the reader could show.
    InPointer: ;
}

macro_rules! non_zero {
    ($($t:ty)*) => {$(
        impl Raw<InDisplay> for NonZero<$t> {}
        impl Raw<InDebug> for NonZero<$t> {}
    )*};
}
non_zero!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize);

impl<T: Raw<InDisplay>> Raw<InDisplay> for Wrapping<T> {}
impl<T: Raw<InDebug>> Raw<InDebug> for Wrapping<T> {}

#[cfg(feature = "std")]
impl Raw<InDisplay> for std::string::String {}
#[cfg(feature = "std")]
impl Raw<InDebug> for std::string::String {}

/// Accepts a value that the message shows in several formats, all of them `Display` or `Debug`.
#[inline(always)]
pub fn in_several_formats<T: Raw<InDisplay> + ?Sized>(value: &T) -> &T {
    value
}

/// Accepts a value that the message shows in several formats, one of them by its bits.
#[inline(always)]
pub fn in_several_formats_with_bits<T: Raw<InBits> + ?Sized>(value: &T) -> &T {
    value
}

/// Accepts a value that the message shows in several formats, one of them with an exponent.
#[inline(always)]
pub fn in_several_formats_with_exponent<T: Raw<InExponent> + ?Sized>(value: &T) -> &T {
    value
}
