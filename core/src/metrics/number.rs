//! The number types that metrics accept, and how each is converted to the content of a cell.
//!
//! | method | accepts |
//! |---|---|
//! | `add` of a counter | [`Unsigned`]: unsigned integers of any width (and `i32`, the type of a bare literal) |
//! | `add` of an up-down counter, `set`, `add`, `sub` of a gauge | [`Integer`]: integers of any width and sign |
//! | the same methods of metrics `as f64` | [`Number`]: integers and floats |
//! | `record` of a histogram | [`Measure`]: integers, floats, and [`Duration`] |
//!
//! A number that does not fit in a cell is clamped to the nearest one that does.

use crate::sync::{Count, Float, Signed};
use core::time::Duration;

mod sealed {
    pub trait Sealed {}
}
use sealed::Sealed;

/// An integer or a float.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a number that a metric accepts",
    label = "expected an integer or a float"
)]
pub trait Number: Copy + Sealed {
    /// The nearest unsigned integer; 0 for a negative number and for NaN.
    #[doc(hidden)]
    fn to_count(self) -> Count;
    /// The same number as a float with the precision of the metric's cell.
    #[doc(hidden)]
    fn to_float(self) -> Float;
}

/// An integer of any width and sign.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an integer",
    label = "expected an integer",
    note = "to use fractions, declare the metric as a float: `gauge!(\"name\" as f64)`"
)]
pub trait Integer: Number {
    /// The same number, clamped to the range of a cell.
    #[doc(hidden)]
    fn to_signed(self) -> Signed;
}

/// An amount that a counter may grow by: an unsigned integer of any width. `i32` is included because a bare
/// literal such as `1` has that type; a negative `i32` adds nothing.
#[diagnostic::on_unimplemented(
    message = "a counter cannot grow by `{Self}`",
    label = "expected an unsigned integer",
    note = "for a sum that may go down, use `up_down_counter!`",
    note = "for a sum of fractions, use `counter!(\"name\" as f64)`"
)]
pub trait Unsigned: Integer {
    /// What a counter grows by. Nothing for a negative number, whose place is kept to be reported.
    #[doc(hidden)]
    #[inline(always)]
    #[cfg_attr(feature = "std", track_caller)]
    fn to_amount(self) -> Count {
        self.to_count()
    }
}

/// A value that a histogram records: an integer, a float, or a [`Duration`].
///
/// A plain number is in the unit that the histogram declares. A `Duration` is converted to that unit, which
/// must be a unit of time: `s`, `ms`, `us`, `ns`, `min` or `h`. A histogram without a unit takes a `Duration`
/// in nanoseconds. With any other unit, recording a `Duration` does not compile.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be recorded in a histogram",
    label = "expected an integer, a float or a `Duration`"
)]
pub trait Measure: Copy + Sealed {
    /// The value as an integer; a duration in units of `UNIT` nanoseconds.
    #[doc(hidden)]
    fn to_count_of<const UNIT: u64>(self) -> Count;
    /// The value as a float; a duration in units of `UNIT` nanoseconds.
    #[doc(hidden)]
    fn to_float_of<const UNIT: u64>(self) -> Float;
}

macro_rules! unsigned {
    ($($type:ty),*) => {$(
        impl Sealed for $type {}
        impl Number for $type {
            #[inline(always)]
            fn to_count(self) -> Count {
                if <$type>::BITS > Count::BITS && self > Count::MAX as $type { Count::MAX } else { self as Count }
            }
            #[inline(always)]
            fn to_float(self) -> Float {
                self as Float
            }
        }
        impl Integer for $type {
            #[inline(always)]
            fn to_signed(self) -> Signed {
                if <$type>::BITS >= Count::BITS && self > Signed::MAX as $type { Signed::MAX } else { self as Signed }
            }
        }
        impl Unsigned for $type {}
    )*};
}
unsigned!(u8, u16, u32, u64, u128, usize);

macro_rules! signed {
    ($($type:ty),*) => {$(
        impl Sealed for $type {}
        impl Number for $type {
            #[inline(always)]
            fn to_count(self) -> Count {
                if self < 0 { 0 } else { self.unsigned_abs().to_count() }
            }
            #[inline(always)]
            fn to_float(self) -> Float {
                self as Float
            }
        }
        impl Integer for $type {
            #[inline(always)]
            fn to_signed(self) -> Signed {
                if <$type>::BITS <= Count::BITS {
                    return self as Signed;
                }
                self.clamp(Signed::MIN as $type, Signed::MAX as $type) as Signed
            }
        }
    )*};
}
signed!(i8, i16, i32, i64, i128, isize);

