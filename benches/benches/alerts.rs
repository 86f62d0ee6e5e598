//! What it costs to look at 10,000 alert rules over 100,000 series.
//!
//! `cargo bench -p throughline-benches --features alerts --bench alerts` prints a table in Markdown; without `--bench` among its arguments (as under
//! `cargo test`) each case is evaluated twice, with few rules and series, and what fires is checked.
//!
//! An evaluation is what a service does at each interval: it takes a snapshot of all series, evaluates all rules over it, moves the alerts' states on and
//! finds out what is to be told. Each figure is the median of 21 evaluations, after twenty that fill the ranges. Times are CPU times, which other
//! programs on the machine disturb less than wall-clock time.

#[allow(dead_code, reason = "the other bench uses the rest")]
#[path = "compare/system.rs"]
mod system;

use std::time::{Duration, UNIX_EPOCH};

use throughline_benches::Machine;
use throughline_std::alert::{AlertOptions, Alerts, Rules};
use throughline_std::prometheus::PageOptions;
use throughline_std::view::{PointData, PointView, Scope};

const RULES: usize = 10_000;
const SERIES: usize = 100_000;
/// Evaluations before those that are timed; a range of 5 minutes is full after 20.
const BEFORE: usize = 20;
const TIMED: usize = 21;
const INTERVAL: Duration = Duration::from_secs(15);

/// Rules of one shape, over series of one shape.
struct Case {
    name: &'static str,
    /// The rule of this number, of so many.
    rule: fn(usize) -> String,
    /// How many rules share a metric.
    shared: usize,
}

const CASES: &[Case] = &[
    Case { name: "`m{…} > threshold`, ten series each", rule: |n| format!("m_{n}_total > 1e9"), shared: 1 },
    Case {
        name: "`sum by (route) (rate(m[5m])) > threshold`, ten series each",
        rule: |n| format!("sum by (route) (rate(m_{n}_total[5m])) > 1e9"),
        shared: 1,
    },
    Case {
        name: "a ratio of two rates, ten series each",
        rule: |n| format!("sum(rate(m_{n}_total{{route=~\"1|2\"}}[5m])) / sum(rate(m_{n}_total[5m])) > 2"),
        shared: 1,
    },
    Case {
        name: "all rules over one metric, each a label of it",
        rule: |n| format!("rate(m_0_total{{shard=\"{n}\"}}[5m]) > 1e9"),
        shared: usize::MAX,
    },
    Case {
        name: "all rules over the same rate of all series, with thresholds of their own",
        rule: |n| format!("sum by (route) (rate(m_0_total[5m])) > 1e9 + {n}"),
        shared: usize::MAX,
    },
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let measured = std::env::args().any(|arg| arg == "--bench");
    let (rules, series) = if measured { (RULES, SERIES) } else { (100, 1000) };
    if measured {
        let machine = Machine::this();
        println!("# Alert rules, {}\n\n{}, {}\n", machine.date, machine.cpu, machine.rustc);
        println!("{rules} rules over {series} series.\n\n| rules | evaluation |\n|---|--:|");
    }
    for case in CASES {
        let time = case.run(rules, series, measured)?;
        if measured {
            println!("| {} | {:.1} ms |", case.name, time.as_secs_f64() * 1e3);
        }
    }
    Ok(())
}

impl Case {
    /// The median time of an evaluation.
    fn run(
        &self,
        rules: usize,
        series: usize,
        measured: bool,
    ) -> Result<Duration, Box<dyn std::error::Error>> {
        let of_rule = |n: usize| format!("- name: R{n}\n  condition: {}\n", (self.rule)(n));
        let mut text: String = (0..rules).map(of_rule).collect();
        // One that fires, so that it is seen that something is evaluated.
        text += "- name: Fires\n  condition: sum(m_0_total) > 0\n";
        let options = AlertOptions::new(Rules::parse("rules.yaml", &text)?);
        let options = options.page(PageOptions::default().scope_labels(false)).process_metrics(false);
        let alerts = Alerts::new(&options)?;
        let per_rule = series / rules;
        let names: Vec<(String, [String; 2])> = (0..series)
            .map(|n| {
                let metric = if self.shared == 1 { n / per_rule } else { 0 };
                (format!("m.{metric}"), [(n % per_rule).to_string(), (n / per_rule).to_string()])
            })
            .collect();
        let labels: Vec<[(&str, &str); 2]> =
            names.iter().map(|(_, [route, shard])| [("route", &**route), ("shard", &**shard)]).collect();
        let mut points: Vec<PointView<'_>> = names
            .iter()
            .zip(&labels)
            .enumerate()
            .map(|(n, ((name, _), labels))| PointView {
                id: n as u64 + 1,
                name,
                unit: "",
                description: "",
                scope: Scope { name: "bench", version: "" },
                target: "bench",
                start_unix_ns: 0,
                time_unix_ns: 0,
                labels,
                data: PointData::Counter(1),
            })
            .collect();
        let mut now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let mut times = Vec::new();
        let (before, timed) = if measured { (BEFORE, TIMED) } else { (1, 1) };
        for step in 0..before + timed {
            now += INTERVAL;
            for (n, point) in points.iter_mut().enumerate() {
                point.data = PointData::Counter((step * (n % 7 + 1)) as u64 + 1);
            }
            let begun = system::cpu_ns();
            alerts.evaluate(now, &points);
            let time = Duration::from_nanos(system::cpu_ns() - begun);
            if step >= before {
                times.push(time);
            }
        }
        let firing: Vec<String> = alerts.list().iter().map(|alert| alert.name.to_string()).collect();
        assert_eq!((firing, alerts.failing()), (vec!["Fires".to_owned()], Vec::new()), "{}", self.name);
        Ok(median(times))
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
