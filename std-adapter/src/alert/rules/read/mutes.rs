//! Reads times at which alerts are expected.

use super::super::mute::{DAY, MuteInterval};
use super::{Reader, place};
use crate::config::node::{Data, Entry, Node};
use std::ops::RangeInclusive;
use std::sync::Arc;

const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

impl Reader<'_> {
    pub(super) fn mute_interval(&mut self, node: &Node, entries: &[Entry]) {
        let mut interval = MuteInterval {
            name: Arc::from(""),
            matchers: Vec::new(),
            weekdays: [true; 7],
            times: Vec::new(),
            utc_offset: 0,
        };
        for entry in entries {
            match &*entry.key {
                "name" => interval.name = self.text(&entry.node).into(),
                "matchers" => interval.matchers = self.matchers(&entry.node),
                "weekdays" => interval.weekdays = self.weekdays(&entry.node),
                "times" => interval.times = self.times(&entry.node),
                "utc_offset" => {
                    let text = self.text(&entry.node);
                    match offset(&text) {
                        Some(minutes) => interval.utc_offset = minutes,
                        None => self.error(
                            place(&entry.node),
                            format!("`{text}` is no offset; write such as \"+01:00\""),
                        ),
                    }
                }
                other => {
                    let text = format!(
                        "`{other}` is no key here; write name, matchers, weekdays, times and utc_offset"
                    );
                    self.error((entry.line, 1), text);
                }
            }
        }
        if interval.name.is_empty() {
            self.error(
                place(node),
                "the interval has no name, by which it is told why nobody was told; give it one",
            );
        }
        if interval.times.is_empty() {
            interval.times.push((0, DAY));
        }
        self.rules.mutes.push(interval);
    }

    fn weekdays(&mut self, node: &Node) -> [bool; 7] {
        let mut days = [false; 7];
        for text in self.texts(node) {
            match range(&text) {
                Some(range) => range.for_each(|day| days[day % 7] = true),
                None => self.error(
                    place(node),
                    format!("`{text}` is no day of the week; write such as saturday or monday:friday"),
                ),
            }
        }
        days
    }

    fn times(&mut self, node: &Node) -> Vec<(i64, i64)> {
        let Data::List(items) = &node.data else {
            self.error(
                place(node),
                "times is a list, such as [{start_time: \"01:30\", end_time: \"03:00\"}]",
            );
            return Vec::new();
        };
        let mut out = Vec::new();
        for item in items {
            let of = |key: &str| match &item.data {
                Data::Table(entries) => {
                    entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
                }
                _ => None,
            };
            match (of("start_time"), of("end_time")) {
                (Some(begin), Some(end)) => {
                    let (begin, end) = (self.minute(begin), self.minute(end));
                    out.extend(begin.zip(end));
                }
                _ => self.error(
                    place(item),
                    "a time has a start_time and an end_time, such as \"01:30\" and \"03:00\"",
                ),
            }
        }
        out
    }

    /// A minute of the day.
    fn minute(&mut self, node: &Node) -> Option<i64> {
        let text = self.text(node);
        let minute = clock(&text).filter(|minute| *minute <= DAY);
        if minute.is_none() {
            self.error(
                place(node),
                format!("`{text}` is no time of the day; write such as \"09:30\", in quotes"),
            );
        }
        minute
    }
}

/// A day, or days such as `monday:friday`. A range may go beyond Sunday.
fn range(text: &str) -> Option<RangeInclusive<usize>> {
    let text = text.to_ascii_lowercase();
    let day = |name: &str| DAYS.iter().position(|day| *day == name.trim());
    let (first, last) = text.split_once(':').unwrap_or((&text, &text));
    let (first, last) = (day(first)?, day(last)?);
    Some(first..=if last < first { last + 7 } else { last })
}

/// The minutes of `09:30`.
fn clock(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| {
        text.parse().ok().filter(|_| text.len() == 2 && text.bytes().all(|c| c.is_ascii_digit()))
    };
    let (hours, minutes): (i64, i64) = (number(hours)?, number(minutes)?);
    (minutes < 60).then_some(hours * 60 + minutes)
}

