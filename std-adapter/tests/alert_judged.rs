//! How well anomalies are found, over synthetic series of the kinds that public benchmarks have: daily and weekly seasons, noise, a trend, a level
//! shift, spikes, dropouts, and deploys that disturb but are no fault. The table in `docs/anomalies.md` is what this test measures; with
//! `THROUGHLINE_BLESS=1` it writes the file.
#![cfg(feature = "alerts")]

#[path = "../export/tests/support/points.rs"]
mod points;

use points::point;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, SystemTime};
use throughline_std::alert::{AlertOptions, AlertState, Alerts, Rules};
use throughline_std::prometheus::PageOptions;
use throughline_std::view::PointData;

/// Steps of five minutes.
const STEP: Duration = Duration::from_secs(300);
const HOUR: usize = 12;
const DAY: usize = 24 * HOUR;
const WEEK: usize = 7 * DAY;
/// The past that is learnt, and in which nobody looks at alerts.
const LEARNT: usize = 4 * WEEK;
const ALL: usize = 6 * WEEK;
/// An alert this long after an anomaly is still about it.
const AFTER: usize = HOUR / 2;
const SEEDS: [u64; 3] = [1, 2, 3];
/// Thresholds between the least and the greatest value that are tried in hindsight.
const TRIED: usize = 24;

/// Numbers that look random and are the same in each run: SplitMix64.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Normally distributed (Box and Muller).
    fn normal(&mut self) -> f64 {
        let (u, v) = (1.0 - self.uniform(), self.uniform());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }
}

/// A series with its anomalies.
struct Series {
    name: &'static str,
    values: Vec<f64>,
    anomalies: Vec<Range<usize>>,
}

/// A week of a shop: a day is from 0.2 at night to 1, and weekends have less.
fn season(step: usize) -> f64 {
    let day = (step % DAY) as f64 / DAY as f64;
    let weekend = if (step / DAY) % 7 >= 5 { 0.6 } else { 1.0 };
    weekend * (0.6 - 0.4 * (std::f64::consts::TAU * day).cos())
}

/// Begins of so many anomalies in the last two weeks, each in a part of its own, so that they are far from each other.
fn begins(random: &mut Random, number: usize) -> impl Iterator<Item = usize> {
    let part = (ALL - LEARNT) / number;
    (0..number).map(move |n| LEARNT + n * part + (random.uniform() * (part / 2) as f64) as usize + part / 4)
}

fn series(seed: u64, deploys: &[usize]) -> Vec<Series> {
    let mut random = Random(seed);
    let mut all = Vec::new();
    let mut add = |name,
                   random: &mut Random,
                   value: &dyn Fn(usize, f64) -> f64,
                   anomalies: Vec<(Range<usize>, f64)>| {
        let factor = |step: usize| -> f64 {
            let here = anomalies.iter().filter(|(range, _)| range.contains(&step));
            here.map(|(_, factor)| *factor).product()
        };
        let values = (0..ALL).map(|step| value(step, random.normal()) * factor(step)).collect();
        all.push(Series { name, values, anomalies: anomalies.into_iter().map(|(range, _)| range).collect() });
    };
    // Requests: a season, and a deploy halves them for ten minutes. Spikes and dropouts at any time of the day.
    let spikes: Vec<_> = begins(&mut random, 8)
        .enumerate()
        .map(|(n, begin)| (begin..begin + HOUR / 2, if n % 2 == 0 { 2.2 } else { 0.1 }))
        .collect();
    let deploying = |step: usize| deploys.iter().any(|deploy| (*deploy..deploy + 2).contains(&step));
    add(
        "requests",
        &mut random,
        &|step, noise| season(step) * (1000.0 + 50.0 * noise) * if deploying(step) { 0.5 } else { 1.0 },
        spikes,
    );
    // Latency: no season, noise with a tail; spikes, and a level that changes for good in the last days. Deploys make it slow.
    let shift = ALL - 3 * DAY;
    let mut slow: Vec<_> = begins(&mut random, 6)
        .filter(|begin| *begin < shift - DAY)
        .map(|begin| (begin..begin + HOUR / 2, 2.0))
        .collect();
    slow.push((shift..ALL, 1.6));
    add(
        "latency",
        &mut random,
        &|step, noise| 0.2 * (0.1 * noise).exp() * if deploying(step) { 1.8 } else { 1.0 },
        slow,
    );
    // Memory: a trend of 4 % a week, a weak season; a leak that is freed after two hours.
    let leaks = begins(&mut random, 5).map(|begin| (begin..begin + 2 * HOUR, 1.35)).collect();
    add(
        "memory",
        &mut random,
        &|step, noise| (1.0 + 0.04 * step as f64 / WEEK as f64) * (500.0 + 20.0 * season(step) + 8.0 * noise),
        leaks,
    );
    // Orders: busy by day; a nightly surge that would be usual by day, and a lull by day that would be usual by night.
    let surges = (0..10)
        .map(|n| {
            let day = LEARNT + n * DAY + DAY;
            let (begin, factor) = if n % 2 == 0 { (day + HOUR, 2.5) } else { (day + 12 * HOUR, 0.35) };
            let begin = begin + (random.uniform() * HOUR as f64) as usize;
            (begin..begin + HOUR, factor)
        })
        .collect();
    add("orders", &mut random, &|step, noise| season(step) * (80.0 + 8.0 * noise), surges);
    // Temperature: nothing happens.
    add("temperature", &mut random, &|step, noise| 40.0 + 5.0 * season(step) + noise, Vec::new());
    for series in &mut all {
        // A level that stays is an anomaly for half a day.
        series.anomalies.iter_mut().for_each(|range| range.end = range.end.min(range.start + DAY / 2));
    }
    all
}

