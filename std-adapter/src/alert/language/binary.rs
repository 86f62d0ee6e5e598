//! Operators between numbers and series.

use super::super::labels::Labels;
use super::super::store::{Sample, Value};
use super::eval::ByLabels;
use super::kept::Pair;
use std::borrow::Cow;
use std::sync::Arc;

/// An operator, and whether a comparison gives 0 or 1 in place of leaving samples out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Operation {
    pub(super) operator: Operator,
    pub(super) returns_bool: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Operator {
    Or,
    And,
    Unless,
    Equal,
    NotEqual,
    Greater,
    Less,
    AtLeast,
    AtMost,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
}

/// How strongly a power binds.
pub(super) const POWER: u8 = 6;

const OPERATORS: [(&str, Operator, u8); 15] = [
    ("or", Operator::Or, 1),
    ("and", Operator::And, 2),
    ("unless", Operator::Unless, 2),
    ("==", Operator::Equal, 3),
    ("!=", Operator::NotEqual, 3),
    (">", Operator::Greater, 3),
    ("<", Operator::Less, 3),
    (">=", Operator::AtLeast, 3),
    ("<=", Operator::AtMost, 3),
    ("+", Operator::Add, 4),
    ("-", Operator::Subtract, 4),
    ("*", Operator::Multiply, 5),
    ("/", Operator::Divide, 5),
    ("%", Operator::Modulo, 5),
    ("^", Operator::Power, POWER),
];

impl Operator {
    /// The operator with this sign, and how strongly it binds.
    pub(super) fn of(sign: &str) -> Option<(Operator, u8)> {
        OPERATORS
            .into_iter()
            .find(|(known, ..)| *known == sign)
            .map(|(_, operator, strength)| (operator, strength))
    }

    pub(super) fn as_str(self) -> &'static str {
        OPERATORS.into_iter().find(|(_, operator, _)| *operator == self).map_or("", |(sign, ..)| sign)
    }

    pub(super) fn is_power(self) -> bool {
        self == Operator::Power
    }

    pub(super) fn is_set(self) -> bool {
        matches!(self, Operator::Or | Operator::And | Operator::Unless)
    }

    pub(super) fn is_comparison(self) -> bool {
        use Operator::{AtLeast, AtMost, Equal, Greater, Less, NotEqual};
        matches!(self, Equal | NotEqual | Greater | Less | AtLeast | AtMost)
    }

    fn compares(self, a: f64, b: f64) -> bool {
        match self {
            Operator::Equal => a == b,
            Operator::NotEqual => a != b,
            Operator::Greater => a > b,
            Operator::Less => a < b,
            Operator::AtLeast => a >= b,
            _ => a <= b,
        }
    }

    pub(super) fn computes(self, a: f64, b: f64) -> f64 {
        match self {
            Operator::Add => a + b,
            Operator::Subtract => a - b,
            Operator::Multiply => a * b,
            Operator::Divide => a / b,
            Operator::Modulo => a % b,
            Operator::Power => a.powf(b),
            comparison => f64::from(u8::from(comparison.compares(a, b))),
        }
    }
}

