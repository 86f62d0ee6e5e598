//! The budget table as data, and the judging of rows by it.
//!
//! A budget is either absolute or a multiple of the [`LIMIT`] of the same path, thread count, target and unit in
//! the same run: a ratio holds on any CPU, an absolute figure is for the class of machine the table names.
//! Rows are judged by their median.

use crate::report::{LIMIT, Row, SUBJECT, Unit};

/// What one path may cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// The path, as in [`Row::path`].
    pub path: &'static str,
    /// Which rows of the path: those whose target starts with this. Empty for every server target.
    pub target: &'static str,
    /// Which rows of the path: those counted in this unit.
    pub unit: Unit,
    /// The most the median may be.
    pub bound: Bound,
}

/// The most a figure may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// A figure in the row's unit.
    Absolute(f64),
    /// A multiple of the limit in the same run.
    TimesLimit(f64),
}

/// Every budget there is.
///
/// "As the limit" is written 1.05: two clock reads in one run differ by that much.
pub const BUDGETS: &[Budget] = &[
    server("clock_read", Unit::Ns, Bound::TimesLimit(1.05)),
    server("span", Unit::Ns, Bound::TimesLimit(1.15)),
    server("span", Unit::Instructions, Bound::Absolute(60.0)),
    server("span_2fields", Unit::Ns, Bound::TimesLimit(1.15)),
    server("span_2fields", Unit::Instructions, Bound::Absolute(90.0)),
    server("event_2fields", Unit::Ns, Bound::TimesLimit(1.3)),
    server("disabled", Unit::Ns, Bound::Absolute(0.4)),
    server("sampled_out", Unit::Ns, Bound::Absolute(2.0)),
    server("counter", Unit::Ns, Bound::Absolute(0.8)),
    server("counter_family", Unit::Ns, Bound::Absolute(8.0)),
    server("histogram", Unit::Ns, Bound::Absolute(2.0)),
    server("encode", Unit::Ns, Bound::Absolute(150.0)),
    // One delivered span per microsecond is a million a second.
    server("export", Unit::Ns, Bound::Absolute(1_000.0)),
    server("export_cpu", Unit::Ns, Bound::Absolute(300.0)),
    // Microcontrollers: instructions per operation under QEMU, bytes of flash, of RAM and on the wire.
    m4("span", Unit::Instructions, 80.0),
    m4("event_2fields", Unit::Instructions, 50.0),
    m4("counter", Unit::Instructions, 8.0),
    m4("histogram", Unit::Instructions, 40.0),
    m4("irq_masked", Unit::Instructions, 0.0),
    m4("span_wire", Unit::Bytes, 9.0),
    m4("event_2fields_wire", Unit::Bytes, 9.0),
    m4("core_flash", Unit::Bytes, 4096.0),
    m4("core_ram", Unit::Bytes, 256.0),
    m4("callsite_flash", Unit::Bytes, 24.0),
    m0("span", Unit::Instructions, 100.0),
    m0("event_2fields", Unit::Instructions, 60.0),
    m0("counter", Unit::Instructions, 10.0),
    m0("histogram", Unit::Instructions, 60.0),
    m0("irq_masked", Unit::Instructions, 30.0),
    m0("span_wire", Unit::Bytes, 9.0),
    m0("event_2fields_wire", Unit::Bytes, 9.0),
    m0("core_ram", Unit::Bytes, 256.0),
    m0("callsite_flash", Unit::Bytes, 24.0),
];

/// Sets `budget` and `met` of every `throughline` row that has a budget, and clears them on all others.
///
/// A ratio budget whose limit is not among `rows` leaves its row unjudged.
pub fn judge(rows: &mut [Row]) {
    let limits: Vec<Row> = rows.iter().filter(|row| row.subject == LIMIT).cloned().collect();
    for row in rows {
        row.budget = if row.subject == SUBJECT { most(row, &limits) } else { None };
        row.met = row.budget.map(|most| row.median <= most);
    }
}

/// The budget that applies to `row`, if any.
#[must_use]
pub fn of(row: &Row) -> Option<&'static Budget> {
    BUDGETS.iter().find(|budget| {
        budget.path == row.path
            && budget.unit == row.unit
            && if budget.target.is_empty() {
                !is_mcu(&row.target)
            } else {
                row.target.starts_with(budget.target)
            }
    })
}

fn most(row: &Row, limits: &[Row]) -> Option<f64> {
    match of(row)?.bound {
        Bound::Absolute(most) => Some(most),
        Bound::TimesLimit(factor) => limits
            .iter()
            .find(|limit| {
                (&limit.path, &limit.target, limit.threads, limit.unit)
                    == (&row.path, &row.target, row.threads, row.unit)
            })
            .map(|limit| factor * limit.median),
    }
}

fn is_mcu(target: &str) -> bool {
    target.contains("-none-")
}

const fn server(path: &'static str, unit: Unit, bound: Bound) -> Budget {
    Budget { path, target: "", unit, bound }
}

const fn m4(path: &'static str, unit: Unit, most: f64) -> Budget {
    Budget { path, target: "thumbv7em", unit, bound: Bound::Absolute(most) }
}

const fn m0(path: &'static str, unit: Unit, most: f64) -> Budget {
    Budget { path, target: "thumbv6m", unit, bound: Bound::Absolute(most) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "x86_64-unknown-linux-gnu";

    fn row(path: &str, subject: &str, target: &str, threads: u32, median: f64) -> Row {
        Row::new(path, subject, target, threads, Unit::Ns, median, median)
    }

    #[test]
    fn ratio_is_taken_against_the_limit_with_as_many_threads() {
        let mut rows = [
            row("span", LIMIT, HOST, 1, 20.0),
            row("span", LIMIT, HOST, 2, 40.0),
            row("span", SUBJECT, HOST, 1, 22.9),
            row("span", SUBJECT, HOST, 2, 47.0),
            row("span", "fastrace", HOST, 1, 100.0),
        ];
        judge(&mut rows);
        assert_eq!(rows[2].met, Some(true));
        assert_eq!(rows[3].met, Some(false));
        assert_eq!((rows[0].budget, rows[4].budget), (None, None));
    }

    #[test]
    fn ratio_without_its_limit_is_not_judged() {
        let mut rows = [row("span", SUBJECT, HOST, 1, 1.0)];
        judge(&mut rows);
        assert_eq!((rows[0].budget, rows[0].met), (None, None));
    }

    #[test]
    fn microcontrollers_have_their_own_budgets() {
        let on = |target, median| {
            let mut rows = [Row::new("counter", SUBJECT, target, 1, Unit::Instructions, median, median)];
            judge(&mut rows);
            rows[0].met
        };
        assert_eq!(on("thumbv7em-none-eabihf", 9.0), Some(false));
        assert_eq!(on("thumbv6m-none-eabi", 9.0), Some(true));
        assert_eq!(on(HOST, 9.0), None);
    }

    #[test]
    fn no_row_has_two_budgets() {
        for (at, budget) in BUDGETS.iter().enumerate() {
            let same = |other: &&Budget| {
                (other.path, other.target, other.unit) == (budget.path, budget.target, budget.unit)
            };
            assert_eq!(BUDGETS.iter().position(|other| same(&other)), Some(at), "{budget:?}");
        }
    }
}
