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
    /// A figure in the row's unit for each thread, and with two threads no more than with one in the same run.
    EachThread(f64),
}

/// "As much as" between two figures of one run: two clock reads in one run differ by that much.
const AS_MUCH: f64 = 1.05;

/// What the name of an instruction count at opt-level s ends with. It has the budget of the path at opt-level 3.
pub const OPT_S: &str = "_opt_s";

/// A word for a counter; for a histogram of scale 2 one for each of its 129 buckets, for the zeros, and two for the sum.
const METRICS_RAM: f64 = 4.0 * (1.0 + 129.0 + 3.0);

/// Every budget there is.
pub const BUDGETS: &[Budget] = &[
    server("clock_read", Unit::Ns, Bound::TimesLimit(AS_MUCH)),
    server("span", Unit::Ns, Bound::TimesLimit(1.15)),
    server("span", Unit::Instructions, Bound::Absolute(60.0)),
    server("span_2fields", Unit::Ns, Bound::TimesLimit(1.15)),
    server("span_2fields", Unit::Instructions, Bound::Absolute(90.0)),
    server("event_2fields", Unit::Ns, Bound::TimesLimit(1.3)),
    server("disabled", Unit::Ns, Bound::Absolute(0.4)),
    server("sampled_out", Unit::Ns, Bound::Absolute(2.0)),
    server("counter", Unit::Ns, Bound::EachThread(0.8)),
    server("counter_family", Unit::Ns, Bound::EachThread(8.0)),
    server("histogram", Unit::Ns, Bound::EachThread(2.0)),
    server("encode", Unit::Ns, Bound::Absolute(150.0)),
    // One delivered span per microsecond is a million a second.
    server("export", Unit::Ns, Bound::Absolute(1_000.0)),
    server("export_cpu", Unit::Ns, Bound::Absolute(300.0)),
    // The defaults let 22 batches of 512 KiB wait (16 queued, 4 spare, one being filled, one being sent) and give each thread that records a ring
    // and cells of 768 KiB. That is 13 MiB; the rest is for the program and the receiver in it.
    server("export_memory", Unit::Bytes, Bound::Absolute((32 << 20) as f64)),
    // Microcontrollers: instructions per operation under QEMU, bytes of flash, of RAM and on the wire. Flash and RAM are those of opt-level s.
    m4("span", Unit::Instructions, 80.0),
    m4("event_2fields", Unit::Instructions, 50.0),
    m4("counter", Unit::Instructions, 8.0),
    m4("histogram", Unit::Instructions, 40.0),
    m4("irq_masked", Unit::Instructions, 0.0),
    m4("span_wire", Unit::Bytes, 9.0),
    m4("event_2fields_wire", Unit::Bytes, 9.0),
    m4("core_flash", Unit::Bytes, 4096.0),
    m4("core_ram", Unit::Bytes, 256.0),
    m4("metrics_ram", Unit::Bytes, METRICS_RAM),
    m4("callsite_flash", Unit::Bytes, 24.0),
    m0("span", Unit::Instructions, 100.0),
    m0("event_2fields", Unit::Instructions, 60.0),
    m0("counter", Unit::Instructions, 10.0),
    m0("histogram", Unit::Instructions, 60.0),
    m0("irq_masked", Unit::Instructions, 30.0),
    m0("span_wire", Unit::Bytes, 9.0),
    m0("event_2fields_wire", Unit::Bytes, 9.0),
    m0("core_ram", Unit::Bytes, 256.0),
    m0("metrics_ram", Unit::Bytes, METRICS_RAM),
    m0("callsite_flash", Unit::Bytes, 24.0),
];

/// Sets `budget` and `met` of every `throughline` row that has a budget, and clears them on all others.
///
/// A ratio budget whose limit is not among `rows` leaves its row unjudged, and one against a single thread without that thread's row holds by its
/// figure alone.
pub fn judge(rows: &mut [Row]) {
    let run = rows.to_vec();
    for row in rows {
        row.budget = if row.subject == SUBJECT { most(row, &run) } else { None };
        row.met = row.budget.map(|most| row.median <= most);
    }
}

