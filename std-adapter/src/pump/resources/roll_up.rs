//! What all spans with a value of a field, such as `agent.name`, have used together, and what that costs.

use super::{Generations, Totals};
use crate::pump::metrics::{Data, Point, own_point};
use std::borrow::Cow;
use std::collections::HashMap;
use throughline::adapter::ring::Word;

/// Most values of a field that have counts of their own.
const VALUES: usize = 1000;

/// Longest value, in bytes; longer ones are cut.
const LONGEST: usize = 256;

/// What resources cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Prices {
    pub(crate) cpu_second: f64,
    pub(crate) gb_second: f64,
}

/// The sums by field and value.
#[derive(Debug)]
pub(crate) struct RollUp {
    prices: Prices,
    fields: Vec<Field>,
}

#[derive(Debug)]
struct Field {
    name: &'static str,
    /// What spans that ended without a value have used, by the span above them, which may have one.
    above: Generations<Sum>,
    values: HashMap<String, Sum>,
    /// Of the values beyond [`VALUES`].
    overflow: Sum,
    /// Of spans that have no value, and none above them has one.
    without: Sum,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sum {
    cpu_ns: u64,
    bytes: u64,
    /// Bytes times nanoseconds: the peak of each span times its duration.
    byte_ns: u128,
}

impl Sum {
    fn add(&mut self, other: Sum) {
        self.cpu_ns += other.cpu_ns;
        self.bytes += other.bytes;
        self.byte_ns += other.byte_ns;
    }
}

impl RollUp {
    /// Sums up by these fields.
    pub(crate) fn new(fields: &[String], prices: Prices) -> RollUp {
        let field = |name: &String| Field {
            // Names of labels live as long as the process; there are as many as the configuration has.
            name: Box::leak(name.clone().into_boxed_str()),
            above: Generations::default(),
            values: HashMap::new(),
            overflow: Sum::default(),
            without: Sum::default(),
        };
        RollUp { prices, fields: fields.iter().map(field).collect() }
    }

    /// Adds a span that has ended. `value` gives the value of a field of the span.
    pub(in crate::pump) fn add(
        &mut self,
        (span, parent): (Word, Word),
        totals: Option<Totals>,
        duration_ns: u64,
        mut value: impl FnMut(&str) -> Option<String>,
    ) {
        let own = totals.map_or(Sum::default(), |totals| Sum {
            cpu_ns: totals.cpu_ns,
            bytes: totals.bytes,
            byte_ns: u128::from(totals.peak.max(0).unsigned_abs()) * u128::from(duration_ns),
        });
        for field in &mut self.fields {
            let mut sum = field.above.take(span).unwrap_or_default();
            sum.add(own);
            if sum == Sum::default() {
                continue;
            }
            match value(field.name) {
                Some(value) => field.sum_of(value).add(sum),
                None if parent != 0 => field.above.entry(parent).add(sum),
                None => field.without.add(sum),
            }
        }
    }

