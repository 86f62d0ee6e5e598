//! Times at which alerts are expected, such as those of a nightly backup.

use super::super::{Labels, Matcher};
use std::sync::Arc;

/// Minutes of a day.
pub(super) const DAY: i64 = 1440;

/// A time interval of each week in which nobody is told of some alerts. The words are those of Alertmanager's time intervals.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct MuteInterval {
    pub(in super::super) name: Arc<str>,
    /// All of these must take an alert; without any, it is for all alerts.
    pub(super) matchers: Vec<Matcher>,
    /// Whether each day is one of them, from Monday on.
    pub(super) weekdays: [bool; 7],
    /// Minutes of the day, without the last one. An interval whose end is not after its beginning goes on to the next day.
    pub(super) times: Vec<(i64, i64)>,
    /// Minutes that local time is ahead of UTC.
    pub(super) utc_offset: i64,
}

impl MuteInterval {
    /// Whether it is for alerts with these labels.
    pub(in super::super) fn takes(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches(labels))
    }

    /// Whether it is on at `now`, in milliseconds since 1970.
    pub(in super::super) fn is_on(&self, now: i64) -> bool {
        let local = now.div_euclid(60_000) + self.utc_offset;
        let (day, minute) = (local.div_euclid(DAY), local.rem_euclid(DAY));
        // The first day of 1970 was a Thursday.
        let is_day = |day: i64| self.weekdays[(day + 3).rem_euclid(7) as usize];
        self.times.iter().any(|&(begin, end)| match begin < end {
            true => is_day(day) && (begin..end).contains(&minute),
            false => is_day(day) && minute >= begin || is_day(day - 1) && minute < end,
        })
    }
}
