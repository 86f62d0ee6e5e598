//! Format specs, the part of a placeholder after its colon. Values are formatted exactly as `format!` does.
//!
//! Rust reads the flags of a format string at compile time, so each combination of flags needs its own call
//! here. Fill and alignment are added afterwards, because they do not depend on the value's type.

use std::fmt::Write;
use throughline::Value;
use throughline::adapter::record::ExtendedValue;

/// Writes a value with the type `$t` of a format string and the flags of the spec. The width is passed on
/// only if zeros fill it.
macro_rules! write_with {
    ($spec:ident, $out:ident, $value:expr, $t:literal) => {{
        // Writing to a String cannot fail.
        let _ = match ($spec.plus, $spec.alternate, $spec.zero, $spec.precision) {
            (false, false, false, None) => write!($out, concat!("{v:", $t, "}"), v = $value),
            (true, false, false, None) => write!($out, concat!("{v:+", $t, "}"), v = $value),
            (false, true, false, None) => write!($out, concat!("{v:#", $t, "}"), v = $value),
            (true, true, false, None) => write!($out, concat!("{v:+#", $t, "}"), v = $value),
            (false, false, false, Some(p)) => write!($out, concat!("{v:.p$", $t, "}"), v = $value, p = p),
            (true, false, false, Some(p)) => write!($out, concat!("{v:+.p$", $t, "}"), v = $value, p = p),
            (false, true, false, Some(p)) => write!($out, concat!("{v:#.p$", $t, "}"), v = $value, p = p),
            (true, true, false, Some(p)) => write!($out, concat!("{v:+#.p$", $t, "}"), v = $value, p = p),
            (false, false, true, None) => {
                write!($out, concat!("{v:0w$", $t, "}"), v = $value, w = $spec.width)
            }
            (true, false, true, None) => {
                write!($out, concat!("{v:+0w$", $t, "}"), v = $value, w = $spec.width)
            }
            (false, true, true, None) => {
                write!($out, concat!("{v:#0w$", $t, "}"), v = $value, w = $spec.width)
            }
            (true, true, true, None) => {
                write!($out, concat!("{v:+#0w$", $t, "}"), v = $value, w = $spec.width)
            }
            (false, false, true, Some(p)) => {
                write!($out, concat!("{v:0w$.p$", $t, "}"), v = $value, w = $spec.width, p = p)
            }
            (true, false, true, Some(p)) => {
                write!($out, concat!("{v:+0w$.p$", $t, "}"), v = $value, w = $spec.width, p = p)
            }
            (false, true, true, Some(p)) => {
                write!($out, concat!("{v:#0w$.p$", $t, "}"), v = $value, w = $spec.width, p = p)
            }
            (true, true, true, Some(p)) => {
                write!($out, concat!("{v:+#0w$.p$", $t, "}"), v = $value, w = $spec.width, p = p)
            }
        };
    }};
}

/// Writes an integer, which every style can format.
macro_rules! integer {
    ($spec:ident, $out:ident, $value:expr) => {{
        match $spec.style {
            Style::Display => write_with!($spec, $out, $value, ""),
            Style::Debug => write_with!($spec, $out, $value, "?"),
            Style::LowerHexDebug => write_with!($spec, $out, $value, "x?"),
            Style::UpperHexDebug => write_with!($spec, $out, $value, "X?"),
            Style::LowerHex => write_with!($spec, $out, $value, "x"),
            Style::UpperHex => write_with!($spec, $out, $value, "X"),
            Style::Octal => write_with!($spec, $out, $value, "o"),
            Style::Binary => write_with!($spec, $out, $value, "b"),
            Style::LowerExp => write_with!($spec, $out, $value, "e"),
            Style::UpperExp => write_with!($spec, $out, $value, "E"),
        }
    }};
}

/// Writes a float. Returns `None` from the caller if floats do not have this style.
macro_rules! float {
    ($spec:ident, $out:ident, $value:expr) => {{
        match $spec.style {
            Style::Display => write_with!($spec, $out, $value, ""),
            Style::Debug | Style::LowerHexDebug | Style::UpperHexDebug => {
                write_with!($spec, $out, $value, "?")
            }
            Style::LowerExp => write_with!($spec, $out, $value, "e"),
            Style::UpperExp => write_with!($spec, $out, $value, "E"),
            _ => return None,
        }
    }};
}

/// Writes a value that is not a number, without filling it with zeros. Returns `None` from the caller for a
/// style of numbers.
macro_rules! plain {
    ($spec:ident, $out:ident, $value:expr) => {{
        let spec = Spec { zero: false, ..*$spec };
        match $spec.style {
            Style::Display => write_with!(spec, $out, $value, ""),
            Style::Debug | Style::LowerHexDebug | Style::UpperHexDebug => {
                write_with!(spec, $out, $value, "?")
            }
            _ => return None,
        }
    }};
}