/// The minutes of `+01:00`, `-05:30` or `Z`.
pub(super) fn offset(text: &str) -> Option<i64> {
    let (sign, rest) = match (text.strip_prefix('+'), text.strip_prefix('-')) {
        (Some(rest), _) => (1, rest),
        (_, Some(rest)) => (-1, rest),
        _ => return matches!(text, "Z" | "UTC").then_some(0),
    };
    clock(rest).filter(|minutes| *minutes <= 14 * 60).map(|minutes| sign * minutes)
}

#[cfg(test)]
mod tests {
    use super::super::super::Rules;
    use crate::alert::Labels;

    /// Monday, 27 November 2023, 00:00 UTC.
    const MONDAY: i64 = 1_701_043_200_000;

    fn told(text: &str) -> String {
        Rules::parse("r.yaml", text).map(|_| String::new()).unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn an_interval_is_on_at_its_days_and_times() {
        let rules = Rules::parse(
            "r.yaml",
            r#"
rules: [{name: A, condition: a > 1}]
mute_time_intervals:
  - {name: weekend, weekdays: ["saturday:sunday"]}
  - {name: backup, weekdays: [monday:friday], times: [{start_time: "22:30", end_time: "01:00"}], matchers: [team=db]}
  - {name: lunch, times: [{start_time: "12:00", end_time: "13:00"}], utc_offset: "+05:30"}
"#,
        )
        .unwrap();
        let on = |day: i64, hour: i64, minute: i64| {
            let now = MONDAY + ((day * 24 + hour) * 60 + minute) * 60_000;
            let names = rules.mutes.iter().filter(|it| it.is_on(now)).map(|it| &*it.name);
            names.collect::<Vec<_>>().join(",")
        };
        for (day, hour, minute, expected) in [
            (0, 0, 0, ""),
            (0, 22, 29, ""),
            (0, 22, 30, "backup"),
            (1, 0, 59, "backup"),
            (1, 1, 0, ""),
            (4, 23, 0, "backup"),
            (5, 0, 0, "weekend,backup"),
            (5, 1, 0, "weekend"),
            (6, 23, 59, "weekend"),
            (7, 0, 30, ""),
            (2, 6, 29, ""),
            (2, 6, 30, "lunch"),
            (2, 7, 30, ""),
        ] {
            assert_eq!(on(day, hour, minute), expected, "day {day}, {hour}:{minute}");
        }
        let backup = &rules.mutes[1];
        assert!(backup.takes(&Labels::new([("team", "db")])) && !backup.takes(&Labels::none()));
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        for (text, expected) in [
            ("mute_time_intervals: [{weekdays: [monday]}]", "the interval has no name"),
            (
                "mute_time_intervals: [{name: a, weekdays: [mon]}]",
                "r.yaml:1:43: `mon` is no day of the week; write such as saturday",
            ),
            (
                "mute_time_intervals: [{name: a, times: [{start_time: '25:00', end_time: '01:00'}]}]",
                "`25:00` is no time of the day",
            ),
            (
                "mute_time_intervals: [{name: a, times: [{start_time: '9:00', end_time: '10:00'}]}]",
                "`9:00` is no time of the day",
            ),
            (
                "mute_time_intervals: [{name: a, times: [{start_time: '09:00'}]}]",
                "a time has a start_time and an end_time",
            ),
            ("mute_time_intervals: [{name: a, times: '09:00-10:00'}]", "times is a list, such as"),
            ("mute_time_intervals: [{name: a, utc_offset: Berlin}]", "`Berlin` is no offset; write such as"),
            ("mute_time_intervals: [{name: a, utc_offset: '+15:00'}]", "`+15:00` is no offset"),
            (
                "mute_time_intervals: [{name: a, location: x}]",
                "`location` is no key here; write name, matchers",
            ),
        ] {
            let told = told(text);
            assert!(told.contains(expected), "{text}\n{told}");
        }
    }
}
