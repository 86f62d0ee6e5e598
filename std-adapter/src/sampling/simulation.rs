//! Runs the controller against bursts, checks that it holds its target, and draws `docs/adaptive-sampling.svg`.

use super::{Controller, STEPS_PER_SECOND};
use std::fmt::Write;

const TARGET: f64 = 1000.0;
const SECONDS: usize = 600;

/// Random numbers that are the same in every run (Vigna's SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ x >> 31
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Traces that begin in a second: a base, bursts of up to sixteen times as many, and a quiet minute below the target.
fn traces_per_second(second: usize) -> u64 {
    match second {
        60..65 | 300..303 => 8_000,
        120..150 => 4_000,
        200..260 if second % 4 < 2 => 5_000,
        330..390 => 50,
        450..520 => 500 + (second as u64 - 450) * 80,
        _ => 500,
    }
}

/// Made and kept spans, and the share at the end, for each second.
fn run() -> Vec<(u64, u64, f64)> {
    let mut random = Random(7);
    let mut controller = Controller::new(TARGET, 1.0);
    let mut share = 1.0;
    // Spans of kept and of dropped traces by the step in which they end: a trace lasts for up to two seconds.
    let steps = SECONDS * STEPS_PER_SECOND as usize;
    let (mut made, mut kept) = (vec![0u64; steps + 21], vec![0u64; steps + 21]);
    let mut all = Vec::new();
    for step in 0..steps {
        let second = step / STEPS_PER_SECOND as usize;
        for _ in 0..traces_per_second(second) / u64::from(STEPS_PER_SECOND) {
            let is_kept = random.share() < share;
            let end = step + random.below(21) as usize;
            let spans = 1 + random.below(19);
            made[end] += spans;
            kept[end] += if is_kept { spans } else { 0 };
        }
        share = controller.step(1.0 / f64::from(STEPS_PER_SECOND), made[step], kept[step]);
        if (step + 1) % STEPS_PER_SECOND as usize == 0 {
            let of = |spans: &[u64]| spans[step + 1 - STEPS_PER_SECOND as usize..=step].iter().sum();
            all.push((of(&made), of(&kept), share));
        }
    }
    all
}

#[test]
fn the_target_is_held_within_a_tenth_in_bursts() {
    let all = run();
    let whole = |from: usize, to: usize| all[from..to].iter().map(|second| second.1).sum::<u64>() as f64;
    // Every minute in which there is enough, from the start on. In the quiet minute there is not.
    for from in (0..SECONDS - 60).filter(|from| !(270..390).contains(from)) {
        let rate = whole(from, from + 60) / 60.0;
        assert!((rate / TARGET - 1.0).abs() < 0.1, "{rate} spans/s from second {from} on");
    }
    // When there is too little, everything is kept, after the share has grown to 1.
    for (made, kept, share) in &all[345..385] {
        assert!(kept == made && *share == 1.0, "{kept} of {made}");
    }
    // From one second to the next the share moves by at most the factor of its steps.
    let factor = 2f64.powi(STEPS_PER_SECOND as i32);
    for pair in all.windows(2) {
        let change = pair[1].2 / pair[0].2;
        assert!((1.0 / factor..=factor).contains(&change), "{change}");
    }
}

#[test]
fn a_flood_and_silence_are_survived() {
    let mut controller = Controller::new(100.0, 0.0);
    for made in [0, u64::MAX, 0, 1, u64::MAX / 2, 0] {
        for _ in 0..200 {
            let share = controller.step(0.1, made, made);
            assert!((1e-6..=1.0).contains(&share), "{share}");
        }
    }
    for _ in 0..2000 {
        controller.step(0.1, 0, 0);
    }
    assert_eq!(controller.step(0.1, 0, 0), 1.0);
}

#[test]
fn the_plot_in_the_docs_is_that_of_this_simulation() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/adaptive-sampling.svg");
    let svg = plot(&run());
    if std::env::var_os("THROUGHLINE_BLESS").is_some() {
        std::fs::write(path, &svg).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap();
    assert!(
        committed == svg,
        "{path} is another one; run this test with THROUGHLINE_BLESS=1 and commit the file"
    );
}

/// Three curves over the seconds, on a logarithmic scale of powers of ten.
fn plot(all: &[(u64, u64, f64)]) -> String {
    let mut svg = String::from(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 760 330' font-family='sans-serif' font-size='12'>\n\
         <rect width='760' height='330' fill='white'/>\n",
    );
    // From 100 to 100,000 spans in a second.
    let height = |spans: f64| 290.0 - 85.0 * (spans.max(100.0) / 100.0).log10();
    for (i, label) in ["100", "1,000 (target)", "10,000", "100,000"].iter().enumerate() {
        let y = 290 - 85 * i;
        let dash = if i == 1 { "" } else { " stroke-dasharray='2 4'" };
        _ = writeln!(
            svg,
            "<path d='M50 {y}H650' stroke='#999'{dash}/><text x='655' y='{}'>{label}</text>",
            y + 4
        );
    }
    for second in (0..=SECONDS).step_by(60) {
        _ = writeln!(svg, "<text x='{}' y='306' text-anchor='middle'>{second}</text>", 50 + second);
    }
    let mut curve = |name: &str, colour: &str, at: usize, height: &dyn Fn(usize) -> f64| {
        let points: Vec<_> =
            (0..all.len()).step_by(2).map(|i| format!("{} {:.0}", 50 + i, height(i))).collect();
        _ = writeln!(svg, "<polyline fill='none' stroke='{colour}' points='{}'/>", points.join(","));
        _ = writeln!(svg, "<text x='{at}' y='324' fill='{colour}'>{name}</text>");
    };
    curve("spans/s made", "#888888", 60, &|i| height(all[i].0 as f64));
    curve("spans/s kept", "#1f6fb4", 190, &|i| height(all[i].1 as f64));
    curve("kept, over a minute", "#111111", 320, &|i| {
        let part = &all[i.saturating_sub(59)..=i];
        height(part.iter().map(|second| second.1 as f64).sum::<f64>() / part.len() as f64)
    });
    curve("probability (100,000 is 1)", "#c0504d", 490, &|i| height(all[i].2 * 100_000.0));
    svg + "</svg>\n"
}