/// A format spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spec {
    fill: char,
    align: Option<Align>,
    plus: bool,
    alternate: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
    style: Style,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Align {
    Left,
    Center,
    Right,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Display,
    Debug,
    LowerHexDebug,
    UpperHexDebug,
    LowerHex,
    UpperHex,
    Octal,
    Binary,
    LowerExp,
    UpperExp,
}

impl Align {
    fn parse(c: Option<char>) -> Option<Align> {
        match c? {
            '<' => Some(Align::Left),
            '^' => Some(Align::Center),
            '>' => Some(Align::Right),
            _ => None,
        }
    }
}

/// Greatest width and precision; `format!` has the same limit.
const MOST: usize = u16::MAX as usize;

impl Spec {
    /// Parses a spec. Returns `None` for a spec that the macros refuse.
    pub(super) fn parse(text: &str) -> Option<Spec> {
        let mut rest = text.trim_end();
        let mut chars = rest.chars();
        let (first, second) = (chars.next(), chars.next());
        let (mut fill, mut align) = (' ', Align::parse(second));
        if align.is_some() {
            fill = first?;
            rest = chars.as_str();
        } else {
            align = Align::parse(first);
            rest = rest.strip_prefix(['<', '^', '>']).unwrap_or(rest);
        }
        let mut flag = |c: char| {
            let after = rest.strip_prefix(c);
            rest = after.unwrap_or(rest);
            after.is_some()
        };
        let plus = flag('+');
        flag('-');
        let (alternate, zero) = (flag('#'), flag('0'));
        let width = number(&mut rest)?.unwrap_or(0);
        let precision = match rest.strip_prefix('.') {
            Some(after) => {
                rest = after;
                Some(number(&mut rest)??)
            }
            None => None,
        };
        let style = match rest {
            "" => Style::Display,
            "?" => Style::Debug,
            "x?" => Style::LowerHexDebug,
            "X?" => Style::UpperHexDebug,
            "x" => Style::LowerHex,
            "X" => Style::UpperHex,
            "o" => Style::Octal,
            "b" => Style::Binary,
            "e" => Style::LowerExp,
            "E" => Style::UpperExp,
            _ => return None,
        };
        Some(Spec { fill, align, plus, alternate, zero, width, precision, style })
    }

    /// Appends `value`. Returns false and appends nothing if values of its type do not have this style.
    pub(super) fn write(&self, out: &mut String, value: &Value<'_>) -> bool {
        let begin = out.len();
        let Some(padding) = self.write_unpadded(out, value) else { return false };
        let missing = match padding {
            Padding::Done => 0,
            Padding::To(_) => self.width.saturating_sub(out[begin..].chars().count()),
        };
        if missing > 0 {
            let before = match (self.align, padding) {
                (Some(Align::Left), _) | (None, Padding::To(Align::Left)) => 0,
                (Some(Align::Center), _) => missing / 2,
                _ => missing,
            };
            let fill = |n| std::iter::repeat_n(self.fill, n);
            out.insert_str(begin, &fill(before).collect::<String>());
            out.extend(fill(missing - before));
        }
        true
    }

    /// Appends `value` without fill. Returns how to pad it if the spec has no alignment.
    fn write_unpadded(&self, out: &mut String, value: &Value<'_>) -> Option<Padding> {
        // Zeros go between the sign and the digits, so the formatter writes them and no padding is left to
        // do.
        let numeric = if self.zero { Padding::Done } else { Padding::To(Align::Right) };
        let is_debug = matches!(self.style, Style::Debug | Style::LowerHexDebug | Style::UpperHexDebug);
        let textual = Padding::To(Align::Left);
        // `Debug` of text ignores the width.
        let quoted = if is_debug { Padding::Done } else { textual };
        Some(match *value {
            Value::U64(n) => {
                integer!(self, out, n);
                numeric
            }
            Value::I64(n) => {
                integer!(self, out, n);
                numeric
            }
            Value::F32(x) => {
                float!(self, out, x);
                numeric
            }
            Value::F64(x) => {
                float!(self, out, x);
                numeric
            }
            Value::Bool(v) => {
                plain!(self, out, v);
                textual
            }
            Value::Extended(extended) => match extended.get() {
                ExtendedValue::U128(n) => {
                    integer!(self, out, n);
                    numeric
                }
                ExtendedValue::I128(n) => {
                    integer!(self, out, n);
                    numeric
                }
                ExtendedValue::Ip(v) => {
                    plain!(self, out, v);
                    textual
                }
                ExtendedValue::Socket(v) => {
                    plain!(self, out, v);
                    textual
                }
                ExtendedValue::Duration(v) if is_debug => {
                    let spec = Spec { zero: false, ..*self };
                    write_with!(spec, out, v, "?");
                    textual
                }
                ExtendedValue::Char(c) => {
                    plain!(self, out, c);
                    quoted
                }
                _ => return None,
            },
            Value::Str { text, truncated } => {
                plain!(self, out, text);
                if truncated {
                    out.push('…');
                }
                quoted
            }
            _ => return None,
        })
    }
}

/// The padding that is still missing.
#[derive(Clone, Copy)]
enum Padding {
    Done,
    To(Align),
}

