//! The metric macros.

use core::time::Duration;
use throughline::{
    counter, counter_family, gauge, gauge_family, histogram, histogram_family, summary, up_down_counter,
    up_down_counter_family,
};

const MOST: usize = 4;

pub fn bare() {
    counter!("bare.counter").add(1);
    up_down_counter!("bare.up_down").add(-1);
    gauge!("bare.gauge").set(-3);
    gauge!("bare.float" as f32).set(0.5);
    histogram!("bare.histogram").record(5);
    counter_family!("bare.family", labels = ["a"], capacity = 2).add(["x"], 1);
    histogram_family!("bare.histograms", labels = ["a"], capacity = 2).record(["x"], 1);
}

pub fn trailing_commas() {
    counter!("trailing.counter",).add(1);
    up_down_counter!("trailing.up_down", unit = "1",).add(1);
    gauge!("trailing.gauge",).set(1);
    gauge!("trailing.float" as f32,).set(1.0);
    histogram!("trailing.histogram", scale = 0,).record(1);
    counter_family!("trailing.family", labels = ["a", "b",], capacity = MOST,).add(["x", "y"], 1);
    histogram_family!("trailing.histograms", labels = ["a",], capacity = 1 + 1,).record(["x"], 1);
}

pub fn options() {
    counter!("options.counter", unit = "By", description = "bytes", bus = "can0", a.b = "c", "any key" = "d")
        .add(1);
    up_down_counter!("options.up_down", description = "open", unit = "{connection}").add(2);
    gauge!("options.gauge", zone = "1", unit = "Cel").set(21);
    gauge!("options.float" as f32, unit = "Cel", zone = "2").set(21.5);
    histogram!("options.histogram", unit = "us", scale = 3, route = "/").record(1250);
    histogram!("options.coarse", scale = 0).record(1);
    histogram!("options.fine", description = "fine", scale = 4).record(1);
    counter_family!("options.family", labels = ["a"], capacity = 1, description = "d", unit = "1")
        .add(["x"], 1);
    histogram_family!(
        "options.histograms",
        labels = ["a"],
        capacity = 1,
        scale = 1,
        unit = "us",
        description = "d"
    )
    .record(["x"], 1);
}

pub fn kinds() {
    counter!("kinds.a" as f64, unit = "J", description = "energy", zone = "1").add(0.5);
    counter!("kinds.b" as f32).add(1);
    gauge!("kinds.c" as f64).set(0.5_f32);
    gauge!("kinds.d").add(3);
    gauge!("kinds.d").sub(1);
    histogram!("kinds.e" as f64, unit = "s", scale = 1, fraction_bits = 10)
        .record(Duration::from_millis(500));
    summary!("kinds.f", scale = 4, unit = "us").record(Duration::from_millis(1));
    summary!("kinds.g" as f64,).record(1);
    gauge_family!("kinds.h", capacity = 2, labels = ["a"], unit = "1").set(["x"], -4);
    up_down_counter_family!("kinds.i", labels = ["a", "b"], description = "d", capacity = 2)
        .add(["x", "y"], -1);
    histogram_family!("kinds.j" as f64, labels = ["a"], capacity = 1, fraction_bits = 4).record(["x"], 0.25);
    // Literals of other types are labels too, and so are quoted names of options.
    counter!("kinds.k", status = 200, ok = true, "scale" = "s", "unit" = "u").add(1_u8);
    let _open = up_down_counter!("kinds.l").in_flight();
    let _depth = gauge!("kinds.m").in_flight();
}

pub fn kept() {
    let counter = counter!("kept.counter");
    let histogram = histogram!("kept.histogram");
    let family = counter_family!("kept.family", labels = ["route", "status"], capacity = 3);
    for n in 0..3 {
        counter.add(1);
        histogram.record(n);
        family.add(["/", "200"], 1);
    }
}

pub fn in_a_generic<T: Into<usize>>(value: T) {
    counter!("generic.counter").add(1);
    histogram!("generic.histogram").record(value.into());
}