/// Which series of both sides belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Matching {
    /// Whether `labels` are those that must be equal; otherwise all others must be.
    pub(super) is_on: bool,
    pub(super) labels: Vec<Arc<str>>,
    /// The side that may have several series for one of the other, and the labels that it gets from that.
    pub(super) many: Option<(Side, Vec<Arc<str>>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Side {
    Left,
    Right,
}

impl Matching {
    pub(super) fn is_default(&self) -> bool {
        *self == Matching::default()
    }

    pub(super) fn is_grouped(&self) -> bool {
        self.many.is_some()
    }

    fn keeps(&self, name: &str) -> bool {
        self.labels.iter().any(|label| &**label == name) == self.is_on
    }

    /// The labels by which a sample finds its partner.
    fn key(&self, labels: &Labels) -> Labels {
        if self.is_default() { labels.clone() } else { labels.filtered(|name| self.keeps(name)) }
    }
}

/// An operation between a sample and a number, which is on the right if `number_is_right`.
pub(super) fn with_number(
    operation: Operation,
    samples: &[Sample],
    number: f64,
    number_is_right: bool,
) -> Result<Vec<Sample>, String> {
    let Operation { operator, returns_bool } = operation;
    let mut out = Vec::new();
    for sample in samples {
        let x = match &sample.value {
            Value::Float(x) => *x,
            Value::Histogram(histogram) => {
                let by = match operator {
                    Operator::Multiply => number,
                    Operator::Divide if number_is_right => 1.0 / number,
                    _ => return Err(of_histogram(operator, sample)),
                };
                let value = Value::Histogram(Arc::new((**histogram).clone().scaled(by)));
                out.push(Sample { name: None, labels: sample.labels.clone(), value });
                continue;
            }
        };
        let (a, b) = if number_is_right { (x, number) } else { (number, x) };
        if operator.is_comparison() && !returns_bool {
            if operator.compares(a, b) {
                out.push(sample.clone());
            }
        } else {
            let value = Value::Float(operator.computes(a, b));
            out.push(Sample { name: None, labels: sample.labels.clone(), value });
        }
    }
    Ok(out)
}

fn of_histogram(operator: Operator, sample: &Sample) -> String {
    let name = sample.name.as_deref().unwrap_or("one side");
    format!(
        "`{}` stands between numbers, and {name} is a histogram; use histogram_quantile(0.99, rate({name}[5m])), or its \
         _count and _sum",
        operator.as_str()
    )
}

/// Which samples of two sides find each other.
pub(super) fn pairs(
    operator: Operator,
    matching: &Matching,
    left: &[Sample],
    right: &[Sample],
) -> Result<Vec<Pair>, String> {
    let swapped = matches!(matching.many, Some((Side::Right, _)));
    let (many, one) = if swapped { (right, left) } else { (left, right) };
    let mut partners: ByLabels<u32> = ByLabels::default();
    for (at, sample) in (0..).zip(one) {
        if let Some(other) = partners.insert(matching.key(&sample.labels), at) {
            return Err(twice(
                operator,
                if swapped { "left" } else { "right" },
                &one[other as usize],
                sample,
            ));
        }
    }
    let mut out: Vec<Pair> = Vec::new();
    let mut taken: ByLabels<u32> = ByLabels::default();
    for (at, sample) in (0..).zip(many) {
        let key = matching.key(&sample.labels);
        let Some(&partner) = partners.get(&key) else { continue };
        if matching.many.is_none()
            && let Some(other) = taken.insert(key.clone(), at)
        {
            return Err(twice(operator, "left", &many[other as usize], sample));
        }
        let labels = match &matching.many {
            None => key,
            Some((_, included)) => {
                let partner = &one[partner as usize].labels;
                let of =
                    |name: &Arc<str>| (Arc::clone(name), Arc::from(partner.get(name).unwrap_or_default()));
                sample.labels.with(included.iter().map(of).collect::<Vec<(Arc<str>, Arc<str>)>>())
            }
        };
        out.push(Pair { places: if swapped { (partner, at) } else { (at, partner) }, labels });
    }
    Ok(out)
}

impl Operation {
    /// Whether it leaves samples out, in place of computing something.
    pub(super) fn leaves_out(self) -> bool {
        self.operator.is_comparison() && !self.returns_bool
    }

    /// Whether the left one of two partners stays.
    pub(super) fn keeps(self, a: &Sample, b: &Sample) -> Result<bool, String> {
        match (&a.value, &b.value) {
            (Value::Float(x), Value::Float(y)) => Ok(self.operator.compares(*x, *y)),
            (Value::Histogram(_), _) => Err(of_histogram(self.operator, a)),
            _ => Err(of_histogram(self.operator, b)),
        }
    }

    /// What it makes of two partners.
    pub(super) fn value(self, a: &Sample, b: &Sample) -> Result<Value, String> {
        match (&a.value, &b.value) {
            (Value::Float(x), Value::Float(y)) => Ok(Value::Float(self.operator.computes(*x, *y))),
            (Value::Histogram(x), Value::Histogram(y))
                if matches!(self.operator, Operator::Add | Operator::Subtract) =>
            {
                let mut sum = (**x).clone();
                sum.add(y, if self.operator == Operator::Add { 1.0 } else { -1.0 });
                Ok(Value::Histogram(Arc::new(sum)))
            }
            (Value::Histogram(x), Value::Float(y))
                if matches!(self.operator, Operator::Multiply | Operator::Divide) =>
            {
                let by = if self.operator == Operator::Multiply { *y } else { 1.0 / y };
                Ok(Value::Histogram(Arc::new((**x).clone().scaled(by))))
            }
            (Value::Histogram(_), _) => Err(of_histogram(self.operator, a)),
            _ => Err(of_histogram(self.operator, b)),
        }
    }
}

/// What `and`, `or` and `unless` leave of two sides.
pub(super) fn set(operator: Operator, matching: &Matching, left: &[Sample], right: &[Sample]) -> Vec<Sample> {
    let keys = |samples: &[Sample]| -> ByLabels<()> {
        samples.iter().map(|sample| (matching.key(&sample.labels), ())).collect()
    };
    let is_in = |keys: &ByLabels<()>, sample: &Sample| keys.contains_key(&matching.key(&sample.labels));
    match operator {
        Operator::Or => {
            let there = keys(left);
            left.iter().chain(right.iter().filter(|sample| !is_in(&there, sample))).cloned().collect()
        }
        _ => {
            let there = keys(right);
            let wanted = operator == Operator::And;
            left.iter().filter(|sample| is_in(&there, sample) == wanted).cloned().collect()
        }
    }
}

fn twice(operator: Operator, side: &str, a: &Sample, b: &Sample) -> String {
    let shown = |sample: &Sample| -> Cow<'static, str> {
        Cow::Owned(format!("{}{}", sample.name.as_deref().unwrap_or_default(), sample.labels))
    };
    format!(
        "`{}` finds several series on its {side} for one on the other side: {} and {}; add them up with sum by (…), or name \
         the labels with on (…) and the side with group_left or group_right",
        operator.as_str(),
        shown(a),
        shown(b)
    )
}