/// Parses digits. Returns `Some(None)` if there are none, and `None` if the number is too large.
fn number(rest: &mut &str) -> Option<Option<usize>> {
    let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = &rest[..rest.len() - after.len()];
    *rest = after;
    if digits.is_empty() {
        return Some(None);
    }
    digits.parse().ok().filter(|n| *n <= MOST).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use throughline::adapter::record::Extended;

    fn encoded(kind: u8, bytes: &[u8]) -> Vec<u8> {
        [&[kind], bytes].concat()
    }

    fn formatted(spec: &str, value: Value<'_>) -> String {
        let mut out = String::from("|");
        assert!(Spec::parse(spec).expect(spec).write(&mut out, &value), "{spec}");
        out[1..].into()
    }

    /// Compares both formatters, with one call per spec because `format!` needs a literal.
    macro_rules! as_format_does {
        ($value:expr => $recorded:expr; $($spec:literal)*) => {$(
            assert_eq!(formatted($spec, $recorded), format!(concat!("{:", $spec, "}"), $value), "{} of {:?}", $spec, $value);
        )*};
    }

    proptest::proptest! {
        #[test]
        fn values_are_formatted_as_format_does_31(
            u: u64, i: i64, wide: u128, signed: i128, single: f32, double: f64, yes: bool, c: char, text: String,
            seconds in 0..1_000_000_u64, nanos in 0..1_000_000_000_u32, ip: u32,
        ) {
            for u in [u, u % 300] {
                as_format_does!(u => Value::U64(u); "" ">8" "<8" "^9" "*^9" "08" "+" "+08" "#x" "#010x" "04X" "b" "#b" "o" "#034b" "e" "E" ".2e" "+.3e" "?" "x?" "#X?" "08x?" "é>12" "-" "}>9" "é<#06x");
            }
            for i in [i, i % 300] {
                as_format_does!(i => Value::I64(i); "" ">8" "<8" "^9" "*^9" "08" "+" "+08" "x" "#x" "#010X" "b" "e" ".2e" "?" "x?" "#?" ">+9");
            }
            let bytes = encoded(2, &wide.to_le_bytes());
            as_format_does!(wide => Value::Extended(Extended::new(&bytes, false)); "" ">50" "#x" "050" "?" "X");
            let bytes = encoded(3, &signed.to_le_bytes());
            as_format_does!(signed => Value::Extended(Extended::new(&bytes, false)); "" ">50" "#x" "050" "?" "b");
            for x in [single, single % 100.0, f32::NAN, f32::INFINITY, 0.1, 1.0, -0.0] {
                as_format_does!(x => Value::F32(x); "" ".0" ".1" "8.3" "<8.3" "08.3" "+" "+08.2" "e" ".2e" "E" "?" ".1?" "#?" "^15" "_>15.2" "08" "010?");
            }
            for x in [double, double % 100.0, f64::NAN, f64::NEG_INFINITY, 0.1, 1e16, 1e-7] {
                as_format_does!(x => Value::F64(x); "" ".0" ".1" "8.3" "<8.3" "08.3" "+" "+08.2" "e" ".2e" "E" "?" ".1?" "#?" "^15" "_>15.2" "08" "010?");
            }
            as_format_does!(yes => Value::Bool(yes); "" ">8" "<8" "^8" "08" ".2" "?" "8?" "*>7?");
            let bytes = encoded(1, &u32::from(c).to_le_bytes());
            as_format_does!(c => Value::Extended(Extended::new(&bytes, false)); "" ">8" "<8" "^8" "08" "?" "8?");
            let recorded = Value::Str { text: &text, truncated: false };
            as_format_does!(text => recorded; "" ">8" "<8" "^8" "08" ".3" ">8.2" "_^9.1" "?" "8?" "#?" ".2?" "x?");
            let duration = std::time::Duration::new(seconds, nanos);
            let bytes = encoded(4, &[&seconds.to_le_bytes()[..], &nanos.to_le_bytes()].concat());
            as_format_does!(duration => Value::Extended(Extended::new(&bytes, false)); "?" ".1?" ">20?" "<20.3?" "+?" "020?" "*^20?");
            let bytes = encoded(5, &ip.to_be_bytes());
            let ip = std::net::IpAddr::from(ip.to_be_bytes());
            as_format_does!(ip => Value::Extended(Extended::new(&bytes, false)); "" ">20" "<20" "^20" "?" "20?" ".5");
        }
    }

    #[test]
    fn specs_that_no_recorder_lets_through_are_none() {
        for spec in ["y", "1$", ".*", ".x", "w$", "99999", "?x", "p", "  x"] {
            assert_eq!(Spec::parse(spec), None, "{spec}");
        }
        let mut out = String::new();
        let text = Value::Str { text: "a", truncated: false };
        assert!(!Spec::parse("x").unwrap().write(&mut out, &text));
        assert!(!Spec::parse("x").unwrap().write(&mut out, &Value::F64(1.0)));
        assert_eq!(out, "");
    }
}