/// The budget that applies to `row`, if any.
#[must_use]
pub fn of(row: &Row) -> Option<&'static Budget> {
    BUDGETS.iter().find(|budget| budget.covers(row))
}

impl Budget {
    fn covers(&self, row: &Row) -> bool {
        let (path, of_target) = if is_mcu(&row.target) {
            let path = row.path.strip_suffix(OPT_S).unwrap_or(&row.path);
            (path, !self.target.is_empty() && row.target.starts_with(self.target))
        } else {
            (row.path.as_str(), self.target.is_empty())
        };
        self.path == path && self.unit == row.unit && of_target
    }
}

fn most(row: &Row, run: &[Row]) -> Option<f64> {
    let same = |subject: &str, threads| {
        let of = (&row.path, subject, &row.target, threads, row.unit);
        run.iter()
            .find(|other| (&other.path, &*other.subject, &other.target, other.threads, other.unit) == of)
    };
    match of(row)?.bound {
        Bound::Absolute(most) => Some(most),
        Bound::TimesLimit(factor) => same(LIMIT, row.threads).map(|limit| factor * limit.median),
        Bound::EachThread(most) if row.threads == 1 => Some(most),
        Bound::EachThread(most) => {
            Some(same(SUBJECT, 1).map_or(most, |alone| most.min(AS_MUCH * alone.median)))
        }
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
    use crate::Baseline;

    const BASELINES: [&str; 3] = [
        include_str!("../baselines/host-x86_64.json"),
        include_str!("../baselines/cortex-m4f.json"),
        include_str!("../baselines/cortex-m0.json"),
    ];
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
    fn a_second_thread_may_not_slow_the_first() {
        let met = |alone, together| {
            let mut rows =
                [row("counter", SUBJECT, HOST, 1, alone), row("counter", SUBJECT, HOST, 2, together)];
            judge(&mut rows);
            rows.map(|row| row.met == Some(true))
        };
        assert_eq!(met(0.5, 0.52), [true, true]);
        assert_eq!(met(0.5, 0.6), [true, false]);
        assert_eq!(met(1.0, 0.9), [false, false]);
        assert_eq!(met(0.79, 0.81), [true, false]);
    }

    #[test]
    fn opt_level_s_has_the_budget_of_opt_level_3() {
        let most = |path, target| {
            of(&Row::new(path, SUBJECT, target, 1, Unit::Instructions, 0.0, 0.0)).map(|it| it.bound)
        };
        assert_eq!(most("span_opt_s", "thumbv7em-none-eabihf"), Some(Bound::Absolute(80.0)));
        assert_eq!(most("irq_masked_opt_s", "thumbv6m-none-eabi"), Some(Bound::Absolute(30.0)));
        assert_eq!(most("span_opt_s", HOST), None);
    }

    /// A path that is renamed takes its budget along.
    #[test]
    fn every_budget_is_of_a_path_that_is_measured() {
        let export = include_str!("../benches/compare/export.rs");
        for budget in BUDGETS {
            let figures = BASELINES.map(|json| Baseline::from_json(json).expect("a baseline"));
            let on_target = |figures: &&Baseline| {
                if budget.target.is_empty() {
                    !is_mcu(&figures.target)
                } else {
                    figures.target.starts_with(budget.target)
                }
            };
            let figures = figures.iter().find(on_target).expect("a baseline for each kind of machine");
            // Times are not exact, and so not in a baseline, but are taken of the same paths.
            let is_exact = budget.unit != Unit::Ns;
            let is_measured = match budget.path.strip_prefix("export") {
                Some("") => true,
                Some(what) => export.contains(&format!("\"{}\"", &what[1..])),
                None => figures
                    .rows
                    .iter()
                    .any(|it| it.path == budget.path && (it.unit == budget.unit || !is_exact)),
            };
            assert!(is_measured, "no row has the budget {budget:?}");
        }
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