/// How often it was right.
#[derive(Clone, Copy, Debug, Default)]
struct Score {
    found: usize,
    missed: usize,
    wrong: usize,
}

impl Score {
    fn of(alerts: &[Range<usize>], anomalies: &[Range<usize>]) -> Score {
        let about = |alert: &Range<usize>, anomaly: &Range<usize>| {
            // One that fires all the time is about nothing.
            (anomaly.start..anomaly.end + AFTER).contains(&alert.start)
        };
        let found =
            anomalies.iter().filter(|anomaly| alerts.iter().any(|alert| about(alert, anomaly))).count();
        let is_wrong = |alert: &&Range<usize>| !anomalies.iter().any(|anomaly| about(alert, anomaly));
        Score { found, missed: anomalies.len() - found, wrong: alerts.iter().filter(is_wrong).count() }
    }

    fn and(self, other: Score) -> Score {
        Score {
            found: self.found + other.found,
            missed: self.missed + other.missed,
            wrong: self.wrong + other.wrong,
        }
    }

    /// Of the alerts, those about an anomaly.
    fn precision(self) -> f64 {
        self.found as f64 / (self.found + self.wrong).max(1) as f64
    }

    /// Of the anomalies, those that were found.
    fn recall(self) -> f64 {
        self.found as f64 / (self.found + self.missed).max(1) as f64
    }

    fn f1(self) -> f64 {
        2.0 * self.found as f64 / (2 * self.found + self.missed + self.wrong).max(1) as f64
    }
}

/// When each rule's alert fired and was not held back, in steps.
fn fired(
    rules: &str,
    series: &[Series],
    deploys: &[usize],
    knows_deploys: bool,
) -> BTreeMap<String, Vec<Range<usize>>> {
    let options = AlertOptions::new(Rules::parse("judged.yaml", rules).unwrap())
        .page(PageOptions::default().scope_labels(false))
        .process_metrics(false);
    let alerts = Alerts::new(&options).unwrap();
    let begun = SystemTime::UNIX_EPOCH + Duration::from_secs(1_699_833_600);
    let mut fired: BTreeMap<String, Vec<Range<usize>>> = BTreeMap::new();
    for step in 0..ALL {
        if knows_deploys && deploys.contains(&step) {
            alerts.deploying(Duration::from_secs(1200));
        }
        let points: Vec<_> =
            series.iter().map(|it| point(it.name, "", &[], PointData::GaugeFloat(it.values[step]))).collect();
        alerts.evaluate(begun + STEP * step as u32, &points);
        for alert in if step < LEARNT { Vec::new() } else { alerts.list() } {
            if alert.state == AlertState::Firing && alert.suppressed.is_none() {
                let all = fired.entry(alert.name.to_string()).or_default();
                match all.last_mut().filter(|last| last.end == step) {
                    Some(last) => last.end = step + 1,
                    None => all.push(step..step + 1),
                }
            }
        }
    }
    fired
}

/// What rules with static thresholds find that are tried one after the other, above all and below all.
fn hindsight(series: &Series) -> impl Iterator<Item = Score> {
    let past = &series.values[..LEARNT];
    let (least, most) = past.iter().fold((f64::MAX, f64::MIN), |(a, b), x| (a.min(*x), b.max(*x)));
    let of = move |fires: &dyn Fn(f64) -> bool| {
        let mut alerts: Vec<Range<usize>> = Vec::new();
        for step in LEARNT..ALL {
            // As with `duration: 5m`: at the second step.
            if fires(series.values[step]) && fires(series.values[step - 1]) {
                match alerts.last_mut().filter(|last| last.end == step) {
                    Some(last) => last.end = step + 1,
                    None => alerts.push(step..step + 1),
                }
            }
        }
        Score::of(&alerts, &series.anomalies)
    };
    (0..TRIED).flat_map(move |tried| {
        let part = tried as f64 / TRIED as f64;
        let (above, below) = (least + (most * 2.0 - least) * part, most * (1.0 - part));
        [of(&|x| x > above), of(&|x| x < below)]
    })
}

