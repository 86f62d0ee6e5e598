//! The place and time of a run.

use std::{
    fs,
    process::Command,
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

/// The data without which a figure is meaningless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Day, UTC, `YYYY-MM-DD`.
    pub date: String,
    /// CPU model and number of cores.
    pub cpu: String,
    /// First line of `rustc -V`.
    pub rustc: String,
    /// The host's target triple.
    pub target: String,
}

impl Machine {
    /// This machine, today. Parts that cannot be determined read `unknown`.
    #[must_use]
    pub fn this() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let verbose = Command::new("rustc").arg("-vV").output().map(|out| out.stdout).unwrap_or_default();
        let verbose = String::from_utf8_lossy(&verbose);
        let line = |prefix: &str| verbose.lines().find(|line| line.starts_with(prefix)).map(str::to_owned);
        Self {
            date: date_of(now / 86_400),
            cpu: cpu(),
            rustc: line("rustc ").unwrap_or_else(unknown),
            target: line("host: ").map_or_else(unknown, |host| host["host: ".len()..].to_owned()),
        }
    }
}

/// `YYYY-MM-DD` of a number of days after 1970-01-01 (Howard Hinnant's `civil_from_days`).
fn date_of(days: u64) -> String {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

fn cpu() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find(|line| line.starts_with("model name"))
        .and_then(|line| line.split_once(": "))
        .map_or_else(unknown, |(_, model)| model.trim().to_owned());
    let cores = thread::available_parallelism().map_or(1, usize::from);
    format!("{model} × {cores}")
}

fn unknown() -> String {
    "unknown".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_across_leap_years() {
        assert_eq!(date_of(0), "1970-01-01");
        assert_eq!(date_of(11_016), "2000-02-29");
        assert_eq!(date_of(11_017), "2000-03-01");
        assert_eq!(date_of(20_778), "2026-11-21");
        assert_eq!(date_of(47_540), "2100-02-28");
        assert_eq!(date_of(47_541), "2100-03-01");
    }
}
