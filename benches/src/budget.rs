//! The table of budgets, and the judging of rows by it.
//!
//! Times are judged only as ratios, to the [`LIMIT`] and to the best peer of the same path, thread count and
//! run. A ratio holds on any CPU and on a busy machine, which slows down all subjects of a run alike; an
//! absolute number of nanoseconds does neither. Instructions and bytes are exact, so their budgets are
//! absolute. Rows are judged by their median.

use crate::report::{LIMIT, Row, SUBJECT, Unit};

/// The budget of one path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// The path, as in [`Row::path`].
    pub path: &'static str,
    /// The rows to which the budget applies: those whose target starts with this. Empty for every server
    /// target.
    pub target: &'static str,
    /// The rows to which the budget applies: those counted in this unit.
    pub unit: Unit,
    /// The upper limit of the median.
    pub bound: Bound,
}

/// The upper limit of a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// A figure in the row's unit.
    Absolute(f64),
    /// Multiples of other rows of the same run. If several can be computed, the strictest one applies.
    Ratio(Ratio),
}

/// A bound on a time, relative to other times of the same run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// The upper limit as a multiple of the limit.
    pub of_limit: Option<f64>,
    /// The upper limit as a multiple of the fastest peer.
    pub of_peer: Option<f64>,
    /// Prefixes of the names of peers that do less than the path requires, so that their time is not
    /// comparable.
    pub except: &'static [&'static str],
    /// Whether each of two threads may take no more time than one thread alone, because nothing is shared.
    pub flat: bool,
}

impl Ratio {
    const fn of_limit(factor: f64) -> Self {
        Self { of_limit: Some(factor), of_peer: None, except: &[], flat: false }
    }

    const fn and_of_peer(self, share: f64) -> Self {
        Self { of_peer: Some(share), ..self }
    }

    const fn except(self, names: &'static [&'static str]) -> Self {
        Self { except: names, ..self }
    }

    const fn flat(self) -> Self {
        Self { flat: true, ..self }
    }
}

/// The tolerance for "equal" between two figures of one run: two clock reads in one run differ by this much.
const AS_MUCH: f64 = 1.05;

/// The suffix of instruction counts at opt-level s. The budget is that of the path at opt-level 3.
pub const OPT_S: &str = "_opt_s";

/// A word for a counter; for a histogram of scale 2 a word for each of its 129 buckets, one for the zeros,
/// and two for the sum.
const METRICS_RAM: f64 = 4.0 * (1.0 + 129.0 + 3.0);

/// Peers whose spans are not comparable: puffin's have no ids, and the bare registry of `tracing` records
/// nothing.
const LESS_THAN_SPANS: &[&str] = &["puffin", "tracing (registry only)"];

/// All budgets.
///
/// The ratios of a path were derived from the absolute budgets that had been set for it first: relative to
/// the limit, and relative to the best peer, of the committed run of 2026-11-21 or of the run that the
/// budgets came from, whichever is stricter.
pub const BUDGETS: &[Budget] = &[
    server_time("clock_read", Ratio::of_limit(AS_MUCH)),
    server_time("span", Ratio::of_limit(1.15).and_of_peer(0.46).except(LESS_THAN_SPANS)),
    server("span", Unit::Instructions, 60.0),
    server_time("span_2fields", Ratio::of_limit(1.15).and_of_peer(0.22).except(LESS_THAN_SPANS)),
    server("span_2fields", Unit::Instructions, 90.0),
    server_time("event_2fields", Ratio::of_limit(1.3).and_of_peer(0.15)),
    server_time("disabled", Ratio::of_limit(1.4).and_of_peer(1.4)),
    server_time("sampled_out", Ratio::of_limit(6.6).and_of_peer(0.17)),
    server_time("counter", Ratio::of_limit(2.6).and_of_peer(0.46).flat()),
    server_time("counter_family", Ratio::of_limit(2.1).and_of_peer(0.62).flat()),
    server_time(
        "histogram",
        // metriken's histograms keep no sum, which is less work.
        Ratio::of_limit(1.75).and_of_peer(0.29).except(&["metriken"]).flat(),
    ),
    server_time("encode", Ratio::of_limit(1.03).and_of_peer(0.66)),
    // Delivered spans, compared with the receiver alone (the limit) and with exporters that deliver to it.
    server_time("export", Ratio::of_limit(6.6).and_of_peer(0.5)),
    server_time("export_cpu", Ratio::of_limit(2.1).and_of_peer(0.17)),
    // By default 22 batches of 512 KiB may wait (16 queued, 4 spare, one being filled, one being sent), and
    // each thread that records has a ring and cells of 768 KiB. That is 13 MiB; the rest is for the program
    // and the receiver in it.
    server("export_memory", Unit::Bytes, (32 << 20) as f64),
    // Microcontrollers: instructions per operation under QEMU, bytes of flash, of RAM and on the wire. Flash
    // and RAM are measured at opt-level s.
    m4("span", Unit::Instructions, 80.0),
    m4("event_2fields", Unit::Instructions, 50.0),
    m4("counter", Unit::Instructions, 8.0),
    m4("histogram", Unit::Instructions, 40.0),
    m4("sample", Unit::Instructions, 30.0),
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
    m0("sample", Unit::Instructions, 30.0),
    m0("irq_masked", Unit::Instructions, 30.0),
    m0("span_wire", Unit::Bytes, 9.0),
    m0("event_2fields_wire", Unit::Bytes, 9.0),
    m0("core_ram", Unit::Bytes, 256.0),
    m0("metrics_ram", Unit::Bytes, METRICS_RAM),
    m0("callsite_flash", Unit::Bytes, 24.0),
];

