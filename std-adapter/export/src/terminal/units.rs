//! Numbers as people read them: durations with three digits and a unit, and times of day in UTC.

use std::fmt;

/// A duration: `999 ns`, `1.24 µs`, `310 ms`, `12.0 s`, `2 m 05 s`.
///
/// ```
/// use throughline_export::terminal::Nanoseconds;
/// assert_eq!(Nanoseconds(1_240_000).to_string(), "1.24 ms");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanoseconds(pub u64);

impl fmt::Display for Nanoseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.0;
        if n < 1000 {
            return f.pad(&format!("{n} ns"));
        }
        // Round before the unit is chosen, so that 999.9 µs becomes 1.00 ms and not 1000 µs.
        for (unit, name) in [(1_000u64, "µs"), (1_000_000, "ms"), (1_000_000_000, "s")] {
            let hundredths = n.saturating_add(unit / 200) / (unit / 100);
            let text = match hundredths {
                0..1_000 => format!("{}.{:02} {name}", hundredths / 100, hundredths % 100),
                1_000..10_000 => {
                    let tenths = n.saturating_add(unit / 20) / (unit / 10);
                    if tenths >= 1000 {
                        format!("100 {name}")
                    } else {
                        format!("{}.{} {name}", tenths / 10, tenths % 10)
                    }
                }
                _ => {
                    let whole = n.saturating_add(unit / 2) / unit;
                    if whole >= 1000 || name == "s" && whole >= 120 {
                        continue;
                    }
                    format!("{whole} {name}")
                }
            };
            return f.pad(&text);
        }
        let seconds = n / 1_000_000_000;
        f.pad(&match seconds {
            0..3600 => format!("{} m {:02} s", seconds / 60, seconds % 60),
            _ => format!("{} h {:02} m", seconds / 3600, seconds / 60 % 60),
        })
    }
}

/// A time since 1970 as a time of day in UTC, to the microsecond.
///
/// ```
/// use throughline_export::terminal::TimeOfDay;
/// assert_eq!(TimeOfDay(1_700_000_000_123_456_789).to_string(), "22:13:20.123456");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(pub u64);

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0 / 1000;
        let seconds = micros / 1_000_000;
        let (h, m, s) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        write!(f, "{h:02}:{m:02}:{s:02}.{:06}", micros % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_at_every_size() {
        let cases = [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.00 µs"),
            (9_994, "9.99 µs"),
            (9_999, "10.0 µs"),
            (99_999, "100 µs"),
            (310_000, "310 µs"),
            (999_400, "999 µs"),
            (999_900, "1.00 ms"),
            (1_000_000_000, "1.00 s"),
            (59_960_000_000, "60.0 s"),
            (119_000_000_000, "119 s"),
            (125_000_000_000, "2 m 05 s"),
            (7_260_000_000_000, "2 h 01 m"),
        ];
        for (n, text) in cases {
            assert_eq!(Nanoseconds(n).to_string(), text, "{n}");
        }
        assert_eq!(format!("[{:>9}]", Nanoseconds(5)), "[     5 ns]");
        assert!(!Nanoseconds(u64::MAX).to_string().is_empty());
    }
}