impl Unsigned for i32 {
    #[inline(always)]
    fn to_amount(self) -> Count {
        if self < 0 {
            super::negative::negative();
            return 0;
        }
        self.to_count()
    }
}

macro_rules! float {
    ($($type:ty),*) => {$(
        impl Sealed for $type {}
        impl Number for $type {
            #[inline(always)]
            fn to_count(self) -> Count {
                // A cast truncates, so add a half to round. The cast also clamps, and turns NaN into 0.
                (self + 0.5) as Count
            }
            #[inline(always)]
            fn to_float(self) -> Float {
                self as Float
            }
        }
    )*};
}
float!(f32, f64);

impl<T: Number> Measure for T {
    #[inline(always)]
    fn to_count_of<const UNIT: u64>(self) -> Count {
        self.to_count()
    }
    #[inline(always)]
    fn to_float_of<const UNIT: u64>(self) -> Float {
        self.to_float()
    }
}

impl Sealed for Duration {}

impl Measure for Duration {
    #[inline(always)]
    fn to_count_of<const UNIT: u64>(self) -> Count {
        const { assert_is_time(UNIT) };
        let count = if UNIT > SECOND {
            self.as_secs() / const { UNIT / SECOND }
        } else {
            let per_second = const {
                match SECOND.checked_div(UNIT) {
                    Some(per_second) => per_second,
                    None => 0,
                }
            };
            let rest = u64::from(self.subsec_nanos()) / const { if UNIT == 0 { 1 } else { UNIT } };
            self.as_secs().saturating_mul(per_second).saturating_add(rest)
        };
        count.to_count()
    }
    #[inline(always)]
    fn to_float_of<const UNIT: u64>(self) -> Float {
        const { assert_is_time(UNIT) };
        let (seconds, rest) = (self.as_secs() as Float, self.subsec_nanos() as Float);
        seconds * const { SECOND as Float / UNIT as Float } + rest / const { UNIT as Float }
    }
}

const SECOND: u64 = 1_000_000_000;

const fn assert_is_time(unit: u64) {
    assert!(
        unit != 0,
        "a Duration can be recorded only in a unit of time: declare unit = \"s\", \"ms\", \"us\" or \"ns\" where the histogram is made"
    );
}

/// The nanoseconds in a UCUM unit of time; 1 for no unit, 0 for any other unit.
pub const fn nanoseconds_in(unit: &str) -> u64 {
    match unit.as_bytes() {
        b"" | b"ns" => 1,
        b"us" => 1_000,
        b"ms" => 1_000_000,
        b"s" => SECOND,
        b"min" => 60 * SECOND,
        b"h" => 3600 * SECOND,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_clamped() {
        assert_eq!((u128::MAX.to_count(), i128::MIN.to_count(), (-1_i8).to_count()), (Count::MAX, 0, 0));
        assert_eq!((i128::MIN.to_signed(), u64::MAX.to_signed()), (Signed::MIN, Signed::MAX));
        // A cell may be wider than a machine word and then holds every word.
        let most = Signed::try_from(usize::MAX).unwrap_or(Signed::MAX);
        assert_eq!((usize::MAX.to_signed(), isize::MIN.to_signed()), (most, isize::MIN as Signed));
        assert_eq!((7_u8.to_signed(), (-7_i16).to_signed()), (7, -7));
        assert_eq!((1.5_f32.to_count(), 0.4.to_count(), (-3.0).to_count()), (2, 0, 0));
        assert_eq!((f64::NAN.to_count(), f64::INFINITY.to_count()), (0, Count::MAX));
    }

    #[test]
    fn a_duration_is_counted_in_the_unit_of_the_site() {
        let time = Duration::new(7_200, 1_234_567);
        assert_eq!(Duration::from_millis(3).to_count_of::<1>(), 3_000_000);
        assert_eq!(Duration::from_nanos(1_234_567).to_count_of::<1_000>(), 1_234);
        assert_eq!(time.to_count_of::<1_000_000>(), 7_200_001);
        assert_eq!(time.to_count_of::<SECOND>(), 7_200);
        assert_eq!(time.to_count_of::<{ 3600 * SECOND }>(), 2);
        assert_eq!(Duration::MAX.to_count_of::<1>(), Count::MAX);
        assert_eq!(Duration::from_millis(1_500).to_float_of::<SECOND>(), 1.5);
        assert_eq!(Duration::from_secs(90).to_float_of::<{ 60 * SECOND }>(), 1.5);
    }
}