/// Sets `budget` and `met` of every `throughline` row that has a budget, and clears them in all other rows.
///
/// A ratio is applied as far as the rows that it needs are among `rows`. A row for which no ratio can be
/// computed is not judged.
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
    let ratio = match of(row)?.bound {
        Bound::Absolute(most) => return Some(most),
        Bound::Ratio(ratio) => ratio,
    };
    let with = |threads| {
        let of = (&row.path, &row.target, threads, row.unit);
        run.iter().filter(move |other| (&other.path, &other.target, other.threads, other.unit) == of)
    };
    let median = |subject: &str, threads| with(threads).find(|it| it.subject == subject).map(|it| it.median);
    let peer = with(row.threads).filter(|it| is_peer(&it.subject, ratio.except)).map(|it| it.median);
    let bounds = [
        ratio.of_limit.and_then(|factor| Some(factor * median(LIMIT, row.threads)?)),
        ratio.of_peer.and_then(|share| Some(share * peer.reduce(f64::min)?)),
        median(SUBJECT, 1).filter(|_| ratio.flat && row.threads > 1).map(|alone| AS_MUCH * alone),
    ];
    bounds.into_iter().flatten().reduce(f64::min)
}

/// Whether this is another library that does all of the path's work. Other configurations of the library
/// under test are not peers.
fn is_peer(subject: &str, except: &[&str]) -> bool {
    subject != LIMIT && !subject.starts_with(SUBJECT) && !except.iter().any(|name| subject.starts_with(name))
}

fn is_mcu(target: &str) -> bool {
    target.contains("-none-")
}

const fn server(path: &'static str, unit: Unit, most: f64) -> Budget {
    Budget { path, target: "", unit, bound: Bound::Absolute(most) }
}

const fn server_time(path: &'static str, most: Ratio) -> Budget {
    Budget { path, target: "", unit: Unit::Ns, bound: Bound::Ratio(most) }
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
    fn the_fastest_peer_that_does_the_whole_job_is_the_measure() {
        let met = |ours: f64, peers: &[(&str, f64)]| {
            let mut rows = vec![row("span", SUBJECT, HOST, 1, ours)];
            rows.extend(peers.iter().map(|(peer, ns)| row("span", peer, HOST, 1, *ns)));
            judge(&mut rows);
            rows[0].met
        };
        let peers = [("fastrace", 100.0), ("opentelemetry", 200.0), ("puffin (TSC)", 20.0)];
        assert_eq!((met(45.9, &peers), met(46.1, &peers)), (Some(true), Some(false)));
        // If there is also a limit, the stricter of the two applies.
        let with_limit = [peers[0], (LIMIT, 20.0), ("throughline (some other way)", 1.0)];
        assert_eq!((met(23.0, &with_limit), met(23.1, &with_limit)), (Some(true), Some(false)));
    }

    #[test]
    fn a_second_thread_may_not_slow_the_first() {
        let met = |alone, together| {
            let mut rows = [
                row("counter", LIMIT, HOST, 1, 0.3),
                row("counter", LIMIT, HOST, 2, 0.3),
                row("counter", SUBJECT, HOST, 1, alone),
                row("counter", SUBJECT, HOST, 2, together),
            ];
            judge(&mut rows);
            [rows[2].met == Some(true), rows[3].met == Some(true)]
        };
        assert_eq!(met(0.5, 0.52), [true, true]);
        assert_eq!(met(0.5, 0.6), [true, false]);
        assert_eq!(met(1.0, 0.9), [false, false]);
        assert_eq!(met(0.77, 0.79), [true, false]);
    }

    /// On a machine whose load slows everything down alike, the judgement is the same as on a quiet one.
    #[test]
    fn no_time_is_judged_by_an_absolute_figure() {
        for budget in BUDGETS.iter().filter(|budget| budget.unit == Unit::Ns) {
            assert!(matches!(budget.bound, Bound::Ratio(_)), "{budget:?}");
        }
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

    /// Renaming a path requires renaming it in its budget as well.
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
            // Baselines contain no times, because times are not exact. The same paths are also timed.
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
