//! A counter that is given a negative amount: it stays as it is, and the place is told.

mod support;

use std::time::Duration;
use support::{in_own_process, stderr_of};
use throughline::adapter::metrics::take_negative;
use throughline::{counter, counter_family, up_down_counter};
use throughline_std::Config;

#[test]
fn a_negative_amount_adds_nothing_and_its_place_is_told_once() {
    let stderr = stderr_of("a_negative_amount_adds_nothing_and_its_place_is_told_once", || {
        let guard = throughline_std::init(&Config::new("svc").terminal(true)).unwrap();
        counter!("orders").add(3);
        counter!("orders").add(-1);
        counter_family!("families", labels = ["k"], capacity = 2).add(["v"], 2);
        up_down_counter!("open").add(-1);
        guard.shutdown(Duration::from_secs(10));
    });
    if let Some(stderr) = stderr {
        let told: Vec<_> = stderr.lines().filter(|line| line.contains("negative amount")).collect();
        let [line] = told[..] else { panic!("{stderr}") };
        assert!(line.contains("negative_counts.rs:") && line.contains("up_down_counter!"), "{line}");
        assert!(stderr.lines().any(|line| line.starts_with("orders") && line.contains(" 3")), "{stderr}");
    }
}

#[test]
fn whatever_adds_to_a_counter_tells_its_own_place() {
    let adding: [(u32, fn()); 4] = [
        (line!(), || counter!("a").increment(-1)),
        (line!(), || counter!("b" as f64).add(-0.5)),
        (line!(), || counter!("c" as f32).increment(-1)),
        (line!(), || counter_family!("d", labels = ["k"], capacity = 2).add(["v"], -1)),
    ];
    in_own_process("whatever_adds_to_a_counter_tells_its_own_place", || {
        for (line, add) in adding {
            add();
            let place = take_negative().expect("a place");
            assert_eq!((place.file(), place.line()), (file!(), line));
            assert!(take_negative().is_none());
        }
    });
}
