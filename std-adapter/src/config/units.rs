//! Reads and writes durations and sizes with their units.

use std::time::Duration;

const TIMES: [(&str, u64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1000),
    ("ns", 1),
];
const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
/// Decimal units, which are read but never written.
const DECIMAL_SIZES: [(&str, u64); 3] = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000)];

/// Reads a duration such as `250ms`, `1.5s` or `10 s`. Only 0 may have no unit.
pub(super) fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (number, unit) = split(text)?;
    let unit = if unit == "µs" { "us" } else { unit };
    let (_, ns) = TIMES.iter().find(|(name, _)| *name == unit)?;
    // Whole numbers are exact up to the limit of a `u64`, which is 584 years.
    let ns = match number.parse::<u64>() {
        Ok(whole) => whole.checked_mul(*ns)?,
        Err(_) => scaled(number, *ns)?,
    };
    Some(Duration::from_nanos(ns))
}

/// Reads a size such as `65536`, `64KiB`, `1.5 MiB` or `10MB`.
pub(super) fn size(text: &str) -> Option<u64> {
    if let Ok(bytes) = text.parse() {
        return Some(bytes);
    }
    let (number, unit) = split(text)?;
    let (_, bytes) = SIZES.iter().chain(&DECIMAL_SIZES).find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    match number.parse::<u64>() {
        Ok(whole) => whole.checked_mul(*bytes),
        Err(_) => scaled(number, *bytes),
    }
}

/// Splits the text into the number and the unit.
fn split(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(end);
    (!number.is_empty()).then_some((number, unit.trim_start()))
}

fn scaled(number: &str, unit: u64) -> Option<u64> {
    let scaled = number.parse::<f64>().ok()? * unit as f64;
    (scaled.is_finite() && scaled < u64::MAX as f64).then_some(scaled.round() as u64)
}

/// Writes the value in the largest unit that gives a whole number.
pub(super) fn show_duration(time: Duration) -> String {
    let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let unit = TIMES.iter().find(|(_, unit)| ns.is_multiple_of(*unit) && ns >= *unit);
    unit.map_or("0s".into(), |(name, unit)| format!("{}{name}", ns / unit))
}

/// Writes the value in the largest unit that gives a whole number.
pub(super) fn show_size(bytes: u64) -> String {
    let unit = SIZES.iter().find(|(_, unit)| bytes.is_multiple_of(*unit) && bytes >= *unit);
    unit.map_or("0B".into(), |(name, unit)| format!("{}{name}", bytes / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_read_and_write() {
        for (text, ns, shown) in [
            ("250ms", 250_000_000, "250ms"),
            ("1.5s", 1_500_000_000, "1500ms"),
            ("10 s", 10_000_000_000, "10s"),
            ("60s", 60_000_000_000, "1m"),
            ("0", 0, "0s"),
            ("7µs", 7000, "7us"),
            ("584y", u64::MAX, ""),
            ("s", u64::MAX, ""),
            ("5", u64::MAX, ""),
            ("-1s", u64::MAX, ""),
            ("1.2.3s", u64::MAX, ""),
            ("99999999999999d", u64::MAX, ""),
        ] {
            match duration(text) {
                Some(time) => assert_eq!((time, &*show_duration(time)), (Duration::from_nanos(ns), shown)),
                None => assert_eq!(shown, "", "{text}"),
            }
        }
        for (text, bytes) in [
            ("65536", Some(65536)),
            ("64kib", Some(65536)),
            ("10MB", Some(10_000_000)),
            ("1.5KiB", Some(1536)),
            ("x", None),
        ] {
            assert_eq!(size(text), bytes, "{text}");
        }
        assert_eq!((&*show_size(65536), &*show_size(1000), &*show_size(0)), ("64KiB", "1000B", "0B"));
    }
}
