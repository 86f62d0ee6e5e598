//! The interval of a forecast has the truth as often as it says.

use super::traffic::Dice;
use crate::insights::line::Line;

/// Standard errors of 90 %.
const NINETY: f64 = 1.645;
const RUNS: usize = 400;

/// Noise of one kind, for so many points.
type Noise = fn(&mut Dice, usize) -> Vec<f64>;

fn normal(dice: &mut Dice, number: usize) -> Vec<f64> {
    (0..number).map(|_| dice.normal()).collect()
}

/// One in ten is ten times as far away, and above.
fn with_outliers(dice: &mut Dice, number: usize) -> Vec<f64> {
    (0..number)
        .map(|_| if dice.next().is_multiple_of(10) { 10.0 * dice.normal().abs() } else { dice.normal() })
        .collect()
}

/// Each depends on the one before.
fn correlated(dice: &mut Dice, number: usize) -> Vec<f64> {
    let mut last = dice.normal();
    let mut next = || {
        last = 0.5 * last + (1.0_f64 - 0.25).sqrt() * dice.normal();
        last
    };
    (0..number).map(|_| next()).collect()
}

/// A line with a slope of 1 and this noise, of which so many points are known.
fn points(noise: &[f64], spread: f64) -> Vec<(f64, f64)> {
    noise.iter().enumerate().map(|(at, noise)| (at as f64, at as f64 + spread * noise)).collect()
}

/// In how many runs the interval has the time at which the true line meets the limit, and in how many that time is before it or behind it.
fn covered(noise: Noise, number: usize, spread: f64) -> (usize, usize, usize) {
    let mut dice = Dice(number as u64);
    let (mut inside, mut before, mut behind) = (0, 0, 0);
    let limit = 2.0 * number as f64;
    let truth = limit - (number - 1) as f64;
    // Outliers on one side move the line that half of the points lie below.
    let middle = |noise: &[f64]| {
        let mut sorted = noise.to_vec();
        crate::robust::median(&mut sorted).unwrap()
    };
    let shift = middle(&noise(&mut Dice(7), 20_001)) * spread;
    for _ in 0..RUNS {
        let line = Line::through(&points(&noise(&mut dice, number), spread), true).unwrap();
        let meets = line.meets(limit + shift, NINETY);
        match (meets.earliest, meets.latest) {
            (Some(earliest), _) if truth < earliest => before += 1,
            (_, Some(latest)) if latest < truth => behind += 1,
            _ => inside += 1,
        }
    }
    (inside, before, behind)
}

#[test]
fn nine_of_ten_intervals_have_the_truth() {
    let kinds: [(&str, Noise); 3] =
        [("normal", normal), ("with outliers", with_outliers), ("correlated", correlated)];
    for (name, noise) in kinds {
        for number in [20, 60, 120] {
            let (inside, before, behind) = covered(noise, number, 5.0);
            println!("{name}, {number} points: {inside} of {RUNS}, {before} before, {behind} behind");
            // Of 400 with 90 %, 342 are three standard deviations too few.
            assert!(inside >= 342, "{name}, {number} points: {inside}");
        }
    }
}

/// Each is the one before and a step.
fn walk(dice: &mut Dice, number: usize) -> Vec<f64> {
    let mut sum = 0.0;
    let mut next = || {
        sum += dice.normal();
        sum
    };
    (0..number).map(|_| next()).collect()
}

#[test]
fn growth_that_is_not_there_is_seldom_believed() {
    // A walk does go somewhere, which nobody can tell from growth before it turns.
    let kinds: [(&str, Noise, usize); 4] = [
        ("normal", normal, 3),
        ("with outliers", with_outliers, 3),
        ("correlated", correlated, 3),
        ("a walk", walk, 16),
    ];
    for (name, noise, most) in kinds {
        let mut dice = Dice(99);
        let believed = (0..RUNS).filter(|_| {
            let values = noise(&mut dice, 120).into_iter().enumerate();
            let flat: Vec<(f64, f64)> = values.map(|(at, y)| (at as f64, y)).collect();
            Line::through(&flat, true).unwrap().grows(3.29)
        });
        let believed = believed.count();
        println!("{name}: {believed} of {RUNS} are taken for growth");
        assert!(believed <= most, "{name}: {believed}");
    }
}

#[test]
fn what_grows_faster_and_faster_is_believed() {
    let mut dice = Dice(5);
    let points: Vec<(f64, f64)> =
        (0..120).map(|at| (f64::from(at), 1.05_f64.powi(at) + 0.01 * dice.normal())).collect();
    let line = Line::through(&points, true).unwrap();
    assert!(line.bounds(3.29).0 <= 0.0 && line.grows(3.29));
}

#[test]
fn lines_without_noise_are_exact() {
    let points: Vec<(f64, f64)> = (0..20).map(|x| (f64::from(x) * 5.0, 3.0 + f64::from(x))).collect();
    let line = Line::through(&points, true).unwrap();
    assert_eq!((line.slope, line.ends(), line.length()), (0.2, (3.0, 22.0), 95.0));
    let meets = line.meets(32.0, NINETY);
    assert!(
        [meets.expected, meets.earliest, meets.latest].iter().all(|it| (it.unwrap() - 50.0).abs() < 1e-6),
        "{meets:?}"
    );
    // Beyond the limit it is met at once.
    assert_eq!(line.meets(10.0, NINETY).expected, Some(0.0));
    // Downwards it is never met, and with too few points anything may be.
    let down: Vec<(f64, f64)> = points.iter().map(|(x, y)| (*x, -y)).collect();
    let meets = Line::through(&down, true).unwrap().meets(32.0, NINETY);
    assert_eq!((meets.expected, meets.earliest, meets.latest), (None, None, None));
    assert!(Line::through(&points[..2], true).is_none());
    assert!(Line::through(&[(1.0, 2.0); 9], true).is_none());
    let (low, high) = Line::through(&points[..3], true).unwrap().bounds(3.29);
    assert_eq!((low, high), (f64::NEG_INFINITY, f64::INFINITY));
    // A quarter of the points may be wrong.
    let mut wrong = points.clone();
    (0..4).for_each(|at| wrong[at * 5].1 = 1e6);
    assert!((Line::through(&wrong, false).unwrap().slope - 0.2).abs() < 0.05);
}