    pub(in crate::pump) fn points(&self) -> Vec<Point> {
        let mut points = Vec::new();
        let Prices { cpu_second, gb_second } = self.prices;
        for (name, unit, description, of) in [
            (
                "resource.cpu.seconds",
                "s",
                "CPU time of the spans with this value, and of those inside them",
                (|sum, _| sum.cpu_ns as f64 / 1e9) as fn(&Sum, Prices) -> f64,
            ),
            ("resource.memory.allocated", "By", "Bytes that these spans have allocated", |sum, _| {
                sum.bytes as f64
            }),
            (
                "resource.memory.gb_seconds",
                "GB.s",
                "Memory of these spans times the time that they had it: of each its peak times its duration",
                |sum, _| sum.gb_seconds(),
            ),
            (
                "resource.cost",
                "1",
                "What these spans cost, by the prices of the configuration",
                |sum, prices| {
                    sum.cpu_ns as f64 / 1e9 * prices.cpu_second + sum.gb_seconds() * prices.gb_second
                },
            ),
        ] {
            if name == "resource.cost" && cpu_second == 0.0 && gb_second == 0.0 {
                continue;
            }
            for field in &self.fields {
                let values = field.values.iter().map(|(value, sum)| (field.name, value.as_str(), sum));
                let rest = [
                    ("otel.metric.overflow", "true", &field.overflow),
                    ("resource.without", field.name, &field.without),
                ];
                let rest = rest.into_iter().filter(|(_, _, sum)| **sum != Sum::default());
                for (key, value, sum) in values.chain(rest) {
                    let data = Data::CounterFloat(of(sum, self.prices));
                    let labels = vec![(key, Cow::Owned(value.to_owned()))];
                    points.push(own_point(name, unit, description, labels, data));
                }
            }
        }
        points
    }
}

impl Sum {
    fn gb_seconds(&self) -> f64 {
        self.byte_ns as f64 / 1e18
    }
}

impl Field {
    fn sum_of(&mut self, mut value: String) -> &mut Sum {
        value.truncate(value.floor_char_boundary(LONGEST));
        if self.values.len() >= VALUES && !self.values.contains_key(&value) {
            return &mut self.overflow;
        }
        self.values.entry(value).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(cpu_ns: u64, bytes: u64) -> Option<Totals> {
        Some(Totals { cpu_ns, bytes, peak: bytes as i64, ..Totals::default() })
    }

    fn roll_up(fields: &[&str]) -> RollUp {
        let fields: Vec<_> = fields.iter().map(|field| (*field).to_owned()).collect();
        RollUp::new(&fields, Prices { cpu_second: 2.0, gb_second: 0.5 })
    }

    fn values(roll_up: &RollUp, name: &str) -> Vec<(String, f64)> {
        let value = |point: &Point| match point.data {
            Data::CounterFloat(x) => x,
            _ => panic!("{point:?}"),
        };
        let mut values: Vec<_> = roll_up
            .points()
            .iter()
            .filter(|point| point.name == name)
            .map(|point| (format!("{}={}", point.labels[0].0, point.labels[0].1), value(point)))
            .collect();
        values.sort_by(|a, b| a.0.cmp(&b.0));
        values
    }

    #[test]
    fn spans_count_for_the_nearest_one_above_that_has_the_field_once_for_each_field() {
        let mut sums = roll_up(&["agent.name", "session_id"]);
        // 1 is the session, 2 and 3 its agents, 4 a tool of agent 2, 5 a span elsewhere.
        let fields = |span: Word| {
            move |name: &str| match (span, name) {
                (1, "session_id") => Some("s1".to_owned()),
                (2, "agent.name") => Some("planner".to_owned()),
                (3, "agent.name") => Some("writer".to_owned()),
                _ => None,
            }
        };
        let second = 1_000_000_000;
        sums.add((4, 2), used(2 * second, 1_000_000_000), second, fields(4));
        sums.add((2, 1), used(second, 0), second, fields(2));
        sums.add((3, 1), used(5 * second, 0), second, fields(3));
        sums.add((1, 0), used(second, 0), second, fields(1));
        sums.add((5, 0), used(7 * second, 0), second, fields(5));
        let seconds = values(&sums, "resource.cpu.seconds");
        let expected = [
            ("agent.name=planner", 3.0),
            ("agent.name=writer", 5.0),
            ("resource.without=agent.name", 8.0),
            ("resource.without=session_id", 7.0),
            ("session_id=s1", 9.0),
        ];
        assert_eq!(seconds, expected.map(|(key, n)| (key.to_owned(), n)));
        // 3 s at 2 each, and a gigabyte for a second.
        assert!(values(&sums, "resource.cost").contains(&("agent.name=planner".into(), 6.5)));
    }

    #[test]
    fn values_beyond_the_bound_have_one_sum() {
        let mut sums = roll_up(&["user_id"]);
        for user in 0..VALUES + 10 {
            sums.add((user, 0), used(1_000_000_000, 0), 1, |_| Some(user.to_string()));
        }
        let seconds = values(&sums, "resource.cpu.seconds");
        assert_eq!(seconds.len(), VALUES + 1);
        assert!(seconds.contains(&("otel.metric.overflow=true".into(), 10.0)));
    }
}