#[test]
fn a_seasonal_score_is_better_than_a_threshold() {
    let mut scores: BTreeMap<(&str, &str), Score> = BTreeMap::new();
    const WAYS: [&str; 4] =
        ["threshold", "best threshold in hindsight", "seasonal score", "seasonal score, deploys known"];
    for seed in SEEDS {
        let deploys: Vec<usize> =
            (0..8).map(|n| LEARNT + n * DAY + DAY / 2 + 10 * HOUR / 3 + n * 5).collect();
        let series = series(seed, &deploys);
        let mut rules = String::new();
        for it in &series {
            let past = &it.values[..LEARNT];
            let (least, most) = past.iter().fold((f64::MAX, f64::MIN), |(a, b), x| (a.min(*x), b.max(*x)));
            let name = it.name;
            writeln!(
                rules,
                "- {{name: {name}, condition: {name} > {} or {name} < {}, duration: 5m}}",
                most * 1.05,
                least * 0.95
            )
            .unwrap();
            writeln!(
                rules,
                "- {{name: {name} season, condition: abs(seasonal_anomaly_score({name})) > 5, duration: 5m}}"
            )
            .unwrap();
        }
        let plain = fired(&rules, &series, &deploys, false);
        let seasonal_rules: String = rules
            .lines()
            .filter(|line| line.contains("season"))
            .fold(String::new(), |text, line| text + line + "\n");
        let with_deploys = fired(&seasonal_rules, &series, &deploys, true);
        for it in &series {
            let name = it.name;
            let of = |fired: &BTreeMap<String, Vec<Range<usize>>>, rule: &str| {
                Score::of(fired.get(rule).map_or(&[], Vec::as_slice), &it.anomalies)
            };
            let best = hindsight(it).max_by(|a, b| a.f1().total_cmp(&b.f1()));
            let none = Score::of(&[], &it.anomalies);
            let found = [
                of(&plain, name),
                best.filter(|best| best.f1() > none.f1()).unwrap_or(none),
                of(&plain, &format!("{name} season")),
                of(&with_deploys, &format!("{name} season")),
            ];
            for (way, score) in WAYS.into_iter().zip(found) {
                let sum = scores.entry((way, name)).or_default();
                *sum = sum.and(score);
            }
        }
    }
    let names = ["requests", "latency", "memory", "orders", "temperature"];
    let mut table = format!(
        "| | {} | **all** | precision | recall |\n|---|{}--:|--:|--:|\n",
        names.join(" | "),
        "--:|".repeat(names.len())
    );
    let mut sums = Vec::new();
    for way in WAYS {
        let of: Vec<Score> = names.iter().map(|name| scores[&(way, *name)]).collect();
        let shown =
            |score: &Score| format!("{}/{}, {} wrong", score.found, score.found + score.missed, score.wrong);
        let sum = of.iter().copied().fold(Score::default(), Score::and);
        let cells: Vec<String> = of.iter().map(shown).collect();
        writeln!(
            table,
            "| {way} | {} | {} | {:.2} | {:.2} |",
            cells.join(" | "),
            shown(&sum),
            sum.precision(),
            sum.recall()
        )
        .unwrap();
        sums.push(sum);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/anomalies.md");
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    const BEGIN: &str = "<!-- measured by tests/alert_judged.rs -->\n";
    const END: &str = "<!-- end -->\n";
    let begin = text.find(BEGIN).expect("the file has a place for the table") + BEGIN.len();
    let end = text.find(END).expect("the place has an end");
    if std::env::var_os("THROUGHLINE_BLESS").is_some() {
        std::fs::write(&path, format!("{}{table}{}", &text[..begin], &text[end..])).unwrap();
    } else {
        assert_eq!(
            &text[begin..end],
            table,
            "docs/anomalies.md is not what is measured; bless it with THROUGHLINE_BLESS=1"
        );
    }
    let [threshold, hindsight, seasonal, with_deploys] = sums[..] else { panic!("{sums:?}") };
    assert!(
        seasonal.f1() > hindsight.f1()
            && hindsight.f1() >= threshold.f1()
            && with_deploys.f1() >= seasonal.f1(),
        "{table}"
    );
    assert!(with_deploys.precision() > 0.9 && with_deploys.recall() > 0.9, "{table}");
}
