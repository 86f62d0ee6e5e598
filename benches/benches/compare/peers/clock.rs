//! `clock_read`: one timestamp.

use std::hint::black_box;

use crate::{Subject, harness::Bench};

pub(super) const SUBJECTS: &[Subject] = &[
    ("std Instant", |bench| clock(bench, std::time::Instant::now)),
    ("fastant", |bench| clock(bench, fastant::Instant::now)),
    ("quanta", |bench| clock(bench, quanta::Instant::now)),
    ("puffin", |bench| clock(bench, puffin::now_ns)),
];

fn clock<T>(bench: &mut Bench<'_>, now: impl Fn() -> T + Sync) {
    bench.steady(
        |_| black_box(now()),
        |_, n| {
            for _ in 0..n {
                black_box(now());
            }
        },
    );
}
