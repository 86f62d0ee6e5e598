//! How a macro call chooses the way in which a value is recorded, by its type, which the macro does not know.
//!
//! A method call looks for a method of the receiver's type, then of what that type refers to. The macros call a method on a reference to a reference to … a
//! wrapper, and each way is a trait implemented for one depth of references: the compiler takes the first whose bounds hold. Unlike a trait with
//! overlapping implementations this is stable Rust, and costs nothing when the program runs.

use super::Field;
use super::text::{Debug, Formatted};
use core::fmt;
use core::ops::Deref;

/// A value given as a field, without `%` or `?`.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a, T: ?Sized>(pub &'a T);

/// An argument of an instrumented function, which is recorded without having been asked for.
#[derive(Clone, Copy, Debug)]
pub struct Argument<'a, T: ?Sized>(pub &'a T);

/// First: a type that is a field.
pub trait AsField<'a, T: ?Sized> {
    /// The value itself.
    fn throughline_field(&self) -> &'a T;
}

/// Second: a type that dereferences to a field, such as `String`.
pub trait AsDeref<'a, T: ?Sized> {
    /// What it refers to.
    fn throughline_field(&self) -> &'a T;
}

/// Third: an `Option` of such a type.
pub trait AsOptionDeref<'a, T: ?Sized> {
    /// What it refers to, if it is there.
    fn throughline_field(&self) -> Option<&'a T>;
}

macro_rules! ways {
    ($($wrapper:ident)*) => {$(
        impl<'a, T: Field + ?Sized> AsField<'a, T> for &&&&$wrapper<'a, T> {
            #[inline(always)]
            fn throughline_field(&self) -> &'a T {
                self.0
            }
        }

        impl<'a, T: Deref<Target: Field> + ?Sized> AsDeref<'a, T::Target> for &&&$wrapper<'a, T> {
            #[inline(always)]
            fn throughline_field(&self) -> &'a T::Target {
                self.0
            }
        }

        impl<'a, T: Deref<Target: Field>> AsOptionDeref<'a, T::Target> for &&$wrapper<'a, Option<T>> {
            #[inline(always)]
            fn throughline_field(&self) -> Option<&'a T::Target> {
                self.0.as_deref()
            }
        }
    )*};
}

ways!(Given Argument);

/// Fourth, of arguments: a type with `Debug`.
pub trait AsDebug<'a, T: ?Sized> {
    /// Its `Debug`.
    fn throughline_field(&self) -> Debug<&'a T>;
}

impl<'a, T: fmt::Debug + ?Sized> AsDebug<'a, T> for &Argument<'a, T> {
    #[inline(always)]
    fn throughline_field(&self) -> Debug<&'a T> {
        Debug(self.0)
    }
}

/// Last, of arguments: nothing, so that the function compiles as it does without the attribute.
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

/// Last, of all else: what the compiler then says is that the type is no [`Field`].
pub trait AsFieldOrError<'a, T: ?Sized> {
    /// The value itself, were it a field.
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

/// A value shown by a message's placeholder, and the style in which.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a, T: ?Sized, S>(pub &'a T, pub S);

/// First: a type whose value the reader of a record formats as `format!` does.
pub trait AsRaw<'a, T: ?Sized> {
    /// The value itself. The closure is there for the compiler to check.
    fn throughline_shown<F: Fn(&T, &mut fmt::Formatter<'_>) -> fmt::Result>(&self, format: F) -> &'a T;
}

impl<'a, T: Raw<S> + ?Sized, S> AsRaw<'a, T> for &Shown<'a, T, S> {
    #[inline(always)]
    fn throughline_shown<F: Fn(&T, &mut fmt::Formatter<'_>) -> fmt::Result>(&self, _: F) -> &'a T {
        self.0
    }
}

/// Second: any other type, as the text that the placeholder makes of it.
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

/// A type whose value the reader of a record formats exactly as `format!` does, in the style `S`.
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
    /// `{:x?}`. Of the smaller signed integers the record does not keep the width, on which its digits depend.
    InHexDebug: u8 u16 u32 u64 u128 usize i64 i128;
    /// `{:x}`, `{:X}`, `{:o}` and `{:b}`; as for `{:x?}`.
    InBits: u8 u16 u32 u64 u128 usize i64 i128;
    /// `{:e}`
    InExponent: u8 u16 u32 u64 usize i8 i16 i32 i64 isize f32 f64;
    /// `{:p}`, which no record can keep.
    InPointer: ;
}

#[cfg(feature = "std")]
impl Raw<InDisplay> for std::string::String {}
#[cfg(feature = "std")]
impl Raw<InDebug> for std::string::String {}

/// A value that the message shows as text in several formats.
#[inline(always)]
pub fn in_several_formats<T: Raw<InDisplay> + ?Sized>(value: &T) -> &T {
    value
}

/// A value that the message shows in several formats, one of them by its bits.
#[inline(always)]
pub fn in_several_formats_with_bits<T: Raw<InBits> + ?Sized>(value: &T) -> &T {
    value
}

/// A value that the message shows in several formats, one of them with an exponent.
#[inline(always)]
pub fn in_several_formats_with_exponent<T: Raw<InExponent> + ?Sized>(value: &T) -> &T {
    value
}
